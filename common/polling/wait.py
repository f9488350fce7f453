"""Waiting for one job: the steps that a caller's task takes in the shared poller."""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Awaitable
from datetime import UTC, datetime
from types import TracebackType
from typing import cast

import anyio
import anyio.lowlevel
import attrs

from common.concurrency import restore_message
from common.model.errors import JobsError
from common.model.job import Job
from common.model.refs import JobRef
from common.polling.policy import CancelJob, WaitSpec
from common.polling.poller import Poller
from common.polling.waiters import Waiter, WaiterTasks
from common.telemetry.events import Event, EventKind
from common.telemetry.reporter import job_log

CANCEL_GRACE = 10.0
"""Seconds for which a cancelled wait goes on, to ask the server to cancel the job (``on_cancel``)."""
PROBE_LIMIT = 30.0
"""Seconds for ``resolve_gone`` in a wait of ``timeout=0``, which no deadline bounds."""

_numbers = itertools.count(1)
"""The numbers of observed waits, unique in the process."""


@attrs.define(eq=False, kw_only=True, weakref_slot=False)
class Wait(Waiter):
    """One wait of one task, which takes steps in the shared poller.

    It is used like this::

        async with wait:
            while (pending := wait.next_step()) is not None:
                await pending

    Each block ends with one result: a change, the end, or an exception, which is raised on leaving it. A
    result that was missed because the task was cancelled is that of the next block.
    """

    poller: Poller
    entered: bool = attrs.field(default=False, init=False)

    @classmethod
    def begin(
        cls,
        poller: Poller,
        ref: JobRef,
        seen: Job | None,
        spec: WaitSpec,
        *,
        terminal_only: bool,
        tasks: WaiterTasks | None = None,
        now: float | None = None,
    ) -> Wait:
        """Return a wait that begins now, on the clock of the running loop; ``now`` for many at once."""
        began, timeout = poller.now() if now is None else now, spec.timeout
        if spec.deadline is not None:
            timeout = max(0.0, (spec.deadline - datetime.now(UTC)).total_seconds())
        wait = cls(
            poller=poller,
            ref=ref,
            rules=spec,
            began=began,
            deadline=began + timeout if timeout else math.inf,  # a single read is not cut
            limit=timeout if spec.deadline is None else spec.deadline,
            last=seen,
            tasks=tasks,
            terminal_only=terminal_only,
            single_read=timeout == 0,
        )
        # A job that was given as ended, such as one that was adopted, costs no request.
        wait.ended = seen is not None and poller.has_ended(seen)
        if poller.reporter.observer is not None:
            wait.tell_began()
        return wait

    @property
    def spec(self) -> WaitSpec:
        """Its arguments."""
        return cast("WaitSpec", self.rules)

    def move(self, poller: Poller, ahead: float) -> None:
        """Continue in the poller of another event loop, whose clock is ahead by so many seconds."""
        self.poller = poller
        self.sequence = 0
        self.shift_clock(ahead)

    def next_step(self) -> Awaitable[object] | None:
        """Return what to await next; None once there is something to tell."""
        if self.entered:
            return self.poller.next_step(self)
        if self.notified:
            return None
        if self.ended:
            self.finish()
        elif self.single_read and self._told:
            self.expire()  # a watch: its only read was the step before
        else:
            self.poller.add(self)
            self.entered = True
        # Whatever starts before the next step of the loop joins the same request.
        return anyio.lowlevel.checkpoint()

    async def __aenter__(self) -> Wait:
        if not self.number and self.poller.reporter.observer is not None:
            self.tell_began()  # a watch, after a step that was cancelled
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.entered:
            self.entered = False
            self.poller.remove(self)
        if error is not None:
            await self._interrupted(error)
            return
        if self.needs_probe:
            try:
                await self.ask_probe()
            except BaseException as late:
                await self._interrupted(late)
                raise
        failure = self.take_failure()
        if failure is not None:
            try:
                raise failure
            finally:
                del failure  # its traceback has this frame: what is in a cycle is left to the collector

    @property
    def needs_probe(self) -> bool:
        """Whether `ask_probe` comes next: the server has no such job, and the caller passed a probe."""
        lost = self.not_found and self.error is not None and not self.expired
        return lost and self.spec.resolve_gone is not None

    def take_failure(self) -> JobsError | None:
        """Return the exception that the wait has ended with; None where there is a job to tell, ``last``.

        An end is told to the observer. A wait that has not ended may be notified again.
        """
        if self.expired and not self.end_without_results():
            return self.end_with(self.timeout_error())
        if self.error is not None:
            error = self.error
            self.clear_error()
            return self.end_with(error)
        self.notified = False
        if self.ended:
            self._tell_end(EventKind.ENDED)
        return None

    async def ask_probe(self) -> None:
        """Take the state that the caller's probe finds. Raise what it raises."""
        probe = self.spec.resolve_gone
        if probe is None:
            return
        # A single read has no deadline, but its probe is bounded.
        limit = self.began + PROBE_LIMIT if self.single_read else self.deadline
        scope = anyio.CancelScope(deadline=limit)
        try:
            with scope:
                self.resolve(await probe(self.ref, self.last))
        except StopAsyncIteration as stop:
            # Unchanged, it would look like the end of a watch's iteration.
            raise RuntimeError("resolve_gone raised StopAsyncIteration") from stop
        except BaseException as error:
            restore_message(error, scope)
            raise
        if scope.cancelled_caught:
            raise self.timeout_error()
        self.clear_error()  # only now: a probe that is cancelled is asked again at the next step of a watch

    async def _interrupted(self, error: BaseException) -> None:
        """Report that the block raised an exception; if it is a cancellation, cancel the job if wanted."""
        if isinstance(error, JobsError):
            self.end_with(error)
            return
        self.abandon()
        job_ended = self.last is not None and self.last.done
        cancel = self.spec.cancel
        if cancel is not None and not job_ended and is_cancellation(error) and self.spec.cancels(self.ref):
            await cancel_remote(cancel, self.ref)

    def abandon(self) -> None:
        """Tell the observer that the wait stopped before an outcome."""
        self._tell_end(EventKind.ABANDONED)

    def end_with(self, error: JobsError) -> JobsError:
        """End the wait with an exception, and return it."""
        self.finish()
        self._tell_end(EventKind.ENDED, error)
        return error

    def tell_began(self) -> None:
        """Tell the observer that the wait begins, under a number of its own."""
        self.set_number(next(_numbers))
        self.poller.reporter.tell(Event(EventKind.BEGAN, self.ref, self.last, wait=self.number))

    def _tell_end(self, kind: EventKind, error: JobsError | None = None) -> None:
        reporter = self.poller.reporter
        if reporter.observer is None and not reporter.log.isEnabledFor(logging.DEBUG):
            return
        number = self.number
        self.set_number(0)
        elapsed = self.poller.now() - self.began
        reporter.tell(Event(kind, self.ref, self.last, error, wait=number, elapsed=elapsed))


def is_cancellation(error: BaseException) -> bool:
    """Whether a task was cancelled, rather than failed."""
    # From a nursery below (trio makes connections in one) it comes in a group.
    if isinstance(error, BaseExceptionGroup):
        return any(is_cancellation(part) for part in error.exceptions)
    return isinstance(error, anyio.get_cancelled_exc_class())


async def cancel_remote(cancel: CancelJob, ref: JobRef) -> None:
    """Ask the server to cancel a job whose wait is being cancelled. Raise nothing but a cancellation."""
    # Shielded, because the wait is being cancelled; bounded, because its canceller is waiting.
    with anyio.move_on_after(CANCEL_GRACE, shield=True) as scope:
        try:
            await cancel(ref)
        except Exception as error:  # whatever it is, the cancellation must come through
            job_log(ref).warning("%s: the wait was cancelled, but the job could not be: %s", ref, error)
    if scope.cancelled_caught:
        job_log(ref).warning("%s: no answer within %g s to the request to cancel the job", ref, CANCEL_GRACE)
