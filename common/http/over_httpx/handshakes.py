"""Let a request of httpx be cancelled while its connection is made, without leaking that connection.

httpcore cleans up after an exception, but not after a cancellation:

- During a TLS handshake, or between a completed connect and the sending of the request, a cancellation leaves
  the socket to the garbage collector; below a proxy's tunnel also a slot of the pool.
- A SOCKS proxy that refuses leaves the socket open.
- A client that is closed meanwhile forgets the connection that is being made.

httpcore awaits the function of its ``trace`` extension between its steps
(https://www.encode.io/httpcore/extensions/); there, `ConnectionTrace` closes what would be leaked. What is
leaked before the first step is removed by `remove_stuck_connections`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio

from common.http.over_httpx.heads import follow_head
from common.http.over_httpx.pools import connections, stream_below

CLOSE_GRACE = 1.0
"""Seconds that closing a connection may take. It takes none unless a proxy no longer reads."""


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
            return  # a quick exit: each request has ten of these events
        step, _, outcome = event.rpartition(".")
        made = outcome == "complete" and step.endswith((".connect_tcp", ".start_tls"))
        if made:
            self._stream = info["return_value"]
            if self._client.is_closed:
                await self._close(self._stream)
                raise RuntimeError("Cannot send a request, as the client has been closed.")
        # Shielded from a completed step to the next event: in between, httpcore waits only for a lock.
        self._scope.shield = made
        if outcome == "failed" and step.endswith((".start_tls", ".setup_socks5_connection")):
            await self._close(self._stream)

    async def _close(self, stream: Any) -> None:
        with anyio.move_on_after(CLOSE_GRACE, shield=True):
            await stream.aclose()
            for connection in connections(self._client):
                if stream_below(connection) is stream:
                    await connection.aclose()
