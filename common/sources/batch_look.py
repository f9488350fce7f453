"""One look at many jobs of one source: a request for many where the server has one, else one for each."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import attrs

from common.concurrency import run_together
from common.model.errors import (
    AuthenticationError,
    DecodeError,
    JobsError,
    RateLimited,
    SourceError,
    TransportError,
)
from common.model.job import UNREAD_RESULTS, Job, with_warning
from common.model.refs import JobRef
from common.polling.pollable import BatchReading, BatchRefused, Pollable, Reading
from common.polling.throttle import LoopThrottle

PATIENCE = 4
"""Once the system has answered, this many times as many failures in a row are tolerated as before."""

Outcome = Job | JobsError
"""What came of one job: the `Job`, or the exception that asking or waiting for it alone would have raised."""


@attrs.define(eq=False, repr=False)
class _Lookup:
    """One job to look at, however often the caller named it."""

    ref: JobRef
    ended: Job | None = None
    """The job, if it has ended and only its results remain to be read."""
    outcome: Outcome | None = None


@attrs.frozen(eq=False, repr=False)
class _Request:
    """The jobs of one request; several form a batch, planned for ``batch_limit`` bytes of ids."""

    jobs: Sequence[_Lookup]
    batch_limit: int = 0


@attrs.define(eq=False, repr=False)
class BatchLook:
    """One look at some jobs. ``read`` sends one request for one job, as `BaseSource.get` does.

    At most as many requests are in flight as the source sends polls at a time. If that many fail before the
    first good reply, or four times as many in a row after it, no more are sent, and the remaining jobs get
    the last failure. A single 401, 429 or wrong set-up of the connection has the same effect.
    """

    pollable: Pollable
    throttle: LoopThrottle
    read: Callable[[JobRef], Awaitable[Reading]]
    read_results: Callable[[Job], Awaitable[Job]]
    _todo: deque[_Request] = attrs.field(factory=deque[_Request], init=False)
    _batches: bool = attrs.field(default=True, init=False)
    _limit: int = attrs.field(default=1, init=False)
    _failures: int = attrs.field(default=0, init=False)
    _patience: int = attrs.field(default=1, init=False)
    _stopped_by: SourceError | None = attrs.field(default=None, init=False)

    async def run(self, refs: Sequence[JobRef]) -> list[Outcome]:
        """Return the outcome of each job, in the order given. Each exception is an object of its own."""
        jobs: dict[object, _Lookup] = {}
        for ref in refs:
            jobs.setdefault((ref, ref.hints), _Lookup(ref))
        self._plan(list(jobs.values()))
        self._limit = self.throttle.current().limit
        while self._todo:
            due, self._todo = self._todo, deque()
            await run_together([partial(self._work, due)] * min(self._limit, len(due)))
        return [_take_outcome(jobs[ref, ref.hints], ref) for ref in refs]

    def _plan(self, jobs: Sequence[_Lookup]) -> None:
        """Divide jobs into requests: batches as large as allowed, and single jobs."""
        limit = self.pollable.batch_limit if self._batches else 0
        batch: dict[str, _Lookup] = {}
        left = limit
        for job in jobs:
            cost, id = (self.pollable.batch_cost(job.ref) if limit else 0), job.ref.id.lower()
            if not 0 < cost <= limit or id in batch:
                self._todo.append(_Request([job]))
                continue
            if cost > left:
                self._todo.append(_Request([*batch.values()], limit))
                batch, left = {}, limit
            batch[id] = job
            left -= cost
        if batch:
            self._todo.append(_Request([*batch.values()], limit))

    async def _work(self, due: deque[_Request]) -> None:
        """Send requests one after another, beside other workers. Further requests are for the next round."""
        while due:
            request = due.popleft()
            if self._stopped_by is not None:
                _fail(request.jobs, self._stopped_by)
            elif len(request.jobs) == 1:
                await self._read_one(request.jobs[0])
            elif request.batch_limit != (self.pollable.batch_limit if self._batches else 0):
                self._plan(request.jobs)  # the server wants smaller ones, or none
            else:
                await self._read_batch(request)

    async def _read_one(self, job: _Lookup) -> None:
        try:
            if job.ended is not None:
                job.outcome = await self.read_results(job.ended)
            else:
                job.outcome = (await self.read(job.ref)).job
                self._on_success()
        except SourceError as error:
            _fail([job], error)
            self._on_failure(error)
        except JobsError as error:
            _fail([job], error)
            self._on_success()

    async def _read_batch(self, request: _Request) -> None:
        try:
            batch = await self.pollable.read_batch([job.ref for job in request.jobs], {})
        except (SourceError, BatchRefused) as error:
            batch = BatchReading({}, failure=error)
        absent, failure = [job for job in request.jobs if not self._read_record(job, batch)], batch.failure
        if isinstance(failure, SourceError):
            self.throttle.on_failure(failure)
            self._on_failure(failure)
            _fail(absent, failure)
        elif failure is None:
            self.throttle.on_success()
            self._on_success()
            # Only the reply to a request for one job proves that there is none, or that it cannot be read.
            self._todo.extend(_Request([job]) for job in absent)
        else:
            if failure.limit is not None and failure.limit < request.batch_limit:
                self.pollable.batch_limit = min(self.pollable.batch_limit, failure.limit)
            else:
                self._batches = False
            self._plan(absent)

    def _read_record(self, job: _Lookup, batch: BatchReading) -> bool:
        """Read a job's record in a batch's reply. Return False if there is none, or it cannot be read."""
        record = batch.records.get(job.ref.id.lower())
        if record is None:
            return False
        try:
            seen = self.pollable.decode_batch_record(job.ref, record)
        except DecodeError:
            return False
        if self.pollable.has_unread_results(seen):
            job.ended = seen
            self._todo.append(_Request([job]))
        else:
            job.outcome = seen
        return True

    def _on_success(self) -> None:
        self._failures, self._patience = 0, PATIENCE

    def _on_failure(self, error: SourceError) -> None:
        misconfigured = isinstance(error, TransportError) and error.misconfigured
        self._failures += error.transient
        certain = misconfigured or isinstance(error, AuthenticationError | RateLimited)
        if certain or self._failures >= self._limit * self._patience:
            self._stopped_by = error


def _fail(jobs: Sequence[_Lookup], error: JobsError) -> None:
    """Give each job an exception of its own; a job whose end was already read gets a warning instead."""
    for job in jobs:
        if job.ended is not None:
            job.outcome = with_warning(job.ended, f"{UNREAD_RESULTS}: {error}")
        else:
            job.outcome = error.copy_for(job.ref, error.job)


def _take_outcome(job: _Lookup, ref: JobRef) -> Outcome:
    """Return the outcome of a job for one of the places at which the caller named it.

    An exception is returned once: the next place gets a copy.
    """
    outcome = job.outcome
    if outcome is None:
        raise AssertionError(f"{ref} was not asked about")
    if isinstance(outcome, JobsError):
        job.outcome = outcome.copy_for(ref, outcome.job)
    return outcome
