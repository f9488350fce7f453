"""What a journal shows: what the server said of each job, and of who signs in, in replies that came whole."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from common import JobState
from common.simulator.faults.match import ids_in
from common.simulator.messages import Request, Response
from tests.contract.systems import System
from tests.faults.chaos.recording_transport import TRIP, Trip

GRACE = 0.001
"""Seconds by which a wait may miss a moment: what rounding takes."""
REFUSAL_KEPT = 10.0
"""Seconds for which a refused sign-in counts without being tried again (`common.auth.token_auth`)."""


NEVER = float("inf")
BROKEN_OFF = 60.0
"""Seconds in which a page fails at the latest: a time-out, and another one for a new token."""


@attrs.frozen
class Answer:
    """A whole reply to a request that was about a job.

    ``told`` is when the waits were told: of a list, once its last page was there, or `NEVER`. Exactly one of
    ``state``, ``missing``, ``garbled`` and ``refused`` is set where the reply is the API's word on the job;
    none where it is trouble, or tells of other jobs only.
    """

    trip: Trip
    told: float
    token: str
    single: bool
    state: JobState | None = None
    missing: bool = False
    garbled: bool = False
    refused: bool = False
    broken_off: float = NEVER
    """When the last page came that did, of a list that broke off."""

    def __str__(self) -> str:
        said = self.state or ("missing" * self.missing + "garbled" * self.garbled + "refused" * self.refused)
        return f"{self.trip.left} to {self.told} {self.trip.fate} {said}"

    @property
    def landed(self) -> float:
        """When it came."""
        return NEVER if self.trip.landed is None else self.trip.landed

    @property
    def good(self) -> bool:
        """Whether it is the API's word, and ends an outage."""
        return self.state is not None or self.missing


