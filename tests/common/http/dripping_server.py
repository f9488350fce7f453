"""`request_timeout` with a server that sends slowly, over each HTTP library."""

from __future__ import annotations

import time
from collections.abc import Iterator

import anyio
import pytest

from common.model.errors import TransportError
from ontapjobs import OntapJobs
from tests.loopback import Loopback


async def check_a_dripping_server() -> None:
    """A body that comes byte by byte, and never to its end, does not outlast the timeout."""

    def script(_: int, __: str) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
        while not server.stopping.is_set():
            time.sleep(0.01)
            yield b" "

    with Loopback(script) as server:
        async with OntapJobs(server.url, auth=("admin", "x"), request_timeout=0.15) as source:
            with (
                anyio.fail_after(20),
                pytest.raises(TransportError, match=r"no complete response within 0\.15 s"),
            ):
                await source.get("j1")
        assert len(server.heads) == 1
