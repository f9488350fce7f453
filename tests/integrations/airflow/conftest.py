"""Airflow in a folder of its own, with a simulated ONTAP behind its default connection.

Airflow is not part of the environment of the other tests: without it, nothing here is collected.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal

from ontapjobs.simulator import OntapSimulator

HERE = Path(__file__).parent
EXAMPLES = Path(__file__).parents[3] / "docs" / "examples" / "airflow"
PASSWORD = "p4ssw0rd-of-the-connection"
INSTALLED = importlib.util.find_spec("airflow") is not None
collect_ignore_glob = [] if INSTALLED else ["*"]

if INSTALLED:
    HOME = Path(tempfile.mkdtemp(prefix="airflow-"))
    shutil.copytree(HERE / "dags", HOME / "dags")
    shutil.copytree(EXAMPLES, HOME / "dags" / "examples")
    # Before the first import of Airflow, which else makes a folder in the user's home.
    os.environ |= {
        "AIRFLOW_HOME": str(HOME),
        "AIRFLOW__CORE__DAGS_FOLDER": str(HOME / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "JOBSOURCE_CONFIG": str(HOME / "there-is-none.toml"),  # an error for whoever looks for profiles
    }


@pytest.fixture(scope="session")
def airflow_home() -> Iterator[Path]:
    """Airflow's folder, with its database. After all tests, the password is nowhere in it."""
    command = [sys.executable, "-m", "airflow", "db", "migrate"]
    subprocess.run(command, check=True, capture_output=True)
    yield HOME
    files = [path for path in HOME.rglob("*") if path.is_file()]
    assert HOME / "airflow.db" in files
    assert [path for path in files if PASSWORD.encode() in path.read_bytes()] == []


@pytest.fixture
def ontap(airflow_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OntapSimulator]:
    """A simulated cluster, served in a thread; ``ontap_default`` is the connection to it."""
    simulator = OntapSimulator(users={"admin": PASSWORD}, journal_limit=None)
    with start_blocking_portal() as loop, loop.wrap_async_context_manager(simulator.serve()) as url:
        connection = {"conn_type": "ontap", "host": url, "login": "admin", "password": PASSWORD}
        monkeypatch.setenv("AIRFLOW_CONN_ONTAP_DEFAULT", json.dumps(connection))
        yield simulator
