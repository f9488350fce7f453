"""What a fault is tried on: a simulated system and its source, and what is done in each phase."""

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
from common import Action, Bearer, Job, JobsError, JobState, wait_all
from common.simulator import Clock, Fault, Forget, Injection, Match, Request, Simulator
from common.simulator.tokens import TokenDesk
from common.sources.http import HttpSource
from ontapjobs import OntapJobs
from ontapjobs.simulator import OntapSimulator
from tests.contract.systems import Wire

RUN = 9.5
"""Seconds that a job takes; it is asked about once a second, from 0 to 10, which is 11 times."""
DEADLINE = 60.0
REQUEST_TIMEOUT = 5.0

POLL_PHASES: Mapping[str, float] = {"first poll": 0.0, "mid-wait": 4.5, "last poll": RUN}
"""From when on a poll meets the fault, in seconds."""
PHASES = (*POLL_PHASES, "act", "re-read", "list", "start")
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})

Outcome = JobState | type[JobsError] | str
"""The state of a job, the exception raised, or what was listed."""


@attrs.frozen
class Column:
    """A system, and how many jobs are waited for at once."""

    name: str
    provider: str
    simulate: Callable[[], Simulator]
    connect: Callable[..., HttpSource]
    running: str
    succeeded: str
    write: tuple[str, str]
    asked: Mapping[str, Any]
    """The filter of a list by which A and B are asked for, and not C; ids are filled in for names."""
    jobs: int = 1


@attrs.frozen
class Bench:
    """A column in operation."""

    column: Column
    sim: Simulator
    wire: Wire
    source: HttpSource

    def job(self, seconds: float = RUN, **fields: Any) -> str:
        endless = math.isinf(seconds)
        script: list[tuple[str, float | None]] = [(self.column.running, None if endless else seconds)]
        return self.sim.add_job(script if endless else [*script, (self.column.succeeded, None)], **fields)

    def writes(self) -> list[Request]:
        return [request for request in self.sim.journal if request.method in WRITES]

    def shows_success(self, job: str) -> bool:
        """Whether the server has ever told of this job, in a whole reply, that it succeeded."""
        return any(_tells(request, job, self.column.succeeded) for request in self.sim.journal)


def _tells(request: Request, job: str, word: str) -> bool:
    reply = request.response
    if reply is None or reply.status != 200 or reply.cut is not None:
        return False
    found = reply.json()
    records = found.get("records", found.get("job", [found])) or []
    return any(
        job in (record.get("uuid"), record.get("guid"), record.get("id"))
        and word in (record.get("state"), record.get("status"))
        for record in records
    )


@attrs.frozen
class Result:
    """What came of it."""

    outcomes: frozenset[Outcome]
    raised: tuple[JobsError, ...]
    injection: Injection
    after: int
    """Requests that left from the one on that met the fault first."""
    sent: int
    ended: float


@asynccontextmanager
async def bench(column: Column) -> AsyncGenerator[Bench, None]:
    sim = column.simulate()
    wire = Wire(sim)
    numbers = itertools.count(1)

    async def token() -> str:
        return f"token-{next(numbers)}"  # another one for each request: one that was refused is replaced

    source = column.connect(auth=Bearer(token), transport=wire, request_timeout=REQUEST_TIMEOUT)
    async with source:
        yield Bench(column, sim, wire, source)


async def attempt(bench: Bench, phase: str, fault: Fault, *, times: int | None = 1) -> Result:
    """Do what the phase is about, while the fault shows."""
    outcomes: set[Outcome] = set()
    raised: list[JobsError] = []
    began = anyio.current_time()
    prepare, match, after_seconds = await _prepared(bench, phase)
    if phase == "list" and isinstance(fault, Forget):
        fault = Forget(next(iter(bench.sim.jobs)))
    injection = bench.sim.inject(match, fault, times=times, after_seconds=after_seconds)
    try:
        for one in await prepare():
            if isinstance(one, JobsError):
                raised.append(one)
            outcomes.add(type(one) if isinstance(one, JobsError) else one)
    except JobsError as error:
        raised.append(error)
        outcomes.add(type(error))
    sent, journal = len(bench.wire.sent), bench.sim.journal
    before = journal.index(injection.met[0]) if injection.met else sent
    ended = anyio.current_time() - began
    return Result(frozenset(outcomes), tuple(raised), injection, sent - before, sent, ended)


