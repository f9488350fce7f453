"""What workflows call: one job waited for, and one write, with the options that each needs."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.exceptions import TimeoutError as ActivityTimeout
from temporalio.workflow import ActivityCancellationType

from common.integrations.temporal.activities import START_JOB, WAIT_FOR_JOB, StartRequest, WaitRequest
from common.integrations.temporal.adding import by_set
from common.integrations.temporal.errors import jobs_error
from common.integrations.temporal.set_messages import (
    ADD_JOBS,
    DISCARD,
    JOBS_ENDED,
    MAX_JOBS,
    AddRequest,
    Told,
)
from common.model.errors import ActionUncertain, JobsError, UsageError
from common.model.job import Job
from common.model.refs import JobRef
from common.model.serialize import from_dict

HEARTBEAT_TIMEOUT = timedelta(seconds=30)
"""After how long another worker goes on, where one was lost; a cancellation takes most of it to arrive."""
UNLIMITED = timedelta(days=3650)
"""Temporal wants a limit of each attempt; how long a wait may take is said by its deadline."""
ADD_TIMEOUT = timedelta(minutes=1)
"""For the signals to sets; they are sent again after it."""
CALL_DIGITS = 8
"""Of the random number of a call of `wait_for_jobs`: it is beside each of its jobs, in a payload of 2 MiB."""
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
    until = _deadline(timeout, deadline)
    request = WaitRequest(_text(job), None if until is None else until.isoformat(), cancel_job)
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
                f"the worker that sent {method} {path.partition('?')[0]} was lost: the write may have been "
                "carried out; check for what it makes before you send it again"
            ) from failure
        raise
    return [JobRef.parse(ref) for ref in refs]


async def wait_for_jobs(
    jobs: Iterable[JobRef | Job | str],
    *,
    timeout: float | None = None,
    deadline: datetime | None = None,
    shards: int = 1,
    history_limit: int = 10_000,
    task_queue: str | None = None,
) -> list[Job | JobsError]:
    """Return how thousands of jobs ended, in the order given; to be called by a workflow.

    They join the sets of their systems, which all workflows share: one activity a system waits for all of
    them, in as few requests as the system allows. ``timeout`` (seconds from now) and ``deadline`` are those
    of each job. A call takes 10,000 jobs. Where more are open on one system, say over how many ``shards`` to
    spread them, in each call alike. A set begins a new history after some ``history_limit`` events.

    A failed job raises nothing. A workflow that is cancelled leaves the jobs alone, and no set waits for them
    any longer.
    """
    until = _deadline(timeout, deadline)
    if shards < 1:
        raise UsageError("shards= must be 1 or more")
    texts = [_text(job) for job in jobs]
    if len(texts) > MAX_JOBS:
        raise UsageError(
            f"wait_for_jobs() takes {MAX_JOBS:,} jobs at once, not {len(texts):,}: call it again"
        )
    moment = None if until is None else until.timestamp()
    call = workflow.uuid4().hex[:CALL_DIGITS]
    request = AddRequest(texts, moment, workflow.info().workflow_id, call, shards, history_limit)
    calls, wanted = _calls(), len(set(texts))
    ended = calls.outcomes[call] = {}
    adding = workflow.start_activity(
        ADD_JOBS, request, task_queue=task_queue, start_to_close_timeout=ADD_TIMEOUT
    )
    try:
        await asyncio.shield(adding)
        await workflow.wait_condition(lambda: len(ended) == wanted)
    except ActivityError as failure:
        if (error := jobs_error(failure)) is not None:
            raise error from None
        raise
    except asyncio.CancelledError:
        with suppress(ActivityError):
            await adding  # else they could be added after they were taken back
        await _discard(dataclasses.replace(request, jobs=[text for text in texts if text not in ended]))
        raise
    finally:
        del calls.outcomes[call]
    return [ended[text] for text in texts]


class _Calls:
    """The handler of the signal with which sets tell a workflow how jobs ended: of each call that waits.

    An outcome may be told twice, also after its call has returned.
    """

    def __init__(self) -> None:
        self.outcomes: dict[str, dict[str, Job | JobsError]] = {}

    def __call__(self, told: list[Told]) -> None:
        for call, job, data in told:
            ended = self.outcomes.get(call)
            if ended is not None and job not in ended:
                outcome: Job | JobsError = from_dict(data)
                if isinstance(outcome, JobsError) and outcome.ref is None:
                    outcome.about(JobRef.parse(job))
                ended[job] = outcome


def _calls() -> _Calls:
    """Return what waits in this workflow."""
    calls = workflow.get_signal_handler(JOBS_ENDED)
    if not isinstance(calls, _Calls):
        calls = _Calls()
        workflow.set_signal_handler(JOBS_ENDED, calls)
    return calls


async def _discard(request: AddRequest) -> None:
    for _, id, rows in by_set(request):
        with suppress(ApplicationError):  # the set is over
            await workflow.get_external_workflow_handle(id).signal(DISCARD, rows)


def _deadline(timeout: float | None, deadline: datetime | None) -> datetime | None:
    if timeout is not None and deadline is not None:
        raise UsageError("pass timeout= or deadline=, not both")
    if deadline is not None and deadline.tzinfo is None:
        raise UsageError("deadline= must be an aware datetime")
    return deadline if timeout is None else workflow.now() + timedelta(seconds=timeout)


def _text(job: JobRef | Job | str) -> str:
    return job if isinstance(job, str) else str(job.ref if isinstance(job, Job) else job)