@attrs.frozen
class Evidence:
    """What the journal shows of each job that was asked for by its id, in the order in which replies came."""

    answers: Mapping[str, Sequence[Answer]]
    listed: Mapping[Trip, Mapping[str, JobState]]
    """What lists without a filter by id told."""
    sign_ins: Sequence[tuple[float, bool]]
    """When the sign-in answered, and whether it refused."""
    replies: Mapping[Trip, Response]
    """The replies that came whole."""
    denied: Collection[Trip]
    """The actions to which the API said that it has no such job."""

    @classmethod
    def of(cls, system: System, trips: Sequence[Trip], journal: Sequence[Request]) -> Evidence:
        """What these requests and their replies show."""
        whole = sorted(_whole(trips, journal), key=lambda each: each[1])
        told = _told(whole)
        reader = _Reader(system)
        answers: defaultdict[str, list[Answer]] = defaultdict(list)
        listed: dict[Trip, Mapping[str, JobState]] = {}
        sign_ins: list[tuple[float, bool]] = []
        denied: set[Trip] = set()
        for trip, landed, request, response in whole:
            if request.segments[-1] in {"token", ""}:
                sign_ins.append((landed, _refuses(response)))
            elif request.method != "GET":
                if reader.is_missing(response):
                    denied.add(trip)
            elif request.segments[-1] in {"job", "jobs"} and "uuid" not in request.query:
                listed[trip] = {id: state for id, state in reader.states(response) if state is not None}
            else:
                token = request.headers.get("authorization", "")
                at, last = told[trip]
                for id, said in reader.read(request, response):
                    answers[id].append(attrs.evolve(said, trip=trip, told=at, broken_off=last, token=token))
        return cls(answers, listed, sign_ins, {trip: response for trip, _, _, response in whole}, denied)

    def told(self, id: str, at: float, *, since: float = 0.0) -> list[Answer]:
        """The answers about a job of which waits were told up to a moment."""
        return [a for a in self.answers.get(id, ()) if since - GRACE <= a.told <= at + GRACE]

    def ever(self, id: str, state: JobState, until: float) -> bool:
        """Whether the server had ever said so of this job."""
        return any(a.state is state and a.landed <= until + GRACE for a in self.answers.get(id, ()))

    def shows(self, id: str, state: JobState, at: float) -> bool:
        """Whether the server said so of this job in a reply of this very moment.

        Of a list that broke off, what came before was told once the next page had failed in its own time.
        """
        return any(
            answer.state is state
            and answer.landed <= at + GRACE
            and at <= (answer.broken_off + BROKEN_OFF if answer.told == NEVER else answer.told) + GRACE
            and (answer.told == NEVER or answer.told >= at - GRACE)
            for answer in self.answers.get(id, ())
        )

    def lacks(self, id: str, at: float) -> bool:
        """Whether it said in this very moment that it has no such job."""
        return any(answer.missing for answer in self.told(id, at, since=at))

    def seen(self, id: str, since: float, until: float) -> bool:
        """Whether a poll that was begun after one moment told of a state before another.

        The first that left after it may have been begun before, and have waited for its turn or a token.
        """
        found = [
            answer
            for answer in self.told(id, until - 2 * GRACE)
            if answer.state is not None and answer.trip.left > since + GRACE
        ]
        return len(found) > 1

    def refuses_twice(self, id: str, began: float, at: float) -> bool:
        """Whether a wait's own poll was refused with its token, and then with the one that replaced it.

        Two whole replies about the job in a row are 401, to two different tokens; both requests left after
        the wait began, and the second reply came in the very moment when the wait ended. (In that moment
        others may have been told of more.)
        """
        own = [answer for answer in self.told(id, at) if answer.trip.left >= began - GRACE]
        return any(
            first.refused and second.refused and first.token != second.token and second.told >= at - GRACE
            for first, second in itertools.pairwise(own)
        )

    def refuses(self, id: str, at: float) -> bool:
        """Whether it refused a token in this very moment: enough where there is no other."""
        return any(answer.refused for answer in self.told(id, at, since=at))

    def turns_away(self, at: float) -> bool:
        """Whether the sign-in's last word until this moment was a refusal, and one that still counts."""
        said = [*((landed, no) for landed, no in self.sign_ins if landed <= at + GRACE), (NEVER, False)]
        return any(
            refused and landed >= at - REFUSAL_KEPT - GRACE and after >= at - GRACE
            for (landed, refused), (after, _) in itertools.pairwise(said)
        )

    def forbids(self, id: str, at: float) -> bool:
        """Whether it denied permission in this very moment."""
        return any(answer.trip.fate == "403" for answer in self.told(id, at, since=at))

    def silent(self, id: str, since: float, until: float) -> bool:
        """Whether no good answer about the job came between two moments, which do not count."""
        return not any(since + GRACE < a.told for a in self.told(id, until - 2 * GRACE) if a.good)

    def garbled(self, id: str, began: float, at: float, times: int) -> bool:
        """Whether the last so many records of the job, asked for by itself, could not be read."""
        words = [
            answer
            for answer in self.told(id, at, since=began)
            if answer.good or (answer.garbled and answer.single)
        ]
        return any(
            all(answer.garbled for answer in words[end - times : end]) and words[end - 1].told >= at - GRACE
            for end in range(times, len(words) + 1)
        )

    def unknown(self, id: str, at: float, seconds: float) -> bool:
        """Whether all that was told of the job for so long were states that nobody knows, and so at last.

        The time counts from when a poll was begun, which may have waited for its turn and for a token.
        """
        found = self.told(id, at, since=at - seconds + 2 * GRACE)
        words = {answer.state for answer in found if answer.state is not None}
        begun = any(
            answer.state is JobState.UNKNOWN and answer.trip.left <= at - seconds + BROKEN_OFF
            for answer in self.answers.get(id, ())
        )
        return begun and words <= {JobState.UNKNOWN} and self.shows(id, JobState.UNKNOWN, at)


