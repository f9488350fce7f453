"""How uvicorn's connections are lost, and its door is shut for a while, as a test asked for."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from common.simulator.messages import Scope
from common.simulator.outage import Lost, Outage, Tell
from common.simulator.server.asgi import Handle, Receive, Send, run_asgi

LINE = "jobsource.line"
"""The key under which a scope has the transport of its connection."""
RESET = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
"""To linger for 0 seconds: the connection is reset, not closed in order."""


class Line(H11Protocol):
    """One connection, which tells the application the transport that it is on."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the requests of this connection know it."""
        super().connection_made(cast("asyncio.Transport", transport))
        application: Callable[..., Any] = self.app

        async def on_this_line(scope: Any, receive: Any, send: Any) -> None:
            await application({**scope, LINE: transport}, receive, send)

        self.app: Any = on_this_line


class Doors:
    """An ASGI application for uvicorn that answers by ``handle`` and makes lost connections true."""

    def __init__(self, handle: Handle, listener: socket.socket) -> None:
        self._handle = handle
        self._address: tuple[str, int] = listener.getsockname()
        self._server: uvicorn.Server | None = None
        self._held: socket.socket | None = None
        self._opening: asyncio.Task[None] | None = None

    def open(self, server: uvicorn.Server) -> None:
        """Say whose doors these are."""
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Speak ASGI 3."""
        try:
            await run_asgi(self._handle, scope, receive, send)
        except Lost as lost:
            line: asyncio.Transport = scope[LINE]
            if lost.how == "cut":
                line.close()  # in order: what was written before is still sent
            else:
                _reset(line)
            if lost.outage is not None and self._server is not None and self._held is None:
                lost.outage.begin(partial(self._shut, self._server, lost.outage))
            while (await receive())["type"] != "http.disconnect":
                pass

    async def aclose(self) -> None:
        """Forget about opening again."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        if self._held is not None:
            self._held.close()

    def _shut(self, server: uvicorn.Server, outage: Outage) -> Tell:
        """Take no connection during an outage, and lose those that there are."""
        for door in server.servers:
            door.close()
        for line in list(server.server_state.connections):
            _reset(cast("Line", line).transport)
        held = self._held = bound(self._address)  # nobody listens, but nobody else can take the port
        backlog = server.config.backlog
        timer = _Timer()
        self._opening = asyncio.get_running_loop().create_task(self._open(server, held, outage, timer))

        def tell(left: float) -> None:
            if not left:
                held.listen(backlog)  # here and now, in whatever thread: who knows of it can connect
            timer.set(left)

        return tell

    async def _open(self, server: uvicorn.Server, held: socket.socket, outage: Outage, timer: _Timer) -> None:
        try:
            await timer.over.wait()
        finally:
            outage.forget()
            timer.cancel()

        def line() -> asyncio.Protocol:
            return Line(server.config, server.server_state, server.lifespan.state)

        loop, backlog = asyncio.get_running_loop(), server.config.backlog
        server.servers = [await loop.create_server(line, sock=held, backlog=backlog)]
        self._held = None


class _Timer:
    """Is over after seconds that may change; it may be set from any thread."""

    def __init__(self) -> None:
        self.over = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None

    def set(self, seconds: float) -> None:
        self._loop.call_soon_threadsafe(self._set, seconds)

    def cancel(self) -> None:
        if self._handle is not None:
            self._handle.cancel()

    def _set(self, seconds: float) -> None:
        self.cancel()
        self._handle = self._loop.call_later(seconds, self.over.set)


def bound(address: tuple[str, int]) -> socket.socket:
    """Return a socket that has this address, and does not listen yet."""
    # TCP is named, for asyncio sends small packets at once only on sockets that say so; without, each reply
    # takes 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere the option lets two servers share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except BaseException:
        listener.close()
        raise
    return listener


def _reset(line: asyncio.Transport) -> None:
    wire = line.get_extra_info("socket")
    if wire is not None and not line.is_closing():
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    line.abort()
