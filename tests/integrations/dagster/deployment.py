"""The cluster that tests of Dagster have jobs on, and Dagster's daemon."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
from attrs import frozen

from ontapjobs.dagster import OntapResource
from ontapjobs.simulator import OntapSimulator

PATIENCE = 300.0
"""Seconds after which something that must come has not come."""
TIMEOUTS = dict.fromkeys(("DAGSTER_GRPC_TIMEOUT_SECONDS", "DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS"), "300")
"""The daemon gives up on a machine that is busy otherwise after 60 seconds."""


@frozen
class Cluster:
    """A simulated cluster, where it is served, and the resource for it."""

    simulator: OntapSimulator
    target: str
    password: str

    @property
    def resource(self) -> OntapResource:
        """The resource that signs in to the cluster."""
        return OntapResource(target=self.target, user="admin", password=self.password)

    def add_job(self, seconds: float, end: str = "success") -> str:
        """Add a job that runs for so long, and return its ref."""
        return f"{self.target}{self.simulator.add_job([('running', seconds), (end, None)])}"

    @property
    def reads(self) -> list[str]:
        """The paths that were read."""
        return [each.path for each in self.simulator.journal if each.method == "GET"]

    @property
    def lists(self) -> list[str]:
        """The list requests among them."""
        return [path for path in self.reads if path == "/api/cluster/jobs"]

    @property
    def writes(self) -> list[str]:
        """The methods of the writes that the cluster received."""
        return [each.method for each in self.simulator.journal if each.method not in ("GET", "HEAD")]


def until(condition: Callable[[], Any]) -> Any:
    """Wait until something has come about, and return it."""
    for _ in range(round(PATIENCE / 0.25)):
        if found := condition():
            return found
        time.sleep(0.25)
    raise TimeoutError


@contextlib.contextmanager
def daemon_of(definitions: Path, home: Path) -> Iterator[dg.DagsterInstance]:
    """Run the daemon; the value is the instance that it works for."""
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    command = [str(Path(sys.executable).with_name("dagster-daemon")), "run", "-f", str(definitions)]
    environment = {**os.environ, "DAGSTER_HOME": str(home), "HOME": str(home), **TIMEOUTS}
    with (
        dg.DagsterInstance.from_config(str(home)) as instance,
        (home / "daemon.log").open("wb") as log,
        subprocess.Popen(command, env=environment, stdout=log, stderr=log) as process,
    ):
        try:
            yield instance
        finally:
            process.terminate()
