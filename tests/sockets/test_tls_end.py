"""A server may end TLS and leave its socket open: such a connection is not used again."""

from __future__ import annotations

import asyncio

import pytest

from tests.loopback import server_tls
from tests.sockets.servers.peer import LoopThread, whole
from tests.sockets.servers.proxy import Proxy
from tests.sockets.servers.relay import Tls
from tests.sockets.stacks import STACKS, Stack, name_of

pytestmark = pytest.mark.anyio

ID = "b5145e1d-b53b-11e8-8252-005056bbe1b5"
REPLY = whole({"uuid": ID, "state": "running"})


class EndsTls(LoopThread):
    """Answers one request on each connection, with the end of TLS in the same segment."""

    scheme = "https"

    def __init__(self, ca: str, key: str) -> None:
        super().__init__()
        self.requests: list[bytes] = []
        self._context = server_tls(ca, key)

    async def talk(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del number
        tls, request = Tls(self._context), b""
        while not request.endswith(b"\r\n\r\n"):
            plain, back = tls.take(await reader.read(2**18))
            request += plain
            writer.write(back)
        self.requests.append(request)
        writer.write(tls.seal([REPLY]) + tls.end())
        await writer.drain()
        await reader.read()  # until the client closes it


@pytest.mark.slow
@pytest.mark.parametrize("stack", [stack for stack in STACKS if stack.tls], ids=name_of)
async def test_a_write_does_not_go_where_tls_has_ended(stack: Stack, ca: str, key: str) -> None:
    with EndsTls(ca, key) as server, Proxy() as proxy:
        async with stack.source(server.url, ca=ca, proxy=proxy.url) as source:
            await source.get(ID)
            await source.start("DELETE", "/api/storage/volumes/1")
        assert [request.split(b" ")[0] for request in server.requests] == [b"GET", b"DELETE"]
        assert server.accepted == 2
        assert not server.errors
