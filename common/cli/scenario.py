"""What a provider adds to ``jobsource demo``: a simulated system, and some jobs on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

import attrs

from common.model.refs import JobRef
from common.simulator.simulator import Simulator
from common.sources.base import BaseSource


@attrs.frozen
class DemoJob:
    """One job of the demo: ``cancel_after`` and ``forget_after`` are seconds, None for never.

    A job that is forgotten is one that the system answers no more for, as if it had been purged.
    """

    title: str
    ref: JobRef
    cancel_after: float | None = None
    forget_after: float | None = None


@attrs.frozen
class DemoSystem:
    """A running simulator, its URL, how to connect to it, and the jobs that were started there."""

    simulator: Simulator
    url: str
    connect: Callable[[], BaseSource]
    jobs: Sequence[DemoJob]


Scenario = AbstractAsyncContextManager[DemoSystem]
"""Starts the simulator and the jobs on entry, and stops the simulator on exit."""
