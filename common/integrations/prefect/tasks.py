"""The tasks: a write that is never sent twice, a wait for one job, and a wait for a set of jobs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

import anyio
from prefect import task
from prefect.client.schemas.objects import State, TaskRun
from prefect.logging import get_run_logger
from prefect.transactions import get_transaction

from common.integrations.outcomes import check_all, failure_of, is_settled, worth_retrying
from common.integrations.prefect.credentials import JobsCredentials
from common.integrations.prefect.ended_jobs import EndedJobs
from common.integrations.prefect.run_key import RunKey
from common.integrations.prefect.waiting import send_in_portal, wait_in_portal
from common.integrations.writes import start_jobs
from common.model.errors import JobsError, JobsFailed, UsageError
from common.model.job import Job, JobLike
from common.polling.policy import OnCancel
from common.sources.base import BaseSource
from common.sources.batch_look import Outcome
from common.sources.sets.wait_all import wait_all

LOG_INTERVAL = 10.0
"""Seconds between two lines in the log of a set that say how many of its jobs have ended."""


def _may_end_otherwise(_: object, __: TaskRun, state: State[Any]) -> bool:
    error = state.data
    if isinstance(error, JobsFailed):
        return all(isinstance(each, JobsError) and worth_retrying(each) for each in error.exceptions)
    return not isinstance(error, JobsError) or worth_retrying(error)


def _never(_: object, __: TaskRun, ___: State[Any]) -> bool:
    return False


@task(
    name="start-job",
    retries=0,
    retry_condition_fn=_never,
    persist_result=True,
    cache_policy=RunKey("start-job", "method", "path", "body", each=True),
)
async def start_job(credentials: JobsCredentials, method: str, path: str, body: Any = None) -> list[str]:
    """Send a write, and return the refs of the jobs that it started.

    ``path`` begins with "/", and ``body`` is JSON. The write is sent once: no retry sends it again, and when
    the same flow run runs again, the refs are those of its first run. A cancelled task still reads the
    write's reply, and logs the refs. Raise the `JobsError` that the write ended with.
    """
    log = get_run_logger()

    async def send(source: BaseSource) -> list[str]:
        refs = await start_jobs(source, method, path, body, warn=log.warning)
        log.info("%s %s started %s", method, path.partition("?")[0], ", ".join(refs) or "no job")
        return refs

    return await send_in_portal(credentials.system(), send)


@task(
    name="wait-for-job",
    retry_condition_fn=_may_end_otherwise,
    persist_result=True,
    cache_policy=RunKey("wait-for-job", "job"),
)
async def wait_for_job(
    credentials: JobsCredentials,
    job: JobLike,
    *,
    timeout: float | None = None,
    deadline: datetime | None = None,
    cancel_job: bool = False,
) -> Job:
    """Return a job once it has succeeded. All waits of a process on one system share their requests.

    ``timeout`` is in seconds from the beginning of each try, ``deadline`` an aware datetime. With
    ``cancel_job`` the job is cancelled if a person cancels the flow run. Each change is logged. Raise the
    `JobsError` that the wait ended with; what is final is not tried again.
    """
    log = get_run_logger()

    async def wait(source: BaseSource, on_cancel: OnCancel) -> Job:
        return await source.wait(
            job,
            timeout=timeout,
            deadline=deadline,
            on_cancel=on_cancel,
            on_update=lambda job: log.info("%s", job),
        )

    return await wait_in_portal(credentials.system(), wait, cancel_job=cancel_job)


@task(
    name="wait-for-jobs",
    retry_condition_fn=_may_end_otherwise,
    persist_result=True,
    cache_policy=RunKey("wait-for-jobs", "jobs", "check"),
)
async def wait_for_jobs(
    credentials: JobsCredentials,
    jobs: Sequence[JobLike],
    *,
    timeout: float | None = None,
    deadline: datetime | None = None,
    cancel_job: bool = False,
    check: bool = True,
) -> list[Outcome]:
    """Return how the jobs of one system ended, in the order given, once all have: thousands in one task.

    ``check=True`` raises `JobsFailed` where some did not succeed, with every outcome by ref;
    ``check=False`` returns a `Job` for each, or the `JobsError` that its wait ended with. The other keywords
    are those of ``wait_for_job``. The log says how many have ended, and which failed. Another try, also in
    the flow's next run, waits for those that had not ended.
    """
    if isinstance(jobs, str):
        raise UsageError("wait_for_jobs() takes a list of jobs: for one, call wait_for_job()")
    ended = EndedJobs()
    known = await ended.read(len(jobs))
    going_on = [job for job, outcome in zip(jobs, known, strict=True) if outcome is None]
    progress = _Progress(len(jobs), len(jobs) - len(going_on))

    async def wait(source: BaseSource, on_cancel: OnCancel) -> list[Outcome]:
        waits = partial(wait_all, source, going_on, timeout=timeout, deadline=deadline, on_cancel=on_cancel)
        return [*await waits(check=False, on_update=progress.update)]

    found = iter(await wait_in_portal(credentials.system(), wait, cancel_job=cancel_job))
    outcomes = [next(found) if outcome is None else outcome for outcome in known]
    if not all(map(is_settled, outcomes)):
        await ended.keep(outcomes)
        transaction = get_transaction()
        if transaction is not None:
            transaction.write_on_commit = False  # the next run waits for those that have not ended
    if check:
        check_all(outcomes)
    return outcomes


class _Progress:
    """Logs the ends of a set's jobs: each failure, and how many have ended."""

    def __init__(self, total: int, ended: int) -> None:
        self._log = get_run_logger()
        self._total = total
        self._ended = ended
        self._due = 0.0

    def update(self, job: Job) -> None:
        """Take a change of a job, in the portal's loop."""
        if not job.done:
            return
        self._ended += 1
        if failure_of(job) is not None:
            self._log.warning("%s", job)
        now = anyio.current_time()
        if now >= self._due or self._ended == self._total:
            self._due = now + LOG_INTERVAL
            self._log.info("%d of %d jobs have ended", self._ended, self._total)
