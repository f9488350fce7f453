"""How a simulator serves a real socket, and how it stops."""

from __future__ import annotations

import logging
import signal
import socket
import sys
import threading
from datetime import timedelta
from email.utils import parsedate_to_datetime

import anyio
import httpx
import pytest

from common.simulator.messages import Request, Response, json_response
from common.simulator.simulator import Simulator

pytestmark = pytest.mark.anyio


class Echo(Simulator):
    """Answers with what it saw of the request; ``/slow`` takes long, and ``/boom`` raises."""

    async def respond(self, request: Request) -> Response:
        if request.path == "/slow":
            await anyio.sleep(60)
        if request.path == "/boom":
            raise RuntimeError("boom")
        seen = {
            "segments": request.segments,
            "query": request.query,
            "body": request.body.decode(),
            "thread": threading.get_ident(),
        }
        return json_response(200, seen)


@pytest.mark.slow
async def test_requests_are_answered_on_the_callers_loop_and_thread() -> None:
    simulator = Echo()
    async with simulator.serve() as url, httpx.AsyncClient(base_url=url) as http:
        reply = await http.post("/a%2Fb/~c.?x=1%202+3", content="body")
    assert url.startswith("http://127.0.0.1:")
    assert reply.json() == {
        "segments": ["a/b", "~c."],
        "query": {"x": "1 2+3"},
        "body": "body",
        "thread": threading.get_ident(),
    }
    [entry] = simulator.journal
    assert entry.status == 200
    assert 0 <= anyio.current_time() - entry.at < 5
    date = parsedate_to_datetime(reply.headers["date"])
    assert timedelta(0) <= simulator.wall(anyio.current_time()) - date < timedelta(seconds=5)
    assert "server" not in reply.headers


@pytest.mark.slow
async def test_a_slow_request_does_not_hold_up_another() -> None:
    async with (
        Echo().serve() as url,
        httpx.AsyncClient(base_url=url) as http,
        anyio.create_task_group() as group,
    ):
        group.start_soon(http.get, "/slow")
        await anyio.sleep(0.05)
        with anyio.fail_after(2):
            assert (await http.get("/quick")).status_code == 200
        group.cancel_scope.cancel()


@pytest.mark.slow
async def test_stopping_is_fast_and_cuts_what_is_outstanding() -> None:
    statuses: list[int] = []
    url = ""

    async def ask(http: httpx.AsyncClient) -> None:
        statuses.append((await http.get("/slow")).status_code)

    async with httpx.AsyncClient() as http, anyio.create_task_group() as group:
        async with Echo().serve() as url:
            http.base_url = httpx.URL(url)
            group.start_soon(ask, http)
            await anyio.sleep(0.1)
            began = anyio.current_time()
        assert anyio.current_time() - began < 1
    assert statuses == [503]
    async with httpx.AsyncClient() as http:
        with pytest.raises(httpx.ConnectError):
            await http.get(url)


@pytest.mark.slow
async def test_an_error_inside_the_block_comes_out_as_it_is() -> None:
    with pytest.raises(KeyError, match="mine"):
        async with Echo().serve():
            raise KeyError("mine")


@pytest.mark.slow
async def test_a_block_can_be_cancelled() -> None:
    with anyio.move_on_after(0.1) as scope:
        async with Echo().serve():
            await anyio.sleep_forever()
    assert scope.cancelled_caught


async def test_a_block_cancelled_from_the_start_leaves_nothing_behind() -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        async with Echo().serve():
            await anyio.sleep_forever()
    assert scope.cancelled_caught


@pytest.mark.slow
async def test_several_simulators_serve_at_once() -> None:
    async with Echo().serve() as one, Echo().serve() as two, httpx.AsyncClient() as http:
        assert one != two
        assert [(await http.get(url)).status_code for url in (one, two)] == [200, 200]


@pytest.mark.slow
async def test_a_port_can_be_chosen_and_used_again_after_the_stop() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    for _ in range(2):
        async with Echo().serve(port=port) as url, httpx.AsyncClient() as http:
            assert url.endswith(f":{port}")
            assert (await http.get(url)).status_code == 200


@pytest.mark.slow
async def test_a_port_that_is_taken_is_an_os_error() -> None:
    async with Echo().serve() as url:
        with pytest.raises(OSError, match=r"[Aa]ddress"):
            async with Echo().serve(port=int(url.rpartition(":")[2])):
                pass


@pytest.mark.slow
async def test_nothing_is_logged_and_no_signal_handler_changes(caplog: pytest.LogCaptureFixture) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    caplog.set_level(logging.INFO)
    async with Echo().serve() as url, httpx.AsyncClient() as http:
        await http.get(url)
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    assert [record for record in caplog.records if record.name.startswith("uvicorn")] == []


@pytest.mark.slow
async def test_an_error_in_the_simulator_is_logged_and_answered_with_500(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Echo().serve() as url, httpx.AsyncClient(base_url=url) as http:
        assert (await http.get("/boom")).status_code == 500
        assert (await http.get("/")).status_code == 200
    assert "boom" in caplog.text


async def test_without_uvicorn_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "common.simulator.server.uvicorn", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(ImportError, match=r'pip install "jobsource\[simulator\]"'):
        async with Echo().serve():
            pass


@pytest.mark.slow
async def test_small_replies_are_sent_at_once() -> None:
    async with Echo().serve() as url, httpx.AsyncClient(base_url=url) as http:
        began = anyio.current_time()
        for _ in range(25):
            await http.get("/")
        assert anyio.current_time() - began < 0.8  # a delayed acknowledgement each would make it 1.0
