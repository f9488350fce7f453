"""The fault schedule (Jepsen's nemesis): which faults are injected, into which requests, when and how often.

``JOBSOURCE_STORM_SEEDS`` and ``JOBSOURCE_STORM_WAITS`` set how many seeds the tests run, with how many
waits each.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import attrs

from common.simulator import Match, Request, Response, System, faults
from common.simulator.faults import Ask, Fault
from common.simulator.messages import json_response
from common.simulator.tokens import TokenDesk
from ontapjobs.simulator import OntapSimulator
from tests.faults.chaos.system_under_test import SystemUnderTest

SEEDS = int(os.environ.get("JOBSOURCE_STORM_SEEDS", "2"))
WAITS = int(os.environ.get("JOBSOURCE_STORM_WAITS", "200"))

JOB_READS = "GET *job*"
TOKEN_REQUESTS = "POST */token"
SIGN_IN_REQUESTS = (TOKEN_REQUESTS, "GET /")
"""Requests for tokens; Cloud Foundry's root document, which names the token endpoint, is one of them."""
WRITES = ("POST */we-*", "DELETE */apps/*", "DELETE */volumes/*", "PATCH *")


@attrs.frozen
class RewriteState(Fault):
    """The system's own response, with the state of every job replaced."""

    state: object

    async def apply(self, system: System, ask: Ask, request: Request) -> Response:
        """Replace each state."""
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
    """All tokens of ONTAP's identity provider expire."""

    async def apply(self, system: System, ask: Ask, request: Request) -> Response:
        """Expire them, and pass the request on."""
        if isinstance(system, OntapSimulator) and isinstance(system.tokens, TokenDesk):
            system.tokens.expire_all()
        return await ask(request)


PROVIDER_FAULTS: Mapping[str, Sequence[Fault]] = {
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
"""Transient faults that only one provider has."""
INJECTED_ONCE = (faults.Refuse, faults.ExpireTokens, RevokeTokens)
"""Kinds that also affect later requests, and so are injected for one request only."""


def transient_faults(random: Random) -> list[Fault]:
    """Return the transient faults that any system can have."""
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


def schedule_transient_faults(
    random: Random,
    sut: SystemUnderTest,
    *,
    count: int = 12,
    duration: float = 400.0,
    max_probability: float = 0.3,
) -> None:
    """Inject up to ``count`` random transient faults into reads of jobs.

    Each starts within ``duration`` seconds, and is met by some of the requests that follow, each with a
    probability of at most ``max_probability``. Tokens expire once at most: a job's read that meets the second
    expiry with the token that replaced the first ends its wait, so two are no transient fault.
    """
    kinds = [*transient_faults(random), *PROVIDER_FAULTS[sut.system.name]]
    drawn = random.choices(kinds, k=count)
    expiries = [fault for fault in drawn if isinstance(fault, faults.ExpireTokens)]
    for fault in [fault for fault in drawn if fault not in expiries] + expiries[:1]:
        _inject(random, sut, JOB_READS, fault, duration, max_probability)


def schedule_wrong_responses(
    random: Random,
    sut: SystemUnderTest,
    *,
    count: int,
    duration: float = 400.0,
    max_probability: float = 0.3,
) -> None:
    """Inject faults that change how waits end: stale, unknown and undecodable states, 401 and 403."""
    kinds: list[Fault] = [
        faults.Stale(random.choice([0.5, 5.0, 60.0, 1_000.0])),
        faults.Stale(random.choice([2.0, 30.0])),
        RewriteState("no-such-state"),
        RewriteState(7),
        RewriteState(None),
        faults.Status(403),
    ]
    if sut.can_reauthenticate:
        kinds += [
            faults.Status(401),
            RevokeTokens() if sut.system.name == "ontap" else faults.ExpireTokens(),
        ]
    for fault in random.choices(kinds, k=count):
        _inject(random, sut, JOB_READS, fault, duration, max_probability)


def schedule_unknown_states(
    random: Random, sut: SystemUnderTest, ids: Sequence[str], *, duration: float = 200.0
) -> None:
    """Report an unknown state for a few of these jobs, in the next 100 reads of each."""
    for id in random.sample(ids, k=min(len(ids), random.choice([1, 4]))):
        fault, begins = RewriteState("no-such-state"), random.random() * duration
        sut.simulator.inject(Match("GET", job=id), fault, times=100, after_seconds=begins)


def schedule_job_loss(
    random: Random, sut: SystemUnderTest, ids: Sequence[str], *, duration: float = 400.0
) -> None:
    """Make the server forget up to 8 of these jobs, each at some read; in one run of five also all jobs."""
    for id in random.sample(ids, k=min(len(ids), random.choice([0, 1, 3, 8]))):
        fault = faults.Forget(id)
        sut.simulator.inject(JOB_READS, fault, times=1, after_seconds=random.random() * duration)
    if random.random() < 0.2:
        sut.simulator.inject(JOB_READS, faults.Forget(), times=1, after_seconds=random.random() * duration)


def schedule_sign_in_faults(
    random: Random,
    sut: SystemUnderTest,
    *,
    count: int,
    duration: float = 400.0,
    max_probability: float = 0.5,
    rejections: int = 0,
) -> None:
    """Inject ``count`` transient faults into sign-ins, and reject the credentials ``rejections`` times."""
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
    for fault in random.choices(kinds, k=count):
        _inject(random, sut, random.choice(SIGN_IN_REQUESTS), fault, duration, max_probability)
    body = {"error": "invalid_client", "error_description": "Bad client credentials"}
    for _ in range(rejections):
        rejection = faults.Status(random.choice([400, 401, 403]), body=body)
        sut.simulator.inject(TOKEN_REQUESTS, rejection, times=1, after_seconds=random.random() * duration)


def schedule_write_faults(
    random: Random,
    sut: SystemUnderTest,
    *,
    count: int,
    duration: float = 400.0,
    max_probability: float = 0.5,
) -> None:
    """Inject ``count`` faults into writes: rejected, or lost before or after the server carried them out."""
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
    for fault in random.choices(kinds, k=count):
        _inject(random, sut, random.choice(WRITES), fault, duration, max_probability)


def _inject(
    random: Random, sut: SystemUnderTest, match: str, fault: Fault, duration: float, max_probability: float
) -> None:
    sut.simulator.inject(
        match,
        fault,
        times=1 if isinstance(fault, INJECTED_ONCE) else random.choice([1, 3, 10, 40]),
        after_seconds=random.random() * duration,
        probability=random.uniform(0.02, max_probability),
    )
