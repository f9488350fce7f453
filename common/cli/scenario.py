"""What a provider puts on the demo's stage: a source, and the jobs that it starts on its simulator."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

import attrs

from common.model.refs import JobRef
from common.sources.base import BaseSource


@attrs.frozen
class Part:
    """One job of the demo. It is cancelled after ``cancel_after`` seconds, where that is not None."""

    title: str
    ref: JobRef
    cancel_after: float | None = None


@attrs.frozen
class Cast:
    """A source on a running simulator, its address, and its jobs."""

    source: BaseSource
    url: str
    parts: Sequence[Part]


Stage = AbstractAsyncContextManager[Cast]
"""Starts the simulator and the jobs on entry, ends both on exit."""
