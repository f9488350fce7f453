"""What storms are made of: trouble of every kind, and how it is spread over requests and time.

``JOBSOURCE_STORM_SEEDS`` and ``JOBSOURCE_STORM_WAITS`` make longer and larger ones; a failure names its seed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import attrs

from common.simulator import Match, Request, Response, Simulator, faults
from common.simulator.faults import Ask, Fault
from common.simulator.messages import json_response
from common.simulator.tokens import TokenDesk
from ontapjobs.simulator import OntapSimulator
from tests.contract.systems import SOURCES
from tests.faults.chaos.system_under_test import Place

SEEDS = int(os.environ.get("JOBSOURCE_STORM_SEEDS", "2"))
WAITS = int(os.environ.get("JOBSOURCE_STORM_WAITS", "200"))

SIGN_IN = ("POST */token", "GET /")
"""How tokens are asked for, and a Cloud Foundry for the place where to do so."""
WRITES = ("POST */we-*", "DELETE */apps/*", "DELETE */volumes/*", "PATCH *")


@attrs.frozen
class Rewrite(Fault):
    """The system's own answer, in which every job's state reads otherwise."""

    state: object

    async def meet(self, system: Simulator, ask: Ask, request: Request) -> Response:
        """Change each state."""
        response = await ask(request)
        if response.status != 200:
            return response
        return attrs.evolve(json_response(200, self._rewritten(response.json())), headers=response.headers)

    def _rewritten(self, data: Any) -> Any:
        if isinstance(data, list):
            return [self._rewritten(each) for each in data]
        if not isinstance(data, dict):
            return data
        changed = {key: self._rewritten(data[key]) for key in ("records", "job") if key in data}
        return data | changed | {key: self.state for key in ("state", "status") if key in data}


@attrs.frozen
class RevokeTokens(Fault):
    """All tokens of an ONTAP's identity provider expire."""

    async def meet(self, system: Simulator, ask: Ask, request: Request) -> Response:
        """Let them expire, and ask."""
        if isinstance(system, OntapSimulator) and isinstance(system.tokens, TokenDesk):
            system.tokens.expire_all()
        return await ask(request)


PASSING: Mapping[str, Sequence[Fault]] = {
    "ontap": [
        faults.Status(500, body={"error": {"message": "busy", "code": "262160"}}),
        faults.Status(409, body={"error": {"message": "out of quorum", "code": "393271"}}),
        faults.Status(404, body={"error": {"message": "API not found", "code": "3"}}),
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
        faults.Status(404, body={"errors": [{"code": 10000, "title": "CF-NotFound", "detail": "no route"}]}),
        faults.Status(
            404,
            {"X-Cf-RouterError": "unknown_route"},
            {"errors": [{"code": 10010, "title": "CF-ResourceNotFound", "detail": "by the router"}]},
        ),
        faults.ExpireTokens(),
    ],
}
"""Trouble of the provider's own."""
ONCE = (faults.Refuse, faults.ExpireTokens, RevokeTokens)
"""What has effects on later requests too, and shows once."""


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
        _inject(random, place, "GET *job*", fault, lasts, rough)


def brew_lies(random: Random, place: Place, *, number: int, lasts: float = 400.0, rough: float = 0.3) -> None:
    """Inject what makes waits end otherwise: old answers, odd states, bad records, 401 and 403."""
    kinds: list[Fault] = [
        faults.Stale(random.choice([0.5, 5.0, 60.0, 1_000.0])),
        faults.Stale(random.choice([2.0, 30.0])),
        Rewrite("no-such-state"),
        Rewrite(7),
        Rewrite(None),
        faults.Status(403),
    ]
    if place.renews:
        kinds += [
            faults.Status(401),
            RevokeTokens() if place.system.name == "ontap" else faults.ExpireTokens(),
        ]
    for fault in random.choices(kinds, k=number):
        _inject(random, place, "GET *job*", fault, lasts, rough)


