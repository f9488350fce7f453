"""An event loop in virtual time on which a seed always gives the same run, down to the last task switch.

Two sources of chance are removed. Trio shuffles the runnable tasks with a random number generator of its own:
here it is seeded. On asyncio anyio's cancel scopes keep tasks in sets, whose order depends on addresses in
memory: here tasks and scopes hash by their order of creation.
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
    """A task whose hash is its number, so that its position in a set is always the same."""

    def __init__(self, *args: Any, number: int, **options: Any) -> None:
        self._number = number
        super().__init__(*args, **options)

    def __hash__(self) -> int:
        return self._number


def _new_loop() -> VirtualLoop:
    loop = VirtualLoop()
    numbers = itertools.count()

    def create_task(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
        return _NumberedTask(coro, loop=loop, number=next(numbers), **options)

    loop.set_task_factory(create_task)
    return loop


def run_repeatably(main: Callable[[], Awaitable[_T]], loop: Loop, seed: int) -> _T:
    """Run an async function in virtual time, and return its result."""
    with _repeatable_scheduling(seed):
        if loop == "asyncio":
            return anyio.run(main, backend="asyncio", backend_options={"loop_factory": _new_loop})
        backend, options = virtual_trio()
        return anyio.run(main, backend=backend, backend_options=options)


@contextmanager
def _repeatable_scheduling(seed: int) -> Generator[None, None, None]:
    trio_random, scope_type = trio_run._r, anyio_asyncio.CancelScope
    previous_state, original_init = trio_random.getstate(), scope_type.__init__
    numbers, count = dict[int, int](), itertools.count()

    def numbered_init(self: anyio_asyncio.CancelScope, *args: Any, **options: Any) -> None:
        numbers[id(self)] = next(count)  # replaces the number of an earlier scope at the same address
        original_init(self, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trio_run, "_ALLOW_DETERMINISTIC_SCHEDULING", True)  # as hypothesis does
        patch.setattr(scope_type, "__init__", numbered_init)
        patch.setattr(scope_type, "__hash__", lambda self: numbers.get(id(self), 0))
        trio_random.seed(seed)
        try:
            yield
        finally:
            trio_random.setstate(previous_state)