async def _prepared(
    bench: Bench, phase: str
) -> tuple[Callable[[], Awaitable[list[Outcome | JobsError]]], Match, float]:
    column, source = bench.column, bench.source
    if phase in POLL_PHASES:
        ids = [bench.job() for _ in range(column.jobs)]
        bench.job(math.inf)  # one that nobody waits for

        async def wait() -> list[Outcome | JobsError]:
            if len(ids) == 1:
                return [await _ended(bench, ids[0], await source.wait(ids[0], timeout=DEADLINE))]
            done = await wait_all(source, ids, timeout=DEADLINE, check=False)
            return [
                one if isinstance(one, JobsError) else await _ended(bench, id, one)
                for id, one in zip(ids, done, strict=True)
            ]

        return wait, Match("GET"), POLL_PHASES[phase]
    if phase in ("act", "re-read"):
        id = bench.job(math.inf)

        async def act() -> list[Outcome | JobsError]:
            job = await source.act(id, Action.PAUSE)
            assert [request.status for request in bench.writes()][-1] == 200
            assert (job.state is JobState.UNKNOWN) == bool(job.warnings)
            return [job.state]

        return act, Match("PATCH" if phase == "act" else "GET"), 0.0
    if phase == "list":
        names = {
            bench.job(seconds, **({"type": kind} if column.provider == "bluexp" else {})): name
            for name, seconds, kind in (
                ("A", 3, "backup"),
                ("B", math.inf, "backup"),
                ("C", math.inf, "other"),
            )
        }
        filled = {
            key: [id for id, name in names.items() if name in value] if isinstance(value, list) else value
            for key, value in column.asked.items()
        }

        async def listing() -> list[Outcome | JobsError]:
            await anyio.sleep(5)
            jobs = [job async for job in source.list(**filled)]
            return [", ".join(sorted(f"{names[job.ref.id]} {job.state.name.lower()}" for job in jobs))]

        return listing, Match("GET"), 0.0

    async def start() -> list[Outcome | JobsError]:
        started = await source.start(*column.write)
        assert [ref.id for ref in started.refs] == list(bench.sim.jobs)
        return ["started"]

    return start, Match(column.write[0]), 0.0


async def _ended(bench: Bench, id: str, job: Job) -> Outcome:
    assert job.ref.id == id
    if job.state is JobState.SUCCEEDED:
        assert bench.shows_success(id), "a success that the server never told of"
    return job.state


def _ontap() -> OntapSimulator:
    clock = Clock()
    return OntapSimulator(clock=clock, tokens=TokenDesk(clock, 3600))


ONTAP = Column(
    name="ontap",
    provider="ontap",
    simulate=_ontap,
    connect=lambda **options: OntapJobs("cluster1", **options),
    running="running",
    succeeded="success",
    write=("DELETE", "/api/storage/volumes/1"),
    asked={"uuid": ["A", "B"]},
)
BLUEXP = Column(
    name="bluexp",
    provider="bluexp",
    simulate=BlueXPSimulator,
    connect=lambda **options: BlueXPJobs(account="account-sim", agent="agent-sim", **options),
    running="IN_PROGRESS",
    succeeded="COMPLETED",
    write=("POST", "/backup/working-environment/we-1"),
    asked={"type": "backup"},
)
CF = Column(
    name="cf",
    provider="cf",
    simulate=CFSimulator,
    connect=lambda **options: CFJobs("https://api.example.org", **options),
    running="PROCESSING",
    succeeded="COMPLETE",
    write=("DELETE", "/v3/apps/1cb006ee-fb05-47e1-b541-c34179ddc446"),
    asked={},
)
MANY = attrs.evolve(ONTAP, name="ontap-many", jobs=3)
COLUMNS = (ONTAP, MANY, BLUEXP, CF)