def babble(random: Random, place: Place, ids: Sequence[str], *, lasts: float = 200.0) -> None:
    """Let the server speak of some jobs in a word that nobody knows, for minutes."""
    for id in random.sample(ids, k=min(len(ids), random.choice([1, 4]))):
        fault, begins = Rewrite("no-such-state"), random.random() * lasts
        place.simulator.inject(Match("GET", job=id), fault, times=100, after_seconds=begins)


def forget(random: Random, place: Place, ids: Sequence[str], *, lasts: float = 400.0) -> None:
    """Let the server forget some jobs, each at the first request after some moment; one with all in it."""
    for id in random.sample(ids, k=min(len(ids), random.choice([0, 1, 3, 8]))):
        fault = faults.Forget(id)
        place.simulator.inject("GET *job*", fault, times=1, after_seconds=random.random() * lasts)
    if random.random() < 0.2:
        place.simulator.inject("GET *job*", faults.Forget(), times=1, after_seconds=random.random() * lasts)


def brew_sign_in(
    random: Random, place: Place, *, number: int, lasts: float = 400.0, rough: float = 0.5, refusals: int = 0
) -> None:
    """Inject trouble where tokens are asked for; ``refusals`` is how often the sign-in really says no."""
    kinds: list[Fault] = [
        faults.Status(random.choice([500, 502, 503])),
        faults.RetryAfter(random.choice([0, 1, 7, 30])),
        faults.RetryAfter(random.choice([1, 12]), date=True),
        faults.RetryAfter(random.choice([0, 3]), status=429),
        faults.Html(random.choice([200, 400, 404, 502])),
        faults.Hang(),
        faults.Hang(acts=True),
        faults.Reset(),
        faults.Reset(acts=True),
        faults.CutBody(random.choice([0, 7, 10_000])),
        faults.Delay(random.choice([0.5, 3.0, 29.0, 31.0])),
        faults.Refuse(random.choice([1.0, 10.0])),
        faults.Status(200, body=random.choice(["", "[]", "{", "null", "{}", '{"access_token": 7}'])),
    ]
    for fault in random.choices(kinds, k=number):
        _inject(random, place, random.choice(SIGN_IN), fault, lasts, rough)
    said = {"error": "invalid_client", "error_description": "Bad client credentials"}
    for _ in range(refusals):
        refusal = faults.Status(random.choice([400, 401, 403]), body=said)
        place.simulator.inject(SIGN_IN[0], refusal, times=1, after_seconds=random.random() * lasts)


def brew_writes(
    random: Random, place: Place, *, number: int, lasts: float = 400.0, rough: float = 0.5
) -> None:
    """Inject trouble into writes: refused, lost before they were carried out, or with their reply."""
    acts = random.choice([True, False])
    kinds: list[Fault] = [
        faults.Status(503),
        faults.Status(429),
        faults.RetryAfter(random.choice([1, 7])),
        faults.Html(random.choice([502, 504]), acts=acts),
        faults.Hang(acts=acts),
        faults.Reset(acts=acts),
        faults.CutBody(random.choice([0, 7])),
        faults.Delay(random.choice([3.0, 29.0, 31.0])),
        faults.Refuse(random.choice([1.0, 10.0])),
        faults.Status(200, body=random.choice(["", "[]", "{"]), acts=acts),
    ]
    for fault in random.choices(kinds, k=number):
        _inject(random, place, random.choice(WRITES), fault, lasts, rough)


def _inject(random: Random, place: Place, match: str, fault: Fault, lasts: float, rough: float) -> None:
    place.simulator.inject(
        match,
        fault,
        times=1 if isinstance(fault, ONCE) else random.choice([1, 3, 10, 40]),
        after_seconds=random.random() * lasts,
        probability=random.uniform(0.02, rough),
    )


__all__ = [
    "SEEDS",
    "SOURCES",
    "WAITS",
    "Place",
    "babble",
    "brew",
    "brew_lies",
    "brew_sign_in",
    "brew_writes",
    "forget",
]
