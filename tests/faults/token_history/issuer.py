"""A token issuer that keeps books: which refresh token it gave last, and to whom it has told that."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Mapping
from random import Random
from typing import Any

import attrs

FIRST = "refresh-token-number-0"
"""The refresh token that was issued before the run."""

REPLIES = {
    "token": 60,
    "unusable": 4,  # it rotates, and yet has no access token that can be used
    "junk": 4,  # more bytes behind a whole response, on sockets
    "refused": 2,
    "503": 5,
    "500": 3,
    "429": 4,
    "page": 3,
    "half": 3,
    "reset": 6,
    "hang": 3,
}
"""Which replies there are, and how often. Those that have no token leave the refresh token as it is."""
ROTATING = frozenset({"token", "unusable", "junk"})
LATENCIES = (0.0, 0.0, 0.1, 0.5, 1.0, 1.5, 5.0, 12.0, 28.0)
"""Seconds, half of them before the request arrives."""
LIFETIMES = (None, 2, 10, 60, 3600)
"""Seconds that an access token is good for."""


@attrs.frozen(kw_only=True)
class Reply:
    """What becomes of one request; ``refresh`` is the new refresh token in it."""

    kind: str
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    refresh: str | None = None


class Issuer:
    """Issues tokens. ``rotates`` are the grants with a refresh token in the response.

    ``current`` is the refresh token that is valid, ``handed`` are those in responses that left whole, in
    order, and ``respent`` those that were sent again after they had been spent.
    """

    def __init__(self, random: Random, *, rotates: bool, password: bool, faults: bool = True) -> None:
        self.random = random
        self.rotates = rotates
        self.password = password
        self.faults = faults
        self.latency: float | None = None
        self.current: str | None = FIRST if rotates and not password else None
        self.handed: list[str] = []
        self.respent: list[str] = []
        self.revocations = 0
        self.in_flight = 0
        self.most_in_flight = 0
        self.replies: Counter[str] = Counter()
        self.accepts = True
        self._issued = 0
        self._rotations = 0
        self._access: set[str] = set()
        self._lock = threading.Lock()

    # The token endpoint

    def draw_latency(self) -> float:
        """Return how long the next response takes, in seconds."""
        return self.random.choice(LATENCIES) if self.latency is None else self.latency

    def enter(self) -> None:
        """A request was sent."""
        with self._lock:
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)

    def arrive(self, fields: Mapping[str, str]) -> Reply:
        """A request arrived: return its reply. A refresh token is spent by it, whoever reads the response."""
        with self._lock:
            kind = "token"
            if self.faults:
                kind = self.random.choices(list(REPLIES), list(REPLIES.values()))[0]
            reply = self._reply(kind, fields)
            self.replies[reply.kind] += 1
            return reply

    def leave(self, reply: Reply | None) -> None:
        """A response left whole; None for one that did not."""
        with self._lock:
            self.in_flight -= 1
            if reply is not None and reply.refresh is not None:
                self.handed.append(reply.refresh)

    def _reply(self, kind: str, fields: Mapping[str, str]) -> Reply:
        refresh = fields.get("refresh_token")
        if refresh is not None and refresh != self.current:
            self.respent.append(refresh)
            return _json("spent", {"error": "invalid_grant", "error_description": "spent"}, 401)
        match kind:
            case "refused":
                if self.password:
                    self.current = None  # it signs in with its password, and forgets this one
                return _json(kind, {"error": "invalid_grant"}, 400)
            case "503":
                return Reply(kind=kind, status=503, body=b"<html>")
            case "500":
                return _json(kind, {"error": "server_error"}, 500)
            case "429":
                return _json(kind, {"error": "slow_down"}, 429, {"Retry-After": "1"})
            case "page":
                return Reply(kind=kind, body=b"<html>log in here</html>")
            case "half":
                return Reply(kind=kind, body=b'{"access_token": "a')
            case "reset" | "hang":
                return Reply(kind=kind)
            case _:
                return self._issue(kind)

    def _issue(self, kind: str) -> Reply:
        new = None
        if self.rotates:
            self._rotations += 1
            new = self.current = f"refresh-token-number-{self._rotations}"
        self._issued += 1
        access = f"access-{self._issued}"
        self._access.add(access)
        token: dict[str, Any] = {
            "access_token": access,
            "token_type": "mac" if kind == "unusable" else "bearer",
            "expires_in": self.random.choice(LIFETIMES) if self.faults else 3600,
        }
        if new is not None:
            token["refresh_token"] = new
        return attrs.evolve(_json(kind, token), refresh=new)

    # The API

    def revoke(self) -> None:
        """Let the API refuse all access tokens issued so far."""
        with self._lock:
            self.revocations += 1
            self._access.clear()

    def read_job(self, path: str, authorization: str) -> Reply:
        """Return the API's response to any GET: running jobs, or a 401."""
        with self._lock:
            token = authorization.removeprefix("Bearer ")
            if not self.accepts or token not in self._access:
                return _json("401", {"errors": [{"code": 1000, "title": "CF-InvalidAuthToken"}]}, 401)
        path, _, query = path.partition("?")
        if query.startswith("uuid="):
            ids = query.removeprefix("uuid=").partition("&")[0].replace("%7C", "|").split("|")
            records = [{"uuid": id, "state": "running"} for id in ids]
            return _json("jobs", {"records": records, "num_records": len(ids)})
        id = path.rpartition("/")[2]
        job = {"guid": id, "uuid": id, "state": "running", "job": [{"id": id, "status": "RUNNING"}]}
        return _json("job", job)


def _json(kind: str, data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    named = {"Content-Type": "application/json", **(headers or {})}
    return Reply(kind=kind, status=status, body=json.dumps(data).encode(), headers=named)
