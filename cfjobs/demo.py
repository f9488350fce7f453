"""Cloud Foundry's scenario of ``jobsource demo``: deletes and creates on a simulated foundation."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from cfjobs.simulator import CFSimulator
from cfjobs.source import CFJobs
from common.auth.credentials import Bearer
from common.cli.scenario import DemoJob, DemoSystem
from common.polling.policy import PollPolicy
from common.simulator.script import NewJob

POLICY = PollPolicy(initial=0.5, maximum=2.0)
"""Faster than the default: the demo's jobs last only seconds."""

_ERRORS = [
    {"code": 10009, "title": "CF-UnableToPerform", "detail": "delete could not be completed: broker is down"},
    {"code": 10008, "title": "CF-UnprocessableEntity", "detail": "2 service keys still exist"},
]
_WARNINGS = ["Deletion of service db-1 is still in progress.", "Routes are kept."]

JOBS: tuple[tuple[str, str, str, NewJob], ...] = (
    ("delete app shop", "DELETE", "/v3/apps/shop", NewJob([("PROCESSING", 2), ("COMPLETE", None)])),
    (
        "create service db-2",
        "POST",
        "/v3/service_instances",
        NewJob([("PROCESSING", 1), ("POLLING", 6), ("COMPLETE", None)]),
    ),
    (
        "delete org acme",
        "DELETE",
        "/v3/organizations/acme",
        NewJob(
            [
                ("PROCESSING", 2),
                ("PROCESSING", 3, {"warnings": _WARNINGS}),
                ("FAILED", None, {"errors": _ERRORS}),
            ]
        ),
    ),
    (
        "apply manifest",
        "POST",
        "/v3/spaces/dev/actions/apply_manifest",
        NewJob([("PROCESSING", 4), ("COMPLETE", None, {"warnings": ["buildpack is deprecated"]})]),
    ),
)
"""For each job: its title, the method and path of the write that starts it, and its script."""


@asynccontextmanager
async def scenario() -> AsyncGenerator[DemoSystem]:
    """Run a simulated foundation on a real socket, with its jobs started by writes."""
    simulator = CFSimulator()
    async with simulator.serve() as url:

        def connect() -> CFJobs:
            return CFJobs(url, auth=Bearer("demo"), policy=POLICY)

        jobs: list[DemoJob] = []
        async with connect() as source:
            for title, method, path, job in JOBS:
                simulator.on_write = job
                (ref,) = (await source.start(method, path)).refs
                jobs.append(DemoJob(title, ref))
        yield DemoSystem(simulator, url, connect, jobs)
