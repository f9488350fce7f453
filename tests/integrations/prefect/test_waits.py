"""Waits in a flow on Prefect's own server: what they share, what is tried again, and what is kept."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from prefect import flow

from common import Job, JobFailed, JobGone, JobNotFound, JobsFailed, UsageError, WaitTimeout, wait_all
from common.simulator.faults import Forget, Status
from ontapjobs.prefect import start_job, wait_for_job, wait_for_jobs
from tests.integrations.prefect.deployment import Deployment

pytestmark = pytest.mark.slow
TASKS = 50


def jobs_of(prefect: Deployment, number: int = TASKS) -> list[str]:
    """Forget what was asked before, and add jobs that end within ten seconds of each other."""
    del prefect.cluster.journal[:]
    return [prefect.add_job(20 + index % 10) for index in range(number)]


@pytest.fixture
def alone(prefect: Deployment) -> int:
    """How many lists `wait_all` takes for as many jobs."""

    async def wait() -> None:
        async with prefect.credentials.get_client() as source:
            await wait_all(source, jobs_of(prefect))

    asyncio.run(wait())
    return prefect.lists


def test_fifty_tasks_share_their_requests(prefect: Deployment, alone: int) -> None:
    credentials = prefect.credentials

    @flow
    async def gathered(jobs: list[str]) -> list[Job]:
        return await asyncio.gather(*(wait_for_job(credentials, job) for job in jobs))

    @flow
    def submitted(jobs: list[str]) -> list[Job]:
        waits: list[Any] = [wait_for_job.submit(credentials, job) for job in jobs]
        return [each.result() for each in waits]

    jobs = jobs_of(prefect)
    assert [job.ref.id for job in asyncio.run(gathered(jobs))] == jobs
    by_gather = prefect.lists, prefect.reads
    jobs = jobs_of(prefect)
    assert [job.ref.id for job in submitted(jobs)] == jobs
    by_submit = prefect.lists, prefect.reads
    print(f"{TASKS} tasks (lists, reads): gather {by_gather}, submit {by_submit}; wait_all {alone} lists")
    assert by_gather[0] <= 1.5 * alone
    assert by_submit[0] <= 1.5 * alone


def test_a_thousand_jobs_are_one_task(prefect: Deployment) -> None:
    @flow
    async def wait(jobs: list[str]) -> list[Any]:
        return await wait_for_jobs(prefect.credentials, jobs, check=False)

    jobs = jobs_of(prefect, 1000)
    began = time.process_time()
    outcomes = asyncio.run(wait(jobs))
    print(
        f"1,000 jobs: {prefect.lists} lists, {prefect.reads} reads, {time.process_time() - began:.1f} s CPU"
    )
    assert [job.ref.id for job in outcomes] == jobs
    assert Counter(job.state.value for job in outcomes) == {"succeeded": 1000}
    assert prefect.writes == []


def test_a_set_that_did_not_succeed_as_a_whole_raises_with_all_outcomes(prefect: Deployment) -> None:
    @flow
    async def wait(jobs: list[str]) -> None:
        await wait_for_jobs(prefect.credentials, jobs)

    with pytest.raises(JobsFailed) as caught:
        asyncio.run(wait([prefect.add_job(0.1), prefect.add_job(0.1, "failure"), "no-job"]))
    kinds = [type(outcome) for outcome in caught.value.outcomes.values()]
    assert kinds == [Job, JobFailed, JobNotFound]


def test_only_what_may_end_otherwise_is_tried_again(prefect: Deployment) -> None:
    tries: Counter[str] = Counter()

    async def count(name: str, work: Callable[[], Awaitable[Any]], kind: type[Exception]) -> None:
        before = prefect.reads
        with pytest.raises(kind):
            await work()
        tries[name] = prefect.reads - before

    @flow
    async def wait() -> None:
        again = wait_for_job.with_options(retries=1, retry_delay_seconds=0)
        credentials = prefect.credentials
        failed, running = prefect.add_job(0, "failure"), prefect.add_job(600)
        await count("failed", lambda: again(credentials, failed), JobFailed)
        await count("late", lambda: again(credentials, running, timeout=0), WaitTimeout)
        await count("elsewhere", lambda: again(credentials, "ontap://elsewhere/1"), UsageError)

    asyncio.run(wait())
    assert tries == {"failed": 1, "late": 2, "elsewhere": 0}


def test_a_write_is_never_tried_again(prefect: Deployment) -> None:
    @flow
    async def make() -> None:
        await start_job.with_options(retries=2, retry_delay_seconds=0)(
            prefect.credentials, "POST", "/api/storage/volumes", {"name": "vol1"}
        )

    prefect.cluster.inject("POST *", Status(503))
    with pytest.raises(Exception, match="503"):
        asyncio.run(make())
    assert prefect.writes == ["POST"]


def test_a_flow_that_tries_again_keeps_its_jobs_and_two_equal_writes_are_two(prefect: Deployment) -> None:
    runs: list[list[str]] = []

    @flow(retries=1, retry_delay_seconds=0)
    async def make() -> None:
        refs: list[str] = []
        for _ in range(2):
            refs += await start_job(prefect.credentials, "POST", "/api/storage/volumes", {"name": "vol1"})
        runs.append(refs)
        if len(runs) == 1:
            raise JobGone("the flow fails for something else")

    asyncio.run(make())
    assert runs[0] == runs[1]
    assert len(set(runs[0])) == 2
    assert prefect.writes == ["POST", "POST"]


def test_a_flow_that_tries_again_asks_for_what_has_not_ended_alone(prefect: Deployment) -> None:
    tries: list[list[Any]] = []

    @flow(retries=1, retry_delay_seconds=0)
    async def wait(ended: str, running: str) -> None:
        job = await wait_for_job(prefect.credentials, ended)
        outcomes = await wait_for_jobs(
            prefect.credentials, [running], timeout=60 if tries else 0, check=False
        )
        tries.append([job, *outcomes])
        if len(tries) == 1:
            prefect.cluster.jobs.pop(ended)
            raise JobGone("the flow fails for something else")

    asyncio.run(wait(prefect.add_job(0), prefect.add_job(3)))
    assert [type(outcome) for outcome in tries[0]] == [Job, WaitTimeout]
    assert [outcome.succeeded for outcome in tries[1]] == [True, True]


@pytest.mark.parametrize("of", ["task", "flow"])
def test_a_set_that_tries_again_keeps_what_had_ended_though_the_system_has_forgotten_it(
    prefect: Deployment, of: str
) -> None:
    again: dict[str, Any] = {"retries": 1, "retry_delay_seconds": 0}
    ended, running = prefect.add_job(0), prefect.add_job(4)
    prefect.cluster.inject("GET *", Forget(ended), times=None, after_seconds=3)

    @flow(**(again if of == "flow" else {}))
    async def wait() -> list[Any]:
        task = wait_for_jobs.with_options(**again) if of == "task" else wait_for_jobs
        return await task(prefect.credentials, [ended, running], timeout=3)

    assert [job.ref.id for job in asyncio.run(wait())] == [ended, running]


def test_a_set_that_tries_again_tells_how_each_of_its_jobs_ended(prefect: Deployment) -> None:
    tries: list[JobsFailed] = []

    @flow(retries=1, retry_delay_seconds=0)
    async def wait(failed: str, running: str) -> None:
        with pytest.raises(JobsFailed) as caught:
            await wait_for_jobs(prefect.credentials, [failed, running], timeout=60 if tries else 2)
        tries.append(caught.value)
        prefect.cluster.jobs.pop(failed, None)
        raise caught.value

    with pytest.raises(JobsFailed):
        asyncio.run(wait(prefect.add_job(0, "failure"), prefect.add_job(4)))
    kinds = [[type(outcome) for outcome in each.outcomes.values()] for each in tries]
    assert kinds == [[JobFailed, WaitTimeout], [JobFailed, Job]]
