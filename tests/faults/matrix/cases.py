"""A case of the fault matrix: one fault, injected in one phase of a call to one system."""

from __future__ import annotations

import itertools
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import attrs

from bluexp_jobs import BlueXPJobs
from bluexp_jobs.simulator import BlueXPSimulator
from cfjobs import CFJobs
from cfjobs.simulator import CFSimulator
from common import Action, Bearer, Job, JobsError, JobState, PollPolicy, wait_all
from common.simulator import Clock, Fault, Forget, Injection, Match, Request, Simulator
from common.simulator.tokens import TokenDesk
from common.sources.http import HttpSource
from ontapjobs import OntapJobs
from ontapjobs.simulator import OntapSimulator
from tests.contract.systems import Wire

JOB_SECONDS = 9.5
"""How long a job runs; it is polled once a second, from 0 s to 10 s, which is 11 times."""
WAIT_TIMEOUT = 60.0
REQUEST_TIMEOUT = 5.0

POLL_PHASES: Mapping[str, float] = {"first poll": 0.0, "mid-wait": 4.5, "last poll": JOB_SECONDS}
"""The phases of a wait: seconds after which the next poll meets the fault."""
PHASES = (*POLL_PHASES, "act", "re-read", "list", "start")
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})

Outcome = JobState | type[JobsError] | str
"""The state of a job, the exception raised, or what was listed."""


@attrs.frozen
class Target:
    """A system, and how many jobs are waited for at once."""

    name: str
    provider: str
    simulate: Callable[[], Simulator]
    connect: Callable[..., HttpSource]
    running: str
    succeeded: str
    write: tuple[str, str]
    """Method and path of a request that starts a job."""
    list_filter: Mapping[str, Any]
    """The filter that lists the jobs A and B, and not C; in it names of jobs stand for their ids."""
    jobs: int = 1


@attrs.frozen
class Rig:
    """A running simulator of a target, and a source that is connected to it."""

    target: Target
    simulator: Simulator
    wire: Wire
    source: HttpSource

    def add_job(self, seconds: float = JOB_SECONDS, **fields: Any) -> str:
        """Start a job that succeeds after ``seconds``, or never ends if they are infinite; return its id."""
        endless = math.isinf(seconds)
        script: list[tuple[str, float | None]] = [(self.target.running, None if endless else seconds)]
        return self.simulator.add_job(
            script if endless else [*script, (self.target.succeeded, None)], **fields
        )

    def writes(self) -> list[Request]:
        return [request for request in self.simulator.journal if request.method in WRITES]

    def reported_success(self, job: str) -> bool:
        """Whether the server said, in a response that was not cut, that this job succeeded."""
        return any(_reports(request, job, self.target.succeeded) for request in self.simulator.journal)


def _reports(request: Request, job: str, state: str) -> bool:
    response = request.response
    if response is None or response.status != 200 or response.cut is not None:
        return False
    data = response.json()
    records = data.get("records", data.get("job", [data])) or []
    return any(
        job in (record.get("uuid"), record.get("guid"), record.get("id"))
        and state in (record.get("state"), record.get("status"))
        for record in records
    )


@attrs.frozen
class CaseResult:
    """What happened in a case."""

    outcomes: frozenset[Outcome]
    raised: tuple[JobsError, ...]
    injection: Injection
    requests_since_fault: int
    """Requests sent from the first that met the fault on, which is included."""
    seconds: float


@asynccontextmanager
async def open_rig(target: Target) -> AsyncGenerator[Rig, None]:
    simulator = target.simulate()
    wire = Wire(simulator)
    numbers = itertools.count(1)

    async def token() -> str:
        return f"token-{next(numbers)}"  # a new one for each request, so that a rejected one is replaced

    source = target.connect(auth=Bearer(token), transport=wire, request_timeout=REQUEST_TIMEOUT)
    async with source:
        yield Rig(target, simulator, wire, source)


async def run_case(rig: Rig, phase: str, fault: Fault, *, times: int | None = 1) -> CaseResult:
    """Make the call of a phase while the fault is injected into ``times`` requests (None: into all)."""
    outcomes: set[Outcome] = set()
    raised: list[JobsError] = []
    began = anyio.current_time()
    call, match, after_seconds = await _prepare(rig, phase)
    if phase == "list" and isinstance(fault, Forget):
        fault = Forget(next(iter(rig.simulator.jobs)))
    injection = rig.simulator.inject(match, fault, times=times, after_seconds=after_seconds)
    try:
        for result in await call():
            if isinstance(result, JobsError):
                raised.append(result)
            outcomes.add(type(result) if isinstance(result, JobsError) else result)
    except JobsError as error:
        raised.append(error)
        outcomes.add(type(error))
    sent, journal = len(rig.wire.sent), rig.simulator.journal
    before = journal.index(injection.met[0]) if injection.met else sent
    seconds = anyio.current_time() - began
    return CaseResult(frozenset(outcomes), tuple(raised), injection, sent - before, seconds)


