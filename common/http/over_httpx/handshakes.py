"""Let a request of httpx be cancelled while its connection is made: nothing of that connection is left.

httpcore cleans up after an exception, but not after a cancellation. One that arrives during a TLS handshake
leaves the socket to the garbage collector, and below a proxy's tunnel a place of the pool too; so does one
that arrives when a connection has been made, before the request is sent on it. What a SOCKS proxy refuses
leaves the socket, and so does a client that is closed meanwhile: its pool forgets a connection that is being
made. What httpcore does is told by its ``trace`` extension
(https://www.encode.io/httpcore/extensions/), whose function is awaited between its steps, so that this can be
mended there. What comes before the first step is mended by `release_places`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio

from common.http.over_httpx.heads import follow_head
from common.http.over_httpx.pools import connections, stream_below

CLOSE_GRACE = 1.0
"""Seconds that closing a connection may take. It waits for nothing, unless a proxy no longer reads."""


class ConnectionTrace:
    """The ``trace`` extension of one request, which is sent within ``scope`` by ``client``."""

    def __init__(self, client: Any, scope: anyio.CancelScope) -> None:
        self._client = client
        self._scope = scope
        self._stream: Any = None

    async def follow(self, event: str, info: Mapping[str, Any]) -> None:
        """Called with each event, such as ``connection.start_tls.failed``.

        Raise `RuntimeError`, as the client does, where that was closed while a connection was made.
        """
        follow_head(event)
        if event.startswith("http11.") and not self._scope.shield:
            return  # ten of these come with each request
        step, _, outcome = event.rpartition(".")
        made = outcome == "complete" and step.endswith((".connect_tcp", ".start_tls"))
        if made:
            self._stream = info["return_value"]
            if self._client.is_closed:
                await self._close(self._stream)
                raise RuntimeError("Cannot send a request, as the client has been closed.")
        # From here to the next event it waits for nothing but a lock.
        self._scope.shield = made
        if outcome == "failed" and step.endswith((".start_tls", ".setup_socks5_connection")):
            await self._close(self._stream)

    async def _close(self, stream: Any) -> None:
        with anyio.move_on_after(CLOSE_GRACE, shield=True):
            await stream.aclose()
            for connection in connections(self._client):
                if stream_below(connection) is stream:
                    await connection.aclose()
