"""Suspend a task until another resumes it, and finish work although its caller is cancelled.

Thousands of waits are suspended this way, so it is a future on asyncio and a suspended task on trio, not an
`anyio.Event`, which takes 1,000 bytes a waiter. (A task that awaits a future takes 1,128 bytes in all and
10 µs to wake, one with a timeout of anyio's 3,447 bytes and 21 µs; of 100,000 tasks, Python 3.11.)
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextvars import ContextVar, copy_context
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import anyio
import sniffio
from anyio.lowlevel import current_token

if TYPE_CHECKING:
    import asyncio


class Parkable(Protocol):
    """An object in which one task can be parked. ``handle`` is None while none is."""

    handle: Any


class Parking(Protocol):
    """How tasks are parked on one kind of event loop."""

    now: Callable[[], float]
    """The loop's clock in seconds: ``anyio.current_time()`` without a search for the loop each time."""

    def park(self, place: Parkable) -> Awaitable[object]:
        """Suspend the running task until `unpark` is called for ``place``. Safe to cancel."""
        ...

    async def park_until(self, place: Parkable, when: float) -> None:
        """`park` until that time on the loop's clock at the latest. Safe to cancel."""
        ...

    def unpark(self, place: Parkable) -> None:
        """Resume the task that is parked in ``place``, if there is one."""
        ...


class AsyncioParking:
    """Parks a task by a future of the running loop."""

    def __init__(self) -> None:
        import asyncio  # lazily: a process that only decodes does not need it

        loop = asyncio.get_running_loop()
        self.now: Callable[[], float] = loop.time
        self._call_at = loop.call_at
        self._create_future = loop.create_future

    def park(self, place: Parkable) -> Awaitable[object]:
        """See `Parking`. The future itself is awaited: a coroutine around it would cost a frame."""
        place.handle = future = self._create_future()
        return future

    async def park_until(self, place: Parkable, when: float) -> None:
        """See `Parking`.

        By a timer, and not by a cancel scope: a ``task.cancel("why")`` in the same turn of the loop as the
        scope's own cancellation would lose its message.
        """
        timer: asyncio.TimerHandle | None = None

        def wake() -> None:
            nonlocal timer
            if self.now() < when:  # asyncio runs a timer up to a tick of its clock before its time
                timer = self._call_at(when, wake)
            else:
                self.unpark(place)

        if when < math.inf:
            timer = self._call_at(when, wake)
        try:
            await self.park(place)
        finally:
            if timer is not None:
                timer.cancel()

    def unpark(self, place: Parkable) -> None:
        """See `Parking`."""
        future, place.handle = place.handle, None
        if future is not None and not future.done():
            future.set_result(None)


class TrioParking:
    """Parks a task by trio's own suspension."""

    def __init__(self) -> None:
        self._trio: Any = import_module("trio")
        self.now: Callable[[], float] = self._trio.current_time

    async def park(self, place: Parkable) -> None:
        """See `Parking`."""
        lowlevel = self._trio.lowlevel

        def abort(_: object) -> Any:
            place.handle = None
            return lowlevel.Abort.SUCCEEDED

        place.handle = lowlevel.current_task()
        await lowlevel.wait_task_rescheduled(abort)

    async def park_until(self, place: Parkable, when: float) -> None:
        """See `Parking`."""
        with self._trio.move_on_at(when):
            await self.park(place)

    def unpark(self, place: Parkable) -> None:
        """See `Parking`."""
        task, place.handle = place.handle, None
        if task is not None:
            self._trio.lowlevel.reschedule(task)


def parking() -> Parking:
    """Return the parking of the running event loop."""
    return TrioParking() if sniffio.current_async_library() == "trio" else AsyncioParking()


def running_loop() -> object:
    """Return the running event loop, of asyncio or trio. Raise `RuntimeError` where none runs.

    Each wait and each request asks for it, and anyio's ``current_token()`` takes ten times as long.
    """
    if sniffio.thread_local.name is not None:  # trio sets it around each step of its tasks
        return current_token().native_token
    import asyncio

    return asyncio.get_running_loop()


_own_task: ContextVar[Callable[[], object]] = ContextVar("jobsource_own_task", default=lambda: None)
"""A weak reference to a task, in its own context; those of the tasks that it starts inherit it."""


def begin_own_task() -> None:
    """Mark the running task as one of our own task groups: only anyio cancels it, never ``task.cancel()``."""
    if sniffio.thread_local.name is None:
        import asyncio

        task = asyncio.current_task()
        if task is not None:
            _own_task.set(weakref.ref(task))


def runs_in_own_task() -> bool:
    """Whether the running task of asyncio has called `begin_own_task`."""
    task = _own_task.get()()
    if task is None:
        return False
    import asyncio

    return task is asyncio.current_task()


_T = TypeVar("_T")

_tasks: set[object] = set()
"""Running asyncio tasks that nothing else refers to: the loop itself keeps only weak references."""


