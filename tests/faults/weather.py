"""What storms are made of: the three systems under random faults, and what their journals show.

``JOBSOURCE_STORM_SEEDS`` and ``JOBSOURCE_STORM_WAITS`` make longer and larger ones; a failure names its seed.
"""

from __future__ import annotations

import os
from collections import Counter
from collections import defaultdict
from collections.abc import AsyncGenerator
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any
from typing import Unpack

import anyio
import attrs
import httpx

from bluexp_jobs import BlueXPJobs
from bluexp_jobs import ServiceAccount
from bluexp_jobs.simulator import BlueXPSimulator
from cfjobs import CFJobs
from cfjobs import UAAClientCredentials
from cfjobs.simulator import CFSimulator
from common import Bearer
from common import JobState
from common import SourceOptions
from common.events import Event
from common.events import EventKind
from common.httpsource import HttpSource
from common.simulator import Simulator
from common.simulator import faults
from common.simulator.faults import Fault
from common.simulator.matching import ids_in
from common.simulator.messages import Request
from ontapjobs import OntapJobs
from ontapjobs.simulator import OntapSimulator
from tests.contract.systems import SOURCES
from tests.contract.systems import System
from tests.contract.systems import Wire

SEEDS = int(os.environ.get("JOBSOURCE_STORM_SEEDS", "2"))
WAITS = int(os.environ.get("JOBSOURCE_STORM_WAITS", "200"))
GRACE = 0.001
"""Seconds by which a wait may miss its deadline: what rounding takes."""

Answered = tuple[float, JobState]


def _ontap(**options: Unpack[SourceOptions]) -> OntapJobs:
    return OntapJobs("cluster1.example.com", auth=Bearer("t"), **options)


def _bluexp(**options: Unpack[SourceOptions]) -> BlueXPJobs:
    robot = ServiceAccount("client", "secret")
    return BlueXPJobs(account="account-sim", agent="agent-sim", auth=robot, **options)


def _cf(**options: Unpack[SourceOptions]) -> CFJobs:
    return CFJobs("https://api.example.org", auth=UAAClientCredentials("client", "secret"), **options)


CONNECT: Mapping[str, Callable[..., HttpSource]] = {"ontap": _ontap, "bluexp": _bluexp, "cf": _cf}
SIMULATE: Mapping[str, Callable[..., Simulator]] = {
    "ontap": OntapSimulator,
    "bluexp": BlueXPSimulator,
    "cf": CFSimulator,
}
PASSING: Mapping[str, Sequence[Fault]] = {
    "ontap": [
        faults.Status(500, body={"error": {"message": "busy", "code": "262160"}}),
        faults.Status(409, body={"error": {"message": "out of quorum", "code": "393271"}}),
        faults.ShortPage(1),
        faults.ShortPage(),
        faults.IgnoreFilter(),
        faults.Status(414),
    ],
    "bluexp": [
        faults.Status(409, body={"statusCode": 409, "error": "Error", "message": "conflict"}),
        faults.ExpireTokens(),
    ],
    "cf": [
        faults.Status(400, body={"errors": [{"code": 20004, "title": "CF-Uaa", "detail": "UAA is away"}]}),
        faults.ExpireTokens(),
    ],
}
"""Trouble of the provider's own."""


class Way(Wire):
    """The way to a simulator, which notes when each request about jobs left."""

    def __init__(self, simulator: Simulator) -> None:
        super().__init__(simulator)
        self.left: list[float] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET" and "job" in request.url.path:
            self.left.append(anyio.current_time())
        return await super().handle_async_request(request)

    def peak(self, since: float = 0.0, until: float = float("inf")) -> int:
        """The most requests in any one second, of those that left between two moments."""
        times = [at for at in self.left if since <= at < until]
        most = begin = 0
        for end, at in enumerate(times):
            while times[begin] <= at - 1.0:
                begin += 1
            most = max(most, end - begin + 1)
        return most


@attrs.define
class Place:
    """One system in operation, whose sources come and go."""

    system: System
    simulator: Simulator
    way: Way
    concurrency: int = 8
    seed: int | None = None
    events: Counter[EventKind] = attrs.field(factory=Counter[EventKind])

    @classmethod
    def of(cls, system: System, seed: int | None = None, *, concurrency: int = 8, **options: Any) -> Place:
        simulator = SIMULATE[system.name](seed=seed, **options)
        return cls(system, simulator, Way(simulator), concurrency, seed)

    @asynccontextmanager
    async def source(self, **options: Any) -> AsyncGenerator[HttpSource, None]:
        connect = CONNECT[self.system.name]
        options.setdefault("concurrency", self.concurrency)
        async with connect(transport=self.way, observer=self._note, **options) as source:
            vars(source)["_random"].seed(self.seed)  # jitter too is the same in each run of a seed
            yield source

    def _note(self, event: Event) -> None:
        self.events[event.kind] += 1

    def job(self, seconds: float, end: JobState | None, **fields: Any) -> str:
        """Start a job that runs for so long and ends so (None: never), and return its id."""
        words = self.system.words
        script: list[tuple[str | None, float | None]] = [(words[JobState.RUNNING], None)]
        if end is not None:
            script = [(words[JobState.RUNNING], seconds), (words[end], None)]
        return self.simulator.add_job(script, **fields)

    def ends(self) -> list[JobState]:
        """The ways in which jobs end here."""
        return [state for state in self.system.words if state.terminal]

    def record(self) -> Record:
        """What the server has said up to now."""
        return Record.of(self.system, self.simulator.journal)


