"""How often a call goes from one file of ours to another: ``python -m tests.benchmarks.walk``, one JSON line.

A *change of file* is a call whose frame's file differs from the file of the call before it. The calls are the
``call`` events of `sys.setprofile`, resumed coroutines and generators among them; the first call of a walk,
before which there is none, is no change. Calls count where the frame's file is in one of our four packages,
but for the simulators (``simulator/`` and ``simulator.py``) and for the code of modules that are being
imported (``<module>``). All other frames are as if they were not there: those of other libraries, of the
standard library, and of methods that attrs wrote, which belong to no file.

Two walks are counted, each at its second time in the process, when all modules are imported:

- ``wait``: `OntapJobs.wait` for one job by its id, on asyncio, over the transport of a simulator in the same
  process. The job has ended, so that the wait costs exactly one request. It is the first wait of its source,
  which makes a poller and a client for it; another source has waited before.
- ``connect``: ``connect(profile=…)`` for a profile of ONTAP that takes its password from a variable.

Nothing is timed, so the numbers are the same on any machine. Versions of Python differ by a few.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any
from unittest import mock

import bluexp_jobs
import cfjobs
import common
import ontapjobs
from common import connect
from ontapjobs import OntapJobs
from ontapjobs.simulator import OntapSimulator
from tests.benchmarks.harness import Report, Row, python

FOLDERS = tuple(Path(str(package.__file__)).parent for package in (common, ontapjobs, bluexp_jobs, cfjobs))
GOALS = {"wait": 75, "connect": 70}
PROFILE = """
[profiles.prod]
endpoint = "ontap://cluster1.example.com"
user = "admin"
password = { env = "PROD_PASSWORD" }
"""


class Walk:
    """The changes of file while it is `followed`."""

    def __init__(self) -> None:
        self.changes = 0
        self._file: str | None = None
        self._ours: dict[str, bool] = {}

    @contextmanager
    def followed(self) -> Generator[None]:
        """Count in this thread until the block is left."""
        before = sys.getprofile()
        sys.setprofile(self._heard)
        try:
            yield
        finally:
            sys.setprofile(before)

    def _heard(self, frame: FrameType, event: str, _: Any) -> None:
        file = frame.f_code.co_filename
        if event != "call" or frame.f_code.co_name == "<module>" or not self._is_ours(file):
            return
        if self._file not in (None, file):
            self.changes += 1
        self._file = file

    def _is_ours(self, file: str) -> bool:
        if file not in self._ours:
            path = Path(file)
            ours = any(path.is_relative_to(folder) for folder in FOLDERS)
            self._ours[file] = ours and "simulator" not in (path.stem, *(part.name for part in path.parents))
        return self._ours[file]


async def _wait() -> int:
    simulator = OntapSimulator()
    job = simulator.add_job([("success", None)])
    walk = Walk()
    async with OntapJobs("https://cluster1", auth=("u", "p"), transport=simulator.transport()) as source:
        with walk.followed():
            await source.wait(job)
    if len(simulator.journal) != 1:
        raise RuntimeError(f"the wait was to cost one request, and took {len(simulator.journal)}")
    return walk.changes


def wait_walk() -> int:
    """The changes of file in a wait that costs one request."""
    asyncio.run(_wait())
    return asyncio.run(_wait())


def connect_walk() -> int:
    """The changes of file in a ``connect`` by a profile."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("JOBSOURCE_", "ONTAP_"))}
    walk = Walk()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "profiles.toml"
        file.write_text(PROFILE, encoding="utf-8")
        own |= {"JOBSOURCE_CONFIG": str(file), "PROD_PASSWORD": "secret", "JOBSOURCE_HTTP": "httpx"}
        with mock.patch.dict(os.environ, own, clear=True):
            connect(profile="prod")
            with walk.followed():
                connect(profile="prod")
    return walk.changes


def walks(report: Report) -> None:
    found = python("-m", "tests.benchmarks.walk", limit=60.0)
    rows: list[Row] = [
        {"call": name, "changes": found.get(name), "failed": found.get("failed")} for name in GOALS
    ]
    report.table(
        "Changes of file from call to call, within our packages", rows, {"call": str, "changes": str}
    )
    for name, most in GOALS.items():
        report.goal(f"changes of file in a {name}", found.get(name), most)


if __name__ == "__main__":
    sys.stdout.write(json.dumps({"wait": wait_walk(), "connect": connect_walk()}) + "\n")
