"""What the tests of Dagster share: the resource of a cluster, and Dagster's daemon."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from ontapjobs.dagster import OntapResource
from tests.integrations.cluster import FASTER, Cluster

TIMEOUTS = dict.fromkeys(("DAGSTER_GRPC_TIMEOUT_SECONDS", "DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS"), "300")
"""The daemon gives up on a machine that is busy otherwise after 60 seconds."""


def environment_in(home: Path) -> dict[str, str]:
    """Return the environment of a process of Dagster's."""
    return {**os.environ, **FASTER, **TIMEOUTS, "DAGSTER_HOME": str(home), "HOME": str(home)}


def resource_of(cluster: Cluster) -> OntapResource:
    """Return the resource that signs in to a cluster."""
    return OntapResource(target=cluster.target, user="admin", password=cluster.password)


@contextlib.contextmanager
def daemon_of(definitions: Path, home: Path) -> Iterator[dg.DagsterInstance]:
    """Run the daemon; the value is the instance that it works for."""
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    command = [str(Path(sys.executable).with_name("dagster-daemon")), "run", "-f", str(definitions)]
    with (
        dg.DagsterInstance.from_config(str(home)) as instance,
        (home / "daemon.log").open("wb") as log,
        subprocess.Popen(command, env=environment_in(home), stdout=log, stderr=log) as process,
    ):
        try:
            yield instance
        finally:
            process.terminate()
