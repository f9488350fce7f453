"""Sets of thousands of jobs on Temporal's own server: one activity a system, whoever asks."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from temporalio.client import WorkflowFailureError

from bluexp_jobs.simulator import BlueXPSimulator
from cfjobs.simulator import CFSimulator
from common import wait_all
from common.integrations.temporal.set_messages import MAX_JOBS
from ontapjobs import OntapJobs
from tests.integrations.temporal.deployment import PASSWORD, Deployment, until
from tests.integrations.temporal.workflows import Wait, WaitForMany, WaitForOneOften

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
LONG = 10_000


def single_reads(temporal: Deployment) -> list[str]:
    return [path for path in temporal.reads if "/jobs/" in path]


def asked_about(temporal: Deployment) -> str:
    """Return the ids of the jobs that the cluster was last asked about."""
    return temporal.cluster.journal[-1].raw_query


@asynccontextmanager
async def others() -> AsyncIterator[tuple[dict[str, dict[str, str]], list[str]]]:
    """Serve the other two systems: a worker's settings, and two jobs of each, one of which fails."""
    bluexp, cf = BlueXPSimulator(account="account-x1", agent="a1"), CFSimulator()
    async with bluexp.serve() as bluexp_url, cf.serve() as cf_url:
        account = f"{bluexp_url.replace('http://', 'bluexp+http://')}/account-x1"
        foundation = cf_url.replace("http://", "cf+http://")
        refs = [
            f"{account}/{bluexp.add_job([('RUNNING', 3), ('COMPLETED', None)])}?agent=a1",
            f"{account}/{bluexp.add_job([('RUNNING', 3), ('FAILED', None)])}?agent=a1",
            f"{foundation}/{cf.add_job([('PROCESSING', 3), ('COMPLETE', None)])}",
            f"{foundation}/{cf.add_job([('PROCESSING', 3), ('FAILED', None)])}",
        ]
        yield {f"{account}?agent=a1": {"token": "secret"}, foundation: {"token": "secret"}}, refs


async def test_each_job_of_a_set_ends_in_its_own_way(temporal: Deployment) -> None:
    await temporal.start_worker()
    refs = [
        temporal.add_job(3),
        temporal.add_job(2, "failure"),
        temporal.add_job(600),
        f"{temporal.target}no-job",
    ]
    workflow = await temporal.start(WaitForMany.run, refs, 15.0, LONG, 1)
    assert await workflow.result() == ["succeeded", "failed", "WaitTimeout", "JobNotFound"]
    assert temporal.writes == []


async def test_who_asks_is_told_why_a_set_cannot_begin(temporal: Deployment) -> None:
    await temporal.start_worker()
    refs = [f"ontap://elsewhere/{number}" for number in range(3)]
    workflow = await temporal.start(WaitForMany.run, refs, None, LONG, 2)
    assert await workflow.result() == ["UsageError"] * 3


async def test_who_asks_is_told_that_a_set_was_cancelled(temporal: Deployment) -> None:
    await temporal.start_worker()
    workflow = await temporal.start(WaitForMany.run, [temporal.add_job(600)], None, LONG, 1)
    await until(lambda: bool(temporal.reads))
    await temporal.set_of().cancel()
    assert await workflow.result() == ["SourceClosed"]
    assert temporal.writes == []


async def test_a_cancelled_workflow_takes_its_jobs_out_of_a_shared_set(
    temporal: Deployment,
) -> None:
    await temporal.start_worker()
    alone, shared = temporal.add_job(600), temporal.add_job(600)
    cancelled = await temporal.start(WaitForMany.run, [alone, shared], None, LONG, 1)
    other = await temporal.start(WaitForMany.run, [shared, temporal.add_job(600)], 12.0, LONG, 1)
    await until(lambda: len(temporal.reads) >= 3)
    await cancelled.cancel()
    with pytest.raises(WorkflowFailureError):
        await cancelled.result()
    await until(lambda: alone.removeprefix(temporal.target) not in asked_about(temporal))
    assert await other.result() == ["WaitTimeout"] * 2  # the deadline of its own
    await temporal.set_of().result()  # it is empty
    assert temporal.writes == []


async def test_calls_of_one_workflow_for_the_same_job_end_each_in_its_own_way(temporal: Deployment) -> None:
    await temporal.start_worker()
    timeouts = [None, 5.0, None, 7.0, 5.0]
    workflow = await temporal.start(WaitForOneOften.run, temporal.add_job(30), timeouts)
    assert await workflow.result() == ["WaitTimeout", "succeeded", "WaitTimeout", "WaitTimeout"]
    await temporal.set_of().result()  # it is empty


