"""When virtual time cannot go on, and how that is told: a deadlock, a spin."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from common.model.errors import UsageError

SPINS = 100_000
"""So many rounds of the loop without an instant's sleep are no progress."""
PATIENCE = 0.01
"""Seconds of wall time that open sockets are given to stir before time jumps."""
GRACE = 1.0
"""Seconds of wall time in which a thread that the loop does not know may still end a deadlock."""
SILENCE = 60.0
"""Seconds of wall time without a timer set, after which open sockets are waited for no more."""

_NAMED = 5
_LIBRARIES = frozenset({"anyio", "asyncio", "trio"})


class VirtualTimeError(RuntimeError):
    """Virtual time cannot go on: every task waits and no timer is set, or a task never waits at all."""


def check_times(start: float, patience: float) -> None:
    """Raise `UsageError` for times with which no clock can begin or wait."""
    for name, seconds in (("start", start), ("patience", patience)):
        number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
        if not number or not math.isfinite(seconds) or (name == "patience" and seconds < 0):
            raise UsageError(f"{name}= is in seconds, not {seconds!r}")


def deadlock(waiting: Iterable[tuple[str, Any]]) -> VirtualTimeError:
    """The error where nothing will ever happen. ``waiting`` is the name and the coroutine of each task."""
    tasks = [f"{name} at {_whereabouts(coroutine)}" for name, coroutine in waiting]
    named = ", ".join(tasks[:_NAMED]) + (f" and {len(tasks) - _NAMED} more" if len(tasks) > _NAMED else "")
    return VirtualTimeError(f"deadlock: every task waits, and no timer is set ({named or 'no task is left'})")


def spin(now: float) -> VirtualTimeError:
    """The error where tasks keep each other busy without ever waiting for time to pass."""
    return VirtualTimeError(f"a spin: {SPINS} rounds of the loop, and time stands still at {now:g}")


def _whereabouts(coroutine: Any) -> str:
    """Where a suspended coroutine waits: the innermost line that is not the event loop's own library."""
    found = None
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        if frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] not in _LIBRARIES:
            found = frame
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
    return "an unknown place" if found is None else f"{found.f_code.co_filename}:{found.f_lineno}"
