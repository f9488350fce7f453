"""The three systems as data: their words, their ways to say no, and how a test gets hold of one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Unpack

import anyio
import attrs
import httpx

from bluexp_jobs import BlueXPJobs
from bluexp_jobs.simulator import BlueXPSimulator
from cfjobs import CFJobs
from cfjobs.simulator import CFSimulator
from common import Bearer, Fleet, JobRef, JobState, SourceOptions
from common.model.refs import decode_segment
from common.simulator import Simulator, Step
from common.sources.fleet import Member
from common.sources.http import HttpSource
from ontapjobs import OntapJobs
from ontapjobs.simulator import OntapSimulator
from tests.common.scripted import Answer, reply

TOKEN = "s3cret-token"
NEVER_SEEN = "00000000-0000-4000-8000-000000000000"
PAGE = "<html><body>Service temporarily unavailable</body></html>"

Life = tuple[JobState | str, float | None] | tuple[JobState | str, float | None, Mapping[str, Any]]
"""A state (or a word that nobody knows), its seconds, and what changes with it."""


class Wire(httpx.AsyncBaseTransport):
    """The way to a simulator, on which a test can put other answers to the next reads and writes.

    ``sent`` are the methods of the requests that left, also of those that the simulator never saw;
    ``in_flight`` is how many are under way, and ``most`` how many ever were. ``latency`` gives the
    seconds that each takes.
    """

    in_memory = True

    def __init__(self, simulator: Simulator) -> None:
        self._inner = simulator.transport()
        self.latency: Callable[[], float] = float
        self.in_flight = 0
        self.most = 0
        self.reads: list[Answer | None] = []
        """Answers to the next GETs; None lets one through, and the simulator answers all that follow."""
        self.writes: list[Answer | None] = []
        self.sent: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request.method)
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        try:
            if seconds := self.latency():
                await anyio.sleep(seconds)
            queue = self.reads if request.method == "GET" else self.writes
            answer = queue.pop(0) if queue else None
            return await (answer or self._inner.handle_async_request)(request)
        finally:
            self.in_flight -= 1


@attrs.frozen
class System:
    """One system under test: behind its own source, or behind a `Fleet` of all three."""

    name: str
    words: Mapping[JobState, str]
    """How the system writes a state."""
    simulate: Callable[[], Simulator]
    connect: Callable[..., HttpSource]
    unauthorized: Answer
    forbidden: Answer
    refused: Answer
    """A request that is wrong, says the API."""
    stray: Answer
    """A 404 that is not the API's word on the job."""
    undecodable: Answer
    """A record of the job that asks to be read again."""
    passing: Mapping[str, Answer]
    """The provider's own words for trouble that passes."""
    failure: Mapping[str, Any]
    """What a failed job has in the simulator, and the messages of its errors."""
    messages: tuple[str, ...]
    write: tuple[str, str]
    """A request that starts a job."""
    fleet: bool = False

    @property
    def provider(self) -> str:
        """The provider whose job system it is, whatever stands before it."""
        return self.name.removeprefix("fleet-")

    def having(self, *states: JobState) -> bool:
        """Whether the system has words for these states."""
        return set(states) <= set(self.words)

    @asynccontextmanager
    async def rig(self, **options: Unpack[SourceOptions]) -> AsyncGenerator[Rig, None]:
        """A running simulator, and a source for it."""
        simulator = self.simulate()
        wire = Wire(simulator)
        options.setdefault("transport", wire)
        member = self.connect(**options)
        source: Member = member
        if self.fleet:
            first, last = (
                connect(transport=_Unreachable())
                for name, connect in CONNECT.items()
                if name != member.provider
            )
            source = Fleet([first, member, last])
        async with member:
            yield Rig(self, simulator, wire, member, source)


@attrs.frozen
class Rig:
    """One system in operation. ``source`` is what is tested; ``member`` the provider's own source."""

    system: System
    simulator: Simulator
    wire: Wire
    member: HttpSource
    source: Member

    def job(self, *life: Life, id: str | None = None, **fields: Any) -> str | JobRef:
        """Start a job that lives like this, and say how the source is asked for it."""
        self.simulator.states |= {word for word, *_ in life if not isinstance(word, JobState | None)}
        script = [
            Step(self.system.words[state] if isinstance(state, JobState) else state, seconds, *changes)
            for state, seconds, *changes in life
        ]
        return self.named(self.simulator.add_job(script, id=id, **fields))

    def named(self, id: str) -> str | JobRef:
        """A job as this source can be asked for it: a bare id would say nothing to a fleet."""
        return self.member.ref(id) if self.system.fleet else id

    def forget(self, job: str | JobRef) -> None:
        """Make the server forget the job."""
        del self.simulator.jobs[self.member.ref(job).id]

    async def write(self) -> httpx.Response:
        """Make a write that starts a job, as an application would with a client of its own."""
        method, path = self.system.write
        headers = {"Authorization": f"Bearer {TOKEN}", "x-agent-id": "agent-simclients"}
        async with httpx.AsyncClient(transport=self.simulator.transport(), headers=headers) as client:
            return await client.request(method, self.member.endpoint + path)


