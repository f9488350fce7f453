"""One request of the poller: send it, and tell each of its waiters what the reply means to it."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any

from common.model.errors import DecodeError, JobNotFound, JobsError, RateLimited, SourceError, UnexpectedState
from common.model.job import Job
from common.model.refs import JobRef
from common.model.states import TERMINAL
from common.polling.pollable import BatchReading, BatchRefused, Pollable, Reading
from common.polling.throttle import Throttle
from common.polling.waiters import PolledJob, PollRequest, Waiter
from common.telemetry.events import Event, EventKind
from common.telemetry.outage import OutageLog
from common.telemetry.reporter import Reporter

BATCH_AGAIN = 60.0
"""Seconds after which a server that refused a batch request is sent one again."""


class PollExecutor:
    """Sends the poller's requests to one source, and delivers the replies to the waiters.

    ``wake`` resumes the task of one waiter.
    """

    def __init__(
        self,
        pollable: Pollable,
        throttle: Throttle,
        reporter: Reporter,
        *,
        now: Callable[[], float],
        wake: Callable[[Waiter], None],
    ) -> None:
        self._pollable = pollable
        self._throttle = throttle
        self._reporter = reporter
        self._now = now
        self._wake = wake
        self._random = Random()
        self.outage: OutageLog = OutageLog(reporter.log)
        self.batch_after: float = -math.inf
        """No batch request is sent before this time."""

    async def execute(self, request: PollRequest) -> None:
        """Send the request, and deliver the reply, or the failure, to all waiters of its jobs.

        Raise a cancellation, and any exception that is neither `JobNotFound` nor a `SourceError`.
        """
        request.sent_at = self._now()
        reporter = self._reporter
        request.observed = reporter.observer is not None or reporter.log.isEnabledFor(logging.INFO)
        if len(request.jobs) > 1:
            await self._read_batch(request)
            return
        polled = request.jobs[0]
        try:
            reading = await self._read(polled)
        except JobNotFound as error:
            self._throttle.on_success(self._now)
            self._deliver_not_found(request, error)
        except SourceError as error:
            self._on_failure(request, error)
            self._deliver_failure(request, request.jobs, error)
        else:
            self._throttle.on_success(self._now)
            if polled.single_until == math.inf:
                # It exists although it was missing from a batch: it joins none for a while.
                polled.single_until = request.sent_at + BATCH_AGAIN
            self._deliver(request, polled, reading.job, reading.date, reading.at, self._spacing(request))

    async def _read(self, polled: PolledJob) -> Reading:
        """Return one job as one request reads it. A second one reads its results, if it ended with any."""
        ended, date = polled.unread, None
        if ended is None:
            ref = polled.ref
            reading = polled.reading = await self._pollable.read(ref, polled.reading)
            if polled.ref is ref and reading.job.ref.hints != ref.hints:
                polled.keep_hints_of(reading.job)
            if not self._has_unread_results(polled, reading.job):
                return reading
            ended, date = reading.job, reading.date
        return Reading(await self._pollable.read_results(ended), date)

    def _has_unread_results(self, polled: PolledJob, job: Job) -> bool:
        """Whether a job has ended with results that are not read yet; if so, they are what is read next."""
        # The link to them is among the hints, also where only the job's own record has it.
        if not job.ref.hints or job.state not in TERMINAL or not self._pollable.has_unread_results(job):
            return False
        polled.unread = job
        for waiter in polled.waiters:
            waiter.end_seen(job, now=self._now())
        return True

    async def _read_batch(self, request: PollRequest) -> None:
        try:
            last = {each.batch_id: each.reading.body for each in request.jobs if each.reading is not None}
            batch = await self._pollable.read_batch([each.ref for each in request.jobs], last)
        except (SourceError, BatchRefused) as error:
            batch = BatchReading({}, failure=error)
        at, failure = datetime.now(UTC), batch.failure
        absent = self._deliver_batch(request, batch, at)
        if failure is None:
            self._throttle.on_success(self._now)
            for polled in absent:
                self._deliver_absent(request, polled)
        elif isinstance(failure, SourceError):
            self._on_failure(request, failure)
            self._deliver_failure(request, absent, failure)
        elif failure.limit is not None and failure.limit < request.batch_limit:
            # Compared with the limit of this request: another refused one may have lowered the present one
            # already.
            self._pollable.batch_limit = min(self._pollable.batch_limit, failure.limit)
        else:
            # A smaller batch would not help. The jobs are still due, and are asked about one by one.
            self.batch_after = self._now() + BATCH_AGAIN

    def _deliver_batch(self, request: PollRequest, batch: BatchReading, now: datetime) -> list[PolledJob]:
        """Deliver the records of a batch, and return the jobs that have none in it."""
        absent: list[PolledJob] = []
        records, date, spacing = batch.records, batch.date, self._spacing(request)
        for polled in request.jobs:
            ref, last, record = polled.ref, polled.reading, records.get(polled.batch_id)
            if record is None:
                absent.append(polled)
            elif last is None or not (record is last.body or record == last.body) or _other_hints(last, ref):
                self._deliver_record(request, polled, record, date, spacing)
            elif ref.hints and self._has_unread_results(polled, last.job):
                polled.single_until = math.inf
            else:
                self._deliver(request, polled, last.job, date, now, spacing)
        return absent

    def _deliver_record(
        self, request: PollRequest, polled: PolledJob, record: Any, date: datetime | None, spacing: float
    ) -> None:
        try:
            job = self._pollable.decode_batch_record(polled.ref, record)
        except DecodeError:
            polled.single_until = math.inf
            return
        polled.reading = Reading(job, date, record)
        if job.ref is not polled.ref:
            polled.keep_hints_of(job)
        if job.ref.hints and self._has_unread_results(polled, job):
            polled.single_until = math.inf  # it is still due: its results are asked for alone
        else:
            self._deliver(request, polled, job, date, None, spacing)

    # Delivery. Each method skips waiters that are notified already, and those that began after the request.

    def _spacing(self, request: PollRequest) -> float:
        """Return the seconds between two polls of one job that the rate budget allows.

        The budget is shared by the requests that it takes to ask about every job once.
        """
        if request.sent_at >= self._throttle.window_ends:
            return 0.0
        return self._throttle.interval(request.sent_at) * request.polled / len(request.jobs)

    def _deliver(
        self,
        request: PollRequest,
        polled: PolledJob,
        job: Job,
        date: datetime | None,
        at: datetime | None,
        spacing: float,
    ) -> None:
        delay, sent_at, sequence = math.inf, request.sent_at, request.sequence
        observed, before = request.observed, None
        for waiter in polled.waiters:
            if waiter.notified or (waiter.sequence > sequence and not job.done):
                continue  # a state from before the wait began does not count, unless it is an end
            if observed:
                before = waiter.last
            try:
                news = waiter.observe(job, sent_at=sent_at, date=date, at=at, spacing=spacing)
            except UnexpectedState as error:
                waiter.fail(error)
                news = False
            if self.outage.kinds:
                self.outage.answered(waiter, Event(EventKind.SEEN, waiter.ref, job), now=self._now())
            if observed:
                was_told = before is not None and before.state is job.state and polled.unread is None
                self._tell_observation(waiter, job, news=news, new_state=not was_told)
            if waiter.ended or (news and not waiter.terminal_only):
                waiter.notified = True
            if not waiter.ended and waiter.error is None and waiter.due - sent_at < delay:
                delay = waiter.due - sent_at
            if waiter.notified:
                self._wake(waiter)
            elif waiter.single_read:
                self._wake_if_done(waiter)
        if delay < math.inf:
            polled.delay = delay

    def _deliver_not_found(self, request: PollRequest, error: JobNotFound) -> None:
        for polled in request.jobs:
            polled.single_until = -math.inf
            for waiter in polled.waiters:
                if waiter.notified or waiter.sequence > request.sequence:
                    continue
                was_missing = waiter.missing
                outcome = waiter.job_not_found(error, sent_at=request.sent_at)
                if outcome is not None:
                    waiter.not_found = True
                    waiter.fail(outcome)
                elif waiter.missing:
                    self._tell_missing(request, waiter, error, was_missing=was_missing)
                self._wake_if_done(waiter)
            _recheck_alone(polled)

    def _deliver_absent(self, request: PollRequest, polled: PolledJob) -> None:
        """Count a batch without the job as "no such job" where that is enough, else ask for it alone."""
        error = JobNotFound(f"{polled.ref}: the server's list does not have the job", ref=polled.ref)
        waiters = [each for each in polled.waiters if not each.notified and each.sequence <= request.sequence]
        if waiters and all(waiter.is_recheck(request.sent_at) for waiter in waiters):
            for waiter in waiters:
                waiter.job_not_found(error, sent_at=request.sent_at)  # each goes on
                self._tell_trouble(request, waiter, error, self._now())
            _recheck_alone(polled)
        else:
            polled.single_until = math.inf  # only the reply to a single GET proves that there is no such job

    def _deliver_failure(self, request: PollRequest, jobs: Sequence[PolledJob], error: SourceError) -> None:
        # One jitter for the request: with one each, its jobs would no longer fall due together.
        now, jitter = self._now(), self._random.random()
        for polled in jobs:
            for waiter in polled.waiters:
                if waiter.notified or waiter.sequence > request.sequence:
                    continue
                outcome = waiter.request_failed(error, sent_at=request.sent_at, now=now, jitter=jitter)
                if outcome is not None:
                    waiter.fail(outcome)
                elif waiter.ended:
                    waiter.finish()
                else:
                    self._tell_trouble(request, waiter, error, now)
                self._wake_if_done(waiter)

    def _on_failure(self, request: PollRequest, error: SourceError) -> None:
        """Let the throttle take a failure into account; tell observers if the server asks for a pause."""
        now = self._now()
        self._throttle.on_failure(error, now)
        if error.retry_after is None and not isinstance(error, RateLimited):
            return
        leader, pause = request.leader, max(0.0, self._throttle.retry_after_until - now)
        event = Event(EventKind.THROTTLED, leader.ref, leader.last, error, next_in=pause)
        self._reporter.tell(event)

    def _tell_observation(self, waiter: Waiter, job: Job, *, news: bool, new_state: bool) -> None:
        ref, number = waiter.ref, waiter.number
        self._reporter.tell(Event(EventKind.SEEN, ref, job, wait=number))
        if news:
            level = logging.INFO if new_state else logging.DEBUG
            self._reporter.tell(Event(EventKind.CHANGED, ref, job, wait=number), level)

    def _tell_missing(
        self, request: PollRequest, waiter: Waiter, error: JobNotFound, *, was_missing: bool
    ) -> None:
        if not was_missing:
            event = Event(EventKind.GONE, waiter.ref, waiter.last, error, wait=waiter.number)
            self._reporter.tell(event)
        self._tell_trouble(request, waiter, error, self._now())

    def _tell_trouble(self, request: PollRequest, waiter: Waiter, error: JobsError, now: float) -> None:
        next_at = max(waiter.due, self._throttle.retry_after_until)
        event = Event(
            EventKind.TROUBLE,
            waiter.ref,
            waiter.last,
            error,
            wait=waiter.number,
            attempt=waiter.failures,
            failing_for=waiter.failing_for(now),
            next_in=None if waiter.single_read or next_at >= waiter.deadline else max(0.0, next_at - now),
        )
        self._reporter.tell(event)
        self.outage.failed(waiter, event, jobs=request.polled, now=now)

    def _wake_if_done(self, waiter: Waiter) -> None:
        if waiter.single_read and not waiter.notified:
            waiter.expire()
        if waiter.notified:
            self._wake(waiter)


def _recheck_alone(polled: PolledJob) -> None:
    """Ask about a job alone if the next reply decides whether it is gone: a batch must not decide that."""
    if any(waiter.last_recheck for waiter in polled.waiters):
        polled.single_until = math.inf


def _other_hints(last: Reading, ref: JobRef) -> bool:
    return last.job.ref is not ref and last.job.ref.hints != ref.hints
