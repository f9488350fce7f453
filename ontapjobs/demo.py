"""ONTAP's scenario of ``jobsource demo``: writes to a simulated cluster, and the jobs that they start."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from common.cli.scenario import DemoJob, DemoSystem
from common.polling.policy import PollPolicy
from common.simulator.script import NewJob
from ontapjobs.simulator import OntapSimulator
from ontapjobs.source import OntapJobs

POLICY = PollPolicy(initial=0.5, maximum=2.0, gone_grace=2.0)
"""Faster than the default: the demo's jobs last only seconds."""

_NO_SPACE: dict[str, Any] = {
    "message": "aggregate aggr1 has not enough space",
    "code": 787140,
    "error": {"message": "aggregate aggr1 has not enough space", "code": "787140", "target": "size"},
}

JOBS: tuple[tuple[str, str, str, NewJob, float | None, float | None], ...] = (
    (
        "create volume vol1",
        "POST",
        "/api/storage/volumes",
        NewJob([("queued", 0.8), ("running", 2.2, {"message": "creating vol1"}), ("success", None)]),
        None,
        None,
    ),
    (
        "move volume vol2",
        "PATCH",
        "/api/storage/volumes/vol2",
        NewJob(
            [
                ("queued", 0.4),
                ("running", 3, {"message": "transferring", "code": 2432849}),
                ("running", 4, {"message": "cutover is complete"}),
                ("success", None, {"message": "success"}),
            ]
        ),
        None,
        3.5,
    ),
    (
        "grow volume vol3",
        "PATCH",
        "/api/storage/volumes/vol3",
        NewJob([("running", 2.5, {"message": "resizing"}), ("failure", None, _NO_SPACE)]),
        None,
        None,
    ),
    (
        "split clone dev7",
        "PATCH",
        "/api/storage/volumes/dev7",
        NewJob([("running", 60, {"message": "splitting"}), ("success", None)]),
        4.0,
        None,
    ),
)
"""For each job: its title, the method and path of the write that starts it, its script, and the seconds after
which it is cancelled, and after which it is forgotten (None: never)."""


@asynccontextmanager
async def scenario() -> AsyncGenerator[DemoSystem]:
    """Run a simulated cluster on a real socket, with its jobs started by writes."""
    simulator = OntapSimulator()
    async with simulator.serve() as url:

        def connect() -> OntapJobs:
            return OntapJobs(url, auth=("admin", "demo"), policy=POLICY)

        jobs: list[DemoJob] = []
        async with connect() as source:
            for title, method, path, job, cancel_after, forget_after in JOBS:
                simulator.on_write = job
                (ref,) = (await source.start(method, path, json={})).refs
                jobs.append(DemoJob(title, ref, cancel_after, forget_after))
        yield DemoSystem(simulator, url, connect, jobs)
