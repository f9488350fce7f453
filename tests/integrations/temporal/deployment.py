"""Temporal's development server, workers and a simulated cluster, each a process or a thread of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
from attrs import field, frozen
from temporalio.client import Client, WorkflowHandle

from ontapjobs.simulator import OntapSimulator
from ontapjobs.temporal import JobsPlugin

ROOT = Path(__file__).parents[3]
PASSWORD = "p4ssw0rd-of-the-worker"
PATIENCE = 60.0
"""Seconds after which something that must come has not come."""


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


@contextlib.contextmanager
def server(binary: str, folder: Path) -> Iterator[str]:
    """Run a server whose database is a file in the folder; the value is its address."""
    address = f"127.0.0.1:{free_port()}"
    command = [binary, "server", "start-dev", "--headless", "--port", address.rpartition(":")[2]]
    command += ["--ip", "127.0.0.1", "--db-filename", str(folder / "temporal.db"), "--log-level", "never"]
    env = {**os.environ, "HOME": str(folder), "DO_NOT_TRACK": "1"}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env) as process:
        try:
            yield address
        finally:
            process.terminate()


async def connect(address: str) -> Client:
    """Return a client, once the server answers."""
    with anyio.fail_after(PATIENCE):
        while True:
            try:
                return await Client.connect(address, plugins=[JobsPlugin()])
            except RuntimeError:
                await anyio.sleep(0.2)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something has come about."""
    for _ in range(round(PATIENCE / 0.05)):
        if condition():
            return
        await anyio.sleep(0.05)
    raise TimeoutError


@frozen
class Deployment:
    """A cluster, a client, and a task queue with the workers that were started for it."""

    client: Client
    address: str
    cluster: OntapSimulator
    target: str
    systems: dict[str, dict[str, str]]
    """The settings of the workers' systems, by target."""
    task_queue: str = field(factory=lambda: uuid.uuid4().hex)
    workers: list[subprocess.Popen[str]] = field(factory=list)

    async def start_worker(self) -> None:
        """Start one more worker, and wait until it runs."""
        worker = self._run("tests.integrations.temporal.worker")
        self.workers.append(worker)
        assert worker.stdout is not None
        with anyio.fail_after(PATIENCE):
            assert await anyio.to_thread.run_sync(worker.stdout.readline) == "ready\n"

    def _run(self, module: str) -> subprocess.Popen[str]:
        arguments = [self.address, self.task_queue, json.dumps(self.systems)]
        command = [sys.executable, "-m", module, *arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)

    async def end_worker(self, number: signal.Signals) -> None:
        """Send a signal to the oldest worker, and wait for its end."""
        worker = self.workers.pop(0)
        worker.send_signal(number)
        with anyio.fail_after(PATIENCE):
            await anyio.to_thread.run_sync(worker.wait)
        if worker.stdout is not None:
            worker.stdout.close()
        if number is signal.SIGTERM:
            assert worker.returncode == 0

    def set_of(self, shard: int = 0) -> WorkflowHandle[Any, Any]:
        """Return the workflow of the cluster's set."""
        return self.client.get_workflow_handle(f"jobsource.Jobs {self.target} {shard}")

    def add_job(self, seconds: float, end: str = "success") -> str:
        """Add a job that runs for so long, and return its ref."""
        return f"{self.target}{self.cluster.add_job([('running', seconds), (end, None)])}"

    async def start(self, workflow: Any, *args: Any) -> WorkflowHandle[Any, Any]:
        """Start a workflow."""
        return await self.client.start_workflow(
            workflow, args=args, id=uuid.uuid4().hex, task_queue=self.task_queue
        )

    @property
    def reads(self) -> list[str]:
        """The paths that were read, with their queries."""
        return [each.path for each in self.cluster.journal if each.method == "GET"]

    @property
    def lists(self) -> int:
        """How often the cluster was asked for several jobs."""
        return sum(map(self.cluster.is_list, self.cluster.journal))

    @property
    def writes(self) -> list[str]:
        """The methods of the writes that the cluster received."""
        return [each.method for each in self.cluster.journal if each.method not in ("GET", "HEAD")]


@contextlib.asynccontextmanager
async def deployment(address: str) -> AsyncIterator[Deployment]:
    """Serve a cluster for one test, with no worker at first; end all workers after it."""
    cluster = OntapSimulator(users={"jobs": PASSWORD}, journal_limit=None)
    async with cluster.serve() as url:
        target = f"{url.replace('http://', 'ontap+http://')}/"
        systems = {target: {"user": "jobs", "password": PASSWORD}}
        found = Deployment(await connect(address), address, cluster, target, systems)
        try:
            yield found
        finally:
            with anyio.CancelScope(shield=True):
                while found.workers:
                    await found.end_worker(signal.SIGKILL)
