"""Let a request of httpx be cancelled while its connection is made: nothing of that connection is left.

httpcore cleans up after an exception, but not after a cancellation. One that arrives during a TLS handshake
leaves the socket to the garbage collector, and below a proxy's tunnel a place of the pool too. One that
arrives when a connection has been made, before the request is sent on it, or when a tunnel is about to be
made, leaves a place that is never used again. So does any before a SOCKS proxy has made its connection, and
what such a proxy refuses leaves the socket. What httpcore does is told by its ``trace`` extension
(https://www.encode.io/httpcore/extensions/), whose function is awaited between its steps, so that both can be
mended there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import anyio

CLOSE_GRACE = 1.0
"""Seconds that closing a connection may take. It waits for nothing, unless a proxy no longer reads."""


class ConnectionTrace:
    """The ``trace`` extension of one request, which is sent within ``scope`` by ``client``."""

    def __init__(self, client: Any, scope: anyio.CancelScope) -> None:
        self._client = client
        self._scope = scope
        self._stream: Any = None

    async def follow(self, event: str, info: Mapping[str, Any]) -> None:
        """Called with each event, such as ``connection.start_tls.failed``."""
        step, _, outcome = event.rpartition(".")
        made = outcome == "complete" and step.endswith((".connect_tcp", ".start_tls"))
        if made:
            self._stream = info["return_value"]
        # From here to the next event it waits for nothing but a lock.
        self._scope.shield = made
        if outcome == "failed" and step.startswith("socks."):
            self._give_up_socks()
        if outcome == "failed" and step.endswith((".start_tls", ".setup_socks5_connection")):
            await self._close(self._stream)

    def _give_up_socks(self) -> None:
        # Unless it was an `Exception`, httpcore takes the connection for one that is still being made.
        for pool in _pools(self._client):
            for each in list(getattr(pool, "_requests", ())):
                trace = each.request.extensions.get("trace")
                if getattr(trace, "__self__", None) is self and hasattr(each.connection, "_connect_failed"):
                    each.connection._connect_failed = True

    async def _close(self, stream: Any) -> None:
        with anyio.move_on_after(CLOSE_GRACE, shield=True):
            await stream.aclose()
            for connection in _connections(self._client):
                if _stream_below(connection) is stream:
                    await connection.aclose()


def _pools(client: Any) -> list[Any]:
    transports = (getattr(client, "_transport", None), *getattr(client, "_mounts", {}).values())
    pools = (getattr(transport, "_pool", None) for transport in transports)
    return [pool for pool in pools if pool is not None]


def _connections(client: Any) -> Iterator[Any]:
    for pool in _pools(client):
        yield from list(getattr(pool, "connections", ()))


def _stream_below(connection: Any) -> object:
    """Return the network stream of a connection, or that of the CONNECT request of a tunnel."""
    for _ in range(3):
        stream = getattr(connection, "_network_stream", None)
        if stream is not None:
            return stream
        connection = getattr(connection, "_connection", None)
    return None
