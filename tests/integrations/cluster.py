"""A simulated cluster that is served to other processes, what its journal tells of them, and patience."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from anyio.from_thread import start_blocking_portal
from attrs import frozen

from ontapjobs.simulator import OntapSimulator

PATIENCE = 300.0
"""Seconds after which something that must come has not come."""
STEP = 0.1
FASTER = {"PYTHONDONTWRITEBYTECODE": ""}
"""Processes start many times faster if what they import is not compiled again each time."""


@frozen
class Cluster:
    """A simulated cluster, where it is served, and the password of its user ``admin``."""

    simulator: OntapSimulator
    target: str
    password: str

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which the programs of the documentation find it."""
        return {"CLUSTER": self.target, "CLUSTER_PASSWORD": self.password}

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


@contextmanager
def served(password: str) -> Iterator[Cluster]:
    """Serve a cluster from a thread."""
    simulator = OntapSimulator(users={"admin": password}, journal_limit=None)
    with start_blocking_portal() as loop, loop.wrap_async_context_manager(simulator.serve()) as url:
        yield Cluster(simulator, f"{url.replace('http://', 'ontap+http://')}/", password)


def until(condition: Callable[[], Any]) -> Any:
    """Wait until something has come about, and return it."""
    for _ in range(round(PATIENCE / STEP)):
        if found := condition():
            return found
        time.sleep(STEP)
    raise TimeoutError
