"""One call that runs an async function in virtual time: for scripts, and for synchronous tests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, TypeVarTuple

import anyio

from common.model.errors import UsageError
from common.testing.asyncio_loop import virtual_time_loop

_T = TypeVar("_T")
_Args = TypeVarTuple("_Args")


def run(main: Callable[[*_Args], Awaitable[_T]], *args: *_Args, backend: str = "asyncio") -> _T:
    """Run an async function in virtual time, from 0.0 on, and return what it returns.

    ``backend`` is ``"asyncio"`` or ``"trio"``. Raises what the function raises, and `VirtualTimeError` where
    time cannot go on.
    """
    if backend == "trio":
        return _run_on_trio(main, *args)
    return anyio.run(main, *args, backend=backend, backend_options=virtual_options(backend))


def virtual_options(backend: str) -> dict[str, Any]:
    """The options that make one of anyio's backends virtual. Raises `UsageError` for one that cannot be."""
    if backend == "asyncio":
        return {"loop_factory": virtual_time_loop}
    if backend == "trio":
        from common.testing.trio_clock import VirtualClock  # lazily: trio need not be installed

        return {"clock": VirtualClock()}
    raise UsageError(f"there is no virtual time for {backend!r}: backend= must be 'asyncio' or 'trio'")


def _run_on_trio(main: Callable[[*_Args], Awaitable[_T]], *args: *_Args) -> _T:
    options = virtual_options("trio")
    try:
        return anyio.run(main, *args, backend="trio", backend_options=options)
    except BaseException as failure:
        if (error := options["clock"].error) is None or failure is error:
            raise
        raise error from failure  # which came through the task groups that it ended
