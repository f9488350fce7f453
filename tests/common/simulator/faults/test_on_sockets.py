"""The same faults on a real socket: what clients of several kinds meet there."""

from __future__ import annotations

import http.client
import socket
import urllib.parse
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import httpx
import pytest

from common.simulator import Clock, CutBody, Fault, Hang, Match, Refuse, Reset, Status
from tests.common.simulator.echoing import Echo

pytestmark = pytest.mark.anyio

LOST: list[tuple[Fault, type[httpx.TransportError]]] = [
    (Reset(), httpx.ReadError),
    (CutBody(0), httpx.RemoteProtocolError),
    (CutBody(1), httpx.RemoteProtocolError),
    (CutBody(10_000), httpx.RemoteProtocolError),
]


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "error"), LOST, ids=str)
async def test_httpx_meets_the_same_as_in_process(fault: Fault, error: type[httpx.TransportError]) -> None:
    sim = Echo()
    sim.inject("GET", fault, times=2)
    async with httpx.AsyncClient(transport=sim.transport(), base_url="http://sim") as inside:
        with pytest.raises(error) as expected:
            await inside.get("/")
    async with sim.serve() as url, httpx.AsyncClient(base_url=url) as outside:
        with pytest.raises(error) as met:
            await outside.get("/")
        assert (await outside.get("/")).status_code == 200
    assert type(met.value) is type(expected.value)
    if isinstance(fault, CutBody):
        assert str(met.value) == str(expected.value)


@pytest.mark.slow
@pytest.mark.parametrize("status", [204, 304])
async def test_a_status_without_a_body_has_none_on_the_socket(status: int) -> None:
    sim = Echo()
    sim.inject("GET", Status(status, {"X-A": "b"}))
    async with sim.serve() as url, httpx.AsyncClient(base_url=url) as http:
        reply = await http.get("/")
        assert (reply.status_code, reply.content, reply.headers["X-A"]) == (status, b"", "b")
        assert (await http.get("/")).status_code == 200


@pytest.mark.slow
async def test_a_reset_on_the_socket_is_a_reset() -> None:
    sim = Echo()
    sim.inject(None, Reset())

    def talk(url: str) -> bytes:
        where = urllib.parse.urlsplit(url)
        with socket.create_connection((str(where.hostname), int(where.port or 0)), timeout=10) as line:
            line.sendall(b"GET / HTTP/1.1\r\nHost: sim\r\n\r\n")
            return line.recv(100)

    async with sim.serve() as url:
        with pytest.raises(ConnectionResetError):
            await anyio.to_thread.run_sync(talk, url)


@pytest.mark.slow
async def test_a_refusing_server_is_back_on_the_same_port() -> None:
    sim = Echo()
    sim.inject("GET /down", Refuse(0.3))
    async with sim.serve() as url, httpx.AsyncClient(base_url=url) as http:
        assert (await http.get("/")).status_code == 200
        with pytest.raises(httpx.ReadError):
            await http.get("/down")
        with pytest.raises(httpx.ConnectError):
            await http.get("/")
        with anyio.fail_after(20):
            while not await answers(http.get, "/"):
                await anyio.lowlevel.checkpoint()
        assert (await http.get("/")).status_code == 200
        assert [entry.path for entry in sim.journal].count("/down") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "over",
    [
        pytest.param(lambda sim: sim.reset(), id="reset"),
        pytest.param(lambda sim: sim.clock.step(1000), id="its time has come"),
        pytest.param(lambda sim: setattr(sim.clock, "scale", 0), id="a clock to be stepped"),
    ],
)
async def test_a_server_that_refused_takes_connections_as_soon_as_that_is_over(
    over: Callable[[Echo], None],
) -> None:
    sim = Echo()
    sim.inject(None, Refuse(1000))
    async with sim.serve() as url, httpx.AsyncClient(base_url=url) as http:
        for _ in range(2):
            with pytest.raises(httpx.TransportError):
                await http.get("/")
        over(sim)
        assert (await http.get("/_sim")).status_code == 200  # by the first connection after that


