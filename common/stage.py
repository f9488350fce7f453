"""What a provider puts on the demo's stage: a source, and jobs that are running on its simulator."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

import attrs

from common.base import BaseSource
from common.model import JobRef


@attrs.frozen
class Extra:
    """One job of the demo. ``cancel_after`` seconds it is cancelled, where its system can do that."""

    label: str
    ref: JobRef
    cancel_after: float | None = None


@attrs.frozen
class Cast:
    """A source on a running simulator, and its jobs."""

    source: BaseSource
    jobs: Sequence[Extra]


Stage = AbstractAsyncContextManager[Cast]
"""Starts the simulator on entry, ends it on exit."""
