"""Reads the simulator's journal: what each response said about jobs, and when waits were told of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from common import JobState
from common.simulator.faults.match import ids_in
from common.simulator.messages import Request, Response
from tests.contract.systems import System
from tests.faults.chaos.recording_transport import REQUEST_NUMBER, Exchange

NEVER = float("inf")


@attrs.frozen
class JobReply:
    """A complete response to a request about one job.

    Exactly one of ``state``, ``not_found``, ``undecodable`` and ``unauthorized`` is set if the API itself
    said something about the job. None of them is set for a transient error, and for a response about other
    jobs only.
    """

    exchange: Exchange
    delivered_at: float
    """When waits were told of it: for a page of a list when the last page had arrived, or `NEVER`."""
    token: str
    single: bool
    """Whether the request was about this job alone, and not a list."""
    state: JobState | None = None
    not_found: bool = False
    undecodable: bool = False
    unauthorized: bool = False
    last_page_at: float = NEVER
    """When the last page of its list arrived that did, which matters if the list is incomplete."""

    def __str__(self) -> str:
        content = self.state or next(
            (name for name in ("not_found", "undecodable", "unauthorized") if getattr(self, name)), "nothing"
        )
        return f"{self.exchange.sent_at} to {self.delivered_at} {self.exchange.result} {content}"

    @property
    def completed_at(self) -> float:
        """When the response arrived."""
        return NEVER if self.exchange.completed_at is None else self.exchange.completed_at

    @property
    def conclusive(self) -> bool:
        """Whether it tells the job's state, or that there is no such job: such a reply ends an outage."""
        return self.state is not None or self.not_found


CompleteExchange = tuple[Exchange, float, Request, Response]
"""An exchange, when its response arrived, and both messages as the simulator recorded them."""
NO_EXCHANGE = Exchange(-1, None, "", "", 0.0)


class ReplyReader:
    """Reads what a system says about jobs."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._states = {word.casefold(): state for state, word in system.words.items()}

    def states(self, response: Response) -> Iterator[tuple[str, JobState | None]]:
        """Yield the id and the state of each job in a 200 response; the state is None if undecodable."""
        if response.status == 200:
            for id, word in _records(_json(response)):
                yield id, self._state(word)

    def read(self, request: Request, response: Response) -> Iterator[tuple[str, JobReply]]:
        """Yield the reply about each job that was requested by id; the caller fills in exchange and times."""
        requested = request.query.get("uuid", request.segments[-1]).split("|")
        inconclusive = JobReply(NO_EXCHANGE, 0.0, "", single="uuid" not in request.query)
        states = dict(self.states(response))
        filter_ignored = not states.keys() <= set(requested)
        not_found = self.is_not_found(response) and inconclusive.single
        for id in requested:
            if response.status == 401 and id in ids_in(request):
                yield id, attrs.evolve(inconclusive, unauthorized=True)
            elif not_found:
                yield id, attrs.evolve(inconclusive, not_found=True)
            elif id in states and not filter_ignored:
                state = states[id]
                yield id, attrs.evolve(inconclusive, state=state, undecodable=state is None)
            else:
                yield id, inconclusive

    def _state(self, word: object) -> JobState | None:
        if word is None:
            return JobState.UNKNOWN
        return self._states.get(word.casefold(), JobState.UNKNOWN) if isinstance(word, str) else None

    def is_not_found(self, response: Response) -> bool:
        """Whether the API itself, and not a proxy, says that there is no such job."""
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


def complete_exchanges(
    exchanges: Sequence[Exchange], journal: Iterable[Request]
) -> Iterator[CompleteExchange]:
    """Yield the exchanges whose response arrived with its whole body."""
    for request in journal:
        number = request.headers.get(REQUEST_NUMBER)
        if number is None or request.response is None or request.response.cut is not None:
            continue
        exchange = exchanges[int(number)]
        if exchange.completed_at is not None and exchange.result.isdecimal():
            yield exchange, exchange.completed_at, request, request.response


def delivery_times(complete: Iterable[CompleteExchange]) -> Mapping[Exchange, tuple[float, float]]:
    """Return for each exchange its `JobReply.delivered_at` and `JobReply.last_page_at`."""
    times: dict[Exchange, tuple[float, float]] = {}
    pages: dict[str, list[Exchange]] = {}
    listed: dict[str, set[str]] = {}
    for exchange, completed_at, request, response in complete:
        times[exchange] = completed_at, completed_at
        requested = request.query.get("uuid")
        if requested is None:
            continue
        if not any(name.startswith("start.") for name in request.query):  # a first page
            pages[requested], listed[requested] = [], set()
        chain = pages.setdefault(requested, [])
        if response.status == 200:
            chain.append(exchange)
        data = _json(response)
        listed.setdefault(requested, set()).update(id for id, _ in _records(data))
        page: dict[str, Any] = data if isinstance(data, dict) and response.status == 200 else {}
        has_next = "next" in page.get("_links", {}) and not listed[requested] >= set(requested.split("|"))
        delivered_at = completed_at if "records" in page and not has_next else NEVER
        times.update(dict.fromkeys(chain, (delivered_at, completed_at)))
    return times


def is_sign_in_rejection(response: Response) -> bool:
    """Whether a response of the token endpoint rejects the credentials."""
    data = _json(response)
    has_oauth_error = isinstance(data, dict) and isinstance(data.get("error"), str)
    return response.status == 401 or (response.status in {400, 403} and has_oauth_error)


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
