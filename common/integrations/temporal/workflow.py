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
    OutcomeRow,
)
from common.model.errors import ActionUncertain, JobsError, UsageError
from common.model.job import Job
from common.model.refs import JobRef
from common.model.serialize import from_dict

HEARTBEAT_TIMEOUT = timedelta(seconds=30)
"""How long until another worker takes over the wait of a lost one. A cancellation takes up to as long."""
UNLIMITED = timedelta(days=3650)
"""Temporal requires a limit of each attempt; the time that a wait may take is limited by its deadline."""
ADD_TIMEOUT = timedelta(minutes=1)
"""The time limit of adding jobs to their sets; after it, the signals are sent again."""
CALL_DIGITS = 8
"""Hex digits of the random id of a call of `wait_for_jobs`; few, since each job in a payload has it."""
WRITE_TIMEOUT = timedelta(minutes=5)
"""A write without a result after this time is reported as `ActionUncertain`."""


async def wait_for_job(
    job: JobRef | Job | str,
    *,
    timeout: float | None = None,
    deadline: datetime | None = None,
    cancel_job: bool = False,
    heartbeat_timeout: timedelta = HEARTBEAT_TIMEOUT,
    task_queue: str | None = None,
) -> Job:
    """Return a job once it has succeeded. Call it in a workflow.

    ``job`` is a ref, or its text, with the endpoint. ``timeout`` is in seconds from now, ``deadline`` an
    aware datetime. If the workflow is cancelled, the job keeps running; with ``cancel_job`` it is cancelled
    too. A worker that stops or is lost, and a workflow that is terminated, never cancel it.

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
    """Send a write, and return the refs of the jobs that it started. Call it in a workflow.

    ``target`` names the system (``ontap://cluster1``), ``path`` begins with "/", and ``body`` is JSON. The
    write is sent once. Raise the `JobsError` that it ended with: `ActionUncertain` also if the worker was
    lost before it reported the result.
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
    """Return how thousands of jobs ended, in the order given. Call it in a workflow.

    The jobs join the set of their system, which all workflows share: one activity for each system waits for
    all of them, in as few requests as the system allows. ``timeout`` (seconds from now) and ``deadline``
    apply to each job. A call takes at most 10,000 jobs, and a set has at most 10,000 open ones: for more,
    pass the number of sets as ``shards``, the same in all calls. The workflow of a set continues as new after
    about ``history_limit`` events.

    A failed job does not raise: its `Job`, or the `JobsError` of its wait, is in the list. If the workflow is
    cancelled, the jobs keep running and leave their set. Raise `UsageError` for too many jobs, and for a
    deadline or a number of shards that is invalid.
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
            await adding  # otherwise jobs could be added after they were discarded
        await _discard(dataclasses.replace(request, jobs=[text for text in texts if text not in ended]))
        raise
    finally:
        del calls.outcomes[call]
    return [ended[text] for text in texts]


class _Calls:
    """The handler of the signals by which sets report outcomes: keeps them for each call that waits.

    An outcome may be reported twice, also after its call has returned.
    """

    def __init__(self) -> None:
        self.outcomes: dict[str, dict[str, Job | JobsError]] = {}

    def __call__(self, outcomes: list[OutcomeRow]) -> None:
        for call, job, data in outcomes:
            ended = self.outcomes.get(call)
            if ended is not None and job not in ended:
                outcome: Job | JobsError = from_dict(data)
                if isinstance(outcome, JobsError) and outcome.ref is None:
                    outcome.about(JobRef.parse(job))
                ended[job] = outcome


def _calls() -> _Calls:
    """Return this workflow's signal handler, set on first use."""
    calls = workflow.get_signal_handler(JOBS_ENDED)
    if not isinstance(calls, _Calls):
        calls = _Calls()
        workflow.set_signal_handler(JOBS_ENDED, calls)
    return calls


async def _discard(request: AddRequest) -> None:
    for _, id, rows in by_set(request):
        with suppress(ApplicationError):  # the set's workflow has ended
            await workflow.get_external_workflow_handle(id).signal(DISCARD, rows)


def _deadline(timeout: float | None, deadline: datetime | None) -> datetime | None:
    if timeout is not None and deadline is not None:
        raise UsageError("pass timeout= or deadline=, not both")
    if deadline is not None and deadline.tzinfo is None:
        raise UsageError("deadline= must be an aware datetime")
    return deadline if timeout is None else workflow.now() + timedelta(seconds=timeout)


def _text(job: JobRef | Job | str) -> str:
    return job if isinstance(job, str) else str(job.ref if isinstance(job, Job) else job)
