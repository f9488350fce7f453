"""Each kind of fault, as a client in the same process meets it: both event loops, in virtual time."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import anyio
import attrs
import httpx
import pytest

from common import simulator
from common.simulator import (
    Clock,
    ContentType,
    CutBody,
    Delay,
    ExpireTokens,
    Fault,
    Forget,
    Hang,
    Html,
    IgnoreFilter,
    Latin1,
    Match,
    Refuse,
    Request,
    Reset,
    Response,
    RetryAfter,
    ShortPage,
    Simulator,
    Stale,
    Status,
    faults,
)
from common.simulator.faults import KINDS
from common.simulator.faults.match import MatchLike
from tests.common.simulator.echoing import Echo

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@attrs.frozen
class Rig:
    """A simulator, and a client of it."""

    sim: Echo
    http: httpx.AsyncClient

    async def get(self, path: str = "/", **options: Any) -> httpx.Response:
        return await self.http.get(path, **options)

    async def statuses(self, count: int, path: str = "/") -> list[int]:
        return [(await self.get(path)).status_code for _ in range(count)]


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    sim = Echo(clock=Clock(NOON), seed=7)
    async with httpx.AsyncClient(transport=sim.transport(), base_url="http://sim") as http:
        yield Rig(sim, http)


# --- what is answered


async def test_a_status_with_headers_and_a_body(rig: Rig) -> None:
    rig.sim.inject(None, Status(429, {"Content-Type": "text/plain", "X-One": "1"}, {"code": 10013}))
    reply = await rig.get()
    assert (reply.status_code, reply.headers["x-one"]) == (429, "1")
    assert (reply.headers["content-type"], reply.json()) == ("text/plain", {"code": 10013})
    assert (await rig.get()).status_code == 200


@pytest.mark.parametrize(
    ("body", "kind", "sent"),
    [
        (None, None, b""),
        ("gone fishing", "text/plain; charset=utf-8", b"gone fishing"),
        (b"\x00", "application/octet-stream", b"\x00"),
        ([1, {"é": None}], "application/json", '[1, {"é": null}]'.encode()),
    ],
)
async def test_the_kind_of_body_names_its_content_type(rig: Rig, body: Any, kind: str, sent: bytes) -> None:
    rig.sim.inject(None, Status(503, body=body))
    reply = await rig.get()
    assert (reply.headers.get("content-type"), reply.content) == (kind, sent)


async def test_retry_after_in_seconds_or_as_a_date(rig: Rig) -> None:
    rig.sim.inject(None, RetryAfter(2.5))
    rig.sim.inject(None, RetryAfter(90, date=True, status=429, body="slow down"))
    seconds, date = await rig.get(), await rig.get()
    assert (seconds.status_code, seconds.headers["retry-after"]) == (503, "3")
    assert (date.status_code, date.text) == (429, "slow down")
    assert parsedate_to_datetime(date.headers["retry-after"]) == NOON + timedelta(seconds=90)


async def test_a_proxys_page(rig: Rig) -> None:
    rig.sim.inject("POST", Html(504, acts=True))
    reply = await rig.http.post("/")
    assert (reply.status_code, reply.headers["content-type"]) == (504, "text/html")
    assert reply.text.startswith("<html>")
    assert rig.sim.writes == 1


async def test_the_right_answer_under_another_content_type(rig: Rig) -> None:
    rig.sim.inject(None, ContentType("text/plain"))
    reply = await rig.get()
    assert (reply.headers["content-type"], reply.json()) == ("text/plain", {})


async def test_the_right_answer_in_an_encoding_that_json_forbids(rig: Rig) -> None:
    answer = Status(200, body={"a": "p\u00e8re\n\u20ac \\n"})
    rig.sim.inject(None, Latin1(), answer)
    rig.sim.inject(None, Latin1(raw_lines=True), answer)
    assert (await rig.get()).content == b'{"a": "p\xe8re\\n? \\\\n"}'
    assert (await rig.get()).content == b'{"a": "p\xe8re\n? \\\\n"}'


@pytest.mark.parametrize("acts", [False, True])
async def test_a_fault_of_a_write_says_whether_it_was_done(rig: Rig, acts: bool) -> None:
    rig.sim.inject("POST", Status(502, acts=acts))
    rig.sim.inject("POST", Reset(acts=acts))
    rig.sim.inject("POST", Hang(acts=acts))
    assert (await rig.http.post("/")).status_code == 502
    with pytest.raises(httpx.ReadError):
        await rig.http.post("/")
    with pytest.raises(httpx.ReadTimeout):
        await rig.http.post("/")
    assert rig.sim.writes == (3 if acts else 0)


# --- time


async def test_a_delay_is_on_the_simulators_clock(rig: Rig) -> None:
    rig.sim.clock.scale = 60
    rig.sim.inject(None, Delay(120))
    began = anyio.current_time()
    assert (await rig.get()).status_code == 200
    assert anyio.current_time() - began == pytest.approx(2)


async def test_a_late_reply_is_what_was_true_when_it_was_asked_for(rig: Rig) -> None:
    id = rig.sim.add_job([("a", 1), ("b", None)])
    rig.sim.inject(None, Delay(3))
    assert (await rig.get()).json() == {id: "a"}


async def test_a_hang_and_a_long_delay_end_with_the_clients_timeout(rig: Rig) -> None:
    rig.sim.inject(None, Hang())
    rig.sim.inject(None, Delay(10))
    for _ in range(2):
        began = anyio.current_time()
        with pytest.raises(httpx.ReadTimeout) as caught:
            await rig.get(timeout=httpx.Timeout(None, read=4))
        assert caught.value.request.url == "http://sim/"
        assert anyio.current_time() - began == 4
    assert [entry.status for entry in rig.sim.journal] == [None, None]


async def test_a_hang_can_be_cancelled(rig: Rig) -> None:
    rig.sim.inject(None, Hang())
    with anyio.move_on_after(1000) as scope:
        await rig.get(timeout=None)
    assert scope.cancelled_caught


# --- connections


async def test_a_reset_connection_is_a_read_error(rig: Rig) -> None:
    rig.sim.inject(None, Reset())
    with pytest.raises(httpx.ReadError) as caught:
        await rig.get()
    assert caught.value.request.url == "http://sim/"
    assert (await rig.get()).status_code == 200


@pytest.mark.parametrize(("after", "received"), [(0, 0), (5, 5), (10_000, 2)])
async def test_a_cut_body_is_never_all_that_was_announced(rig: Rig, after: int, received: int) -> None:
    if received == 5:
        rig.sim.add_job([("a", None)], id="one")
    rig.sim.inject(None, CutBody(after))
    with pytest.raises(httpx.RemoteProtocolError, match=f"received {received} bytes, expected "):
        await rig.get()


async def test_refused_connections_end_after_a_while_and_are_seen_by_nobody(rig: Rig) -> None:
    rig.sim.inject("GET /here", Refuse(5))
    assert (await rig.get("/")).status_code == 200
    for path in ("/here", "/", "/"):
        with pytest.raises(httpx.ConnectError):
            await rig.get(path)
        await anyio.sleep(2)
    assert (await rig.get()).status_code == 200
    assert [entry.path for entry in rig.sim.journal] == ["/", "/here", "/"]


async def test_orders_come_through_while_connections_are_refused(rig: Rig) -> None:
    rig.sim.inject(None, Refuse(5))
    with pytest.raises(httpx.ConnectError):
        await rig.get()
    await rig.http.post("/_sim/clock", json={"step": 5})
    assert (await rig.get()).status_code == 200


# --- lists


async def test_a_stale_reply_knows_nothing_of_what_came_since(rig: Rig) -> None:
    old = rig.sim.add_job([("a", 10), ("b", None)])
    await anyio.sleep(9)
    new = rig.sim.add_job([("a", None)])
    await anyio.sleep(2)
    rig.sim.inject(None, Stale(3))
    assert (await rig.get()).json() == {old: "a"}
    assert (await rig.get()).json() == {old: "b", new: "a"}


async def test_a_short_page_and_an_ignored_filter_are_for_lists_alone(rig: Rig) -> None:
    rig.sim.inject(None, ShortPage(3), IgnoreFilter(), IgnoreFilter("state"), times=None)
    assert (await rig.get("/other?id=a&state=b")).json() == {}
    assert (await rig.get("/quirks?id=a")).json() == [None, []]
    assert (await rig.get("/quirks?id=a&state=b")).json() == [3, ["id", "state"]]


class Plain(Simulator):
    """Without pages, filters and tokens."""

    async def respond(self, request: Request) -> Response:
        return Response(204)


async def test_what_a_system_does_not_have_cannot_go_wrong() -> None:
    plain = Plain()
    for fault, named in ((ShortPage(), "pages"), (IgnoreFilter("x"), "filters"), (ExpireTokens(), "tokens")):
        with pytest.raises(ValueError, match=f"Plain has no {named}"):
            plain.inject(None, fault)


# --- tokens and jobs


async def test_tokens_expire_before_the_request_is_answered(rig: Rig) -> None:
    rig.sim.inject(None, ExpireTokens())
    await rig.get(headers={"Authorization": "Bearer mine"})
    assert rig.sim.expired == ("Bearer mine",)


async def test_a_job_vanishes_when_it_is_asked_for(rig: Rig) -> None:
    kept, gone = (rig.sim.add_job([("a", None)]) for _ in range(2))
    rig.sim.inject("GET", Forget())
    rig.sim.inject("POST", Forget(kept))
    await rig.get("/")
    assert (await rig.get(f"/jobs?id={gone}|other")).json() == {kept: "a"}
    await rig.http.post("/")
    assert kept not in rig.sim.jobs


# --- which requests, and when


async def test_times_after_and_nth(rig: Rig) -> None:
    rig.sim.inject(Match(path="/a"), Status(500), times=2, after=1)
    rig.sim.inject(Match(path="/b", nth=2), Status(500), times=None)
    rig.sim.inject("/c", Status(500), times=None)
    assert await rig.statuses(5, "/a") == [200, 500, 500, 200, 200]
    assert await rig.statuses(4, "/b") == [200, 500, 200, 200]
    assert await rig.statuses(3, "/c") == [500] * 3


async def test_after_seconds_count_from_the_injection(rig: Rig) -> None:
    await anyio.sleep(100)
    rig.sim.inject(None, Status(500), times=None, after_seconds=10)
    assert await rig.statuses(1) == [200]
    await anyio.sleep(10)
    assert await rig.statuses(1) == [500]


async def test_one_call_after_another_and_several_faults_in_one(rig: Rig) -> None:
    rig.sim.inject(None, Status(500))
    rig.sim.inject(None, Delay(3), Status(501))
    assert await rig.statuses(1) == [500]
    began = anyio.current_time()
    assert await rig.statuses(2) == [501, 200]
    assert anyio.current_time() - began == 3


@pytest.mark.slow
async def test_an_improbable_fault_is_the_same_again_with_the_same_seed() -> None:
    async def drawn(seed: int | None) -> list[int]:
        sim = Echo(seed=seed)
        sim.inject(None, Status(500), times=None, probability=0.5)
        async with httpx.AsyncClient(transport=sim.transport(), base_url="http://sim") as http:
            rig = Rig(sim, http)
            first = await rig.statuses(64)
            sim.reset()
            sim.new_id()  # ids are drawn apart
            sim.inject(None, Status(500), times=None, probability=0.5)
            again = await rig.statuses(64)
        assert (first == again) == (seed is not None)
        return first

    assert await drawn(1) == await drawn(1) != await drawn(2)
    assert {200, 500} == set(await drawn(None))


async def test_what_a_request_must_be_like(rig: Rig) -> None:
    def slow(request: Request) -> bool:
        return "slow" in request.query

    likes: list[MatchLike] = [
        "POST /jobs/*",
        "DELETE",
        re.compile(r"^/v\d/"),
        Match(query={"state": "run*", "x": "*"}),
        Match(job="j[1]"),
        slow,
    ]
    for number, like in enumerate(likes):
        rig.sim.inject(like, Status(500 + number), times=None)
    sent = (
        *(("POST", "/jobs/a/b"), ("GET", "/jobs/a"), ("DELETE", "/x"), ("GET", "/v3/x"), ("GET", "/v/x")),
        *(
            ("GET", "/?state=running&x="),
            ("GET", "/?state=running"),
            ("GET", "/x/j%5B1%5D"),
            ("GET", "/x/j1"),
        ),
        *(("GET", "/?uuid=a|j[1]"), ("GET", "/?slow")),
    )
    got = [(await rig.http.request(method, path)).status_code for method, path in sent]
    assert got == [500, 200, 501, 502, 200, 503, 200, 504, 200, 504, 505]


@pytest.mark.parametrize("text", ["", "get /x", "jobs", "GET jobs", "5d0f3f0e-77aa"])
def test_a_text_that_matches_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write it like 'GET /jobs/\\*'"):
        Echo().inject(text, Reset())


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda sim: sim.inject(None), "at least one fault"),
        (lambda sim: sim.inject(None, "Reset"), "not a fault: 'Reset'"),
        (lambda sim: sim.inject(None, Reset), "not a fault: <class"),
        (lambda sim: sim.inject(None, Reset(), times=0), "times is 1 or more"),
        (lambda sim: sim.inject(None, Reset(), times=1.5), "times is 1 or more"),
        (lambda sim: sim.inject(None, Reset(), after=-1), "0 or more"),
        (lambda sim: sim.inject(None, Reset(), after_seconds=float("nan")), "0 or more"),
        (lambda sim: sim.inject(None, Reset(), probability=0), "a probability is above 0"),
        (lambda _: Status(99), "from 200 to 599"),
        (lambda _: Delay(-1), "must be 0 or more"),
        (lambda _: CutBody(-1), "must be 0, 1, 2"),
        (lambda _: Match(regex="("), "not a regular expression"),
        (lambda _: Match(nth=0), "counted from 1"),
        (lambda _: Match(method="GTE"), "a method is one of GET, "),
        (lambda sim: sim.inject(5, Reset()), "neither a method, nor a path, nor both: 5"),
        (lambda sim: sim.inject("GTE *", Reset()), "or \\* for any, not 'GTE'"),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_is_said(call: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        call(Echo())


# --- what was met


async def test_verify_names_every_fault_that_was_never_met(rig: Rig) -> None:
    rig.sim.verify()
    met = rig.sim.inject("GET /", Status(500))
    rig.sim.inject("POST /jobs*", RetryAfter(5, date=True), after=3)
    rig.sim.inject(Match(job="j1"), Reset(), times=None, probability=0.25)
    await rig.get("/")
    await rig.http.post("/jobs")
    assert [entry.path for entry in met.met] == ["/"]
    with pytest.raises(AssertionError) as caught:
        rig.sim.verify()
    assert str(caught.value).splitlines() == [
        f"an injected fault was never met: {fault} matched"
        for fault in (
            "RetryAfter(5, date=True) on POST /jobs* (1x, after 3 requests); 1 request",
            "Reset() on any method any path about job j1 (any number of times, p=0.25); no requests",
        )
    ]


async def test_verify_passes_over_a_fault_that_chance_has_spared(rig: Rig) -> None:
    rig.sim.inject("GET /", Status(500), times=None, probability=1e-12)
    rig.sim.inject("POST", Status(500), times=None, probability=1e-12, after=1)
    await rig.get("/")
    await rig.http.post("/")
    with pytest.raises(AssertionError, match=r"POST .* after 1 requests.*; 1 request matched") as caught:
        rig.sim.verify()
    assert "GET" not in str(caught.value)
    await rig.http.post("/")
    rig.sim.verify()


async def test_reset_forgets_everything_but_the_time(rig: Rig) -> None:
    first = rig.sim.add_job([("a", None)])
    rig.sim.on_write = lambda _: pytest.fail("forgotten")
    rig.sim.inject(None, Refuse(100))
    with pytest.raises(httpx.ConnectError):
        await rig.get()
    before = rig.sim.clock.now()
    rig.sim.reset()
    assert (rig.sim.jobs, rig.sim.journal, rig.sim.faults) == ({}, [], [])
    assert rig.sim.clock.now() == before
    assert rig.sim.add_job([("a", None)]) == first
    assert (await rig.http.post("/")).status_code == 202


async def test_a_fault_of_a_tests_own(rig: Rig) -> None:
    @attrs.frozen
    class Twice(Fault):
        async def apply(self, system: Any, ask: Any, request: Request) -> Any:
            await ask(request)
            return await ask(request)

    rig.sim.inject("POST", Twice(), Fault())
    assert (await rig.http.post("/")).status_code == 202
    assert rig.sim.writes == 2


def test_every_kind_of_fault_can_be_named() -> None:
    ours = {kind for kind in Fault.__subclasses__() if kind.__module__.startswith("common.simulator.")}
    assert set(KINDS.values()) == ours
    assert set(faults.__all__) == {*KINDS, "KINDS", "Ask", "Fault"}
    assert all(getattr(simulator, name) is getattr(faults, name) is kind for name, kind in KINDS.items())
    assert all(kind.__doc__ for kind in KINDS.values())