class _Unreachable(httpx.AsyncBaseTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise AssertionError(f"{request.url} belongs to another source")


def asked_for(request: httpx.Request) -> str:
    """The id of the job that a request is about."""
    path = request.url.raw_path.partition(b"?")[0].decode()
    return decode_segment(path.rpartition("/")[2])


def _ontap(**options: Unpack[SourceOptions]) -> OntapJobs:
    return OntapJobs("cluster1.example.com", auth=Bearer(TOKEN), **options)


def _bluexp(**options: Unpack[SourceOptions]) -> BlueXPJobs:
    return BlueXPJobs(account="account-sim", agent="agent-sim", auth=Bearer(TOKEN), **options)


def _cf(**options: Unpack[SourceOptions]) -> CFJobs:
    return CFJobs("https://api.example.org", auth=Bearer(TOKEN), **options)


CONNECT: Mapping[str, Callable[..., HttpSource]] = {"ontap": _ontap, "bluexp": _bluexp, "cf": _cf}


def _ontap_error(status: int, code: str) -> Answer:
    return reply(status, {"error": {"message": "so says ONTAP", "code": code}})


def _cf_error(status: int, code: int) -> Answer:
    return reply(status, {"errors": [{"code": code, "title": "CF-Error", "detail": "so says CF"}]})


def _bluexp_error(status: int) -> Answer:
    return reply(status, {"statusCode": status, "error": "Error", "message": "so says BlueXP"})


async def _ontap_undecodable(request: httpx.Request) -> httpx.Response:
    if request.url.path.endswith("/jobs"):  # one request for several jobs
        ids = request.url.params["uuid"].split("|")
        return httpx.Response(200, json={"records": [{"uuid": id, "state": 7} for id in ids]})
    return httpx.Response(200, json={"uuid": asked_for(request), "state": 7})


async def _bluexp_undecodable(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"job": [{"id": asked_for(request), "status": 7}]})


async def _cf_undecodable(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"guid": asked_for(request), "state": 7})


ONTAP = System(
    name="ontap",
    words={
        JobState.QUEUED: "queued",
        JobState.RUNNING: "running",
        JobState.PAUSED: "paused",
        JobState.SUCCEEDED: "success",
        JobState.FAILED: "failure",
    },
    simulate=OntapSimulator,
    connect=_ontap,
    unauthorized=_ontap_error(401, "6691623"),
    forbidden=_ontap_error(403, "6"),
    refused=_ontap_error(400, "262179"),
    stray=_ontap_error(404, "3"),
    undecodable=_ontap_undecodable,
    passing={
        "too many in progress": _ontap_error(500, "262160"),
        "RPC": _ontap_error(400, "65562"),
        "out of quorum": _ontap_error(409, "393271"),
    },
    failure={"error": {"message": "the aggregate is full", "code": "917927", "target": "uuid"}},
    messages=("the aggregate is full",),
    write=("DELETE", "/api/storage/volumes/1"),
)

BLUEXP = System(
    name="bluexp",
    words={
        JobState.QUEUED: "PENDING",
        JobState.RUNNING: "IN_PROGRESS",
        JobState.PAUSED: "PAUSED",
        JobState.SUCCEEDED: "COMPLETED",
        JobState.PARTIAL: "WARNING",
        JobState.FAILED: "FAILED",
        JobState.CANCELLED: "CANCELLED",
    },
    simulate=BlueXPSimulator,
    connect=_bluexp,
    unauthorized=_bluexp_error(401),
    forbidden=reply(403, text="Action not allowed for user"),
    refused=_bluexp_error(400),
    stray=reply(404, text=PAGE),
    undecodable=_bluexp_undecodable,
    passing={"conflict": _bluexp_error(409), "enhance your calm": _bluexp_error(420)},
    failure={
        "error": "the job failed",
        "volumes": [
            {"id": "v1", "status": "FAILED", "error": "no space in the bucket"},
            {"id": "v2", "status": "SUCCESS", "error": ""},
            {"id": "v3", "status": "FAILED", "error": "the bucket is locked"},
        ],
    },
    messages=("the job failed", "no space in the bucket", "the bucket is locked"),
    write=("POST", "/account/account-sim/providers/cloudmanager_cbs/api/v1/backup/working-environment/we-1"),
)

CF = System(
    name="cf",
    words={
        JobState.RUNNING: "PROCESSING",
        JobState.SUCCEEDED: "COMPLETE",
        JobState.FAILED: "FAILED",
    },
    simulate=CFSimulator,
    connect=_cf,
    unauthorized=_cf_error(401, 1000),
    forbidden=_cf_error(403, 10003),
    refused=_cf_error(422, 10008),
    stray=_cf_error(404, 10000),
    undecodable=_cf_undecodable,
    passing={"UAA is away": _cf_error(400, 20004), "a broker's limit": _cf_error(400, 10016)},
    failure={
        "errors": [
            {"code": 10009, "title": "CF-UnableToPerform", "detail": "the broker said no"},
            {"code": 10011, "title": "CF-Broker", "detail": "the app is still bound"},
        ]
    },
    messages=("the broker said no", "the app is still bound"),
    write=("DELETE", "/v3/apps/1cb006ee-fb05-47e1-b541-c34179ddc446"),
)

SOURCES = (ONTAP, BLUEXP, CF)
SYSTEMS = (*SOURCES, *(attrs.evolve(each, name=f"fleet-{each.name}", fleet=True) for each in SOURCES))


def systems(*states: JobState) -> list[System]:
    """All systems that have words for these states."""
    return [system for system in SYSTEMS if system.having(*states)]


def name_of(system: System) -> str:
    """What a test is called that runs on this system."""
    return system.name
