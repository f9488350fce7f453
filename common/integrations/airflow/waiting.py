"""What a worker and a triggerer do with a source: wait, look once, cancel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import anyio

from common.model.errors import AlreadyFinished, JobsError
from common.model.job import Job
from common.model.refs import JobRef
from common.model.states import Capability
from common.sources.base import BaseSource
from common.sources.batch_look import Outcome
from common.sources.sets.job_set import JobSet

Log = Callable[[str], object]

LOOK_TIMEOUT = 30.0
"""Seconds for polling jobs once: transient errors are retried, and a new job may not be known at once."""
CANCEL_TIMEOUT = 20.0
"""Seconds within which a server must accept the cancellation of the jobs of a killed task."""


async def wait_for(
    source: BaseSource, jobs: Sequence[str], *, deadline: datetime | None, log: Log
) -> list[Outcome]:
    """Return how each job ended, in the order given, once all have. Each change is logged."""
    refs = [source.ref(job) for job in jobs]
    outcomes: dict[JobRef, Outcome] = {}
    async with JobSet(source, dict.fromkeys(refs), changes=True, deadline=deadline) as waits:
        waits.close()
        async for outcome in waits:
            outcomes[_ref(outcome)] = outcome
            log(str(outcome))
    return [outcomes[ref] for ref in refs]


async def look_at(source: BaseSource, jobs: Sequence[str]) -> list[Outcome]:
    """Return each job as it is now, in the order given; a `JobsError` for one that could not be read."""
    refs = [source.ref(job) for job in jobs]
    outcomes: dict[JobRef, Outcome] = {}
    async with JobSet(source, dict.fromkeys(refs), changes=True, timeout=LOOK_TIMEOUT) as waits:
        async for outcome in waits:
            outcomes[_ref(outcome)] = outcome
            if outcomes.keys() >= set(refs):
                break
    return [outcomes[ref] for ref in refs]


async def cancel_jobs(source: BaseSource, jobs: Sequence[str], *, log: Log) -> None:
    """Ask the server to cancel jobs. What it refuses is logged, and nothing is raised but a cancellation."""
    if Capability.CANCEL not in source.capabilities:
        log(f"{source.provider} jobs cannot be cancelled through their API: they run on")
        return
    for job in jobs:
        with anyio.move_on_after(CANCEL_TIMEOUT) as scope:
            try:
                log(f"cancelled with its task: {await source.cancel(job)}")
            except AlreadyFinished:
                log(f"{job}: had ended before its task")
            except JobsError as error:
                log(f"{job}: could not be cancelled with its task: {error}")
        if scope.cancelled_caught:
            log(f"{job}: no answer within {CANCEL_TIMEOUT:g} s to cancelling it with its task")


def _ref(outcome: Job | JobsError) -> JobRef:
    if outcome.ref is None:
        raise AssertionError("the outcome of a wait is about no job")
    return outcome.ref
