"""What every simulator does, whatever system it plays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import anyio
import httpx
import pytest

from cfjobs.simulator.rate_limit import RateLimit
from common.simulator.clock import Clock
from common.simulator.messages import Request, Response, json_response
from common.simulator.script import NewJob
from common.simulator.server.asgi import run_asgi
from common.simulator.simulator import Simulator
from common.simulator.tokens import TokenDesk

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Echo(Simulator):
    """Answers with the states of its jobs; ``/slow`` takes long, and any POST is a write."""

    async def respond(self, request: Request) -> Response:
        if request.path == "/slow":
            await anyio.sleep(30)
        if request.method == "POST":
            new = self.job_for_write(request)
            if isinstance(new, Response):
                return new
            return json_response(202, {"id": self.add_job(new.script, id=new.id, **new.fields)})
        moments = {name: job.at(request.at) for name, job in self.jobs.items()}
        return json_response(
            200, {name: [found.state, dict(found.fields)] for name, found in moments.items() if found}
        )


def client(simulator: Simulator) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=simulator.transport(), base_url="http://sim")


async def test_a_job_lives_by_its_script_on_the_loops_clock() -> None:
    simulator = Echo()
    name = simulator.add_job([("queued", 0.05), ("done", None, {"message": "end"})], message="begin")
    async with client(simulator) as http:
        assert (await http.get("/")).json() == {name: ["queued", {"message": "begin"}]}
        await anyio.sleep(0.06)
        assert (await http.get("/")).json() == {name: ["done", {"message": "end"}]}


@pytest.mark.slow
def test_a_job_added_outside_a_loop_begins_with_the_first_request(anyio_backend_name: str) -> None:
    simulator = Echo()
    name = simulator.add_job([("queued", 0.05), ("done", None)])

    async def run() -> list[Any]:
        await anyio.sleep(0.07)
        async with client(simulator) as http:
            first = (await http.get("/")).json()
            await anyio.sleep(0.06)
            return [first, (await http.get("/")).json()]

    assert anyio.run(run, backend=anyio_backend_name) == [{name: ["queued", {}]}, {name: ["done", {}]}]


async def test_an_id_can_be_chosen_once() -> None:
    simulator = Echo()
    assert simulator.add_job([("a", None)], id="mine") == "mine"
    with pytest.raises(ValueError, match="'mine' already"):
        simulator.add_job([("a", None)], id="mine")


async def test_ids_repeat_with_the_same_seed_only() -> None:
    ids = [Echo(seed=seed).add_job([("a", None)]) for seed in (1, 1, 2, None, None)]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 4


async def test_the_journal_holds_every_request_and_the_status_answered() -> None:
    simulator = Echo()
    async with client(simulator) as http:
        await http.post("/start?x=a%20b", content=b"body", headers={"X-One": "1"})
        with anyio.move_on_after(0.05):
            await http.get("/slow")
    write, slow = simulator.journal
    assert (write.method, write.path, write.query, write.body) == ("POST", "/start", {"x": "a b"}, b"body")
    assert (write.headers["x-one"], write.status) == ("1", 202)
    assert (slow.path, slow.status) == ("/slow", None)
    assert write.at <= slow.at <= anyio.current_time()


async def test_a_journal_with_a_limit_holds_the_last_requests() -> None:
    simulator = Echo(journal_limit=2)
    async with client(simulator) as http:
        for number in range(5):
            await http.get(f"/{number}")
    assert [request.path for request in simulator.journal] == ["/3", "/4"]
    with pytest.raises(ValueError, match="0 or more"):
        Echo(journal_limit=-1)


async def test_a_write_starts_the_job_that_on_write_names() -> None:
    simulator = Echo(on_write=NewJob([("a", None)], {"color": "red"}, id="one"))
    async with client(simulator) as http:
        assert (await http.post("/")).json() == {"id": "one"}
        simulator.on_write = lambda request: NewJob([("b", None)], {"path": request.path}, id="two")
        assert (await http.post("/x")).json() == {"id": "two"}
        simulator.on_write = lambda _: Response(409)
        assert (await http.post("/")).status_code == 409
        assert (await http.get("/")).json() == {"one": ["a", {"color": "red"}], "two": ["b", {"path": "/x"}]}


def test_a_job_for_writes_is_checked_when_it_is_made() -> None:
    with pytest.raises(ValueError, match="at least one step"):
        NewJob([])


async def test_dates_keep_pace_with_the_loop_from_the_wall_time_given() -> None:
    simulator = Echo(clock=Clock(NOON))
    async with client(simulator) as http:
        reply = await http.get("/")
    assert parsedate_to_datetime(reply.headers["date"]) == NOON
    assert reply.headers["content-length"] == str(len(reply.content))
    at = simulator.journal[0].at
    assert NOON <= simulator.wall(at) < NOON + timedelta(seconds=1)
    assert simulator.wall(at + 90) - simulator.wall(at) == timedelta(seconds=90)


async def test_without_a_wall_time_dates_begin_at_the_real_one() -> None:
    simulator = Echo()
    assert abs(simulator.wall(anyio.current_time()) - datetime.now(UTC)) < timedelta(seconds=1)


def test_a_wall_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        Clock(datetime.fromisoformat("2026-01-01"))


async def test_the_transport_can_be_cancelled_and_lets_others_run() -> None:
    simulator = Echo()
    async with client(simulator) as http:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await http.get("/")
        assert scope.cancelled_caught
    assert simulator.journal == []


async def test_the_lifespan_of_an_asgi_server_is_served() -> None:
    asked = iter(["lifespan.startup", "lifespan.shutdown"])
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": next(asked)}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await Echo()({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_a_body_comes_together_and_a_client_that_leaves_is_not_answered() -> None:
    simulator = Echo()
    scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
    parts = iter(
        [
            {"type": "http.request", "body": b"ab", "more_body": True},
            {"type": "http.request", "body": b"c"},
            {"type": "http.request", "body": b"ab", "more_body": True},
            {"type": "http.disconnect"},
        ]
    )
    sent: list[Any] = []

    async def receive() -> Any:
        return next(parts)

    async def send(message: Any) -> None:
        sent.append(message)

    await run_asgi(simulator.handle, scope, receive, send)
    assert [entry.body for entry in simulator.journal] == [b"abc"]
    assert sent[0]["status"] == 202
    await run_asgi(simulator.handle, scope, receive, send)
    assert len(sent) == 2
    with pytest.raises(ValueError, match="websocket"):
        await run_asgi(simulator.handle, {"type": "websocket"}, receive, send)


def test_a_simulator_that_answers_nothing_cannot_be_made() -> None:
    silent: type = type("Silent", (Simulator,), {})
    with pytest.raises(TypeError, match="respond"):
        silent()


def test_a_rate_limit_counts_within_its_window() -> None:
    limit = RateLimit(2, window=10)
    assert [limit.spend(now).exceeded for now in (5, 6, 14.9, 15)] == [False, False, True, False]
    assert limit.spend(16).remaining == 0
    assert limit.spend(16).reset == 25


async def test_a_token_is_refused_once_it_has_expired() -> None:
    issuer = TokenDesk(Clock(), lifetime=0.05)
    grant = Request.from_scope(
        {"method": "POST", "path": "/oauth/token", "headers": []}, b"grant_type=password", at=0
    )
    token = issuer.answer(grant).json()["access_token"]
    assert issuer.accepts(f"Bearer {token}")
    assert issuer.accepts("bearer anything")
    assert not issuer.accepts("Basic YTpi")
    assert not issuer.accepts("Bearer ")
    await anyio.sleep(0.06)
    assert not issuer.accepts(f"Bearer {token}")


@pytest.mark.parametrize("body", [b"", b"grant_type=magic", b"{", b"[1]"])
async def test_a_token_request_without_a_known_grant_is_refused(body: bytes) -> None:
    headers = [(b"content-type", b"application/json")] if body[:1] in {b"{", b"["} else []
    scope = {"method": "POST", "path": "/", "headers": headers}
    assert TokenDesk(Clock(), 60).answer(Request.from_scope(scope, body, at=0)).status == 400


async def test_client_credentials_get_no_refresh_token() -> None:
    scope = {"method": "POST", "path": "/", "headers": [(b"content-type", b"application/json")]}
    issuer = TokenDesk(Clock(), 60)
    grants = [b'{"grant_type": "client_credentials"}', b'{"grant_type": "refresh_token"}']
    replies = [issuer.answer(Request.from_scope(scope, body, at=0)).json() for body in grants]
    assert ["refresh_token" in reply for reply in replies] == [False, True]
    assert replies[0]["expires_in"] == 60


async def test_the_former_names_of_methods_still_work() -> None:
    simulator = Echo(on_write=NewJob([("queued", None)]))
    request = Request.from_scope({"method": "POST", "path": "/", "headers": []}, b"", at=0)
    assert simulator.what_starts(request) is simulator.job_for_write(request)
    with pytest.raises(ValueError, match="Echo has no pages"):
        simulator.need("pages")
    assert simulator.shut(60).seconds_left == pytest.approx(60)
    with pytest.raises(httpx.ConnectError):
        await client(simulator).get("/")
