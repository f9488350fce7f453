"""BlueXP's scenario of ``jobsource demo``: backups and restores on a simulated account."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from bluexp_jobs.simulator import BlueXPSimulator
from bluexp_jobs.source import BlueXPJobs
from common.auth.credentials import Bearer
from common.cli.scenario import DemoJob, DemoSystem
from common.polling.policy import PollPolicy
from common.simulator.script import NewJob

POLICY = PollPolicy(initial=0.5, maximum=2.0)
"""Faster than the default: the demo's jobs last only seconds."""


def _volumes(*states: str) -> list[dict[str, str]]:
    return [
        {"id": f"volume-{n}", "status": state, "error": "" if state == "SUCCESS" else "snapshot is busy"}
        for n, state in enumerate(states, 1)
    ]


def _batches(states: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {"id": f"batch-{n}", "status": state, "file": [{"path": f"/home/report-{n}.txt", "size": 4096}]}
        for n, state in enumerate(states, 1)
    ]


def _restoring(done: int, *, of: int) -> dict[str, Any]:
    states = ["SUCCESS"] * done + ["IN_PROGRESS"] * (done < of) + ["PENDING"] * (of - done - 1)
    return {"batches": _batches(states)}


JOBS: tuple[tuple[str, str, NewJob], ...] = (
    (
        "backup of system A",
        "/backup/working-environment/system-a",
        NewJob([("PENDING", 1), ("IN_PROGRESS", 3), ("COMPLETED", None)]),
    ),
    (
        "backup of 3 volumes",
        "/backup/working-environment/system-b/volume",
        NewJob(
            [
                ("PENDING", 0.5),
                ("IN_PROGRESS", 2, {"volumes": _volumes("SUCCESS")}),
                ("IN_PROGRESS", 2, {"volumes": _volumes("SUCCESS", "FAILED")}),
                ("COMPLETED", None, {"volumes": _volumes("SUCCESS", "FAILED", "SUCCESS")}),
            ],
            {"type": "multi-volume-backup"},
        ),
    ),
    (
        "restore of 5 folders",
        "/restore/working-environment/system-c/file",
        NewJob(
            [("IN_PROGRESS", 1.6, _restoring(done, of=5)) for done in range(5)]
            + [("SUCCESS", None, _restoring(5, of=5))],
            {"restore": {"type": "file"}},
        ),
    ),
    (
        "restore of volume db",
        "/restore/working-environment/system-d/volume",
        NewJob(
            [("IN_PROGRESS", 3.5), ("FAILED", None, {"error": "the target has no space left"})],
            {"restore": {"type": "volume"}},
        ),
    ),
)
"""For each job: its title, the path of the write that starts it, and its script."""


@asynccontextmanager
async def scenario() -> AsyncGenerator[DemoSystem]:
    """Run a simulated account on a real socket, with its jobs started by writes."""
    simulator = BlueXPSimulator()
    async with simulator.serve() as url:

        def connect() -> BlueXPJobs:
            return BlueXPJobs(
                account=simulator.account,
                agent=simulator.agent,
                auth=Bearer("demo"),
                endpoint=url,
                policy=POLICY,
            )

        jobs: list[DemoJob] = []
        async with connect() as source:
            for title, path, job in JOBS:
                simulator.on_write = job
                (ref,) = (await source.start("POST", f"{simulator.prefix}{path}", json={})).refs
                jobs.append(DemoJob(title, ref))
        yield DemoSystem(simulator, url, connect, jobs)
