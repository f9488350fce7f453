"""Letting a short piece of work finish though its task is cancelled."""

from __future__ import annotations

from collections.abc import Awaitable
from collections.abc import Callable
from typing import TypeVar

import anyio

_T = TypeVar("_T")


async def finish_within(grace: float, work: Callable[[], Awaitable[_T]]) -> _T:
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
