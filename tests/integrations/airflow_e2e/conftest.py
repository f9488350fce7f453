"""One Airflow of real processes for all tests, with a simulated ONTAP behind its default connection."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator

import pytest
from anyio.from_thread import start_blocking_portal

from ontapjobs.simulator import OntapSimulator
from tests.integrations.airflow_e2e.deployment import Deployment, free_port

PASSWORD = "p4ssw0rd-of-the-connection"
PORT = free_port()
collect_ignore_glob = [] if importlib.util.find_spec("airflow") else ["*"]


@pytest.fixture(scope="session")
def ontap() -> Iterator[OntapSimulator]:
    """A simulated cluster, served in a thread."""
    simulator = OntapSimulator(users={"admin": PASSWORD}, journal_limit=None)
    serving = simulator.serve(port=PORT)
    with start_blocking_portal() as loop, loop.wrap_async_context_manager(serving):
        yield simulator


@pytest.fixture(scope="session")
def airflow(ontap: OntapSimulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Airflow's processes. After all tests, the password is nowhere in their folder."""
    connection = {
        "conn_type": "ontap",
        "host": f"http://127.0.0.1:{PORT}",
        "login": "admin",
        "password": PASSWORD,
    }
    home = tmp_path_factory.mktemp("airflow")
    deployment = Deployment(home, AIRFLOW_CONN_ONTAP_DEFAULT=json.dumps(connection))
    deployment.migrate()
    try:
        for name in ("api-server", "scheduler", "dag-processor", "triggerer"):
            deployment.start(name)
        deployment.sign_in()
        yield deployment
    finally:
        deployment.stop()
    files = [path for path in home.rglob("*") if path.is_file()]
    assert home / "airflow.db" in files
    assert [path for path in files if PASSWORD.encode() in path.read_bytes()] == []
