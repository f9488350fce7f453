"""Heartbeats by a ticker of their own: a quiet job is polled too rarely to keep an activity alive.

A heartbeat holds the job as it was seen last, from which another attempt goes on: with all that the server
told of it, which nobody may be able to ask for again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
from temporalio import activity

from common.model.errors import JobsError
from common.model.job import FrozenMap, Job, with_warning
from common.model.serialize import from_dict, to_dict

TICKS = 3
"""Heartbeats within the activity's heartbeat time-out."""
DEFAULT_PERIOD = 10.0
"""Seconds between heartbeats of an activity that has no such time-out."""

DETAILS_LIMIT = 200 * 1024
"""Bytes of a job that has not ended in a heartbeat: the server warns of 256 KiB, and refuses 2 MiB."""


@asynccontextmanager
async def heartbeats(details: Callable[[], tuple[Any, ...]]) -> AsyncGenerator[None]:
    """Heartbeat while the block runs, with what ``details`` returns each time.

    Temporal tells an activity of its cancellation in the reply to a heartbeat.
    """
    timeout = activity.info().heartbeat_timeout
    period = timeout.total_seconds() / TICKS if timeout else DEFAULT_PERIOD

    async def tick() -> None:
        while True:
            activity.heartbeat(*details())
            await asyncio.sleep(period)

    ticker = asyncio.create_task(tick())
    try:
        yield
    finally:
        ticker.cancel()


def small_enough(job: Job) -> Job:
    """Return a job that has not ended as a heartbeat can hold it: a warning says what had to be left out.

    That is its items and links, which few jobs have too many of, and then as many errors as need be.
    """
    if _fits(job):
        return job
    kept = attrs.evolve(job, items=(), links=FrozenMap())
    while kept.errors and not _fits(kept):
        kept = attrs.evolve(kept, errors=kept.errors[: len(kept.errors) // 2])
    if not _fits(kept):
        kept = attrs.evolve(kept, message=None, warnings=())
    lost = f"{len(job.items)} items and {len(job.errors) - len(kept.errors)} of {len(job.errors)} errors"
    return with_warning(kept, f"{lost} that were seen were too large to be kept for the next worker")


def job_details(kept: Job | None, last: Job | None) -> tuple[Any, ...]:
    """Return what a heartbeat holds: the job as `small_enough` has it, at the time when it was seen ``last``.

    Of a job that has ended, whose results are still to be read, it holds everything.
    """
    if last is None or kept is None:
        return ()
    return (to_dict(last if last.done else attrs.evolve(kept, observed_at=last.observed_at)),)


def resumed_job() -> Job | None:
    """Return the job as the last heartbeat of an earlier attempt has it, None in the first attempt."""
    details = activity.info().heartbeat_details
    try:
        return from_dict(details[0]) if details else None
    except JobsError as error:
        activity.logger.warning("the last heartbeat cannot be read, so the wait starts again: %s", error)
        return None


def cancelled_by_person() -> bool:
    """Return whether the activity is cancelled because its workflow asked for it.

    A worker that stops, a time-out, a pause, and a workflow that was terminated cancel it too.
    """
    details = activity.cancellation_details()
    return details is not None and details.cancel_requested


def _fits(job: Job) -> bool:
    return len(json.dumps(to_dict(job))) <= DETAILS_LIMIT
