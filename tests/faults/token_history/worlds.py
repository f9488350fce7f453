"""Where runs take place: in virtual time over a transport, or in real time over raw sockets."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import anyio
import httpx

from tests.faults.token_history.issuer import Issuer, Reply
from tests.faults.token_history.sign_ins import TOKEN_PATH, read_fields
from tests.loopback import Loopback

SOCKET_SCALE = 0.01
"""Real seconds for one of a schedule."""
API, LOGIN = "https://api.example.org", "https://login.example.org"


class VirtualWorld:
    """The issuer behind a transport of httpx: whoever cancels the request loses the response."""

    scale = 1.0
    tolerance = 1e-6
    request_timeout = 30.0
    api, login = API, LOGIN

    def __init__(self, issuer: Issuer) -> None:
        self.issuer = issuer

    def options(self) -> Mapping[str, Any]:
        """Return what a source takes beside its address."""
        return {"transport": httpx.MockTransport(self._handle)}

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith(TOKEN_PATH):
            return await self._sign_in(request)
        if request.url.path == "/":
            return httpx.Response(200, json={"links": {"login": {"href": LOGIN}}})
        path = request.url.raw_path.decode()
        return _response(self.issuer.read_job(path, request.headers.get("Authorization", "")))

    async def _sign_in(self, request: httpx.Request) -> httpx.Response:
        issuer, latency, left = self.issuer, self.issuer.draw_latency(), None
        issuer.enter()
        try:
            await anyio.sleep(latency / 2)
            reply = issuer.arrive(read_fields(request.content))
            await anyio.sleep(latency / 2 if reply.kind != "hang" else 1e6)
            if reply.kind == "reset":
                raise httpx.ReadError("reset")
            left = reply
        finally:
            issuer.leave(left)
        return _response(reply)


def _response(reply: Reply) -> httpx.Response:
    return httpx.Response(reply.status, headers=dict(reply.headers), content=reply.body)


class SocketWorld:
    """The issuer behind a raw server on loopback, in threads of its own."""

    scale = SOCKET_SCALE
    tolerance = 0.5
    request_timeout = 3.0

    def __init__(self, issuer: Issuer, server: Loopback) -> None:
        self.issuer = issuer
        self.api = self.login = server.url

    def options(self) -> Mapping[str, Any]:
        """Return what a source takes beside its address."""
        return {}


@contextlib.contextmanager
def sockets(issuer: Issuer) -> Generator[SocketWorld, None, None]:
    """Serve the issuer on sockets."""

    def script(number: int, head: str) -> Iterator[bytes]:
        method, path, _ = head.split(" ", 2)
        if path == TOKEN_PATH:
            yield from sign_in(read_fields(server.bodies[number]))
        elif path == "/":
            yield _bytes(
                Reply(kind="links", body=json.dumps({"links": {"login": {"href": server.url}}}).encode())
            )
        else:
            named = [line for line in head.split("\r\n") if line.lower().startswith("authorization: ")]
            yield _bytes(issuer.read_job(path, named[0].partition(": ")[2] if named else ""))
        del method

    def sign_in(fields: Mapping[str, str]) -> Iterator[bytes]:
        latency, left = issuer.draw_latency() * SOCKET_SCALE, None
        issuer.enter()
        time.sleep(latency / 2)
        reply = issuer.arrive(fields)
        try:
            if reply.kind in ("reset", "hang"):
                # A client that gives up is not seen here, so that what hangs does not count as in flight.
                return
            time.sleep(latency / 2)
            left = reply
        finally:
            issuer.leave(left)
            if reply.kind == "hang":
                server.stopping.wait(2 * SocketWorld.request_timeout)
        response = _bytes(reply)
        if reply.kind == "junk":
            response += b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
        cut = issuer.random.randrange(len(response))
        yield response[:cut]
        yield response[cut:]

    with Loopback(script) as server:
        yield SocketWorld(issuer, server)


def _bytes(reply: Reply) -> bytes:
    lines = [f"HTTP/1.1 {reply.status} It", f"Content-Length: {len(reply.body)}"]
    lines += [f"{name}: {value}" for name, value in reply.headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + reply.body


World = VirtualWorld | SocketWorld


def folder_of(path: Path, seed: int) -> Path:
    """Return a folder for the files of one run."""
    folder = path / str(seed)
    folder.mkdir()
    return folder
