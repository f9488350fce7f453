"""Dagster's own daemon and the runs that it starts, each a process of its own."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from attrs import frozen

from tests.integrations.cluster import Cluster, until
from tests.integrations.dagster.deployment import daemon_of

pytestmark = pytest.mark.slow


@frozen
class Deployment:
    """A daemon with the definitions of ``defs.py``, and a cluster."""

    instance: dg.DagsterInstance
    cluster: Cluster

    def report(self, asset: str, **metadata: Any) -> None:
        """Report a materialization of an asset, as another system would."""
        self.instance.report_runless_asset_event(dg.AssetMaterialization(asset, metadata=metadata))

    def told(self, asset: str) -> list[Any]:
        """The materializations of an asset."""
        return list(self.instance.fetch_materializations(dg.AssetKey(asset), 1000).records)

    def ticks(self, sensor: str) -> list[Any]:
        """The ticks of a sensor that have ended."""
        [state] = [each for each in self.instance.all_instigator_state() if each.name == sensor]
        ticks = self.instance.get_ticks(state.instigator_origin_id, state.selector_id)
        return [tick for tick in ticks if tick.status.value != "STARTED"]

    def wait_in_run(self, job: str, *, cancel: bool) -> str:
        """Start a run that waits for a job; once it does, return its id."""
        before = len(self.cluster.reads)
        self.report("wanted", jobs=[job], cancel=cancel)
        until(lambda: len(self.cluster.reads) > before)
        [run] = self.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
        return run.run_id

    def end_of(self, run_id: str) -> dg.DagsterRunStatus:
        """How a run ended."""

        def ended() -> Any:
            run = self.instance.get_run_by_id(run_id)
            return run if run is not None and run.is_finished else None

        status: dg.DagsterRunStatus = until(ended).status
        return status

    def process_of_step(self, run_id: str) -> int:
        """The process in which the step of a run is."""
        events = [entry.dagster_event for entry in self.instance.all_logs(run_id)]
        [pid] = [event.pid for event in events if event and event.event_type_value == "STEP_START"]
        assert pid is not None
        return pid


@pytest.fixture
def deployment(cluster: Cluster, tmp_path: Path) -> Iterator[Deployment]:
    with daemon_of(Path(__file__).with_name("defs.py"), tmp_path) as instance:
        yield Deployment(instance, cluster)
    stored = [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size]
    assert [path for path in stored if cluster.target.encode() in path.read_bytes()] != []
    assert [path for path in stored if cluster.password.encode() in path.read_bytes()] == []


def test_the_daemon_follows_a_hundred_jobs_with_one_list_request_a_tick(deployment: Deployment) -> None:
    cluster = deployment.cluster
    refs = [cluster.add_job(15) for _ in range(100)]
    deployment.report("started", jobs=refs)
    until(lambda: len(deployment.told("ended")) == len(refs))
    until(lambda: any("100 jobs ended" in (tick.skip_reason or "") for tick in deployment.ticks("followed")))
    looked = [tick for tick in deployment.ticks("followed") if "100" in (tick.skip_reason or "")]
    print(f"100 jobs: {len(looked)} ticks, {len(cluster.lists)} lists, {len(cluster.reads)} reads")
    assert len(cluster.reads) == len(cluster.lists) == len(looked)
    assert cluster.writes == []


def test_a_job_is_cancelled_where_its_run_is_terminated_by_choice(deployment: Deployment) -> None:
    cluster, coordinator = deployment.cluster, deployment.instance.run_coordinator
    assert coordinator is not None
    job = cluster.add_job(3600)

    run = deployment.wait_in_run(job, cancel=False)
    coordinator.cancel_run(run)
    assert deployment.end_of(run) is dg.DagsterRunStatus.CANCELED
    assert cluster.writes == []

    for number in (signal.SIGTERM, signal.SIGKILL):
        run = deployment.wait_in_run(job, cancel=True)
        os.kill(deployment.process_of_step(run), number)
        assert deployment.end_of(run) is dg.DagsterRunStatus.FAILURE
        assert cluster.writes == []

    run = deployment.wait_in_run(job, cancel=True)
    coordinator.cancel_run(run)
    assert deployment.end_of(run) is dg.DagsterRunStatus.CANCELED
    assert cluster.writes == ["PATCH"]
