"""What a provider adds to ``jobsource demo``: a simulator, a source on it, and some jobs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

import attrs

from common.model.refs import JobRef
from common.sources.base import BaseSource


@attrs.frozen
class DemoJob:
    """One job of the demo. It is cancelled after ``cancel_after`` seconds, where that is not None."""

    title: str
    ref: JobRef
    cancel_after: float | None = None


@attrs.frozen
class DemoSystem:
    """A source on a running simulator, the simulator's URL, and the jobs that were started there."""

    source: BaseSource
    url: str
    jobs: Sequence[DemoJob]


Scenario = AbstractAsyncContextManager[DemoSystem]
"""Starts the simulator and the jobs on entry, and stops both on exit."""
