"""An event loop in virtual time on which the same seed takes the same course, to the last task switch.

Trio shuffles what is runnable by a random number generator of its own, and anyio's cancel scopes on asyncio
keep tasks in sets, whose order is that of addresses in memory. Here they go by the seed, and by the order of
creation.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

import anyio
import pytest
from anyio._backends import _asyncio as anyio_asyncio
from trio._core import _run as trio_run

from tests.common.virtual import VirtualLoop, virtual_trio

Loop = Literal["asyncio", "trio"]
LOOPS: tuple[Loop, ...] = ("asyncio", "trio")

_T = TypeVar("_T")


class _NumberedTask(asyncio.Task[Any]):
    """A task that has its place in a set by its number."""

    def __init__(self, *args: Any, number: int, **options: Any) -> None:
        self._number = number
        super().__init__(*args, **options)

    def __hash__(self) -> int:
        return self._number


def _loop() -> VirtualLoop:
    loop = VirtualLoop()
    numbers = itertools.count()

    def make(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
        return _NumberedTask(work, loop=loop, number=next(numbers), **options)

    loop.set_task_factory(make)
    return loop


def run(main: Callable[[], Awaitable[_T]], loop: Loop, seed: int) -> _T:
    """Run an async function in virtual time, repeatably."""
    with _repeatable(seed):
        if loop == "asyncio":
            return anyio.run(main, backend="asyncio", backend_options={"loop_factory": _loop})
        backend, options = virtual_trio()
        return anyio.run(main, backend=backend, backend_options=options)


@contextmanager
def _repeatable(seed: int) -> Generator[None, None, None]:
    scheduler, scopes = trio_run._r, anyio_asyncio.CancelScope
    before, begin = scheduler.getstate(), scopes.__init__
    numbers, count = dict[int, int](), itertools.count()

    def numbered(self: anyio_asyncio.CancelScope, *args: Any, **options: Any) -> None:
        numbers[id(self)] = next(count)  # a new one where the address was another's before
        begin(self, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trio_run, "_ALLOW_DETERMINISTIC_SCHEDULING", True)  # as hypothesis has it
        patch.setattr(scopes, "__init__", numbered)
        patch.setattr(scopes, "__hash__", lambda self: numbers.get(id(self), 0))
        scheduler.seed(seed)
        try:
            yield
        finally:
            scheduler.setstate(before)
