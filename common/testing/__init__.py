"""For the tests of an application: event loops in virtual time, and a source that follows a script.

The pytest fixtures are in ``common.testing.plugin``, which nothing loads by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.testing.asyncio_loop import VirtualTimeLoop, virtual_time_loop
from common.testing.deadlock import PATIENCE, VirtualTimeError
from common.testing.job_script import JobScript
from common.testing.runner import run
from common.testing.scripted_source import Asked, ScriptedSource

if TYPE_CHECKING:
    from common.testing.trio_clock import VirtualClock

__all__ = [
    "Asked",
    "JobScript",
    "ScriptedSource",
    "VirtualTimeError",
    "VirtualTimeLoop",
    "run",
    "virtual_clock",
    "virtual_time_loop",
]


def virtual_clock(start: float = 0.0, *, patience: float = PATIENCE) -> VirtualClock:
    """Return a new `VirtualClock`, for ``trio.run(main, clock=virtual_clock())``."""
    from common.testing.trio_clock import VirtualClock  # lazily: trio need not be installed

    return VirtualClock(start, patience=patience)
