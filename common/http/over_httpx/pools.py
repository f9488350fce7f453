"""Look at the connections below a client of httpx or httpx2.

There is no public way to them, so this looks at private attributes of httpx, httpcore, anyio and asyncio.
Where one of them is missing, nothing is found and nothing is changed; `tests/sockets` has a test for each
version that can be installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def pools(client: Any) -> list[Any]:
    """Return the pools of a client: one for direct connections, and one for each proxy."""
    transports = (getattr(client, "_transport", None), *getattr(client, "_mounts", {}).values())
    found = (getattr(transport, "_pool", None) for transport in transports)
    return [pool for pool in found if pool is not None]


def connections(client: Any) -> Iterator[Any]:
    """Iterate over the connections that a client has now; its pools may change meanwhile."""
    for pool in pools(client):
        yield from list(getattr(pool, "connections", ()))


def stream_below(connection: Any) -> Any | None:
    """Return the network stream of a connection, or that of the CONNECT request of a tunnel."""
    for _ in range(3):
        stream = getattr(connection, "_network_stream", None)
        if stream is not None:
            return stream
        connection = getattr(connection, "_connection", None)
    return None


def sockets_below(client: Any) -> Iterator[Any]:
    """Iterate over the sockets (trio) or transports (asyncio) of a client's connections."""
    for connection in connections(client):
        stream = getattr(stream_below(connection), "_stream", None)
        stream = getattr(stream, "transport_stream", stream)  # of a TLS stream
        found = getattr(stream, "socket", None) or getattr(stream, "_transport", None)
        if found is not None:
            yield found


def _usable(connection: Any) -> bool:
    """Whether a pool will give a connection to a request, or see by itself that it is closed."""
    return bool(connection.is_idle() or connection.is_available() or connection.is_closed())


async def remove_stuck_connections(client: Any) -> None:
    """Remove connections from a client's pools that no request uses, and that none will be given.

    httpcore 1.0 keeps such a connection for good if the request that was to make it is cancelled: below an
    HTTP proxy's tunnel while it waits for the connection's lock, and below a SOCKS proxy at any time. There
    is no public remedy: nothing ends such a connection, and the ``trace`` extension has no event before that
    lock is taken. A shield up to that point would also delay cancellations while a request waits for a slot.
    """
    for pool in pools(client):
        pooled, requests = getattr(pool, "_connections", None), getattr(pool, "_requests", None)
        assign = getattr(pool, "_assign_requests_to_connections", None)
        close = getattr(pool, "_close_connections", None)
        if pooled is None or requests is None or assign is None or close is None:
            continue
        used = [request.connection for request in requests]
        stuck = [each for each in pooled if each not in used and not _usable(each)]
        if stuck:
            for each in stuck:
                pooled.remove(each)
            await close([*stuck, *assign()])  # httpcore shields this itself
