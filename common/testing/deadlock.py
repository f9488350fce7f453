"""The errors that end virtual time, a deadlock and a spin, and how long to wait before raising them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from common.model.errors import UsageError

SPINS = 100_000
"""Rounds of the loop without any sleep after which tasks count as spinning."""
PATIENCE = 0.01
"""Seconds of wall time for which open sockets are polled before time jumps."""
GRACE = 1.0
"""Seconds of wall time in which a thread that the loop does not know of may still end a deadlock."""
SILENCE = 60.0
"""Seconds of wall time, with no timer set, after which open sockets are no longer waited for."""

_NAMED = 5
_LIBRARIES = frozenset({"anyio", "asyncio", "trio"})


class VirtualTimeError(RuntimeError):
    """Virtual time cannot go on: every task waits and no timer is set, or a task never waits at all."""


def check_times(start: float, patience: float) -> None:
    """Raise `UsageError` for a start or a patience that is not a number of seconds."""
    for name, seconds in (("start", start), ("patience", patience)):
        number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
        if not number or not math.isfinite(seconds) or (name == "patience" and seconds < 0):
            raise UsageError(f"{name}= is in seconds, not {seconds!r}")


def deadlock_error(waiting: Iterable[tuple[str, Any]]) -> VirtualTimeError:
    """Return the error for a deadlock. ``waiting`` is the name and the coroutine of each task."""
    tasks = [f"{name} at {_whereabouts(coroutine)}" for name, coroutine in waiting]
    named = ", ".join(tasks[:_NAMED]) + (f" and {len(tasks) - _NAMED} more" if len(tasks) > _NAMED else "")
    return VirtualTimeError(f"deadlock: every task waits, and no timer is set ({named or 'no task is left'})")


def spin_error(now: float) -> VirtualTimeError:
    """Return the error for tasks that keep each other busy without ever waiting for time to pass."""
    return VirtualTimeError(f"busy loop: {SPINS} turns of the event loop, while the time stays at {now:g}")


def _whereabouts(coroutine: Any) -> str:
    """Return where a suspended coroutine waits: its innermost line outside the event loop's library."""
    innermost = None
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        if frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] not in _LIBRARIES:
            innermost = frame
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
    return "an unknown place" if innermost is None else f"{innermost.f_code.co_filename}:{innermost.f_lineno}"
