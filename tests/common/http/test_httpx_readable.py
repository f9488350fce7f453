"""Over httpx the pool is told of an idle connection's end by a look at its socket alone."""

from __future__ import annotations

import select
from types import ModuleType

import anyio.lowlevel
import httpx
import httpx2
import pytest

from common.http.over_httpx.pools import connections, stream_below
from common.http.over_httpx.readable import answer_quickly
from ontapjobs import OntapJobs
from tests.loopback import Loopback, raw

pytestmark = pytest.mark.anyio
JOB = {"uuid": "5d0f3f0e-77aa-11ee-9c31-000000000001", "state": "success"}


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("library", [httpx, httpx2], ids=lambda library: library.__name__)
async def test_the_socket_is_looked_up_once(library: ModuleType) -> None:
    async with library.AsyncClient(trust_env=False) as client:
        with Loopback(lambda number, head: raw(JOB)) as server:
            async with OntapJobs(server.url, auth=("u", "p"), http=client) as source:
                await source.get(JOB["uuid"])
            [stream] = map(stream_below, connections(client))
            sock = stream.get_extra_info("socket")
            assert stream.known_socket.fileno() == sock.fileno()
            assert stream.get_extra_info("is_readable") is False
        select.select([sock], [], [], 20)  # until its end has come
        assert stream.get_extra_info("is_readable") is True
        await stream.aclose()
        await anyio.lowlevel.checkpoint()  # asyncio closes the socket in the next turn
        assert sock.fileno() < 0
        assert stream.get_extra_info("is_readable") is True


async def test_another_stream_is_left_as_it_is() -> None:
    class Stream:
        pass

    stream = Stream()
    answer_quickly(stream)
    assert type(stream) is Stream
