"""A simulated cluster for Dagster, which is not part of the environment of the other tests.

Without Dagster, nothing here is collected.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integrations.cluster import Cluster, served
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
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A simulated cluster, served in a thread; variables tell the resources of examples of it."""
    with served(PASSWORD) as found:
        for name, value in found.environment.items():
            monkeypatch.setenv(name, value)
        yield found


@pytest.fixture
def instance() -> Iterator[Any]:
    """A Dagster instance that is in memory."""
    from dagster import DagsterInstance

    with DagsterInstance.ephemeral() as found:
        yield found
