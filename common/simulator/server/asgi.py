"""ASGI 3 for a simulator: whole requests in, whole responses out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from common.simulator.messages import HttpScope, Response
from common.simulator.outage import ConnectionLost

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Handle = Callable[[HttpScope, bytes], Awaitable[Response]]
"""Returns the response to one request, given its scope and its whole body."""


async def run_asgi(handle: Handle, scope: HttpScope, receive: Receive, send: Send) -> None:
    """Serve one connection scope.

    Raise `ConnectionLost` where the connection is to be lost, after sending what comes before that; and
    `ValueError` for a type other than lifespan and http.
    """
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif scope["type"] == "http":
        body = await _whole_body(receive)
        if body is not None:
            await _answer(await handle(scope, body), send)
    else:
        raise ValueError(f"a simulator serves http only, not {scope['type']!r}")


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        kind: str = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


async def _whole_body(receive: Receive) -> bytes | None:
    """Return the body; None if the client disconnected before its end."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def raw_headers(response: Response) -> list[tuple[bytes, bytes]]:
    """Return the headers of a response as ASGI sends them."""
    return [(name.lower().encode("latin-1"), text.encode()) for name, text in response.headers.items()]


async def _answer(response: Response, send: Send) -> None:
    start = {"type": "http.response.start", "status": response.status, "headers": raw_headers(response)}
    await send(start)
    cut = response.cut is not None
    await send({"type": "http.response.body", "body": response.sent, "more_body": cut})
    if cut:
        raise ConnectionLost("cut")
