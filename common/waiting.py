"""Watching one job until it ends: the loop around a `Tracker`, safe to cancel at every await."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from datetime import datetime
from types import TracebackType
from typing import Protocol

import anyio
import anyio.lowlevel
import attrs

from common.errors import JobNotFound
from common.errors import JobsError
from common.errors import SourceError
from common.events import Event
from common.events import EventKind
from common.events import Observer
from common.events import emit
from common.events import logger
from common.model import Job
from common.model import JobRef
from common.polling import PollPolicy
from common.source import OnCancel
from common.source import Probe
from common.states import Action
from common.states import JobState
from common.tracking import Tracker

CANCEL_GRACE = 10.0
"""For so many seconds a cancelled wait goes on to ask the server to cancel the job (``on_cancel``)."""


@attrs.frozen
class Reading:
    """A good answer to one poll: the job, and the server's own time where it told it."""

    job: Job
    date: datetime | None = None


class Reader(Protocol):
    """What a watch needs of a source."""

    @property
    def observer(self) -> Observer | None:
        """Told of what happens."""
        ...

    async def read(self, ref: JobRef) -> Reading:
        """One poll. Raises `JobNotFound` or `SourceError`."""
        ...

    def delay(self, policy: PollPolicy, job: Job, ran: float) -> float:
        """Seconds until the next poll of a job that has been running for ``ran`` seconds."""
        ...

    def held_until(self) -> float:
        """Before which time the source may not be asked at all (``Retry-After``)."""
        ...

    def draw(self) -> float:
        """The jitter of one request, 0.0 to 1.0."""
        ...

    async def act(self, job: JobRef, action: Action) -> Job:
        """For ``on_cancel="cancel"``."""
        ...


@attrs.frozen(kw_only=True)
class WaitSpec:
    """What the caller of a wait asked for, checked."""

    ref: JobRef
    seen: Job | None
    policy: PollPolicy
    timeout: float | None
    until: frozenset[JobState] | None
    on_cancel: OnCancel
    resolve_gone: Probe | None


class Watch(AsyncIterator[Job]):
    """The observations of one job: the first, then each change, until it ends.

    Made by ``source.watch(job)``; the time allowed begins with the first step. After the last observation
    the iteration stops; every other end is an exception. Holds no task, timer or connection between steps.
    """

    def __init__(self, reader: Reader, spec: WaitSpec) -> None:
        self._reader = reader
        self._spec = spec
        self._tracker: Tracker | None = None
        self._finished = False

    @property
    def last(self) -> Job | None:
        """The last observation so far."""
        return self._tracker.last if self._tracker else self._spec.seen

    def __aiter__(self) -> Watch:
        return self

    async def __anext__(self) -> Job:
        if self._finished:
            raise StopAsyncIteration
        try:
            job = await self._next()
        except JobsError as error:
            self._finished = True
            self._emit(EventKind.ENDED, error)
            raise
        except anyio.get_cancelled_exc_class():
            self._finished = True
            if self._spec.on_cancel == "cancel":
                await self._cancel_remote()
            raise
        except BaseException:
            self._finished = True  # what the caller's probe raised
            raise
        self._emit(EventKind.CHANGED)
        if self.tracker.ended:
            self._finished = True
            self._emit(EventKind.ENDED)
        return job

    async def aclose(self) -> None:
        """Stop watching. The remote job is left alone."""
        self._finished = True

    async def __aenter__(self) -> Watch:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    @property
    def tracker(self) -> Tracker:
        """What this wait has made of the answers so far. Begins the wait, if it has not begun."""
        if self._tracker is None:
            spec, began = self._spec, anyio.current_time()
            self._tracker = Tracker(
                ref=spec.ref,
                policy=spec.policy,
                began=began,
                deadline=math.inf if spec.timeout is None else began + spec.timeout,
                timeout=spec.timeout,
                until=spec.until,
                last=spec.seen,
                delay=self._reader.delay,
            )
        return self._tracker

    async def _next(self) -> Job:
        tracker = self.tracker
        seen = self._spec.seen
        if seen is not None and seen.done:
            # An end is an end, whoever saw it: adopting a finished job costs no request.
            await anyio.lowlevel.checkpoint()
            tracker.ended = True
            return seen
        first = not tracker.polls
        while True:
            # A time allowed of 0 means one read, which the deadline does not cut.
            exempt = first and self._spec.timeout == 0
            if not exempt:
                await self._until_due(tracker)
            first = False
            if await self._poll(tracker, math.inf if exempt else tracker.deadline) and tracker.last:
                return tracker.last

    async def _until_due(self, tracker: Tracker) -> None:
        while (now := anyio.current_time()) < (due := max(tracker.due, self._reader.held_until())):
            if due >= tracker.deadline:
                break
            await anyio.sleep(due - now)
        if due >= tracker.deadline or now >= tracker.deadline:
            await anyio.sleep(max(0.0, tracker.deadline - now))
            raise tracker.expired()

    async def _poll(self, tracker: Tracker, cut: float) -> bool:
        """Ask once. True where there is something to tell the watcher."""
        dispatched = anyio.current_time()
        tracker.polls += 1
        reading = None
        try:
            with anyio.CancelScope(deadline=cut):
                reading = await self._reader.read(tracker.ref)
        except JobNotFound as error:
            return await self._missing(tracker, error, dispatched, cut)
        except SourceError as error:
            ending = tracker.troubled(
                error, dispatched=dispatched, now=anyio.current_time(), draw=self._reader.draw()
            )
            if ending is not None:
                raise
            self._emit(EventKind.TROUBLE, error)
            return False
        if reading is None:
            raise tracker.expired()
        news = tracker.saw(reading.job, dispatched=dispatched, date=reading.date)
        self._emit(EventKind.SEEN)
        return news

    async def _missing(self, tracker: Tracker, error: JobNotFound, dispatched: float, cut: float) -> bool:
        ending = tracker.missing(error, dispatched=dispatched)
        if ending is None:
            return False
        if self._spec.resolve_gone is None:
            raise ending from error
        with anyio.CancelScope(deadline=cut) as scope:
            tracker.resolved(await self._spec.resolve_gone(tracker.ref, tracker.last))
        if scope.cancelled_caught:
            raise tracker.expired()
        return True

    async def _cancel_remote(self) -> None:
        # Shielded, because the wait is being cancelled; bounded, because its canceller is waiting.
        with anyio.move_on_after(CANCEL_GRACE, shield=True):
            try:
                await self._reader.act(self._spec.ref, Action.CANCEL)
            except JobsError as error:
                logger.warning("%s: could not be cancelled with its wait: %s", self._spec.ref, error)

    def _emit(self, kind: EventKind, error: JobsError | None = None) -> None:
        emit(self._reader.observer, Event(kind, self._spec.ref, self.last, error))
