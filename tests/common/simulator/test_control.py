"""What a simulator does when it is told over HTTP, below ``/_sim/``, and as a program of its own."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
import attrs
import httpx
import pytest

from common.simulator import Clock
from tests.cases import case
from tests.common.simulator.asking import ask, fetch
from tests.common.simulator.echoing import Echo

pytestmark = pytest.mark.anyio

SCRIPT = [["queued", 5], ["done", None, {"message": "end"}]]


@attrs.frozen
class Far:
    """A simulator at an address, and orders to it."""

    url: str

    async def __call__(self, order: str, data: Any = None) -> tuple[int, Any]:
        method, path = order.split(" ")
        return await anyio.to_thread.run_sync(partial(ask, self.url + path, method, data))


@pytest.mark.slow
async def test_a_test_in_another_language_runs_over_the_socket_alone() -> None:
    sim = Echo(clock=Clock.stepped(), seed=3)
    async with sim.serve() as url:
        far = Far(url)
        status, job = await far("POST /_sim/jobs", {"script": SCRIPT, "id": "j1", "fields": {"svm": "a"}})
        assert (status, job["id"], job["state"], job["fields"]) == (201, "j1", "queued", {"svm": "a"})
        fault = {"kind": "RetryAfter", "seconds": 9, "status": 429}
        status, injected = await far("POST /_sim/faults", {"match": "GET /", "faults": fault, "after": 1})
        assert (status, injected["id"], injected["met"]) == (201, 1, 0)
        status, unmet = await far("GET /_sim/verify")
        assert status == 409
        assert "never met: RetryAfter(9, status=429) on GET /" in unmet["unmet"][0]
        assert await far("GET /") == (200, {"j1": "queued"})
        status, headers, _ = await anyio.to_thread.run_sync(fetch, url)
        assert (status, headers["Retry-After"]) == (429, "9")
        assert await far("POST /_sim/verify") == (200, {"unmet": []})
        assert (await far("POST /_sim/clock", {"step": 5}))[0] == 200
        assert await far("GET /") == (200, {"j1": "done"})
        status, journal = await far("GET /_sim/journal")
        assert [(e["method"], e["target"], e["status"], e["fault"]) for e in journal["journal"]] == [
            ("GET", "/", 200, None),
            ("GET", "/", 429, 1),
            ("GET", "/", 200, None),
        ]
        assert await far("POST /_sim/reset") == (200, {})
        assert await far("GET /") == (200, {})


@attrs.frozen
class Near:
    """The same orders, in process: it is the same application."""

    http: httpx.AsyncClient

    async def __call__(self, order: str, data: Any = None) -> tuple[int, Any]:
        method, path = order.split(" ")
        content = None if data is None else json.dumps(data)
        reply = await self.http.request(method, path, content=content)
        return reply.status_code, reply.json()


def near(sim: Echo) -> Near:
    return Near(httpx.AsyncClient(transport=sim.transport(), base_url="http://sim"))


async def test_jobs_come_and_go() -> None:
    sim = Echo(seed=1)
    tell = near(sim)
    script = [{"state": "a", "changes": {"x": 1}, "seconds": None}]
    status, job = await tell("POST /_sim/jobs", {"script": script})
    assert (status, job["state"], job["fields"], job["gone"]) == (201, "a", {"x": 1}, False)
    assert (await tell("GET /_sim/jobs"))[1]["jobs"] == [job]
    assert await tell(f"GET /_sim/jobs/{job['id']}") == (200, job)
    assert (await tell(f"DELETE /_sim/jobs/{job['id']}"))[0] == 200
    assert (await tell(f"GET /_sim/jobs/{job['id']}"))[0] == 404
    await tell("POST /_sim/jobs", {"script": [[None, 0]], "id": "over"})
    assert (await tell("GET /_sim/jobs/over"))[1]["gone"] is True
    assert (await tell("DELETE /_sim/jobs"))[0] == 200
    assert sim.jobs == {}


async def test_what_a_write_starts_can_be_said() -> None:
    sim = Echo()
    tell = near(sim)
    assert (await tell("PUT /_sim/writes", {"script": SCRIPT, "id": "mine"}))[0] == 200
    assert await tell("POST /", {}) == (202, {"id": "mine"})
    assert sim.jobs["mine"].life.steps[1].changes == {"message": "end"}


async def test_faults_come_and_go() -> None:
    sim = Echo()
    tell = near(sim)
    match = {"method": "get", "regex": "^/x", "query": {"q": "1*"}, "job": "j1", "nth": 2}
    faults = [{"kind": "Delay", "seconds": 0.5}, {"kind": "Status", "status": 500, "body": {"a": 1}}]
    told = {
        "match": match,
        "faults": faults,
        "times": None,
        "after": 2,
        "after_seconds": 1,
        "probability": 0.5,
    }
    assert (await tell("POST /_sim/faults", told))[0] == 201
    assert str(sim.faults[0]) == (
        "Delay(0.5) and Status(500, body={'a': 1}) on GET /^/x/ with q=1* about job j1 number 2"
        " (any number of times, after 2 requests, after 1 s, p=0.5)"
    )
    for kind in ("Reset", "Hang", "Html", "CutBody", "ShortPage", "IgnoreFilter", "ExpireTokens", "Forget"):
        assert (await tell("POST /_sim/faults", {"faults": {"kind": kind}}))[0] == 201
    assert len((await tell("GET /_sim/faults"))[1]["faults"]) == 9
    assert (await tell("GET /_sim/faults/2"))[1]["fault"].startswith("Reset() on any method")
    assert (await tell("DELETE /_sim/faults/2"))[0] == 200
    assert (await tell("DELETE /_sim/faults/2"))[0] == 404
    assert (await tell("DELETE /_sim/faults"))[0] == 200
    assert sim.faults == []


@pytest.mark.slow
async def test_time_is_told_stepped_and_scaled() -> None:
    tell = near(Echo())
    _, before = await tell("GET /_sim/clock")
    assert before["scale"] == 1
    _, after = await tell("PUT /_sim/clock", {"step": 3600, "scale": 0})
    assert after["scale"] == 0
    assert after["now"] - before["now"] >= 3600
    assert (await tell("GET /_sim/clock"))[1] == after


async def test_the_journal_keeps_secrets_and_orders_are_not_in_it() -> None:
    sim = Echo()
    tell = near(sim)
    await tell.http.post("/x", headers={"Authorization": "Bearer s3cret", "X-One": "1"}, content="hello")
    await tell.http.post("/oauth/token", data={"password": "s3cret"})
    _, said = await tell("GET /_sim/journal")
    assert "s3cret" not in json.dumps(said)
    first, second = said["journal"]
    assert (first["headers"]["x-one"], first["headers"]["authorization"], first["body"]) == (
        "1",
        "…",
        "hello",
    )
    assert second["body"] == "…"
    assert (await tell("DELETE /_sim/journal"))[0] == 200
    assert sim.journal == []


@pytest.mark.slow
async def test_counts_tell_what_became_of_each_request_beyond_the_journal() -> None:
    sim = Echo(journal_limit=1)
    tell = near(sim)
    id = sim.add_job([("a", None)], id="j1")
    sim.add_job([("a", 0)])
    await tell("POST /_sim/faults", {"match": "GET /lost", "faults": {"kind": "Reset"}})
    await tell("POST /_sim/faults", {"match": "GET /slow", "faults": {"kind": "Hang"}})
    for path in (f"/jobs/{id}", "/jobs/6a3f7e0c-5d0f-4f0e-9c31-005056a1b2c3", "/jobs/space.delete~s1"):
        await tell.http.get(path)
    with pytest.raises(httpx.ReadError):
        await tell.http.get("/lost")
    async with anyio.create_task_group() as group:
        group.start_soon(tell.http.get, "/slow")
        await anyio.wait_all_tasks_blocked()
        assert (await tell("GET /_sim/counts"))[1]["under_way"] == 1
        group.cancel_scope.cancel()
    assert await tell("GET /_sim/counts") == (
        200,
        {
            "requests": 5,
            "under_way": 0,
            "calls": {"GET /jobs/*": 3, "GET /lost": 1, "GET /slow": 1},
            "statuses": {"200": 3, "lost": 1, "left": 1},
            "faults": {"1": 1, "2": 1},
            "jobs": {"a": 1, "gone": 1},
        },
    )
    assert sim.counts.requests == 5
    await tell("POST /_sim/reset")
    assert (await tell("GET /_sim/counts"))[1]["requests"] == 0


async def test_each_request_is_logged_with_what_became_of_it_and_no_secret(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "jobsource.simulator")
    tell = near(Echo())
    await tell("POST /_sim/faults", {"match": "GET /lost", "faults": {"kind": "Reset"}})
    await tell.http.get("/x?a=1&token=s3cret", headers={"Authorization": "Bearer s3cret"})
    with pytest.raises(httpx.ReadError):
        await tell.http.get("/lost")
    lines = [each.getMessage().partition(" s ")[2] for each in caplog.records if "simulator" in each.name]
    assert lines == [
        "POST /_sim/faults 201",
        "GET /x?a=1&token=**** 200",
        "GET /lost lost (fault 1: Reset() on GET /lost (1x))",
    ]


WRONG = [
    ("POST /_sim/jobs", [], "the body must be a JSON object"),
    ("POST /_sim/jobs", {}, "a job needs a script"),
    ("POST /_sim/jobs", {"script": "x"}, "script must be an array"),
    ("POST /_sim/jobs", {"script": []}, "at least one step"),
    ("POST /_sim/jobs", {"script": [["a", "1"]]}, "seconds must be a number"),
    ("POST /_sim/jobs", {"script": [[1, 1]]}, "state must be text"),
    ("POST /_sim/jobs", {"script": [{"stat": "a"}]}, "a step has no 'stat'; it takes state, seconds"),
    ("POST /_sim/jobs", {"script": SCRIPT, "id": 7}, "id must be text"),
    ("POST /_sim/jobs", {"script": SCRIPT, "id": "taken"}, "there is a job 'taken' already"),
    ("POST /_sim/jobs", {"script": SCRIPT, "fields": {"id": "x"}}, "'id' belongs beside"),
    ("POST /_sim/faults", {}, "a fault must be a JSON object"),
    ("POST /_sim/faults", {"faults": {"kind": "x" * 10_000}}, "a fault's kind is one of Status"),
    ("POST /_sim/faults", {"faults": {"kind": "Florb"}}, "a fault's kind is one of Status, RetryAfter"),
    ("POST /_sim/faults", {"faults": {"kind": "Status"}}, "Status needs status"),
    ("POST /_sim/faults", {"faults": {"kind": "Status", "code": 1}}, "Status has no 'code'; it takes status"),
    ("POST /_sim/faults", {"faults": {"kind": "Status", "status": "500"}}, "from 200 to 599, not '500'"),
    ("POST /_sim/faults", {"faults": {"kind": "Status", "status": 500, "headers": {"a": 1}}}, "a header"),
    ("POST /_sim/faults", {"faults": {"kind": "Hang", "acts": 1}}, "acts of Hang must be true or false"),
    ("POST /_sim/faults", {"faults": {"kind": "Reset"}, "tims": 1}, "the body has no 'tims'"),
    ("POST /_sim/faults", {"faults": {"kind": "Reset"}, "times": True}, "times must be a whole number"),
    ("POST /_sim/faults", {"faults": {"kind": "Reset"}, "match": "x"}, "neither a method, nor a path"),
    ("POST /_sim/faults", {"faults": {"kind": "Reset"}, "match": {"path": 1}}, "path must be text"),
    ("POST /_sim/faults", {"faults": {"kind": "Reset"}, "match": {"query": {"a": 1}}}, "the pattern of a"),
    ("POST /_sim/faults", {"faults": {"kind": "Reset"}, "times": -1}, "times is 1 or more"),
    ("POST /_sim/faults", {"faults": {"kind": "Reset"}, "times": 1.5}, "times must be a whole number"),
    (
        "POST /_sim/faults",
        {"faults": {"kind": "Reset"}, "after": -1},
        "after and after_seconds are 0 or more",
    ),
    ("POST /_sim/faults", {"faults": {"kind": "Reset"}, "after_seconds": 10**400}, "after_seconds are 0"),
    ("POST /_sim/faults", {"faults": {"kind": "Reset"}, "probability": 2}, "above 0 and at most 1, not 2"),
    ("POST /_sim/faults", {"faults": {"kind": "Reset"}, "probability": "1"}, "probability must be a number"),
    ("POST /_sim/faults", {"faults": {"kind": "Reset"}, "match": {"regex": "("}}, "not a regular expression"),
    ("POST /_sim/faults", {"faults": {"kind": "Reset"}, "match": {"nth": 0}}, "counted from 1, not 0"),
    ("POST /_sim/faults", {"faults": []}, "name at least one fault"),
    ("POST /_sim/faults", {"faults": [{"kind": "Reset"}, 7]}, "a fault must be a JSON object, not 7"),
    ("POST /_sim/faults", {"faults": {"kind": "Delay", "seconds": -1}}, "0 or more, not -1"),
    ("POST /_sim/faults", {"faults": {"kind": "Delay", "seconds": 10**400}}, "0 or more, not 1000"),
    ("POST /_sim/faults", {"faults": {"kind": "CutBody", "after_bytes": 0.5}}, "0, 1, 2, …, not 0.5"),
    ("POST /_sim/faults", {"faults": {"kind": "ContentType", "type": None}}, "must be text, not None"),
    ("POST /_sim/faults", {"faults": {"kind": "ContentType", "type": "a\r\nb: c"}}, "must be text, not"),
    ("POST /_sim/faults", {"faults": {"kind": "Forget", "job": 7}}, "job of Forget must be text"),
    ("POST /_sim/faults", {"faults": {"kind": "Status", "status": 500, "headers": [1]}}, "texts by name"),
    (
        "POST /_sim/faults",
        {"faults": {"kind": "Status", "status": 500, "headers": {"a b": ""}}},
        "called 'a b'",
    ),
    (
        "POST /_sim/faults",
        {"faults": {"kind": "Status", "status": 500, "headers": {"Content-Length": "1"}}},
        "use CutBody",
    ),
    ("POST /_sim/faults", {"faults": {"kind": "Status", "status": 204, "body": "x"}}, "204 has no body"),
    ("POST /_sim/faults", {"faults": {"kind": "Html", "status": 304}}, "304 has no body"),
    ("POST /_sim/jobs", {"script": [["a", -1], ["b", None]]}, "seconds are 0 or more"),
    ("POST /_sim/jobs", {"script": [["a", 10**400], ["b", None]]}, "seconds are 0 or more"),
    ("POST /_sim/jobs", {"script": SCRIPT, "id": "\ud800"}, "a lone surrogate"),
    ("PUT /_sim/clock", {"step": "1"}, "step must be a number"),
    ("PUT /_sim/clock", {"step": 60, "scale": -1}, "scale is 0 or more"),
    ("POST /_sim/clock", {}, "the clock takes {"),
    ("POST /_sim/clock", {"step": -1}, "0 seconds or more"),
    ("POST /_sim/clock", {"scale": None}, "scale must be a number"),
]


async def test_a_wrong_order_is_a_400_that_says_why() -> None:
    for order, data, complaint in WRONG:
        with case(order, data, complaint):
            sim = Echo()
            sim.add_job([("a", None)], id="taken")
            status, said = await near(sim)(order, data)
            assert (status, complaint in said["error"]) == (400, True), said
            assert len(said["error"]) < 300
            assert (len(sim.jobs), sim.faults) == (1, [])


async def test_a_body_that_is_not_json_and_a_path_that_is_not_there() -> None:
    tell = near(Echo())
    nested = b'{"a":' * 500 + b"1" + b"}" * 500
    for body, complaint in (
        *((body, "not JSON") for body in (b"", b"{", b"\xff", b'{"script": NaN}', b'{"script": 1e999}')),
        *((body, "nested too deep") for body in (nested, b"[" * 100_000)),
        (b" " * (16 * 2**20 + 1), "16777216 at most"),
    ):
        for what in ("jobs", "writes", "faults", "clock"):
            reply = await tell.http.post(f"/_sim/{what}", content=body)
            assert (reply.status_code, complaint in reply.json()["error"]) == (400, True), body[:20]
    status, said = await tell("PATCH /_sim/jobs")
    assert (status, "jobs, writes, faults" in said["error"]) == (404, True)
    assert (await tell("GET /_sim"))[1]["simulator"] == "Echo"
