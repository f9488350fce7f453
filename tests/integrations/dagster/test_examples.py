"""The programs of the documentation run, as its page says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from common.simulator import NewJob
from tests.integrations.cluster import PATIENCE, Cluster, until
from tests.integrations.dagster.deployment import daemon_of, environment_in

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples" / "dagster"
pytestmark = pytest.mark.slow


def materialize(example: Path, assets: str, home: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "dagster",
        "asset",
        "materialize",
        "--select",
        assets,
        "-f",
        str(example),
    ]
    done = subprocess.run(
        command, env=environment_in(home), capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr


def test_a_volume_is_made_and_waited_for(cluster: Cluster, tmp_path: Path) -> None:
    cluster.simulator.on_write = NewJob([("running", 1), ("success", None)])
    materialize(EXAMPLES / "volume.py", "*", tmp_path)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        [record] = instance.fetch_materializations(dg.AssetKey("volume"), 10).records
    assert record.asset_materialization is not None
    assert record.asset_materialization.metadata["states"].value == {"SUCCEEDED": 1}
    assert cluster.writes == ["POST"]


def test_jobs_are_followed_without_a_process_and_reported_by_one_run(
    cluster: Cluster, tmp_path: Path
) -> None:
    cluster.simulator.on_write = NewJob([("running", 1), ("success", None)])
    example = EXAMPLES / "no_process.py"
    with daemon_of(example, tmp_path) as instance:
        materialize(example, "volume_jobs", tmp_path)
        until(lambda: instance.fetch_materializations(dg.AssetKey("volume"), 10).records)
        reports = dg.RunsFilter(job_name="report_jobs", statuses=[dg.DagsterRunStatus.SUCCESS])
        until(lambda: instance.get_runs(reports))
        assert len(instance.get_runs()) == 2
    assert cluster.writes == ["POST"]
