"""Over httpx the pool is told of an idle connection's end by a look at its socket alone."""

from __future__ import annotations

import select
from typing import Any

import anyio.lowlevel
import httpcore
import httpx
import pytest

from common.http.over_httpx.httpx_backend import HttpxBackend
from common.http.over_httpx.pools import connections, stream_below
from ontapjobs import OntapJobs
from tests.loopback import Loopback, raw

pytestmark = pytest.mark.anyio
JOB = {"uuid": "5d0f3f0e-77aa-11ee-9c31-000000000001", "state": "success"}


async def test_an_idle_connection_is_readable_once_its_end_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBSOURCE_HTTP", "httpx")
    with Loopback(lambda number, head: raw(JOB)) as server:
        source = OntapJobs(server.url, auth=("u", "p"))
        await source.get(JOB["uuid"])
        backend = source._client._loop_state().backend
        assert isinstance(backend, HttpxBackend)
        [stream] = map(stream_below, connections(backend._client))
        assert stream is not None
        sock = stream.get_extra_info("socket")
        assert stream.get_extra_info("is_readable") is False
    select.select([sock], [], [], 20)  # until its end has come
    assert stream.get_extra_info("is_readable") is True
    await source.aclose()
    await anyio.lowlevel.checkpoint()  # asyncio closes the socket in the next turn
    assert sock.fileno() < 0
    assert stream.get_extra_info("is_readable") is True


class _Stream(httpcore.AsyncNetworkStream):
    """A stream without a socket, such as that of a tunnel, which answers each request."""

    def __init__(self) -> None:
        self._unread = b""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        part, self._unread = self._unread[:max_bytes], self._unread[max_bytes:]
        return part

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if buffer.startswith(b"GET "):
            self._unread += b"".join(raw(JOB))

    async def aclose(self) -> None:
        pass

    def get_extra_info(self, info: str) -> Any:
        return False if info == "is_readable" else None


class _Network(httpcore.AsyncNetworkBackend):
    connections = 0

    async def connect_tcp(self, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        self.connections += 1
        return _Stream()


async def test_a_network_backend_of_the_callers_may_have_no_sockets() -> None:
    network = _Network()
    transport = httpx.AsyncHTTPTransport()
    transport._pool = httpcore.AsyncConnectionPool(network_backend=network)
    async with (
        httpx.AsyncClient(transport=transport) as client,
        OntapJobs("http://127.0.0.1:1", auth=("u", "p"), http=client) as source,
    ):
        for _ in range(3):
            assert (await source.get(JOB["uuid"])).succeeded
        assert (await client.get("http://127.0.0.1:1")).status_code == 200
    assert network.connections == 1
