"""Count what something costs, the same on any machine: the lines of `common` that are executed for it."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import attrs


@attrs.define
class Lines:
    count: int = 0


def lines(action: Callable[[], object]) -> int:
    """How many lines one call executes; a loop within a line counts each time."""
    with _counted() as counted:
        action()
    return counted.count


async def lines_of(work: Awaitable[object]) -> int:
    """How many lines run until ``work`` has ended, also in other tasks."""
    with _counted() as counted:
        await work
    return counted.count


@contextmanager
def _counted() -> Generator[Lines]:
    counted = Lines()

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        name = frame.f_globals.get("__name__", "")
        if not name.startswith("common.") or name.startswith("common.testing."):
            return None  # of the event loop, perhaps, which looks at all of its timers
        counted.count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield counted
    finally:
        sys.settrace(before)
