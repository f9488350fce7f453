"""Prefect in a folder of its own, with its own server; without Prefect, nothing here is collected."""

from __future__ import annotations

import importlib.util
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.profiles import HIDDEN

with socket.socket() as _server:
    _server.bind(("127.0.0.1", 0))
    PORT = int(_server.getsockname()[1])
"""Of Prefect's server."""
INSTALLED = importlib.util.find_spec("prefect") is not None
collect_ignore_glob = [] if INSTALLED else ["*"]

if INSTALLED:
    HOME = Path(tempfile.mkdtemp(prefix="prefect-"))
    # Before the first import of Prefect, which else makes a folder in the user's home.
    os.environ |= {
        "PREFECT_HOME": str(HOME),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
        "PREFECT_UI_ENABLED": "false",
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        "DO_NOT_TRACK": "1",
        "JOBSOURCE_CONFIG": str(HOME / "there-is-none.toml"),  # an error for whoever looks for profiles
    }


def pytest_configure(config: pytest.Config) -> None:
    """Prefect drops connections to its server, and leaves them to the garbage collector."""
    config.addinivalue_line("filterwarnings", f"ignore:unclosed .*'127.0.0.1', {PORT}:ResourceWarning")


@pytest.fixture
def anyio_backend() -> str:
    """Prefect is of asyncio."""
    return "asyncio"


@pytest.fixture(autouse=True)
def _hermetic(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(HIDDEN) and name != "JOBSOURCE_CONFIG":
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def api() -> Iterator[str]:
    """The URL of the server's API. After all tests, no password is anywhere in its folder."""
    from tests.integrations.prefect.deployment import PASSWORD, server

    with server(HOME, PORT) as url:
        yield url
    files = [path for path in HOME.rglob("*") if path.is_file()]
    assert HOME / "prefect.db" in files
    assert [path for path in files if b"ontap-credentials" in path.read_bytes()] != []
    assert [path for path in files if PASSWORD.encode() in path.read_bytes()] == []


@pytest.fixture
def prefect(api: str) -> Iterator[Any]:
    """A cluster and the server, for one test."""
    from tests.integrations.prefect.deployment import deployment

    with deployment(api) as found:
        yield found
