"""Sets of thousands of jobs on Temporal's own server: one activity a system, whoever asks."""

from __future__ import annotations

import signal
from collections import Counter

import anyio
import pytest

from tests.integrations.temporal.deployment import Deployment, until
from tests.integrations.temporal.workflows import WaitForMany

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
LONG = 10_000


def single_reads(temporal: Deployment) -> list[str]:
    return [path for path in temporal.reads if "/jobs/" in path]


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
    await temporal.client.get_workflow_handle(f"jobsource.Jobs {temporal.target} 0").cancel()
    assert await workflow.result() == ["SourceClosed"]
    assert temporal.writes == []


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


async def test_five_thousand_jobs_survive_a_killed_worker_and_new_histories(temporal: Deployment) -> None:
    await temporal.start_worker()
    refs = [temporal.add_job(20 + number % 20) for number in range(5000)]
    workflow = await temporal.start(WaitForMany.run, refs, None, 60, 1)
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