class _Reader:
    """Reads what a system said of jobs."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._states = {word.casefold(): state for state, word in system.words.items()}

    def states(self, response: Response) -> Iterator[tuple[str, JobState | None]]:
        """Each job in a reply of 200, and its state; None where that cannot be read."""
        if response.status == 200:
            for id, word in _records(_json(response)):
                yield id, self._state(word)

    def read(self, request: Request, response: Response) -> Iterator[tuple[str, Answer]]:
        """What a reply says of each job that was asked for by its id; the trip is filled in later."""
        asked = request.query.get("uuid", request.segments[-1]).split("|")
        nothing = Answer(NOWHERE, 0.0, "", single="uuid" not in request.query)
        said = dict(self.states(response))
        foreign = not said.keys() <= set(asked)
        missing = self.is_missing(response) and nothing.single
        for id in asked:
            if response.status == 401 and id in ids_in(request):
                yield id, attrs.evolve(nothing, refused=True)
            elif missing:
                yield id, attrs.evolve(nothing, missing=True)
            elif id in said and not foreign:
                state = said[id]
                yield id, attrs.evolve(nothing, state=state, garbled=state is None)
            else:
                yield id, nothing

    def _state(self, word: object) -> JobState | None:
        if word is None:
            return JobState.UNKNOWN
        return self._states.get(word.casefold(), JobState.UNKNOWN) if isinstance(word, str) else None

    def is_missing(self, response: Response) -> bool:
        """Whether it is the API's own word that there is no such job."""
        data = _json(response)
        if response.header("x-cf-routererror") is not None:
            return False
        match self._system.name, response.status, data:
            case "ontap", 404, {"error": {"code": "4"}}:
                return True
            case "cf", 404, {"errors": [{"code": 10010}, *_]}:
                return True
            case "bluexp", 404, dict():
                return True
            case "bluexp", 200, {"job": [] | None}:
                return True
            case _:
                return False


NOWHERE = Trip(-1, None, "", "", 0.0)


def _whole(
    trips: Sequence[Trip], journal: Iterable[Request]
) -> Iterator[tuple[Trip, float, Request, Response]]:
    for request in journal:
        number = request.headers.get(TRIP)
        if number is None or request.response is None or request.response.cut is not None:
            continue
        trip = trips[int(number)]
        if trip.landed is not None and trip.fate.isdecimal():
            yield trip, trip.landed, request, request.response


def _told(whole: Iterable[tuple[Trip, float, Request, Response]]) -> Mapping[Trip, tuple[float, float]]:
    """When the waits were told of each reply, and when the last one came that goes with it.

    Of a list's page they were told once the last one was there, or `NEVER`.
    """
    told: dict[Trip, tuple[float, float]] = {}
    pages: dict[str, list[Trip]] = {}
    found: dict[str, set[str]] = {}
    for trip, landed, request, response in whole:
        told[trip] = landed, landed
        asked = request.query.get("uuid")
        if asked is None:
            continue
        if not any(name.startswith("start.") for name in request.query):
            pages[asked], found[asked] = [], set()
        chain = pages.setdefault(asked, [])
        if response.status == 200:
            chain.append(trip)
        data = _json(response)
        found.setdefault(asked, set()).update(id for id, _ in _records(data))
        page: dict[str, Any] = data if isinstance(data, dict) and response.status == 200 else {}
        follows = "next" in page.get("_links", {}) and not found[asked] >= set(asked.split("|"))
        at = landed if "records" in page and not follows else NEVER
        told.update(dict.fromkeys(chain, (at, landed)))
    return told


def _refuses(response: Response) -> bool:
    data = _json(response)
    spoken = isinstance(data, dict) and isinstance(data.get("error"), str)
    return response.status == 401 or (response.status in {400, 403} and spoken)


def _json(response: Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _records(data: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(data, list):
        for each in data:
            yield from _records(each)
    elif isinstance(data, dict):
        id = data.get("uuid") or data.get("guid") or data.get("id")
        if isinstance(id, str) and not data.keys().isdisjoint({"state", "status"}):
            yield id, data.get("state", data.get("status"))
        for key in ("records", "job"):
            yield from _records(data.get(key))