@attrs.frozen
class Record:
    """What a journal shows: which states of which jobs left the server whole, and when they were asked."""

    said: Mapping[str, Sequence[Answered]]
    missing: Mapping[str, Sequence[float]]
    """When the server said by itself that it has no such job."""
    refused: Mapping[str, Sequence[float]]
    """When it refused the credentials."""

    @classmethod
    def of(cls, system: System, journal: Sequence[Request]) -> Record:
        states = {word.casefold(): state for state, word in system.words.items()}
        said: defaultdict[str, list[Answered]] = defaultdict(list)
        missing: defaultdict[str, list[float]] = defaultdict(list)
        refused: defaultdict[str, list[float]] = defaultdict(list)
        for request in journal:
            response = request.response
            if response is None or response.cut is not None:
                continue
            if response.status == 401:
                for id in ids_in(request):
                    refused[id].append(request.at)
            try:
                data = response.json()
            except ValueError:
                continue
            if response.status == 404 or data in ({"job": []}, {"job": None}):
                for id in ids_in(request):
                    missing[id].append(request.at)
            elif response.status == 200:
                for id, word in _records(data):
                    if word.casefold() in states:
                        said[id].append((request.at, states[word.casefold()]))
        return cls(said, missing, refused)

    def shows(self, id: str, state: JobState, until: float) -> bool:
        """Whether the server had said so of this job when it was asked up to this moment."""
        return any(at <= until and said is state for at, said in self.said.get(id, ()))

    def lacks(self, id: str, until: float) -> bool:
        """Whether the server had said that it knows no such job."""
        return any(at <= until for at in self.missing.get(id, ()))

    def refuses(self, id: str, until: float) -> bool:
        """Whether the server had refused two tokens in a row, as a second one can expire on its way."""
        return sum(at <= until for at in self.refused.get(id, ())) > 1


def _records(data: Any) -> Iterator[tuple[str, str]]:
    if isinstance(data, list):
        for each in data:
            yield from _records(each)
    elif isinstance(data, dict):
        id = data.get("uuid") or data.get("guid") or data.get("id")
        word = data.get("state") or data.get("status")
        if isinstance(id, str) and isinstance(word, str):
            yield id, word
        for key in ("records", "job"):
            yield from _records(data.get(key))


def trouble(random: Random) -> list[Fault]:
    """Trouble that any system can have, and that passes."""
    return [
        faults.Status(random.choice([408, 425, 500, 502, 503])),
        faults.RetryAfter(random.choice([0, 1, 7, 30])),
        faults.RetryAfter(random.choice([1, 12]), date=True),
        faults.RetryAfter(random.choice([0, 3, 20]), status=429),
        faults.Status(429),
        faults.Html(random.choice([200, 404, 502, 504])),
        faults.ContentType("text/plain"),
        faults.Delay(random.choice([0.5, 3.0, 29.0, 31.0])),
        faults.Hang(),
        faults.CutBody(random.choice([0, 7, 10_000])),
        faults.Reset(),
        faults.Refuse(random.choice([1.0, 10.0, 45.0])),
        faults.Status(200, body=random.choice(["", "[]", "{", "null"])),
    ]


def brew(random: Random, place: Place, *, number: int = 12, lasts: float = 400.0, rough: float = 0.3) -> None:
    """Inject a random mixture: each kind from some moment on, some times, more or less likely."""
    kinds = [*trouble(random), *PASSING[place.system.name]]
    for fault in random.choices(kinds, k=number):
        once = isinstance(fault, faults.Refuse | faults.ExpireTokens)
        place.simulator.inject(
            "GET *job*",
            fault,
            times=1 if once else random.choice([1, 3, 10, 40]),
            after_seconds=random.random() * lasts,
            probability=random.uniform(0.02, rough),
        )


__all__ = [
    "GRACE",
    "SEEDS",
    "SOURCES",
    "WAITS",
    "Place",
    "Record",
    "Way",
    "brew",
]
