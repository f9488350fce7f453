"""One request of the shared poller, and what each of its passengers is told of the answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from common.model.errors import DecodeError, JobNotFound, SourceError, UnexpectedState
from common.polling.pollable import BatchReading, BatchRefused, Pollable, Reading
from common.polling.waiters import PolledJob, PollRequest, Waiter
from common.telemetry.events import EventKind, tell

BATCH_AGAIN = 60.0
"""Seconds after which a server that refused a request for many ids is tried with one again."""


class PollExecutor:
    """Asks one source, and tells the waiters. ``wake`` lets the task of one go on."""

    def __init__(self, source: Pollable, now: Callable[[], float], wake: Callable[[Waiter], None]) -> None:
        self._source = source
        self._now = now
        self._wake = wake
        self.batch_after: float = -math.inf
        """From when on the server may be asked about many jobs in one request."""

    async def execute(self, flight: PollRequest) -> None:
        """Send the request, and tell all who are in it. Raises what is no word of the server alone."""
        flight.sent_at = self._now()
        for entry in flight.jobs:
            for waiter in entry.waiters:
                waiter.polls += 1
        try:
            if len(flight.jobs) > 1:
                await self._read_batch(flight)
            else:
                entry = flight.jobs[0]
                reading = entry.reading = await self._source.read(entry.ref, entry.reading)
                if entry.single_until == math.inf:
                    # A sweep could not tell of it, and yet it is there: sweeps are not to be trusted with it.
                    entry.single_until = flight.sent_at + BATCH_AGAIN
                self._deliver(flight, entry, reading)
        except JobNotFound as error:
            self._deliver_not_found(flight, error)
        except SourceError as error:
            self._deliver_failure(flight, flight.jobs, error)

    async def _read_batch(self, flight: PollRequest) -> None:
        try:
            sweep = await self._source.sweep([entry.ref for entry in flight.jobs])
        except (SourceError, BatchRefused) as failure:
            sweep = BatchReading({}, failure=failure)
        now = datetime.now(UTC)
        absent = [entry for entry in flight.jobs if not self._deliver_record(flight, entry, sweep, now)]
        if sweep.failure is None:
            self._source.answered()
            for entry in absent:
                entry.single_until = math.inf  # only a single GET is the API's own word for "absent"
        elif isinstance(sweep.failure, SourceError):
            self._source.heed(sweep.failure)
            self._deliver_failure(flight, absent, sweep.failure)
        elif not sweep.failure.smaller or self._source.room >= flight.batch_limit:
            # Else the same would be asked for ever. All are still due, and go out one by one.
            self.batch_after = self._now() + BATCH_AGAIN

    def _deliver_record(
        self, flight: PollRequest, entry: PolledJob, sweep: BatchReading, now: datetime
    ) -> bool:
        """Tell what the sweep has of one job, where that is something."""
        record = sweep.records.get(entry.ref.id.lower())
        if record is None:
            return False
        at = None
        try:
            if entry.job is None or record != entry.record:
                entry.job = self._source.decode_record(entry.ref, record)
                entry.record = record
            else:
                at = now
        except DecodeError:
            entry.single_until = math.inf
        else:
            self._deliver(flight, entry, Reading(entry.job, sweep.date, at=at))
        return True

    # Telling the waiters

    def _deliver(self, flight: PollRequest, entry: PolledJob, reading: Reading) -> None:
        job, delay = reading.job, math.inf
        for waiter in entry.waiters:
            if waiter.notified or (waiter.sequence > flight.sequence and not job.done):
                continue  # a newcomer's state must be newer than itself, unless it is an end
            try:
                news = waiter.observe(job, dispatched=flight.sent_at, date=reading.date, at=reading.at)
            except UnexpectedState as error:
                waiter.fail(error)
                news = False
            tell(self._source.observer, EventKind.SEEN, waiter.ref, job)
            if news:
                tell(self._source.observer, EventKind.CHANGED, waiter.ref, job)
            waiter.notified = waiter.notified or waiter.ended or (news and not waiter.terminal_only)
            if not waiter.ended and waiter.error is None:
                delay = min(delay, waiter.due - flight.sent_at)
            self._wake_if_done(waiter)
        if delay < math.inf:
            entry.delay = delay

    def _deliver_not_found(self, flight: PollRequest, error: JobNotFound) -> None:
        for entry in flight.jobs:
            entry.single_until = -math.inf
            for waiter in entry.waiters:
                if waiter.notified or waiter.sequence > flight.sequence:
                    continue
                ending = waiter.job_not_found(error, dispatched=flight.sent_at)
                if ending is not None:
                    waiter.not_found = True
                    waiter.fail(ending)
                self._wake_if_done(waiter)

    def _deliver_failure(self, flight: PollRequest, entries: Sequence[PolledJob], error: SourceError) -> None:
        now, draw = self._now(), self._source.draw()
        for entry in entries:
            for waiter in entry.waiters:
                if waiter.notified or waiter.sequence > flight.sequence:
                    continue
                ending = waiter.request_failed(error, dispatched=flight.sent_at, now=now, draw=draw)
                if ending is not None:
                    waiter.fail(ending)
                else:
                    tell(self._source.observer, EventKind.TROUBLE, waiter.ref, waiter.last, error)
                self._wake_if_done(waiter)

    def _wake_if_done(self, waiter: Waiter) -> None:
        if waiter.single_read and not waiter.notified:
            waiter.fail(waiter.timeout_error())
        if waiter.notified:
            self._wake(waiter)
