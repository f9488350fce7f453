"""Writes that an orchestrator sends: the refs of the jobs that one started are what it stores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from common.model.errors import Unsupported
from common.model.refs import JobRef
from common.sources.base import BaseSource
from common.sources.http import HttpSource


async def start_jobs(
    source: BaseSource, method: str, path: str, body: Any, *, warn: Callable[[str], object]
) -> list[str]:
    """Send a write, and return the refs of the jobs that it started. Its own warnings and errors are logged.

    Raise `Unsupported` for a source that takes no writes, and what ``source.start`` raises.
    """
    if not isinstance(source, HttpSource):
        raise Unsupported(f"{source.provider} takes no writes")
    adopted = await source.start(method, path, json=body)
    for each in (*adopted.warnings, *adopted.errors):
        warn(str(each))
    return [str(job if isinstance(job, JobRef) else job.ref) for job in adopted.waitable]
