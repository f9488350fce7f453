"""The sensor at single ticks: what it asks, what it remembers, and what it tells."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import dagster as dg
import pytest

from common import AuthenticationError, Job, JobsError, UsageError, from_dict
from common.simulator.faults import Status
from ontapjobs.dagster import OntapResource, job_sensor
from tests.integrations.cluster import Cluster
from tests.integrations.dagster.deployment import resource_of

pytestmark = pytest.mark.slow


class Followed:
    """A sensor that is evaluated tick by tick, and what its asset was told to have started."""

    def __init__(
        self,
        instance: dg.DagsterInstance,
        cluster: Cluster,
        *,
        resource: OntapResource | None = None,
        **told: Any,
    ) -> None:
        self.instance = instance
        self.cursor: str | None = None
        self.resource = resource or resource_of(cluster)
        self.sensor = job_sensor("followed", resource="ontap", started="started", **told)

    def start(self, *refs: str, partition: str | None = None) -> None:
        """Report that jobs were started."""
        self.instance.report_runless_asset_event(
            dg.AssetMaterialization("started", metadata={"jobs": list(refs)}, partition=partition)
        )

    def tick(self) -> Any:
        """Evaluate it once more."""
        with dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, resources={"ontap": self.resource}
        ) as context:
            result = self.sensor.evaluate_tick(context)
        self.cursor = result.cursor
        return result

    @property
    def open(self) -> dict[str, Any]:
        """The open jobs, as the cursor has them."""
        return dict(json.loads(self.cursor or "{}")["jobs"])


def test_each_tick_is_one_list_request_and_an_end_is_told_once(
    instance: dg.DagsterInstance, cluster: Cluster
) -> None:
    followed = Followed(instance, cluster, ended="ended")
    refs = [cluster.add_job(3600) for _ in range(98)]
    followed.start(*refs, cluster.add_job(0))
    followed.start(cluster.add_job(0, "failure"))
    told = followed.tick().asset_events
    assert [type(each) for each in told] == [dg.AssetMaterialization, dg.AssetObservation]
    assert [from_dict(each.metadata["outcomes"].value[0]).succeeded for each in told] == [True, False]
    assert followed.open == {ref: ["RUNNING", None] for ref in refs}
    assert followed.tick().asset_events == []
    assert cluster.reads == cluster.lists
    assert len(cluster.lists) == 2
    assert cluster.writes == []


def test_a_tick_without_open_jobs_asks_nothing(instance: dg.DagsterInstance, cluster: Cluster) -> None:
    followed = Followed(instance, cluster, ended="ended")
    assert "0 jobs" in followed.tick().skip_message
    followed.instance.report_runless_asset_event(dg.AssetMaterialization("started"))
    assert "0 jobs" in followed.tick().skip_message
    assert cluster.reads == []


def test_an_end_belongs_to_the_partition_that_started_the_job(
    instance: dg.DagsterInstance, cluster: Cluster
) -> None:
    followed = Followed(instance, cluster, ended="ended")
    followed.start(cluster.add_job(0), partition="tenant-1")
    followed.start(cluster.add_job(0), partition="tenant-2")
    assert [each.partition for each in followed.tick().asset_events] == ["tenant-1", "tenant-2"]


@dg.op(config_schema={"jobs": [str]})
def report() -> None:
    pass


@dg.job
def reporting() -> None:
    report()


def config_of(outcomes: Sequence[Job | JobsError]) -> dict[str, Any]:
    return {"ops": {"report": {"config": {"jobs": [str(each.ref) for each in outcomes]}}}}


def test_all_ends_of_a_tick_are_one_run(instance: dg.DagsterInstance, cluster: Cluster) -> None:
    followed = Followed(instance, cluster, job=reporting, run_config=config_of)
    refs = [cluster.add_job(0) for _ in range(3)]
    followed.start(*refs)
    [request] = followed.tick().run_requests
    assert request.run_config["ops"]["report"]["config"]["jobs"] == refs
    assert request.run_key
    followed.cursor = None  # as after a daemon that was killed before it could write
    assert [each.run_key for each in followed.tick().run_requests] == [request.run_key]
    assert followed.tick().run_requests == []


def test_a_job_that_was_seen_and_is_forgotten_is_gone(instance: dg.DagsterInstance, cluster: Cluster) -> None:
    quick = OntapResource(
        target=cluster.target,
        user="admin",
        password=cluster.password,
        extra={"policy": json.dumps({"gone_grace": 0.1, "start_grace": 0.1})},
    )
    followed = Followed(instance, cluster, resource=quick, ended="ended")
    seen = cluster.add_job(3600)
    followed.start(seen)
    followed.tick()
    del cluster.simulator.jobs[seen.rpartition("/")[2]]
    never = f"{cluster.target}b5145e1d-b53b-11e8-8252-005056bbd8f5"
    followed.start(never)
    told = followed.tick().asset_events
    assert {each.metadata["jobs"].value[0]: each.metadata["states"].value for each in told} == {
        seen: {"JobGone": 1},
        never: {"JobNotFound": 1},
    }
    assert followed.open == {}


def test_a_job_of_another_system_is_told_once_and_costs_no_request(
    instance: dg.DagsterInstance, cluster: Cluster
) -> None:
    followed = Followed(instance, cluster, ended="ended")
    foreign = "ontap://elsewhere.example.com/b5145e1d-b53b-11e8-8252-005056bbd8f5"
    followed.start(foreign)
    [told] = followed.tick().asset_events
    assert told.metadata["jobs"].value == [foreign]
    assert told.metadata["states"].value == {"WrongSource": 1}
    assert followed.open == {}
    assert cluster.reads == []


def test_a_run_is_for_jobs_of_the_system_alone(instance: dg.DagsterInstance, cluster: Cluster) -> None:
    followed = Followed(instance, cluster, ended="ended", job=reporting, run_config=config_of)
    foreign = ["ontap://elsewhere.example.com/1", cluster.target, "", "cf://api.example.org/1"]
    ref = cluster.add_job(0)
    followed.start(*foreign, ref)
    told = followed.tick()
    [request] = told.run_requests
    assert request.run_config["ops"]["report"]["config"]["jobs"] == [ref]
    assert [each.metadata["jobs"].value[0] for each in told.asset_events] == [*foreign, ref]
    followed.start(*foreign)
    told = followed.tick()
    assert told.run_requests == []
    assert "0 jobs ended, 0 are open; 4 named are no jobs of the system: " in told.skip_message
    assert followed.open == {}


def test_a_system_that_does_not_answer_keeps_its_jobs_open(
    instance: dg.DagsterInstance, cluster: Cluster
) -> None:
    followed = Followed(instance, cluster, ended="ended")
    ref = cluster.add_job(0)
    followed.start(ref)
    cluster.simulator.inject("GET *", Status(503), times=1)
    result = followed.tick()
    assert result.asset_events == []
    assert "1 of them could not be read" in result.skip_message
    assert followed.open == {ref: [None, None]}
    assert len(followed.tick().asset_events) == 1


def test_a_tick_with_refused_credentials_fails_and_forgets_nothing(
    instance: dg.DagsterInstance, cluster: Cluster
) -> None:
    wrong = OntapResource(target=cluster.target, user="admin", password="an-old-password")
    followed = Followed(instance, cluster, resource=wrong, ended="ended")
    followed.start(cluster.add_job(0))
    with pytest.raises(AuthenticationError):
        followed.tick()
    followed.resource = resource_of(cluster)
    assert len(followed.tick().asset_events) == 1


def test_a_sensor_without_anybody_to_tell_is_refused() -> None:
    with pytest.raises(UsageError, match="ended="):
        job_sensor("followed", resource="ontap", started="started")
    with pytest.raises(UsageError, match="run_config="):
        job_sensor("followed", resource="ontap", started="started", ended="ended", job=object())


def test_a_cursor_of_a_later_release_is_refused(instance: dg.DagsterInstance, cluster: Cluster) -> None:
    followed = Followed(instance, cluster, ended="ended")
    followed.cursor = '{"version": 2}'
    with pytest.raises(UsageError, match="version 2"):
        followed.tick()
