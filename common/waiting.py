"""Watching one job, and waiting for its end: what a caller holds of the shared poller."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Protocol

import anyio
import anyio.lowlevel
import attrs

from common.errors import JobsError
from common.events import EventKind
from common.events import Observer
from common.events import logger
from common.events import tell
from common.model import Job
from common.model import JobRef
from common.polling import PollPolicy
from common.source import OnCancel
from common.source import Probe
from common.states import Action
from common.states import JobState
from common.waiters import Waiter
from common.watching import Poller

CANCEL_GRACE = 10.0
"""For so many seconds a cancelled wait goes on to ask the server to cancel the job (``on_cancel``)."""


class Waited(Protocol):
    """What a wait needs of a source."""

    @property
    def observer(self) -> Observer | None:
        """Told of what happens."""
        ...

    @property
    def poller(self) -> Poller:
        """The poller of the running event loop."""
        ...

    def delay(self, policy: PollPolicy, job: Job, ran: float) -> float:
        """Seconds until the next poll of a job that has been running for ``ran`` seconds."""
        ...

    async def act(self, job: JobRef, action: Action) -> Job:
        """For ``on_cancel="cancel"``."""
        ...


@attrs.frozen(kw_only=True)
class WaitSpec:
    """What the caller of a wait asked for, checked."""

    policy: PollPolicy
    timeout: float | None
    until: frozenset[JobState] | None
    on_cancel: OnCancel
    resolve_gone: Probe | None


def begin(source: Waited, ref: JobRef, seen: Job | None, spec: WaitSpec, *, only_end: bool) -> Waiter:
    """A wait that begins now, on the clock of the running loop."""
    began = anyio.current_time()
    waiter = Waiter(
        ref=ref,
        policy=spec.policy,
        began=began,
        deadline=math.inf if spec.timeout is None else began + spec.timeout,
        timeout=spec.timeout,
        until=spec.until,
        last=seen,
        delay=source.delay,
        only_end=only_end,
        one_read=spec.timeout == 0,
    )
    # An end is an end, whoever saw it: a finished job that was adopted costs no request.
    waiter.ended = seen is not None and seen.done
    return waiter


async def proceed(source: Waited, waiter: Waiter, spec: WaitSpec) -> None:
    """Go on with a wait until there is something to tell: a change, the end, or the exception raised here."""
    try:
        if waiter.ended:
            await anyio.lowlevel.checkpoint()
        else:
            waiter.ready = False
            await source.poller.run(waiter)
            if waiter.error is not None:
                await _failed(waiter, spec)
    except JobsError as error:
        waiter.ended = True
        tell(source.observer, EventKind.ENDED, waiter.ref, waiter.last, error)
        raise
    except BaseException as error:
        if spec.on_cancel == "cancel" and not waiter.ended and _is_cancellation(error):
            await _cancel_remote(source, waiter.ref)
        raise
    if waiter.ended:
        tell(source.observer, EventKind.ENDED, waiter.ref, waiter.last)


async def _failed(waiter: Waiter, spec: WaitSpec) -> None:
    error, waiter.error = waiter.error, None
    if error is None:
        return
    if not waiter.absent or spec.resolve_gone is None:
        raise error
    with anyio.CancelScope(deadline=waiter.cut) as scope:
        try:
            state = await spec.resolve_gone(waiter.ref, waiter.last)
        except StopAsyncIteration as stop:
            # As it is, it would pass for the end of the watch.
            raise RuntimeError("resolve_gone raised StopAsyncIteration") from stop
        waiter.resolved(state)
    if scope.cancelled_caught:
        raise waiter.expired()


def _is_cancellation(error: BaseException) -> bool:
    # Out of a nursery below (trio makes connections in one) it comes in a group.
    if isinstance(error, BaseExceptionGroup):
        return any(_is_cancellation(part) for part in error.exceptions)
    return isinstance(error, anyio.get_cancelled_exc_class())


async def _cancel_remote(source: Waited, ref: JobRef) -> None:
    # Shielded, because the wait is being cancelled; bounded, because its canceller is waiting.
    with anyio.move_on_after(CANCEL_GRACE, shield=True) as scope:
        try:
            await source.act(ref, Action.CANCEL)
        except Exception as error:  # whatever it is, the cancellation must come through
            logger.warning("%s: could not be cancelled with its wait: %s", ref, error)
    if scope.cancelled_caught:
        logger.warning("%s: no answer within %g s to cancelling it with its wait", ref, CANCEL_GRACE)


class Watch(AsyncIterator[Job]):
    """The observations of one job: the first, then each change, until it ends.

    Made by ``source.watch(job)``; the time allowed begins with the first step. After the last observation
    the iteration stops; every other end is an exception. Holds no task, timer or connection between steps.
    """

    def __init__(self, source: Waited, ref: JobRef, seen: Job | None, spec: WaitSpec) -> None:
        self.ref = ref
        self._source = source
        self._seen = seen
        self._spec = spec
        self._waiter: Waiter | None = None
        self._finished = False

    @property
    def last(self) -> Job | None:
        """The last observation so far."""
        return self._waiter.last if self._waiter else self._seen

    def __aiter__(self) -> Watch:
        return self

    async def __anext__(self) -> Job:
        if self._finished:
            raise StopAsyncIteration
        if self._waiter is None:
            self._waiter = begin(self._source, self.ref, self._seen, self._spec, only_end=False)
        waiter, self._finished = self._waiter, True
        await proceed(self._source, waiter, self._spec)
        if waiter.last is None:
            raise AssertionError("a watch was told of nothing")
        self._finished = waiter.ended
        return waiter.last

    async def aclose(self) -> None:
        """Stop watching. The remote job is left alone."""
        self._finished = True

    async def __aenter__(self) -> Watch:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