def start_task(
    loop: asyncio.AbstractEventLoop, work: Callable[[], Coroutine[Any, Any, None]]
) -> asyncio.Task[None]:
    """Run some work in a task of an asyncio loop, kept until it has ended. Called in the loop's thread."""
    task = loop.create_task(work())
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    return task


class DetachedWork(Generic[_T]):
    """Work in a task of its own, which several tasks can wait for: their cancellations do not reach it.

    If the last task that waits is cancelled, so is the work, except for the parts that it shields. ``value``
    is its result and ``error`` its exception, both None where it was cancelled. It belongs to one event loop.
    """

    def __init__(self) -> None:
        self.loop: object = running_loop()
        self.value: _T | None = None
        self.error: BaseException | None = None
        self._scope = anyio.CancelScope()
        self._done = anyio.Event()
        self._waiters = 0

    def start(self, work: Callable[[], Awaitable[_T]]) -> None:
        """Begin the work, in a copy of the caller's context."""
        if sniffio.current_async_library() == "trio":
            lowlevel: Any = import_module("trio.lowlevel")
            lowlevel.spawn_system_task(self._run, work, context=copy_context())
            return
        import asyncio

        task = start_task(asyncio.get_running_loop(), partial(self._run, work))
        # A task that is cancelled before its first step runs no ``finally``.
        task.add_done_callback(lambda _: self._done.set())

    @property
    def done(self) -> bool:
        """Whether the work has ended, well or not."""
        return self._done.is_set()

    async def wait(self) -> None:
        """Wait for the end of the work; it is cancelled if all tasks that wait here are."""
        self._waiters += 1
        try:
            await self._done.wait()
        except BaseException as error:
            if not isinstance(error, GeneratorExit):  # with it the event loop has gone, and the work too
                self._waiters -= 1
                if not self._waiters:
                    self.cancel()
            raise

    async def join(self) -> None:
        """Wait for the end of the work, without a say in whether it is cancelled (see `wait`)."""
        await self._done.wait()

    def cancel(self) -> None:
        """Cancel the work, except for the parts that it shields."""
        self._scope.cancel()

    async def _run(self, work: Callable[[], Awaitable[_T]]) -> None:
        try:
            with self._scope:
                self.value = await work()
        except anyio.get_cancelled_exc_class():
            if was_cancelled():
                raise
            self.error = RuntimeError("the awaited operation was cancelled")
        except BaseException as error:
            # All of them: one that leaves a system task of trio's would end the program.
            self.error = error
        finally:
            self._done.set()


async def finish(work: Callable[[], Awaitable[object]]) -> None:
    """Do some work to its end. A cancellation of the caller, of whatever kind, is raised only after it.

    The work itself must be bounded in time.
    """
    detached, cancelled = DetachedWork[object](), None
    detached.start(work)
    with anyio.CancelScope(shield=True):
        while not detached.done:
            try:
                await detached.join()
            except anyio.get_cancelled_exc_class() as error:
                cancelled = error  # asyncio's own, which knows no shield
    if cancelled is not None:
        raise cancelled
    if detached.error is not None:
        raise detached.error


async def run_together(works: Iterable[Callable[[], Awaitable[None]]]) -> None:
    """Run some functions at once. The first exception ends the others, and is raised as it is."""
    errors: list[Exception] = []

    async def run(work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception as error:  # raised below, so that it is not wrapped in a group
            errors.append(error)
            group.cancel_scope.cancel()

    group = anyio.create_task_group()
    try:
        async with group:
            for work in works:
                group.start_soon(run, work)
    except BaseException as error:
        restore_message(error, group.cancel_scope)
        raise
    if errors:
        raise errors[0]


def was_cancelled() -> bool:
    """Whether a cancellation just caught is of the running task, rather than of something that it awaits."""
    if sniffio.current_async_library() == "trio":
        deadline: float = import_module("trio").current_effective_deadline()
        return deadline == -math.inf
    import asyncio

    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def restore_message(error: BaseException, scope: anyio.CancelScope) -> None:
    """Restore the message of ``task.cancel("why")`` in an asyncio cancellation that has left ``scope``.

    If the scope and then ``task.cancel()`` cancel the task in one turn of the loop, asyncio raises a single
    exception, with the scope's message. That message names the scope, and only this scope's is replaced: an
    outer scope recognises its own cancellation by its message.
    """
    if sniffio.thread_local.name is not None:
        return  # trio's cancellations have no message
    import asyncio

    if (
        isinstance(error, asyncio.CancelledError)
        and str(error).startswith(f"Cancelled via cancel scope {id(scope):x}")
        and anyio.current_effective_deadline() > -math.inf  # else a scope further out is to catch this
    ):
        # Private, but in every task of asyncio's since Python 3.9.
        message = getattr(asyncio.current_task(), "_cancel_message", None)
        error.args = () if message is None else (message,)
