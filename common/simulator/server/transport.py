"""An httpx transport that reaches a simulator without a socket, and fails as it would on one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType

import anyio
import httpx

from common.simulator.messages import HttpScope, Response
from common.simulator.outage import ConnectionLost, LossKind
from common.simulator.server.asgi import Handle, raw_headers

_ERRORS: Mapping[LossKind, tuple[type[httpx.TransportError], str]] = MappingProxyType(
    {
        "refused": (httpx.ConnectError, "All connection attempts failed"),
        "reset": (httpx.ReadError, "Connection reset by peer"),
        "cut": (httpx.RemoteProtocolError, "Server disconnected without sending a response."),
    }
)
"""The exception that httpx raises for a lost connection on a socket, and its text."""


class SimulatorTransport(httpx.AsyncBaseTransport):
    """Hands requests to a simulator on the same event loop.

    A response that takes longer than the client's read timeout, on the loop's clock, becomes an
    `httpx.ReadTimeout`.
    """

    in_memory = True
    """There are no connections below it, which a source would have to look after."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the response to a request. Raise httpx's own exceptions where a fault was injected."""
        body = await request.aread()
        try:
            response = await self._answer(request, body)
        except ConnectionLost as lost:
            error, text = _ERRORS[lost.kind]
            raise error(text, request=request) from None
        return httpx.Response(response.status, headers=raw_headers(response), stream=_Body(response, request))

    async def _answer(self, request: httpx.Request, body: bytes) -> Response:
        scope = _scope(request)
        read_timeout: float | None = request.extensions.get("timeout", {}).get("read")
        if read_timeout is None:
            return await self._handle(scope, body)
        with anyio.move_on_after(read_timeout):
            return await self._handle(scope, body)
        raise httpx.ReadTimeout("", request=request)


class _Body(httpx.AsyncByteStream):
    """The body of a response, which may end before its length is reached."""

    def __init__(self, response: Response, request: httpx.Request) -> None:
        self._response = response
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        sent = self._response.sent
        if sent:
            yield sent
        if self._response.cut is not None:
            announced = self._response.header("content-length")
            text = "peer closed connection without sending complete message body"
            raise httpx.RemoteProtocolError(
                f"{text} (received {len(sent)} bytes, expected {announced})", request=self._request
            )


def _scope(request: httpx.Request) -> HttpScope:
    url = request.url
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": url.scheme,
        "path": url.path,
        "raw_path": url.raw_path,
        "query_string": url.query,
        "root_path": "",
        "headers": [(name.lower(), text) for name, text in request.headers.raw],
    }
