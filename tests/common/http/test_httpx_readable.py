"""Over httpx the pool is told of an idle connection's end by a look at its socket alone."""

from __future__ import annotations

import select

import anyio.lowlevel
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
