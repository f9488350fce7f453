"""Virtual time for tests: what lives on a loop, and the means to cancel a coroutine at each of its awaits."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import anyio
import attrs
import pytest
import trio

from common.testing import VirtualTimeLoop, virtual_clock

_T = TypeVar("_T")

Backend = tuple[str, dict[str, Any]]
"""What anyio calls a backend: its name and its options."""


NANOSECOND = 1e-9


class VirtualLoop(VirtualTimeLoop):
    """The public loop, which knows its next timer too."""

    def next_timer(self) -> float:
        """The time of the next timer, infinite where there is none."""
        timers: list[asyncio.TimerHandle] = vars(self)["_scheduled"]  # asyncio's own, and so all there are
        pending = (timer.when() for timer in timers if not timer.cancelled())
        # asyncio runs what is due within a nanosecond, so one that is due so soon may have run already.
        return min((when for when in pending if when > self.time() + NANOSECOND), default=float("inf"))


def virtual_asyncio(start: float = 0.0) -> Backend:
    return "asyncio", {"loop_factory": partial(VirtualLoop, start)}


def virtual_trio(start: float = 0.0) -> Backend:
    return "trio", {"clock": virtual_clock(start)}


VIRTUAL: dict[str, Callable[..., Backend]] = {"asyncio": virtual_asyncio, "trio": virtual_trio}
"""Both event loops, in virtual time."""

virtual_time = pytest.fixture(name="anyio_backend", params=VIRTUAL.values(), ids=list(VIRTUAL))
"""Makes the fixture ``anyio_backend`` of a folder: both event loops, in virtual time.

Elsewhere, what is marked ``virtual`` runs on them.
"""


@attrs.frozen
class Footprint:
    """What lives on the loop: its tasks, and the time of its next timer."""

    tasks: int
    timer: float

    @classmethod
    def now(cls) -> Footprint:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            found = trio.lowlevel.current_statistics()
            return cls(found.tasks_living, round(trio.current_time() + found.seconds_to_next_deadline, 6))
        assert isinstance(loop, VirtualLoop)
        return cls(len(asyncio.all_tasks()), round(loop.next_timer(), 6))


HANGS = 1e6
"""Seconds, virtual ones: what takes longer will never end."""


@types.coroutine
def stepped(work: Coroutine[Any, Any, _T], suspended: Callable[[int], object]) -> Generator[Any, Any, _T]:
    """Await ``work``, and call ``suspended(n)`` when it waits for the n-th time, before the loop goes on."""
    count, go_on = 0, partial(work.send, None)
    while True:
        try:
            waits_for = go_on()
        except StopIteration as end:
            value: _T = end.value
            return value
        count += 1
        suspended(count)
        try:
            go_on = partial(work.send, (yield waits_for))
        except BaseException as error:  # cancellation, and whatever else the loop throws in
            go_on = partial(work.throw, error)


async def count_awaits(work: Coroutine[Any, Any, object]) -> int:
    """Run ``work`` to its end, well or not, and tell how often it waited."""
    counted: list[int] = []
    with anyio.fail_after(HANGS), suppress(Exception):
        await stepped(work, counted.append)
    return len(counted)


async def cancelled_at(number: int, work: Coroutine[Any, Any, object]) -> bool:
    """Cancel ``work`` when it waits for the ``number``-th time; tell whether that came through."""
    with anyio.fail_after(HANGS), anyio.CancelScope() as scope:
        await stepped(work, lambda count: scope.cancel() if count == number else None)
    return scope.cancelled_caught
