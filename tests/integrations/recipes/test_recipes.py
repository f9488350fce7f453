"""The recipes run, lose a process in the middle, and go on: every job is told, and no write is sent twice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from common import from_dict
from common.simulator import NewJob
from tests.integrations.cluster import PATIENCE, Cluster, until
from tests.integrations.recipes.programs import EXAMPLES, Programs

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("recipe", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_a_recipe_fits_on_a_screen_or_two(recipe: Path) -> None:
    assert len(recipe.read_text(encoding="utf-8").splitlines()) <= 60


def test_a_script_waits_and_its_exit_says_how_it_went(cluster: Cluster, programs: Programs) -> None:
    script = programs.start("script.py", cluster.add_job(1), cluster.add_job(0))
    assert script.wait(PATIENCE) == 0
    script = programs.start("script.py", cluster.add_job(0, "failure"), cluster.add_job(0))
    assert script.wait(PATIENCE) == 1
    assert "FAILED" in programs.line(script)


def test_an_interrupted_script_ends_and_leaves_its_job_alone(cluster: Cluster, programs: Programs) -> None:
    script = programs.start("script.py", cluster.add_job(3600))
    until(lambda: cluster.reads)
    script.send_signal(signal.SIGINT)
    assert script.wait(PATIENCE) == -signal.SIGINT
    assert cluster.writes == []


def test_celery_goes_on_with_another_worker(cluster: Cluster, programs: Programs, tmp_path: Path) -> None:
    for name in ("queue", "results"):
        (tmp_path / name).mkdir()
    programs.environment["BROKER_FOLDER"] = str(tmp_path)
    refs = [cluster.add_job(12) for _ in range(100)]
    worker = ("-m", "celery", "-A", "celery_tasks", "worker", "--concurrency", "1", "--loglevel", "WARNING")
    first = programs.start(*worker)
    ask = "import sys, json, celery_tasks as c; print(json.dumps(c.wait_for_jobs.delay(sys.argv[1:]).get()))"
    client = programs.start("-c", ask, *refs)
    until(lambda: cluster.reads)
    first.send_signal(signal.SIGTERM)
    first.wait(PATIENCE)
    programs.start(*worker)
    ended: dict[str, Any] = json.loads(programs.line(client))
    assert sorted(ended) == sorted(refs)
    assert all(from_dict(outcome).succeeded for outcome in ended.values())
    print(f"Celery: {len(cluster.lists)} lists, {len(cluster.reads)} reads")
    assert len(cluster.reads) == len(cluster.lists) < 40
    assert cluster.writes == []


def test_dask_goes_on_without_a_worker_that_was_killed(cluster: Cluster, programs: Programs) -> None:
    program = programs.start("dask_set.py")
    _, *workers = programs.line(program).split()
    programs.send(program, "\n".join(cluster.add_job(10) for _ in range(1000)))
    until(lambda: len(cluster.reads) >= 14)  # both have asked for their half
    os.kill(int(workers[0]), signal.SIGKILL)
    assert programs.line(program) == "states succeeded"
    assert programs.line(program) == "ended 1000"
    print(f"Dask: {len(cluster.lists)} lists, {len(cluster.reads)} reads")
    assert len(cluster.reads) == len(cluster.lists) < 250
    assert cluster.writes == []


@pytest.mark.skipif(shutil.which("unshare") is None, reason="Ray wants a network namespace of its own")
def test_ray_starts_an_actor_anew_that_was_killed() -> None:
    unshare = ["unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    tried = subprocess.run([*unshare, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"Ray wants a network namespace of its own: {tried.stderr.strip()}")
    command = [*unshare, sys.executable, "-m", "tests.integrations.recipes.ray_alone"]
    done = subprocess.run(command, cwd=EXAMPLES.parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    print(f"Ray: {told}")
    assert told["lines"] == ["states succeeded", "ended 1000"]
    assert told["lists"] <= told["reads"] <= told["lists"] + 3  # a job that is due alone is read alone
    assert told["lists"] < 250
    assert told["writes"] == []


def test_a_service_that_was_killed_knows_its_jobs_and_writes_nothing_again(
    cluster: Cluster, programs: Programs, tmp_path: Path
) -> None:
    cluster.simulator.on_write = NewJob([("running", 8), ("success", None)])
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
    programs.environment["DATABASE"] = str(tmp_path / "jobs.db")
    service = ("-m", "uvicorn", "fastapi_service:app", "--port", str(port), "--log-level", "error")

    def ask(method: str, name: str) -> Any:
        try:
            return httpx.request(method, f"http://127.0.0.1:{port}/volumes/{name}").json()
        except httpx.TransportError:
            return None

    names = ("vol1", "vol2")
    first = programs.start(*service)
    before = [until(partial(ask, "PUT", name)) for name in names]
    until(lambda: ask("GET", "vol2")["last"])
    first.kill()
    first.wait()
    programs.start(*service)
    again = [until(partial(ask, "PUT", name)) for name in names]
    assert [each["ref"] for each in again] == [each["ref"] for each in before]
    until(lambda: all(ask("GET", name)["ended"] for name in names))
    for name in names:
        assert from_dict(json.loads(ask("GET", name)["ended"])).succeeded
    assert cluster.writes == ["POST", "POST"]


def test_the_successor_of_a_leader_that_was_killed_takes_its_jobs_over(
    cluster: Cluster, programs: Programs, tmp_path: Path
) -> None:
    programs.environment["FOLDER"] = str(tmp_path)
    leader = programs.start("leader.py")
    assert programs.line(leader) == "leader"
    successor = programs.start("leader.py")
    database = sqlite3.connect(tmp_path / "jobs.db", isolation_level=None)
    refs = [cluster.add_job(6) for _ in range(100)]
    database.execute("BEGIN")
    database.executemany("INSERT INTO jobs (ref) VALUES (?)", [(ref,) for ref in refs])
    database.execute("COMMIT")
    until(lambda: cluster.reads)
    leader.kill()
    assert programs.line(successor) == "leader"
    count = "SELECT count(*) FROM jobs WHERE outcome IS NOT NULL"
    until(lambda: database.execute(count).fetchone() == (len(refs),))
    outcomes = database.execute("SELECT outcome FROM jobs").fetchall()
    database.close()
    assert all(from_dict(json.loads(outcome)).succeeded for (outcome,) in outcomes)
    assert len(cluster.reads) == len(cluster.lists) < 40
    assert cluster.writes == []
