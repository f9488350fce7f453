"""The least of an HTTP proxy: CONNECT, and requests with the whole URL. It passes replies on as they are."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from tests.sockets.servers.peer import LoopThread, reset


class Proxy(LoopThread):
    """One connection to a server for each connection of a client."""

    async def talk(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del number
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.decode("latin-1").split(" ", 2)
        address = urlsplit(f"//{target}" if method == "CONNECT" else target)
        upstream, downstream = await asyncio.open_connection(address.hostname, address.port, limit=2**20)
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            forth = _copy(reader, downstream)
        else:
            forth = _forward(head, reader, downstream)
        both = [asyncio.ensure_future(way) for way in (forth, _copy(upstream, writer))]
        try:
            await asyncio.wait(both[:1])
            both[0].result()
        finally:
            downstream.transport.abort()  # before anything is awaited, which may be cancelled
            for way in both:
                way.cancel()
            await asyncio.gather(*both, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(2**18):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except ConnectionError:
        reset(writer)
        raise


async def _forward(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on requests, their URL made a path: each head comes in one piece, as clients send it."""
    data = head
    while data:
        method, _, rest = data.partition(b" ")
        if rest.startswith(b"http://"):
            data = method + b" /" + rest.removeprefix(b"http://").partition(b"/")[2]
        writer.write(data)
        data = await reader.read(2**18)
    writer.write_eof()