async def _prepare(
    rig: Rig, phase: str
) -> tuple[Callable[[], Awaitable[list[Outcome | JobsError]]], Match, float]:
    """Return the call of a phase, the requests that meet the fault, and after how many seconds they do."""
    target, source = rig.target, rig.source
    if phase in POLL_PHASES:
        ids = [rig.add_job() for _ in range(target.jobs)]
        rig.add_job(math.inf)  # nobody waits for this one

        async def wait() -> list[Outcome | JobsError]:
            if len(ids) == 1:
                return [_verified_state(rig, ids[0], await source.wait(ids[0], timeout=WAIT_TIMEOUT))]
            results = await wait_all(source, ids, timeout=WAIT_TIMEOUT, check=False)
            return [
                result if isinstance(result, JobsError) else _verified_state(rig, id, result)
                for id, result in zip(ids, results, strict=True)
            ]

        return wait, Match("GET"), POLL_PHASES[phase]
    if phase in ("act", "re-read"):
        id = rig.add_job(math.inf)

        async def act() -> list[Outcome | JobsError]:
            job = await source.act(id, Action.PAUSE)
            assert [request.status for request in rig.writes()][-1] == 200
            assert (job.state is JobState.UNKNOWN) == bool(job.warnings)
            return [job.state]

        return act, Match("PATCH" if phase == "act" else "GET"), 0.0
    if phase == "list":
        names = {
            rig.add_job(seconds, **({"type": kind} if target.provider == "bluexp" else {})): name
            for name, seconds, kind in (
                ("A", 3, "backup"),
                ("B", math.inf, "backup"),
                ("C", math.inf, "other"),
            )
        }
        list_filter = {
            key: [id for id, name in names.items() if name in value] if isinstance(value, list) else value
            for key, value in target.list_filter.items()
        }

        async def list_jobs() -> list[Outcome | JobsError]:
            await anyio.sleep(5)
            jobs = [job async for job in source.list(**list_filter)]
            return [", ".join(sorted(f"{names[job.ref.id]} {job.state.name.lower()}" for job in jobs))]

        return list_jobs, Match("GET"), 0.0

    async def start() -> list[Outcome | JobsError]:
        adopted = await source.start(*target.write)
        assert [ref.id for ref in adopted.refs] == list(rig.simulator.jobs)
        return ["started"]

    return start, Match(target.write[0]), 0.0


def _verified_state(rig: Rig, id: str, job: Job) -> Outcome:
    assert job.ref.id == id
    if job.state is JobState.SUCCEEDED:
        assert rig.reported_success(id), "the server never said that the job succeeded"
    return job.state


def _ontap() -> OntapSimulator:
    clock = Clock()
    return OntapSimulator(clock=clock, tokens=TokenDesk(clock, 3600))


ONTAP = Target(
    name="ontap",
    provider="ontap",
    simulate=_ontap,
    connect=lambda **options: OntapJobs("cluster1", **options),
    running="running",
    succeeded="success",
    write=("DELETE", "/api/storage/volumes/1"),
    list_filter={"uuid": ["A", "B"]},
)
BLUEXP = Target(
    name="bluexp",
    provider="bluexp",
    simulate=BlueXPSimulator,
    connect=lambda **options: BlueXPJobs(account="account-sim", agent="agent-sim", **options),
    running="IN_PROGRESS",
    succeeded="COMPLETED",
    write=("POST", "/backup/working-environment/we-1"),
    list_filter={"type": "backup"},
)
CF = Target(
    name="cf",
    provider="cf",
    simulate=CFSimulator,
    connect=lambda **options: CFJobs("https://api.example.org", policy=PollPolicy(), **options),
    running="PROCESSING",
    succeeded="COMPLETE",
    write=("DELETE", "/v3/apps/1cb006ee-fb05-47e1-b541-c34179ddc446"),
    list_filter={},
)
MANY = attrs.evolve(ONTAP, name="ontap-many", jobs=3)
TARGETS = (ONTAP, MANY, BLUEXP, CF)
