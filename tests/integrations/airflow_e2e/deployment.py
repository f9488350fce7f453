"""Airflow as it is deployed, in small: its processes, SQLite, LocalExecutor, and the REST API."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx

_T = TypeVar("_T")
DAGS = Path(__file__).parent / "dags"
COMPONENTS = {
    "api-server": ("api-server",),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
    "second triggerer": ("triggerer", "--skip-serve-logs"),
}


class Deployment:
    """The processes of one Airflow in one folder."""

    def __init__(self, home: Path, **variables: str) -> None:
        port = free_port()
        self.home = home
        self.url = f"http://127.0.0.1:{port}"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._token = ""
        self._environment = {
            **os.environ,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(),
            "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__FERNET_KEY": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__SCHEDULER__MAX_TIS_PER_QUERY": "64",
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "5",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            **variables,
        }

    def migrate(self) -> None:
        """Make the database."""
        command = [sys.executable, "-m", "airflow", "db", "migrate"]
        subprocess.run(command, check=True, env=self._environment, capture_output=True)

    def start(self, name: str) -> None:
        """Start a component, in a process group of its own."""
        command = [sys.executable, "-m", "airflow", *COMPONENTS[name]]
        with (self.home / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )

    def signal(self, name: str, number: int) -> None:
        """Send a signal to a component and its children."""
        os.killpg(self.processes[name].pid, number)

    def kill(self, name: str) -> None:
        """Kill a component and its children as a crash would."""
        self.signal(name, signal.SIGKILL)
        self.processes.pop(name).wait()

    def stop(self) -> None:
        """Kill whatever runs."""
        for name in list(self.processes):
            self.kill(name)

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Send a request to the API, and return what it answers."""
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        response = httpx.request(method, f"{self.url}{path}", json=body, headers=headers, timeout=30)
        response.raise_for_status()
        return response.json()

    def sign_in(self) -> None:
        """Get a token from the API, once it answers."""

        def token() -> str:
            try:
                return str(self.call("GET", "/auth/token").get("access_token", ""))
            except httpx.HTTPError:
                return ""

        self._token = until(token, seconds=240)

    def run(self, dag: str, **conf: object) -> Run:
        """Start a run of a DAG, once Airflow knows it."""

        def known() -> bool:
            try:
                return bool(self.call("GET", f"/api/v2/dags/{dag}"))
            except httpx.HTTPStatusError:
                return False

        until(known, seconds=120)
        body = {"logical_date": None, "conf": conf}
        run_id = self.call("POST", f"/api/v2/dags/{dag}/dagRuns", body)["dag_run_id"]
        return Run(self, dag, run_id)


class Run:
    """A run of a DAG."""

    def __init__(self, airflow: Deployment, dag: str, run_id: str) -> None:
        self.airflow = airflow
        self.dag = dag
        self.path = f"/api/v2/dags/{dag}/dagRuns/{run_id}"
        self.run_id = run_id

    @property
    def tasks(self) -> list[dict[str, Any]]:
        """The task instances."""
        tasks: list[dict[str, Any]] = self.airflow.call("GET", f"{self.path}/taskInstances?limit=100")[
            "task_instances"
        ]
        return tasks

    def states(self) -> set[str | None]:
        """The states that the tasks are in."""
        return {task["state"] for task in self.tasks}

    def wait_for(self, state: str, *, seconds: float = 180) -> None:
        """Wait until all tasks are in this state."""
        until(lambda: self.states() == {state}, seconds=seconds)

    def mark(self, state: str) -> None:
        """Do what a person does who marks the task."""
        self.airflow.call("PATCH", f"{self.path}/taskInstances/task", {"new_state": state})

    def clear(self) -> None:
        """Do what a person does who clears the task."""
        body = {"dry_run": False, "dag_run_id": self.run_id, "task_ids": ["task"], "only_failed": False}
        self.airflow.call("POST", f"/api/v2/dags/{self.dag}/clearTaskInstances", body)

    def xcom(self, key: str, task: str = "task") -> Any:
        """Return an XCom of a task."""
        return self.airflow.call(
            "GET", f"{self.path}/taskInstances/{task}/xcomEntries/{key}?deserialize=true"
        )["value"]


def until(condition: Callable[[], _T], *, seconds: float) -> _T:
    """Return what a function returns, once that is true. Raise `TimeoutError`."""
    end = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"not so within {seconds:g} s")
        time.sleep(0.5)
    return result


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
