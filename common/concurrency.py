"""Parking a task until another wakes it, and the clock: a bare future on asyncio, a suspended task on trio.

An ``anyio.Event`` does the same for 1,000 bytes a waiter; thousands of waits are made of this.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

import anyio
import sniffio


class Parkable(Protocol):
    """What a task parks in: one attribute, None while nobody does."""

    handle: Any


class Parking(Protocol):
    """What there is of each kind of event loop."""

    now: Callable[[], float]
    """The loop's own clock, as ``anyio.current_time()`` gives it, without looking for the loop each time."""

    def park(self, place: Parkable) -> Awaitable[object]:
        """Suspend the running task until `wake` is called for its place. Safe to cancel."""
        ...

    def unpark(self, place: Parkable) -> None:
        """Let the task that is parked in a place go on, if there is one."""
        ...


class AsyncioParking:
    """Futures of the running loop."""

    def __init__(self) -> None:
        import asyncio  # lazily: a process that only decodes needs no loop

        loop = asyncio.get_running_loop()
        self.now: Callable[[], float] = loop.time
        self._create_future = loop.create_future

    def park(self, place: Parkable) -> Awaitable[object]:
        """See `Parking`. The future itself is awaited: a coroutine around it would cost a frame."""
        place.handle = future = self._create_future()
        return future

    def unpark(self, place: Parkable) -> None:
        """See `Parking`."""
        future, place.handle = place.handle, None
        if future is not None and not future.done():
            future.set_result(None)


class TrioParking:
    """Trio's own suspended tasks."""

    def __init__(self) -> None:
        import trio

        self.now: Callable[[], float] = trio.current_time

    async def park(self, place: Parkable) -> None:
        """See `Parking`."""
        import trio

        def abort(_: object) -> trio.lowlevel.Abort:
            place.handle = None
            return trio.lowlevel.Abort.SUCCEEDED

        place.handle = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(abort)

    def unpark(self, place: Parkable) -> None:
        """See `Parking`."""
        import trio

        task, place.handle = place.handle, None
        if task is not None:
            trio.lowlevel.reschedule(task)


def parking() -> Parking:
    """The parking of the running event loop."""
    return TrioParking() if sniffio.current_async_library() == "trio" else AsyncioParking()


_T = TypeVar("_T")


async def shielded(grace: float, work: Callable[[], Awaitable[_T]]) -> _T:
    """Await ``work()``. A cancellation goes through once it is done, ``grace`` seconds later at most.

    For what must not be cut in the middle lightly, such as spending a token that can be spent once.
    """
    scope, done = anyio.CancelScope(shield=True), anyio.Event()
    results: list[_T] = []
    errors: list[Exception] = []

    async def run() -> None:
        try:
            with scope:
                results.append(await work())
        except Exception as error:  # told to the caller below, and not wrapped in a group
            errors.append(error)
        finally:
            done.set()

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        try:
            await done.wait()
        except BaseException:
            scope.deadline = anyio.current_time() + grace
            raise
    if errors:
        raise errors[0]
    return results[0]
