"""A simulated cluster for Dagster, which is not part of the environment of the other tests.

Without Dagster, nothing here is collected.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal

from ontapjobs.simulator import OntapSimulator
from tests.profiles import HIDDEN

PASSWORD = "p4ssw0rd-of-the-resource"
collect_ignore_glob = [] if importlib.util.find_spec("dagster") else ["*"]


@pytest.fixture(autouse=True)
def _hermetic(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith((*HIDDEN, "DAGSTER")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("JOBSOURCE_CONFIG", "there-is-none.toml")  # an error for whoever looks for profiles
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A simulated cluster, served in a thread; variables tell the resources of examples of it."""
    from tests.integrations.dagster.deployment import Cluster

    simulator = OntapSimulator(users={"admin": PASSWORD}, journal_limit=None)
    with start_blocking_portal() as loop, loop.wrap_async_context_manager(simulator.serve()) as url:
        found = Cluster(simulator, f"{url.replace('http://', 'ontap+http://')}/", PASSWORD)
        monkeypatch.setenv("CLUSTER", found.target)
        monkeypatch.setenv("CLUSTER_PASSWORD", PASSWORD)
        yield found
