"""The activities: a wait that survives its worker, and a write that is never sent twice."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from temporalio import activity

from common.integrations.temporal.adding import add_jobs
from common.integrations.temporal.errors import application_error
from common.integrations.temporal.heartbeat import (
    cancelled_by_person,
    heartbeats,
    job_details,
    resumed_job,
    small_enough,
)
from common.integrations.temporal.set_activity import SetWatch
from common.integrations.temporal.set_messages import ADD_JOBS, WATCH_JOBS, AddRequest
from common.integrations.temporal.systems import Settings, Systems
from common.integrations.writes import start_jobs
from common.model.errors import JobsError, UsageError, WaitTimeout, job_failure
from common.model.job import Job
from common.model.serialize import to_dict

WAIT_FOR_JOB = "jobsource.wait_for_job"
START_JOB = "jobsource.start_job"
# Histories name activities and their arguments by these: they stay as they are.


@dataclass(frozen=True)
class WaitRequest:
    """What ``wait_for_job`` is asked. ``job`` is a ref; ``deadline`` a moment in ISO 8601, or None.

    With ``cancel_job`` the job is cancelled where the workflow cancels the wait.
    """

    job: str
    deadline: str | None = None
    cancel_job: bool = False


@dataclass(frozen=True)
class StartRequest:
    """What ``start_job`` is asked: a write to the system that ``target`` names; ``body`` is JSON."""

    target: str
    method: str
    path: str
    body: Any = None


class JobActivities:
    """The activities of a worker. ``systems`` has the settings of each system by its target."""

    def __init__(self, systems: Mapping[str, Settings] | None = None) -> None:
        self._systems = Systems(systems)

    @activity.defn(name=WAIT_FOR_JOB)
    async def wait_for_job(self, request: WaitRequest) -> dict[str, Any]:
        """Return the job as plain data once it has succeeded.

        Another worker goes on where this one was lost: from the last observation, at the pace of the job's
        run time. Fail with the job's error otherwise, which is not retryable where the job's fate is settled
        or the deadline has passed.
        """
        with _mapped_errors():
            deadline = _moment(request.deadline)
            kept = job = resumed_job()

            def details() -> tuple[Any, ...]:
                return job_details(kept, watch.last)

            async with self._systems.source(request.job) as source:
                watch = source.watch(
                    job or request.job,
                    deadline=deadline,
                    on_cancel=cancelled_by_person if request.cancel_job else "leave",
                )
                async with watch, heartbeats(details):
                    async for job in watch:
                        kept = small_enough(job)
            return to_dict(_succeeded(job))

    @activity.defn(name=START_JOB)
    async def start_job(self, request: StartRequest) -> list[str]:
        """Send a write, and return the refs of the jobs that it started. It must not be tried again.

        A worker that stops finishes it first, so that its jobs are known.
        """
        with _mapped_errors(retryable=False):
            async with self._systems.source(request.target) as source:
                write = asyncio.create_task(
                    start_jobs(
                        source, request.method, request.path, request.body, warn=activity.logger.warning
                    )
                )
                while not write.done():
                    try:
                        await asyncio.wait([write])
                    except asyncio.CancelledError:
                        activity.logger.info("cancelled: the write is finished first")
                return write.result()

    @activity.defn(name=WATCH_JOBS)
    async def watch_jobs(self, target: str) -> None:
        """Wait for the jobs of a set, for its workflow."""
        with _mapped_errors():
            async with self._systems.source(target) as source, heartbeats(tuple):
                await SetWatch(target, source).run()

    @activity.defn(name=ADD_JOBS)
    async def add_jobs(self, request: AddRequest) -> None:
        """Add jobs to the sets of their systems."""
        with _mapped_errors():
            await add_jobs(request)


@contextmanager
def _mapped_errors(*, retryable: bool = True) -> Generator[None]:
    try:
        yield
    except JobsError as error:
        again = retryable and not isinstance(error, WaitTimeout)  # the deadline will not come back
        raise application_error(error, retryable=again) from None


def _moment(text: str | None) -> datetime | None:
    try:
        return None if text is None else datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"the deadline must be a moment in ISO 8601, not {text!r}") from None


def _succeeded(job: Job | None) -> Job:
    if job is None:
        raise AssertionError("a watch ended without an observation")
    if not job.succeeded:
        raise job_failure(job)
    return job
