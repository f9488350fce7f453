"""What else goes on in a storm: reads, lists, actions and writes, held to what the journal shows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from random import Random
from typing import Literal

import anyio
import attrs

from common import (
    Action,
    ActionRefused,
    ActionUncertain,
    Adopted,
    AuthenticationError,
    Capability,
    Job,
    JobNotFound,
    JobsError,
    JobState,
    PollPolicy,
    SourceError,
)
from common.simulator import NewJob, Request, faults
from common.sources.http import HttpSource
from tests.faults.chaos.history import GRACE, Evidence
from tests.faults.chaos.recording_transport import TRIP, WHO, Trip
from tests.faults.chaos.system_under_test import Place
from tests.faults.chaos.workload import Course, Plan, follow

Kind = Literal["get", "list", "pause", "resume", "start"]


@attrs.define(eq=False)
class Errand:
    """One call that is no wait, and what came of it."""

    kind: Kind
    starts: float
    job: str
    """The job that it is about; for a write the path."""
    began: float = -1.0
    ended: float = -1.0
    found: tuple[Job, ...] = ()
    adopted: Adopted | None = None
    error: JobsError | None = None


@attrs.define
class Desk:
    """The errands of one storm, and the jobs that the server started for them."""

    place: Place
    endless: list[str]
    started: dict[str, list[str]] = attrs.field(factory=dict[str, list[str]])
    """The ids by the path of the write."""
    _numbers: Iterator[int] = attrs.field(factory=itertools.count)

    @classmethod
    def of(cls, random: Random, place: Place) -> Desk:
        """A desk that answers the writes of this place."""
        desk = cls(place, [place.job(0.0, None) for _ in range(4)])

        def start(request: Request) -> NewJob:
            id = place.simulator.new_id()
            desk.started.setdefault(request.path, []).append(id)
            return NewJob(place.script(random.choice([0.5, 20.0, 90.0]), random.choice(place.ends())), id=id)

        place.simulator.on_write = start
        return desk

    def errands(self, random: Random, number: int, source: HttpSource) -> list[Errand]:
        """Errands over the first minutes, of the kinds that the system knows."""
        kinds = list[Kind](("get", "start"))
        if Capability.LIST in source.capabilities:
            kinds.append("list")
        if Capability.PAUSE in source.capabilities:
            kinds.extend(("pause", "resume"))
        made: list[Errand] = []
        for _ in range(number):
            kind = random.choice(kinds)
            about = (
                f"{self._collection(source)}{next(self._numbers)}"
                if kind == "start"
                else random.choice(self.endless)
            )
            made.append(Errand(kind, random.random() * 400, about))
        return made

    def _collection(self, source: HttpSource) -> str:
        _, path = self.place.system.write
        return path.rstrip("0123456789") if source.provider != "cf" else "/v3/apps/"

    def check(self, errands: Sequence[Errand], trips: Sequence[Trip], evidence: Evidence) -> None:
        """Whether each told what the server said, and sent no write twice."""
        for errand in errands:
            if errand.ended < 0:
                continue  # cut, or never begun
            own = [trip for trip in trips if trip.who is errand and not _signs_in(trip)]
            try:
                self._check(errand, own, evidence)
            except AssertionError as error:
                error.add_note(f"{errand}\n" + "\n".join(map(str, own)))
                raise

    def _check(self, errand: Errand, own: Sequence[Trip], evidence: Evidence) -> None:
        writes = [trip for trip in own if trip.method != "GET" and trip.fate != "401"]
        assert len(writes) <= 1, "a write was sent twice"
        started = self.started.get(errand.job, [])
        assert len(started) <= 1
        if errand.adopted is not None and not errand.adopted.refs:
            last = evidence.replies[own[-1]]
            assert last.status < 300, "the write was refused"
            assert not last.sent, "the reply named a job"
        elif errand.adopted is not None:
            assert [ref.id for ref in errand.adopted.refs] == started
        if errand.error is not None:
            self._check_error(errand, errand.error, own, evidence)
        for job in errand.found:
            unread = errand.kind in {"pause", "resume"} and job.state is JobState.UNKNOWN and job.warnings
            assert unread or self._told(errand, job, own, evidence), "the server never said so"
        if errand.kind == "list" and errand.error is None and not self._met_stale(own):
            there = {id for id in self.endless if id in self.place.simulator.jobs}
            assert {job.ref.id for job in errand.found} >= there, "the list is not whole"

    def _met_stale(self, own: Sequence[Trip]) -> bool:
        """Whether any of these saw the system as it was before the jobs began."""
        old = [
            request.headers.get(TRIP)
            for injection in self.place.simulator.faults
            if any(isinstance(fault, faults.Stale) for fault in injection.faults)
            for request in injection.met
        ]
        return any(str(trip.number) in old for trip in own)

    def _told(self, errand: Errand, job: Job, own: Sequence[Trip], evidence: Evidence) -> bool:
        if errand.kind == "list":
            return any(evidence.listed.get(trip, {}).get(job.ref.id) is job.state for trip in own)
        return any(
            answer.state is job.state and abs(answer.told - errand.ended) <= GRACE
            for answer in evidence.told(job.ref.id, errand.ended)
            if answer.trip.who is errand
        )

    def _check_error(self, errand: Errand, error: JobsError, own: Sequence[Trip], evidence: Evidence) -> None:
        replies = [evidence.replies.get(trip) for trip in own]
        last = replies[-1] if replies else None
        writes = [trip for trip in own if trip.method != "GET"]
        taken = [trip for trip in writes if (reply := evidence.replies.get(trip)) and reply.status < 300]
        assert not taken or errand.kind == "start", "the server took the action, and the error denies it"
        match error:
            case JobNotFound():
                assert own[-1] in evidence.denied or evidence.lacks(errand.job, errand.ended)
            case ActionUncertain():
                assert writes, "nothing was sent, and so nothing is uncertain"
            case ActionRefused():
                assert last is not None
                assert 400 <= last.status < 500
                assert errand.kind in {"pause", "resume"}
            case AuthenticationError():
                refused = sum(reply is not None and reply.status == 401 for reply in replies)
                assert refused >= 2 or evidence.turns_away(errand.ended) or not self.place.renews
                assert errand.job not in self.started
            case SourceError():
                # Of a write that is not said to be uncertain it is certain that nothing came of it.
                assert errand.job not in self.started, "a write had been taken, and the error denies it"
            case other:
                raise AssertionError(f"no errand may end so: {other!r}") from other


def _signs_in(trip: Trip) -> bool:
    return trip.target.partition("?")[0].endswith(("/token", "/")) or trip.target == "/"


async def run_errand(source: HttpSource, errand: Errand, method: str, courses: list[Course]) -> None:
    """Run one errand, and wait for the job that it started: one more of the courses."""
    WHO.set(errand)
    await anyio.sleep(errand.starts)
    errand.began = anyio.current_time()
    try:
        match errand.kind:
            case "get":
                errand.found = (await source.get(errand.job),)
            case "list":
                async for job in source.list():
                    errand.found = (*errand.found, job)  # what came before an error was said all the same
            case "start":
                errand.adopted = await source.start(method, errand.job)
            case _:
                errand.found = (await source.act(errand.job, Action(errand.kind)),)
    except JobsError as error:
        errand.error = error
    errand.ended = anyio.current_time()
    for ref in errand.adopted.refs if errand.adopted is not None else ():
        course = Course(Plan("wait", {ref.id: ref}, 0.0, 300.0, None, PollPolicy(maximum=20)))
        courses.append(course)
        await follow(source, course)
