"""Watching one job, and waiting for its end: what a caller holds of the shared poller."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Literal, Protocol

import anyio
import anyio.lowlevel
import attrs

from common.model.errors import JobsError
from common.model.job import Job
from common.model.refs import JobRef
from common.model.states import Action, JobState
from common.polling.policy import PollPolicy
from common.polling.poller import Poller
from common.polling.wait_progress import DelayRule
from common.polling.waiters import Waiter
from common.telemetry.events import EventKind, Observer, logger, tell

Probe = Callable[[JobRef, Job | None], Awaitable[JobState]]
"""Asked when the API has forgotten a job: looks at the resource itself and returns a terminal state."""


OnCancel = Literal["leave", "cancel"]
"""What a cancelled wait does to the remote job: nothing, or ask the server to cancel it."""

CANCEL_GRACE = 10.0
"""For so many seconds a cancelled wait goes on to ask the server to cancel the job (``on_cancel``)."""


PROBE_LIMIT = 30.0
"""Seconds for ``resolve_gone`` in a wait of ``timeout=0``, which no deadline bounds."""


class Acted(Protocol):
    """What cancelling a job needs of a source."""

    async def act(self, job: JobRef, action: Action) -> Job:
        """For ``on_cancel="cancel"``."""
        ...


class Waited(Acted, Protocol):
    """What a wait needs of a source."""

    @property
    def observer(self) -> Observer | None:
        """Told of what happens."""
        ...

    @property
    def poller(self) -> Poller:
        """The poller of the running event loop."""
        ...


@attrs.frozen(kw_only=True)
class WaitSpec:
    """What the caller of a wait asked for, checked."""

    policy: PollPolicy
    delay: DelayRule
    timeout: float | None
    until: frozenset[JobState] | None
    on_cancel: OnCancel
    resolve_gone: Probe | None


@attrs.define(eq=False, kw_only=True, weakref_slot=False)
class Wait(Waiter):
    """One wait of one task, which takes its turns in the shared poller.

    So it goes::

        async with wait:
            while (pending := wait.turn()) is not None:
                await pending

    It is entered for each thing to be told: a change, or the end, or the exception raised on the way out.
    """

    source: Waited
    spec: WaitSpec
    poller: Poller
    entered: bool = attrs.field(default=False, init=False)

    @classmethod
    def begin(
        cls, source: Waited, ref: JobRef, seen: Job | None, spec: WaitSpec, *, terminal_only: bool
    ) -> Wait:
        """A wait that begins now, on the clock of the running loop."""
        poller = source.poller
        began = poller.now()
        wait = cls(
            source=source,
            poller=poller,
            spec=spec,
            ref=ref,
            policy=spec.policy,
            began=began,
            deadline=math.inf if spec.timeout is None else began + spec.timeout,
            timeout=spec.timeout,
            until=spec.until,
            last=seen,
            delay=spec.delay,
            terminal_only=terminal_only,
            single_read=spec.timeout == 0,
        )
        # An end is an end, whoever saw it: a finished job that was adopted costs no request.
        wait.ended = seen is not None and seen.done
        return wait

    def move(self, poller: Poller, ahead: float) -> None:
        """Go on with the poller of another event loop, whose clock is ahead by so many seconds."""
        self.poller = poller
        self.sequence = 0
        self.shift_clock(ahead)

    def next_step(self) -> Awaitable[object] | None:
        """What to await next; None once there is something to tell."""
        if self.entered:
            return self.poller.next_step(self)
        if self.notified:
            return None
        if self.ended:
            self.finish()
        else:
            self.poller.add(self)
            self.entered = True
        # Whoever starts in the same breath joins the same request.
        return anyio.lowlevel.checkpoint()

    async def __aenter__(self) -> Wait:
        self.rearm()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.entered:
            self.entered = False
            self.poller.remove(self)
        if error is not None:
            await self._abandoned(error)
            return
        if self.error is not None:
            try:
                await self._failed()
            except BaseException as late:
                await self._abandoned(late)
                raise
        if self.ended:
            tell(self.source.observer, EventKind.ENDED, self.ref, self.last)

    async def _failed(self) -> None:
        error = self.pop_error()
        if error is None:
            return
        if not self.not_found or self.spec.resolve_gone is None:
            raise error
        # The probe of a wait without time for more than its one read is bounded too.
        limit = self.began + PROBE_LIMIT if self.single_read else self.deadline
        with anyio.CancelScope(deadline=limit) as scope:
            try:
                state = await self.spec.resolve_gone(self.ref, self.last)
            except StopAsyncIteration as stop:
                # As it is, it would pass for the end of the watch.
                raise RuntimeError("resolve_gone raised StopAsyncIteration") from stop
            self.resolve(state)
        if scope.cancelled_caught:
            raise self.timeout_error()

    async def _abandoned(self, error: BaseException) -> None:
        if isinstance(error, JobsError):
            self.finish()
            tell(self.source.observer, EventKind.ENDED, self.ref, self.last, error)
            return
        tell(self.source.observer, EventKind.ABANDONED, self.ref, self.last)
        if self.spec.on_cancel == "cancel" and not self.ended and is_cancellation(error):
            await cancel_remote(self.source, self.ref)


def is_cancellation(error: BaseException) -> bool:
    """Whether a task was cancelled, rather than failed."""
    # Out of a nursery below (trio makes connections in one) it comes in a group.
    if isinstance(error, BaseExceptionGroup):
        return any(is_cancellation(part) for part in error.exceptions)
    return isinstance(error, anyio.get_cancelled_exc_class())


async def cancel_remote(source: Acted, ref: JobRef) -> None:
    """Ask the server to cancel a job whose wait is being cancelled. Raises nothing but a cancellation."""
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
        self._wait: Wait | None = None
        self._finished = False
        self._paused = 0.0, 0.0

    @property
    def last(self) -> Job | None:
        """The last observation so far."""
        return self._wait.last if self._wait else self._seen

    def __aiter__(self) -> Watch:
        return self

    async def __anext__(self) -> Job:
        if self._finished:
            raise StopAsyncIteration
        if self._wait is None:
            self._wait = Wait.begin(self._source, self.ref, self._seen, self._spec, terminal_only=False)
        wait, self._finished = self._wait, True
        self._follow_loop(wait)
        async with wait:
            while (pending := wait.next_step()) is not None:
                await pending
        self._paused = wait.poller.now(), time.monotonic()
        if wait.last is None:
            raise AssertionError("a watch was told of nothing")
        self._finished = wait.ended
        return wait.last

    def _follow_loop(self, wait: Wait) -> None:
        poller = self._source.poller
        if poller is not wait.poller:
            then, when = self._paused
            wait.move(poller, poller.now() - then - (time.monotonic() - when))

    async def aclose(self) -> None:
        """Stop watching. The remote job is left alone."""
        self._finished = True

    async def __aenter__(self) -> Watch:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
