"""What is asked of a source, and the true answers of a system, each of them with a number of its own."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from common import JobsError, PollPolicy
from tests.sockets.servers.peer import Request

JOBS = "/api/cluster/jobs"
WARM = "aaaaaaaa-0000-4000-8000-00000000000a"
ASKED = "bbbbbbbb-0000-4000-8000-00000000000b"
NUMBER = re.compile(r"77\d{10}")
QUICK = PollPolicy(initial=0.01, maximum=0.01)


class System:
    """ONTAP as far as these tests ask it. A job ends at its ``ends_at``-th reading."""

    def __init__(self, ends_at: int = 2) -> None:
        self._numbers = itertools.count(770000000000)
        self._readings: Counter[str] = Counter()
        self._ends_at = ends_at

    def number(self) -> int:
        """A number that is in no other answer."""
        return next(self._numbers)

    def uuid(self) -> str:
        """The id of a job that nobody has heard of."""
        return f"cccccccc-0000-4000-8000-{self.number()}"

    def record(self, uuid: str, state: str) -> dict[str, Any]:
        return {"uuid": uuid, "state": state, "message": f"reply {self.number()}"}

    def answer(self, request: Request) -> tuple[str, Any]:
        """The status and the body of the true answer."""
        parts = urlsplit(request.target)
        query = parse_qs(parts.query)
        if request.method == "POST":
            return "202 Accepted", {"job": {"uuid": self.uuid()}}
        if request.method == "PATCH":
            return "200 OK", {}
        if parts.path != JOBS:
            return "200 OK", self._reading(parts.path.rpartition("/")[2])
        if "return_records" in query:
            return "200 OK", {"num_records": self.number(), "records": []}
        if "uuid" in query:
            records = [self._reading(uuid) for uuid in query["uuid"][0].split("|")]
        else:
            records = [self.record(self.uuid(), "running") for _ in range(2)]
        return "200 OK", {"num_records": len(records), "records": records}

    def _reading(self, uuid: str) -> dict[str, Any]:
        self._readings[uuid] += 1
        return self.record(uuid, "success" if self._readings[uuid] >= self._ends_at else "running")


async def _list(source: Any, _: str) -> object:
    return [job async for job in source.list()]


async def _watch(source: Any, uuid: str) -> object:
    return [job async for job in source.watch(uuid)]


MUCH = b" " * 2_000_000
"""Bytes: more than all buffers between a client and a server that does not read."""
CALLS: dict[str, Callable[[Any, str], Awaitable[object]]] = {
    "get": lambda source, uuid: source.get(uuid),
    "wait": lambda source, uuid: source.wait(uuid, check=False, timeout=60),
    "watch": _watch,
    "list": _list,
    "count": lambda source, _: source.count(state="running"),
    "start": lambda source, _: source.start("POST", "/api/storage/volumes", json={}),
    "act": lambda source, uuid: source.cancel(uuid),
}


async def start_much(source: Any, _: str) -> object:
    """Start something with a request that does not fit into what is between client and server."""
    return await source.start("POST", "/api/storage/volumes", content=MUCH)


def numbers(outcome: object) -> set[str]:
    """The numbers of the answers that an outcome quotes."""
    texts = [repr(outcome), str(outcome)]
    if isinstance(outcome, JobsError):
        texts.append(repr(vars(outcome)))
    return set(NUMBER.findall(" ".join(texts)))
