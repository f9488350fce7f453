"""Prefect's server, a runner, and a simulated cluster, each a process or a thread of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
from anyio.from_thread import start_blocking_portal
from attrs import define
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelling, Scheduled
from pydantic import SecretStr

from common.simulator import NewJob
from ontapjobs.prefect import OntapCredentials
from ontapjobs.simulator import OntapSimulator
from tests.integrations.prefect.flows import make

ROOT = Path(__file__).parents[3]
PASSWORD = "p4ssw0rd-of-the-block"
PATIENCE = 300.0
"""Seconds after which something that must come has not come."""


def until(condition: Callable[[], Any]) -> Any:
    """Wait until something has come about, and return it."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.1)
    return found


@contextlib.contextmanager
def process(*arguments: str, log: Path, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run this interpreter, and end it after the block."""
    command, env = [sys.executable, *arguments], {**os.environ, **env}
    with (
        log.open("ab") as out,
        subprocess.Popen(command, stdout=out, stderr=out, env=env, cwd=ROOT) as running,
    ):
        try:
            yield running
        finally:
            running.terminate()


@contextlib.contextmanager
def server(home: Path, port: int) -> Iterator[str]:
    """Run a server whose database is a file in the folder; the value is its API's URL."""
    url = f"http://127.0.0.1:{port}/api"

    def answers() -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"{url}/health").is_success
        return False

    command = ("-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port))
    with process(*command, log=home / "server.log"):
        until(answers)
        yield url


@define
class Deployment:
    """A cluster, its block on the server, and the flow runs of a test."""

    api: str
    cluster: OntapSimulator
    credentials: OntapCredentials
    block: str
    folder: Path

    def add_job(self, seconds: float, end: str = "success") -> str:
        """Add a job that runs for so long, and return its id."""
        return str(self.cluster.add_job([("running", seconds), (end, None)]))

    @property
    def lists(self) -> int:
        """How many requests were for many jobs."""
        return sum("/jobs/" not in each.path for each in self.cluster.journal if each.method == "GET")

    @property
    def reads(self) -> int:
        """How many requests were for jobs."""
        return sum(each.method == "GET" for each in self.cluster.journal)

    def asked(self, jobs: Iterable[str]) -> bool:
        """Return whether each of some jobs has been asked about."""
        paths = "\n".join(each.path for each in self.cluster.journal)
        return all(job in paths for job in jobs)

    @property
    def writes(self) -> list[str]:
        """The methods of the writes that the cluster received."""
        return [each.method for each in self.cluster.journal if each.method not in ("GET", "HEAD")]

    @contextlib.contextmanager
    def runner(self) -> Iterator[subprocess.Popen[bytes]]:
        """Serve the flows of this test, as a user's process does."""
        command = ("-m", "tests.integrations.prefect.runner", self.block)
        with process(*command, log=self.folder.parent / "runner.log", PREFECT_API_URL=self.api) as running:
            until(lambda: self._deployed(make.name))
            yield running

    def _deployed(self, flow: str) -> DeploymentResponse | None:
        with get_client(sync_client=True) as client, contextlib.suppress(ObjectNotFound):
            return client.read_deployment_by_name(f"{flow}/{self.block}")
        return None

    def start(self, flow: str, **parameters: Any) -> uuid.UUID:
        """Start a run of a served flow; ``block`` and ``folder`` are parameters of all."""
        found = until(lambda: self._deployed(flow))
        with get_client(sync_client=True) as client:
            parameters |= {"block": self.block, "folder": str(self.folder)}
            return client.create_flow_run_from_deployment(found.id, parameters=parameters).id

    def read(self, run: uuid.UUID) -> FlowRun:
        """Return a flow run as the server has it."""
        with get_client(sync_client=True) as client:
            return client.read_flow_run(run)

    def cancel(self, run: uuid.UUID) -> None:
        """Cancel a flow run as a person does."""
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(run, Cancelling())

    def run_again(self, run: uuid.UUID) -> None:
        """Let the same flow run run again, as the button "Retry" does."""
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(run, Scheduled(), force=True)

    def ends(self, run: uuid.UUID) -> str:
        """Wait for the end of a flow run, and return its state's name."""

        def state() -> str | None:
            found = self.read(run).state
            return found.name if found is not None and found.is_final() else None

        return str(until(state))

    def process_of(self, flow: str) -> int:
        """Return the process of a flow that has begun."""
        path = self.folder / f"{flow}.pid"
        return int(until(lambda: path.exists() and path.read_text()))

    def kill(self, flow: str, number: signal.Signals) -> None:
        """Send a signal to the process of a flow."""
        process_id = self.process_of(flow)
        (self.folder / f"{flow}.pid").unlink()
        os.kill(process_id, number)


@contextlib.contextmanager
def deployment(api: str) -> Iterator[Deployment]:
    """Serve a cluster for one test, with its credentials in a block on the server."""
    started = NewJob([("running", 40), ("success", None)])
    cluster = OntapSimulator(users={"jobs": PASSWORD}, on_write=started, journal_limit=None)
    block = f"cluster-{uuid.uuid4().hex[:8]}"
    folder = Path(os.environ["PREFECT_HOME"], block)
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        loop = stack.enter_context(start_blocking_portal())
        url = stack.enter_context(loop.wrap_async_context_manager(cluster.serve()))
        stack.enter_context(temporary_settings({PREFECT_API_URL: api}))
        credentials = OntapCredentials(endpoint=url, user="jobs", password=SecretStr(PASSWORD))
        credentials.save(block)
        yield Deployment(api, cluster, credentials, block, folder)
