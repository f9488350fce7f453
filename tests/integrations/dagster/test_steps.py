"""Assets and ops wait for jobs: what they return, what their runs keep, and what is tried again."""

from __future__ import annotations

import asyncio
from typing import Any

import dagster as dg
import pytest

from common import JobState, from_dict
from common.simulator import NewJob
from common.simulator.faults import Status
from ontapjobs.dagster import OntapResource, job_metadata
from tests.integrations.cluster import Cluster
from tests.integrations.dagster.deployment import resource_of

pytestmark = pytest.mark.slow


def run(cluster: Cluster, *assets: dg.AssetsDefinition, **kwargs: Any) -> dg.ExecuteInProcessResult:
    resources = {"ontap": kwargs.pop("ontap", resource_of(cluster))}
    return dg.materialize(assets, resources=resources, raise_on_error=False, **kwargs)


def failure_of(result: dg.ExecuteInProcessResult, step: str) -> Any:
    """What a step failed with, as Dagster stores it."""
    [event] = [
        each
        for each in result.all_events
        if each.event_type is dg.DagsterEventType.STEP_FAILURE and each.step_key == step
    ]
    return event.step_failure_data.user_failure_data


def tries(result: dg.ExecuteInProcessResult, step: str) -> int:
    kinds = (dg.DagsterEventType.STEP_START, dg.DagsterEventType.STEP_RESTARTED)
    return sum(each.event_type in kinds and each.step_key == step for each in result.all_events)


def test_twenty_waits_of_one_asset_share_their_requests(cluster: Cluster) -> None:
    refs = [cluster.add_job(3) for _ in range(20)]

    @dg.asset
    async def jobs(ontap: OntapResource) -> dg.MaterializeResult[Any]:
        return dg.MaterializeResult(
            metadata=job_metadata(*await asyncio.gather(*map(ontap.wait_for_job, refs)))
        )

    result = run(cluster, jobs)
    assert result.success
    print(f"20 waits: {len(cluster.reads)} requests")
    assert len(cluster.reads) <= 10
    [materialization] = result.asset_materializations_for_node("jobs")
    assert materialization.metadata["jobs"].value == refs
    assert materialization.metadata["states"].value == {"SUCCEEDED": 20}
    outcomes: Any = materialization.metadata["outcomes"].value
    assert all(from_dict(each).succeeded for each in outcomes)


def test_a_set_of_jobs_is_one_step(cluster: Cluster) -> None:
    refs = [cluster.add_job(2) for _ in range(500)]

    @dg.op
    async def wait(ontap: OntapResource) -> None:
        jobs = await ontap.wait_for_jobs(refs)
        assert [str(job.ref) for job in jobs] == refs

    @dg.job(resource_defs={"ontap": resource_of(cluster)})
    def waiting() -> None:
        wait()

    assert waiting.execute_in_process().success
    assert len(cluster.reads) == len(cluster.lists) <= 20
    assert cluster.writes == []


def test_the_runs_log_has_each_change_of_a_job(instance: dg.DagsterInstance, cluster: Cluster) -> None:
    ref = cluster.add_job(1.5)

    @dg.asset
    async def job(ontap: OntapResource) -> None:
        await ontap.wait_for_job(ref)

    result = run(cluster, job, instance=instance)
    logged = [entry.user_message for entry in instance.all_logs(result.run_id)]
    changes = [text for text in logged if text.startswith(ref)]
    assert "RUNNING" in changes[0]
    assert "SUCCEEDED" in changes[-1]


def test_a_job_that_failed_is_not_tried_again(cluster: Cluster) -> None:
    ref = cluster.add_job(0, "failure")

    @dg.asset(retry_policy=dg.RetryPolicy(max_retries=2))
    async def job(ontap: OntapResource) -> None:
        await ontap.wait_for_job(ref)

    result = run(cluster, job)
    assert not result.success
    assert tries(result, "job") == 1
    failure = failure_of(result, "job")
    assert ref in failure.description
    [outcome] = failure.metadata["outcomes"].value
    assert from_dict(outcome).state is JobState.FAILED


def test_a_job_among_others_that_failed_fails_the_step_unless_it_looks_itself(cluster: Cluster) -> None:
    refs = [cluster.add_job(0), cluster.add_job(0, "failure")]

    @dg.asset
    async def checked(ontap: OntapResource) -> None:
        await ontap.wait_for_jobs(refs)

    @dg.asset
    async def unchecked(ontap: OntapResource) -> dg.MaterializeResult[Any]:
        return dg.MaterializeResult(metadata=job_metadata(*await ontap.wait_for_jobs(refs, check=False)))

    result = run(cluster, checked, unchecked)
    assert failure_of(result, "checked").metadata["states"].value == {"SUCCEEDED": 1, "FAILED": 1}
    [materialization] = result.asset_materializations_for_node("unchecked")
    outcomes: Any = materialization.metadata["outcomes"].value
    assert from_dict(outcomes[0]).state is JobState.FAILED


