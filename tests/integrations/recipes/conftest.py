"""The recipes need what is not part of the environment of the other tests: without it, none is collected."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integrations.cluster import Cluster, served
from tests.integrations.recipes.programs import Programs

NEEDED = ("celery", "distributed", "fastapi", "ray")
collect_ignore_glob = [] if all(map(importlib.util.find_spec, NEEDED)) else ["*"]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A simulated cluster, served in a thread."""
    with served("p4ssw0rd-of-the-recipes") as found:
        yield found


@pytest.fixture
def programs(cluster: Cluster, tmp_path: Path) -> Iterator[Programs]:
    """Processes of one test, which are ended after it."""
    with Programs(tmp_path, cluster.environment) as found:
        yield found
