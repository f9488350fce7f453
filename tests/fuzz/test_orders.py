"""Orders to a simulator over HTTP: whatever is sent, one sentence says what is wrong, or it is done whole."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bluexp_jobs.simulator import BlueXPSimulator
from cfjobs.simulator import CFSimulator
from common.simulator import Clock, Simulator
from common.simulator.faults import KINDS
from common.testing import run
from ontapjobs.simulator import OntapSimulator
from tests.fuzz.payloads import bodies, listed

SIMULATORS = st.sampled_from([OntapSimulator, BlueXPSimulator, CFSimulator])
ORDERS: dict[str, Any] = {
    "POST jobs": {"script": [["running", 5, {"message": "x"}], ["success", None]], "id": "j", "fields": {}},
    "PUT writes": {"script": [["running", 5]], "warnings": ["careful"]},
    "POST faults": {
        "match": {"method": "GET", "path": "/api/*", "query": {"uuid": "*"}, "job": "j", "nth": 1},
        "faults": [
            {"kind": "Status", "status": 503, "headers": {"X-A": "b"}, "body": {"a": 1}, "acts": True},
            {"kind": "RetryAfter", "seconds": 5, "date": True},
        ],
        "times": 2,
        "after": 0,
        "after_seconds": 0.5,
        "probability": 0.5,
    },
    "PUT clock": {"step": 60, "scale": 2},
}
PATHS = [
    "/_sim",
    "/_sim/jobs",
    "/_sim/faults",
    "/_sim/clock",
    "/_sim/journal",
    "/_sim/counts",
    "/_sim/verify",
]
WORDS = [
    *listed("kind match faults times after probability step scale script state seconds changes fields id j"),
    *(*KINDS, "type", "after_bytes", "records", "name", "GET", "GET /api/*", "*", "(", "a\nb", "é"),
]


async def obeyed(kind: type[Simulator], order: str, body: bytes) -> None:
    method, what = order.split(" ")
    sim = kind(clock=Clock.stepped(), seed=1, states=["running", "success"])
    async with httpx.AsyncClient(transport=sim.transport(), base_url="http://sim", timeout=5) as http:
        reply = await http.request(method, f"/_sim/{what}", content=body)
        said = reply.json()
        assert reply.status_code in {200, 201, 400}
        if reply.status_code == 400:
            assert isinstance(said["error"], str)
            assert 0 < len(said["error"]) < 1000
            assert "\n" not in said["error"]
            assert (sim.jobs, sim.faults, sim.clock.now(), sim.clock.scale) == ({}, [], 0, 0)
        for path in PATHS:  # it can be told of, and nothing is worn out by it
            again = await http.get(path)
            assert again.status_code in {200, 409}
            json.loads(again.content, parse_constant=_not_json)
        assert (await http.post("/_sim/reset")).status_code == 200


def _not_json(text: str) -> None:
    raise AssertionError(f"{text} is not JSON")


@pytest.mark.slow
@example(kind=OntapSimulator, order="POST faults", body=b"[" * 100_000)
@example(kind=OntapSimulator, order="POST jobs", body=b'{"script": [["a", 1e999]]}')
@example(kind=OntapSimulator, order="POST jobs", body=b'{"script": [["a", null]], "fields": {"x": NaN}}')
@example(kind=OntapSimulator, order="POST jobs", body=b'{"script": [["a", null]], "id": "\\ud800"}')
@example(kind=OntapSimulator, order="PUT clock", body=b'{"step": 1e308, "scale": -1}')
@example(kind=OntapSimulator, order="PUT clock", body=b'{"step": 1e300}')
@given(
    kind=SIMULATORS,
    order=st.sampled_from([*ORDERS]),
    body=st.sampled_from([*ORDERS]).flatmap(lambda order: bodies(ORDERS[order], WORDS)),
)
def test_any_body(kind: type[Simulator], order: str, body: bytes) -> None:
    run(obeyed, kind, order, body)


async def met(kind: type[Simulator], fault: Any) -> None:
    sim = kind(states=["running"])
    sim.add_job([("running", None)], id="j")
    async with httpx.AsyncClient(transport=sim.transport(), base_url="http://sim", timeout=5) as http:
        told = await http.post("/_sim/faults", json={"faults": fault, "times": None})
        assert told.status_code in {201, 400}, told.json()
        for path in ("/v3/jobs/j", "/api/cluster/jobs?uuid=j", "/account/account-sim/x"):
            try:
                reply = await http.get(path, headers={"Authorization": "Bearer t"})
            except httpx.TransportError:
                continue
            assert 200 <= reply.status_code < 600


VALUES = st.sampled_from(
    [
        *(
            0,
            1,
            -1,
            2,
            204,
            304,
            503,
            599,
            0.5,
            1e9,
            1e300,
            10**400,
            True,
            None,
            [],
            [1],
            {"a": 1},
            {"a": "b"},
        ),
        *("", "x", "a\r\nb: c", "text/plain", "\u20ac", {"a\nb": "c"}, {"A": "b\nc"}, {"\u20ac": "d"}),
        *({"a": 1}, {"a": "b"}, {"Content-Length": "x"}, {"": ""}),
    ]
)


@st.composite
def faults_of_any_kind(draw: st.DrawFn) -> Any:
    kind = draw(st.sampled_from([*KINDS]))
    names = [name for name in KINDS[kind].__annotations__ if name != "kind"]
    given = draw(st.dictionaries(st.sampled_from(names), VALUES)) if names else {}
    return {"kind": kind, **given}


@pytest.mark.slow
@given(kind=SIMULATORS, fault=faults_of_any_kind())
def test_any_fault_that_is_taken_can_be_met(kind: type[Simulator], fault: Any) -> None:
    run(met, kind, fault)