def test_a_passed_deadline_is_tried_again_where_the_policy_says_so(cluster: Cluster) -> None:
    ref = cluster.add_job(3600)

    @dg.asset(retry_policy=dg.RetryPolicy(max_retries=2))
    async def job(ontap: OntapResource) -> None:
        await ontap.wait_for_job(ref, timeout=0.1)

    result = run(cluster, job)
    assert tries(result, "job") == 3
    assert cluster.writes == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"target": "cf://api.example.org"}, "a system of ontap"),
        ({"target": "nonsense"}, "neither a source's URL"),
        ({"target": "ontap://cluster1", "extra": {"colour": "red"}}, "colour"),
        ({"target": "ontap://cluster1"}, "no credentials for"),
    ],
)
def test_a_wrong_field_is_not_tried_again(cluster: Cluster, fields: dict[str, Any], words: str) -> None:
    @dg.asset(retry_policy=dg.RetryPolicy(max_retries=2))
    async def job(ontap: OntapResource) -> None:
        await ontap.wait_for_job("1")

    result = run(cluster, job, ontap=OntapResource(**fields))
    assert tries(result, "job") == 1
    assert words in failure_of(result, "job").description


def test_refused_credentials_are_not_tried_again(cluster: Cluster) -> None:
    ref = cluster.add_job(0)

    @dg.asset(retry_policy=dg.RetryPolicy(max_retries=2))
    async def job(ontap: OntapResource) -> None:
        await ontap.wait_for_job(ref)

    wrong = OntapResource(target=cluster.target, user="admin", password="an-old-password")
    result = run(cluster, job, ontap=wrong)
    assert tries(result, "job") == 1
    assert "an-old-password" not in str(failure_of(result, "job"))


def test_a_write_is_sent_once_whatever_becomes_of_the_wait(cluster: Cluster) -> None:
    cluster.simulator.on_write = NewJob([("running", 3600)])

    @dg.asset(retry_policy=dg.RetryPolicy(max_retries=2))
    async def volume(ontap: OntapResource) -> None:
        [ref] = await ontap.start_job("POST", "/api/storage/volumes", body={"name": "vol1"})
        await ontap.wait_for_job(ref, timeout=0.1)

    assert tries(run(cluster, volume), "volume") == 1
    assert cluster.writes == ["POST"]


def test_a_wait_in_a_step_of_its_own_is_tried_again_without_the_write(cluster: Cluster) -> None:
    cluster.simulator.on_write = NewJob([("running", 1), ("success", None)])

    @dg.asset
    async def started(ontap: OntapResource) -> list[str]:
        return await ontap.start_job("POST", "/api/storage/volumes", body={"name": "vol1"})

    @dg.asset(retry_policy=dg.RetryPolicy(max_retries=5, delay=0.5))
    async def volume(started: list[str], ontap: OntapResource) -> None:
        await ontap.wait_for_jobs(started, timeout=0)

    result = run(cluster, started, volume)
    assert result.success
    assert tries(result, "volume") >= 2
    assert cluster.writes == ["POST"]


@pytest.mark.parametrize("status", [400, 503])
def test_a_write_that_failed_is_not_sent_again(cluster: Cluster, status: int) -> None:
    cluster.simulator.inject("POST *", Status(status), times=1)

    @dg.asset(retry_policy=dg.RetryPolicy(max_retries=2))
    async def started(ontap: OntapResource) -> list[str]:
        return await ontap.start_job("POST", "/api/storage/volumes")

    result = run(cluster, started)
    assert str(status) in failure_of(result, "started").description
    assert tries(result, "started") == 1
    assert cluster.writes == ["POST"]


def test_a_step_can_be_called_in_a_test_of_its_own(cluster: Cluster) -> None:
    ref = cluster.add_job(0)

    @dg.asset
    async def job(ontap: OntapResource) -> str:
        return str(await ontap.wait_for_job(ref))

    called: Any = job(ontap=resource_of(cluster))
    assert "SUCCEEDED" in asyncio.run(called).upper()


def test_no_repr_shows_a_secret(cluster: Cluster) -> None:
    resource = OntapResource(target=cluster.target, token="s3cret", extra={"client_secret": "s3cret"})
    assert "s3cret" not in repr(resource)
