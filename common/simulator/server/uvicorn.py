"""How uvicorn loses connections, and closes its listening socket for a while, as a fault asks for."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, cast

import anyio
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from common.simulator.messages import HttpScope
from common.simulator.outage import ConnectionLost, OnChange, Outage
from common.simulator.server.asgi import Handle, Receive, Send, run_asgi

TRANSPORT = "jobsource.transport"
"""The key under which an ASGI scope holds the transport of its connection."""
RESET = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
"""SO_LINGER of 0 seconds: closing sends a reset."""


class FaultyProtocol(H11Protocol):
    """uvicorn's protocol, whose ASGI scopes hold the transport, so that the application can abort it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Put the transport into the scope of each request on this connection."""
        super().connection_made(cast("asyncio.Transport", transport))
        application: Callable[..., Any] = self.app

        async def with_transport(scope: Any, receive: Any, send: Any) -> None:
            await application({**scope, TRANSPORT: transport}, receive, send)

        self.app: Any = with_transport


class ConnectionFaults:
    """An ASGI application for uvicorn that answers by ``handle``, and loses connections as it says."""

    def __init__(self, handle: Handle, listener: socket.socket) -> None:
        self._handle = handle
        self._address: tuple[str, int] = listener.getsockname()
        self._server: uvicorn.Server | None = None
        self._held: socket.socket | None = None
        self._reopening: asyncio.Task[None] | None = None

    def attach(self, server: uvicorn.Server) -> None:
        """Set the server whose socket closes during an outage."""
        self._server = server

    async def __call__(self, scope: HttpScope, receive: Receive, send: Send) -> None:
        """Speak ASGI 3."""
        try:
            await run_asgi(self._handle, scope, receive, send)
        except ConnectionLost as lost:
            transport: asyncio.Transport = scope[TRANSPORT]
            if lost.kind == "cut":
                transport.close()  # in order: what was written before is still sent
            else:
                _reset_connection(transport)
            if lost.outage is not None and self._server is not None and self._held is None:
                lost.outage.begin(partial(self._stop_listening, self._server, lost.outage))
            while (await receive())["type"] != "http.disconnect":
                pass

    async def aclose(self) -> None:
        """End an outage without listening again."""
        if self._reopening is not None:
            self._reopening.cancel()
            await asyncio.wait([self._reopening])
        if self._held is not None:
            self._held.close()

    def _stop_listening(self, server: uvicorn.Server, outage: Outage) -> OnChange:
        """Close the listening socket and reset all connections, until the outage is over."""
        for listening in server.servers:
            listening.close()
        for connection in list(server.server_state.connections):
            _reset_connection(cast("FaultyProtocol", connection).transport)
        held = self._held = bound(self._address)  # nobody listens, but nobody else can take the port
        backlog = server.config.backlog
        timer = _Timer()
        self._reopening = asyncio.get_running_loop().create_task(
            self._listen_again(server, held, outage, timer)
        )

        def on_change(seconds_left: float) -> None:
            if not seconds_left:
                held.listen(backlog)  # here and now, in whatever thread: who knows of it can connect
            timer.set(seconds_left)

        return on_change

    async def _listen_again(
        self, server: uvicorn.Server, held: socket.socket, outage: Outage, timer: _Timer
    ) -> None:
        try:
            await timer.over.wait()
        finally:
            outage.forget()
            timer.cancel()

        def protocol() -> asyncio.Protocol:
            return FaultyProtocol(server.config, server.server_state, server.lifespan.state)

        loop, backlog = asyncio.get_running_loop(), server.config.backlog
        server.servers = [await loop.create_server(protocol, sock=held, backlog=backlog)]
        self._held = None


@asynccontextmanager
async def running(handle: Handle, listener: socket.socket) -> AsyncGenerator[None, None]:
    """Run uvicorn on this asyncio loop: no signal handlers, no timer, no headers of its own."""
    application = ConnectionFaults(handle, listener)
    config = uvicorn.Config(
        application,
        http=FaultyProtocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=1,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    application.attach(server)
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            await application.aclose()
            await server.shutdown(sockets=[listener])


class _Timer:
    """Is over after seconds that may change; any thread may set it."""

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
    """Return a socket that is bound to this address, and does not listen yet. Raise `OSError`."""
    # TCP is named because asyncio sets TCP_NODELAY only on sockets whose protocol it can see; without, each
    # small response takes 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere the option lets two servers share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except BaseException:
        listener.close()
        raise
    return listener


def _reset_connection(transport: asyncio.Transport) -> None:
    connection = transport.get_extra_info("socket")
    if connection is not None and not transport.is_closing():
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    transport.abort()
