"""What workflows call: one job waited for, and one write, with the options that each needs."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError
from temporalio.exceptions import TimeoutError as ActivityTimeout
from temporalio.workflow import ActivityCancellationType

from common.integrations.temporal.activities import START_JOB, WAIT_FOR_JOB, StartRequest, WaitRequest
from common.integrations.temporal.errors import jobs_error
from common.model.errors import ActionUncertain, UsageError
from common.model.job import Job
from common.model.refs import JobRef
from common.model.serialize import from_dict

HEARTBEAT_TIMEOUT = timedelta(seconds=30)
"""After how long another worker goes on, where one was lost; a cancellation takes most of it to arrive."""
UNLIMITED = timedelta(days=3650)
"""Temporal wants a limit of each attempt; how long a wait may take is said by its deadline."""
WRITE_TIMEOUT = timedelta(minutes=5)
"""After how long a write that nobody has told the end of is given up as uncertain."""


async def wait_for_job(
    job: JobRef | Job | str,
    *,
    timeout: float | None = None,
    deadline: datetime | None = None,
    cancel_job: bool = False,
    heartbeat_timeout: timedelta = HEARTBEAT_TIMEOUT,
    task_queue: str | None = None,
) -> Job:
    """Return a job once it has succeeded; to be called by a workflow.

    ``job`` names its endpoint: it is a ref, or its text. ``timeout`` is in seconds from now, ``deadline`` an
    aware datetime. A workflow that is cancelled leaves the job alone; with ``cancel_job`` the job is
    cancelled too (never by a worker that stops or is lost, nor where the workflow is terminated).

    Raise the `JobsError` that the wait ended with: `JobFailed`, `JobGone`, `WaitTimeout` and so on.
    """
    if timeout is not None and deadline is not None:
        raise UsageError("pass timeout= or deadline=, not both")
    if timeout is not None:
        deadline = workflow.now() + timedelta(seconds=timeout)
    if deadline is not None and deadline.tzinfo is None:
        raise UsageError("deadline= must be an aware datetime")
    text = job if isinstance(job, str) else str(job.ref if isinstance(job, Job) else job)
    request = WaitRequest(text, None if deadline is None else deadline.isoformat(), cancel_job)
    try:
        data = await workflow.execute_activity(
            WAIT_FOR_JOB,
            request,
            result_type=dict[str, Any],
            task_queue=task_queue,
            start_to_close_timeout=UNLIMITED,
            heartbeat_timeout=heartbeat_timeout,
            cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )
    except ActivityError as failure:
        if (error := jobs_error(failure)) is not None:
            raise error from None
        raise
    outcome: Job = from_dict(data)
    return outcome


async def start_job(
    target: str, method: str, path: str, *, body: Any = None, task_queue: str | None = None
) -> list[JobRef]:
    """Send a write, and return the refs of the jobs that it started; to be called by a workflow.

    ``target`` names the system (``ontap://cluster1``), ``path`` begins with "/", and ``body`` is JSON. The
    write is sent once. Raise the `JobsError` that it ended with, `ActionUncertain` also where its worker was
    lost before it could tell.
    """
    try:
        refs = await workflow.execute_activity(
            START_JOB,
            StartRequest(target, method, path, body),
            result_type=list[str],
            task_queue=task_queue,
            start_to_close_timeout=WRITE_TIMEOUT,
            retry_policy=RetryPolicy(maximum_attempts=1),
            cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )
    except ActivityError as failure:
        if (error := jobs_error(failure)) is not None:
            raise error from None
        if isinstance(failure.cause, ActivityTimeout):
            raise ActionUncertain(
                f"the worker that sent {method} {path.partition('?')[0]} was lost: it may have been carried "
                "out; look for what it makes before you repeat it"
            ) from failure
        raise
    return [JobRef.parse(ref) for ref in refs]