async def test_a_set_of_all_systems_waits_on_each_as_it_does_alone(temporal: Deployment) -> None:
    """One worker for the three; Cloud Foundry and BlueXP are asked about one job at a time."""
    async with others() as (systems, elsewhere):
        temporal.systems.update(systems)
        await temporal.start_worker()
        refs = [*elsewhere, temporal.add_job(3), temporal.add_job(3, "failure")]
        workflow = await temporal.start(WaitForMany.run, refs, 60.0, LONG, 1)
        alone = [await temporal.start(Wait.run, ref, False, None) for ref in refs[::2]]
        assert await workflow.result() == ["succeeded", "failed"] * 3
        assert [str((await each.result()).ref) for each in alone] == refs[::2]


async def test_workflows_share_a_set_that_grows(temporal: Deployment) -> None:
    await temporal.start_worker()
    workflows = []
    for _ in range(5):
        refs = [temporal.add_job(15) for _ in range(20)]
        workflows.append(await temporal.start(WaitForMany.run, refs, None, LONG, 1))
        await anyio.sleep(0.5)
    for workflow in workflows:
        assert await workflow.result() == ["succeeded"] * 20
    assert len(temporal.reads) < 100


async def test_a_job_that_was_forgotten_while_no_worker_ran_is_gone(temporal: Deployment) -> None:
    await temporal.start_worker()
    ref = temporal.add_job(600)
    workflow = await temporal.start(WaitForMany.run, [ref], None, LONG, 1)
    await until(lambda: len(temporal.reads) >= 3)
    await temporal.end_worker(signal.SIGKILL)
    temporal.cluster.jobs.clear()
    await temporal.start_worker()
    assert await workflow.result() == ["JobGone"]


async def test_a_set_takes_no_more_lists_than_one_wait_for_the_same_jobs(temporal: Deployment) -> None:
    await temporal.start_worker()
    refs = [temporal.add_job(10 + number % 10) for number in range(1000)]
    workflow = await temporal.start(WaitForMany.run, refs, None, LONG, 1)
    await until(lambda: bool(temporal.reads))
    url = temporal.target.replace("ontap+", "")
    async with OntapJobs(url, auth=("jobs", PASSWORD), user_agent="alone") as source:
        assert len(await wait_all(source, refs)) == 1000
    assert Counter(await workflow.result()) == {"succeeded": 1000}
    alone = sum("alone" in each.headers["user-agent"] for each in temporal.cluster.journal)
    print(f"1,000 jobs: {temporal.lists - alone} lists, {alone} of one wait")
    assert temporal.lists - alone <= 1.5 * alone
    assert single_reads(temporal) == []


async def test_jobs_beyond_the_limit_of_a_set_are_spread_over_two(temporal: Deployment) -> None:
    await temporal.start_worker()
    workflows = []
    for _ in range(2):
        refs = [temporal.add_job(10 + number % 10) for number in range(MAX_JOBS * 6 // 10)]
        workflows.append(await temporal.start(WaitForMany.run, refs, None, LONG, 2))
    for workflow in workflows:
        assert Counter(await workflow.result()) == {"succeeded": MAX_JOBS * 6 // 10}
    for shard in range(2):
        await temporal.set_of(shard).result()
    assert temporal.writes == []


async def test_five_thousand_jobs_survive_a_killed_worker_and_new_histories(temporal: Deployment) -> None:
    await temporal.start_worker()
    refs = [temporal.add_job(20 + number % 20) for number in range(5000)]
    workflow = await temporal.start(WaitForMany.run, refs, None, 25, 1)
    await until(lambda: len(temporal.reads) >= 3 * 34)
    await temporal.end_worker(signal.SIGKILL)
    await temporal.start_worker()
    assert Counter(await workflow.result()) == {"succeeded": 5000}
    query = 'WorkflowType = "jobsource.Jobs"'
    runs = [each async for each in temporal.client.list_workflows(query) if temporal.target in each.id]
    single = len(single_reads(temporal))
    print(f"5,000 jobs: {len(temporal.reads)} requests, {single} for one job, {len(runs)} runs")
    assert len(runs) > 1
    assert single_reads(temporal) == []
    assert temporal.writes == []