@pytest.mark.slow
async def test_a_faster_clock_ends_a_refusal_sooner() -> None:
    sim = Echo()
    sim.inject(None, Refuse(1000))
    async with sim.serve() as url, httpx.AsyncClient(base_url=url) as http:
        with pytest.raises(httpx.TransportError):
            await http.get("/")
        sim.clock.scale = 10_000
        with anyio.fail_after(20):
            while not await answers(http.get, "/"):
                await anyio.lowlevel.checkpoint()


@pytest.mark.slow
async def test_a_server_refuses_as_often_as_it_is_told_to() -> None:
    sim = Echo()
    sim.inject("GET /down", Refuse(1000), times=2)
    async with sim.serve() as url, httpx.AsyncClient(base_url=url) as http:
        for _ in range(2):
            with pytest.raises(httpx.TransportError):
                await http.get("/down")
            with pytest.raises(httpx.ConnectError):
                await http.get("/")
            sim.clock.step(1000)
            assert (await http.get("/")).status_code == 200


@pytest.mark.slow
async def test_a_server_stops_while_it_refuses() -> None:
    sim = Echo()
    sim.inject(None, Refuse(1000))
    async with sim.serve() as url, httpx.AsyncClient(base_url=url) as http:
        with pytest.raises(httpx.ReadError):
            await http.get("/")
    sim.reset()
    async with sim.serve() as url, httpx.AsyncClient(base_url=url) as http:
        assert (await http.get("/")).status_code == 200


@pytest.mark.slow
async def test_on_a_clock_that_is_stepped_orders_come_through_while_it_refuses() -> None:
    sim = Echo(clock=Clock.stepped())
    sim.inject(None, Refuse(1000))
    async with sim.serve() as url, httpx.AsyncClient(base_url=url) as http:
        for _ in range(2):
            with pytest.raises(httpx.ReadError):
                await http.get("/")
        assert (await http.post("/_sim/clock", json={"step": 1000})).status_code == 200
        assert (await http.get("/")).status_code == 200


@pytest.mark.slow
async def test_a_hang_ends_with_the_clients_timeout_and_holds_up_nobody() -> None:
    sim = Echo()
    sim.inject(None, Hang())
    async with sim.serve() as url, httpx.AsyncClient(base_url=url) as http:
        with pytest.raises(httpx.ReadTimeout):
            await http.get("/", timeout=httpx.Timeout(10, read=0.05))
        assert (await http.get("/")).status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_aiohttp_meets_what_its_own_words_are_for() -> None:
    aiohttp: Any = pytest.importorskip("aiohttp")
    sim = Echo()
    faults = [
        (Reset(), aiohttp.ClientOSError),
        (CutBody(1), aiohttp.ClientPayloadError),
        (Refuse(1000), aiohttp.ClientOSError),
    ]
    for fault, _ in faults:
        sim.inject("POST", fault)
    async with sim.serve() as url, aiohttp.ClientSession() as session:
        for _, error in faults:
            with pytest.raises(error):
                async with session.post(url) as reply:
                    await reply.read()
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.post(url)


@pytest.mark.slow
async def test_a_client_of_the_standard_library_drives_it_all() -> None:
    sim = Echo()
    sim.inject(Match(path="/x", nth=2), Status(418, {"X-Tea": "pot"}, "short and stout"))

    def talk(url: str) -> list[tuple[int, str | None, bytes]]:
        line = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=10)
        said: list[tuple[int, str | None, bytes]] = []
        for _ in range(2):
            line.request("GET", "/x")
            reply = line.getresponse()
            said.append((reply.status, reply.headers["X-Tea"], reply.read()))
        line.close()
        return said

    async with sim.serve() as url:
        assert await anyio.to_thread.run_sync(talk, url) == [
            (200, None, b"{}"),
            (418, "pot", b"short and stout"),
        ]
    sim.verify()


async def answers(get: Callable[[str], Awaitable[Any]], path: str) -> bool:
    try:
        await get(path)
    except httpx.TransportError:
        return False
    return True
