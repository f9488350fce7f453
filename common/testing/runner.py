"""Runs an async function in virtual time: for scripts, and for synchronous tests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, TypeVarTuple

import anyio

from common.model.errors import UsageError
from common.testing.asyncio_loop import virtual_time_loop

_T = TypeVar("_T")
_Args = TypeVarTuple("_Args")


def run(main: Callable[[*_Args], Awaitable[_T]], *args: *_Args, backend: str = "asyncio") -> _T:
    """Run an async function in virtual time, from 0.0 on, and return its result.

    ``backend`` is ``"asyncio"`` or ``"trio"``. Raise what the function raises, `VirtualTimeError` where
    time cannot go on, and `UsageError` for another backend.
    """
    if backend == "trio":
        return _run_on_trio(main, *args)
    return anyio.run(main, *args, backend=backend, backend_options=virtual_options(backend))


def virtual_options(backend: str) -> dict[str, Any]:
    """Return the options that make a backend of anyio virtual. Raise `UsageError` for an unknown backend."""
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
        raise error from failure  # task groups had wrapped it
