"""What the tests of an application need: event loops in virtual time, and a source that follows a script.

The pytest fixtures are in ``common.testing.plugin``, which nothing loads by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.testing.lives import JobScript
from common.testing.loops import VirtualTimeLoop
from common.testing.loops import virtual_time_loop
from common.testing.running import run
from common.testing.scripted import Asked
from common.testing.scripted import ScriptedSource
from common.testing.standstill import PATIENCE
from common.testing.standstill import VirtualTimeError

if TYPE_CHECKING:
    from common.testing.clock import VirtualClock

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
    """A new `VirtualClock`: for ``trio.run(main, clock=virtual_clock())``."""
    from common.testing.clock import VirtualClock  # lazily: trio need not be installed

    return VirtualClock(start, patience=patience)
