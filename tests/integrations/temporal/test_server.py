"""On Temporal's own server: workers that are lost or stopped, and persons who cancel."""

from __future__ import annotations

import signal

import anyio
import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import CancelledError

from ontapjobs import Job, JobFailed, JobRef, WaitTimeout
from ontapjobs.temporal import jobs_error
from tests.integrations.temporal.deployment import Deployment, until
from tests.integrations.temporal.workflows import MakeVolume, Wait

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def test_a_workflow_gets_the_job_that_it_waits_for(temporal: Deployment) -> None:
    await temporal.start_worker()
    ref = temporal.add_job(2)
    job = await (await temporal.start(Wait.run, JobRef.parse(ref), False, None)).result()
    assert isinstance(job, Job)
    assert job.succeeded
    assert str(job.ref) == ref


async def test_a_workflow_fails_with_the_error_of_its_job(temporal: Deployment) -> None:
    await temporal.start_worker()
    failed = await temporal.start(Wait.run, temporal.add_job(1, "failure"), False, None)
    late = await temporal.start(Wait.run, temporal.add_job(600), False, 2.0)
    with pytest.raises(WorkflowFailureError) as caught:
        await failed.result()
    assert isinstance(jobs_error(caught.value), JobFailed)
    with pytest.raises(WorkflowFailureError) as caught:
        await late.result()
    assert isinstance(jobs_error(caught.value), WaitTimeout)


async def test_what_a_write_started_is_waited_for(temporal: Deployment) -> None:
    await temporal.start_worker()
    [job] = await (await temporal.start(MakeVolume.run, temporal.target)).result()
    assert job.succeeded
    assert temporal.writes == ["POST"]


async def test_another_worker_goes_on_where_one_was_killed(temporal: Deployment) -> None:
    await temporal.start_worker()
    workflow = await temporal.start(Wait.run, temporal.add_job(12), True, None)
    await until(lambda: len(temporal.reads) >= 3)
    await temporal.end_worker(signal.SIGKILL)
    await temporal.start_worker()
    assert (await workflow.result()).succeeded
    assert temporal.writes == []


async def test_a_worker_that_stops_leaves_the_job_alone(temporal: Deployment) -> None:
    await temporal.start_worker()
    workflow = await temporal.start(Wait.run, temporal.add_job(12), True, None)
    await until(lambda: len(temporal.reads) >= 3)
    await temporal.end_worker(signal.SIGTERM)
    await temporal.start_worker()
    assert (await workflow.result()).succeeded
    assert temporal.writes == []


async def test_a_person_who_cancels_the_workflow_cancels_the_job_once(temporal: Deployment) -> None:
    await temporal.start_worker()
    workflow = await temporal.start(Wait.run, temporal.add_job(600), True, None)
    await until(lambda: bool(temporal.reads))
    await workflow.cancel()
    with pytest.raises(WorkflowFailureError) as caught:
        await workflow.result()
    assert isinstance(caught.value.cause, CancelledError)
    assert temporal.writes == ["PATCH"]


async def test_a_workflow_that_only_waits_leaves_the_job_alone_when_cancelled(temporal: Deployment) -> None:
    await temporal.start_worker()
    workflow = await temporal.start(Wait.run, temporal.add_job(600), False, None)
    await until(lambda: bool(temporal.reads))
    await workflow.cancel()
    with pytest.raises(WorkflowFailureError):
        await workflow.result()
    assert temporal.writes == []


async def test_a_workflow_that_is_terminated_leaves_the_job_alone(temporal: Deployment) -> None:
    await temporal.start_worker()
    workflow = await temporal.start(Wait.run, temporal.add_job(600), True, None)
    await until(lambda: bool(temporal.reads))
    await workflow.terminate()
    await anyio.sleep(6)  # two heartbeat time-outs: by then the worker has been told
    seen = len(temporal.reads)
    await anyio.sleep(4)
    assert len(temporal.reads) == seen
    assert temporal.writes == []


async def test_many_waits_share_their_requests(temporal: Deployment) -> None:
    await temporal.start_worker()
    workflows = [await temporal.start(Wait.run, temporal.add_job(10), False, None) for _ in range(30)]
    for workflow in workflows:
        assert (await workflow.result()).succeeded
    single = [path for path in temporal.reads if "/jobs/" in path]
    print(f"30 waits: {len(temporal.reads)} requests, {len(single)} for one job")
    assert len(temporal.reads) < 60
