"""Send requests over connections of our own: HTTP/1.1 as h11 reads it, on a socket. The default.

Two guarantees that matter here cannot be had from an HTTP library, whatever its settings: that a natively
cancelled task leaves no slot of the pool occupied (with httpcore 1.0 on asyncio it does), and that bytes
behind a response are never taken for the next response (in httpx and aiohttp they are). With our own
connections both take a few lines: a request has a connection to itself, which is closed afterwards unless
the response was complete and nothing came behind it.

It also takes less CPU: 416 µs for a whole ``get()``, and 1,026 µs over httpx (Python 3.11; ``nox -s bench --
--only get``).

Requests that need a feature which this lacks are sent by httpx: see `common.http.selection`.
"""

from __future__ import annotations

import errno
import re
import weakref
from collections.abc import Collection, Mapping
from typing import Self
from urllib.parse import urlsplit

import anyio
import anyio.lowlevel
import attrs
import h11

from common.concurrency import parking, running_loop
from common.http.backend import (
    HEAD_PART,
    HeadLimit,
    HeadTooLong,
    HttpFailure,
    HttpRequest,
    HttpResult,
    StepBudget,
    TlsMismatch,
    header_texts,
    length_disputed,
    read_response,
)
from common.http.direct.connection import CHUNK, TLS_RECORDS, Connection
from common.http.tls import tls_context
from common.options import Options
from common.response.plain_head import read_head

MAX_HEAD = 128 * 1024
"""The limit in bytes of a response's head; it is high because Cloud Foundry sends warnings in a header."""
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_PLAIN_TARGET = re.compile(r"/[!-\"$-~]*(?<!\?)")
"""A path and query that is sent as it is in the URL: without a fragment, and without an empty query."""
_VERSION = b" HTTP/1.1\r\n"


@attrs.frozen(eq=False, repr=False)
class _Head:
    """The head of a request without a body, as h11 has checked and written it.

    The polls of a source differ only in their targets, so the other bytes are reused.
    """

    method: str
    headers: Mapping[str, str]
    rest: bytes
    """The bytes after the target."""
    event: h11.Request

    def differs_at_most_in_target(self, request: HttpRequest) -> bool:
        """Whether another request is the same but for its target."""
        return self.method == request.method and not request.content and self.headers == request.headers


class H11Backend:
    """`HttpBackend` for one origin, without a proxy.

    ``keepalive`` is how long a connection may be idle, in seconds.
    """

    def __init__(self, options: Options, *, endpoint: str, keepalive: float) -> None:
        parts = urlsplit(endpoint)
        secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if secure else 80)
        self._context = (
            tls_context(options.verify, options.cert, trust_env=options.trust_env) if secure else None
        )
        self._authority = parts.netloc
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._keepalive = keepalive
        self._idle: list[Connection] = []
        self._in_use: set[Connection] = set()
        self._last: _Head | None = None
        self._closed = False
        self._loop = running_loop()
        self._now = parking().now
        weakref.finalize(self, _close_all, self._idle)  # of a source that was dropped without `aclose`

    @property
    def on_current_loop(self) -> bool:
        """Whether it belongs to the running event loop."""
        return running_loop() is self._loop

    async def aclose(self) -> None:
        """Close the connections. Requests in flight fail."""
        self._closed = True
        _close_all(self._idle)
        for connection in list(self._in_use):
            connection.abort()
        await anyio.lowlevel.checkpoint()

    async def send(self, request: HttpRequest) -> HttpResult | HttpFailure:
        """Send a request and read the response. Raise `DecodeError` for a body that cannot be read."""
        try:
            exchange = self._exchange(request)
        except (h11.LocalProtocolError, UnicodeError) as error:
            return HttpFailure(error, sent=False)
        connection = self._take_idle()
        if connection is None:
            try:
                connection = await Connection.open(self._host, self._port, self._context)
            except (OSError, UnicodeError) as error:
                return HttpFailure(error, sent=False)
            if self._closed:
                connection.close()
                return HttpFailure(anyio.ClosedResourceError(), sent=False, closed=True)
        self._in_use.add(connection)
        try:
            status, headers = await exchange.begin(connection)
            result = await read_response(status, headers, exchange)
        except TlsMismatch as error:
            return HttpFailure(error, sent=False)
        except HeadTooLong as error:
            return HttpFailure(error)
        except (OSError, h11.RemoteProtocolError, anyio.ClosedResourceError) as error:
            return HttpFailure(error, dropped=not self._closed, closed=self._closed)
        finally:
            self._in_use.discard(connection)
            if exchange.reusable and not self._closed:
                connection.expires_at = self._now() + self._keepalive
                self._idle.append(connection)
            else:
                connection.close()
        return HttpResult(result, request.headers)

    def _exchange(self, request: HttpRequest) -> _Exchange:
        """Return a request, ready to be sent. Raise `h11.LocalProtocolError` or `UnicodeError`."""
        url, content, last = request.url, request.content or b"", self._last
        if last is not None and last.differs_at_most_in_target(request) and url.startswith(self._origin):
            plain = _PLAIN_TARGET.fullmatch(url, len(self._origin))
            if plain is not None:
                return _Exchange(f"{request.method} {plain[0]}".encode() + last.rest, last.event)
        parts = urlsplit(url)
        target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        headers = [("Host", self._authority), *request.headers.items()]
        if has_body := bool(content) or request.method in _WITH_BODY:
            headers.append(("Content-Length", str(len(content))))
        event = h11.Request(method=request.method, target=target, headers=headers)
        head = h11.Connection(h11.CLIENT).send(event) or b""
        if not has_body:
            self._last = _Head(request.method, request.headers, head[head.index(_VERSION) :], event)
        return _Exchange(head + content, event, content)

    def _take_idle(self) -> Connection | None:
        """Return the connection that was used last, if it can be used again; close those that cannot."""
        now = self._now()
        while self._idle and self._idle[0].expires_at <= now:  # the first was used least recently
            self._idle.pop(0).close()
        while self._idle:
            connection = self._idle.pop()
            if connection.is_clean():
                return connection
            connection.close()
        return None


class _Exchange:
    """One request and its response on one connection; iterating gives the body, in parts.

    ``data`` are the bytes of the request. ``event`` and ``content`` describe it to h11, which reads any
    response that is not an ordinary one (see `common.response.plain_head`). Each exchange has an
    `h11.Connection` of its own, so that no state is carried over to the next response.
    """

    def __init__(self, data: bytes, event: h11.Request, content: bytes = b"") -> None:
        self._data = data
        self._event = event
        self._content = content
        self._protocol: h11.Connection | None = None
        self._connection: Connection | None = None
        self._budget = StepBudget()
        self._received = b""
        """Bytes that were received and not read yet."""
        self._left = 0
        """Bytes of an ordinary body that were not read yet."""
        self._head: HeadLimit | None = HeadLimit()
        """Limits the head that h11 reads."""
        self._length_disputed = False
        self._success = False
        self.reusable = False
        """Whether the response was complete, with nothing behind it, on a connection that stays open."""

    async def begin(self, connection: Connection) -> tuple[int, tuple[tuple[str, str], ...]]:
        """Send the request and return the status and headers of its response.

        Raise `OSError` or `RemoteProtocolError`.
        """
        self._connection = connection
        if not connection.is_clean():
            raise h11.RemoteProtocolError("the server sent data before the request")
        connection.send(self._data)
        data = await self._receive(CHUNK)
        if not data:
            raise ConnectionResetError(
                errno.ECONNRESET, "the server closed the connection before it answered"
            )
        if data[0] in TLS_RECORDS:
            raise TlsMismatch("the response is a TLS record")
        head = read_head(data) if self._event.method != b"HEAD" else None
        if head is not None:
            self._received, self._left = data[head.size :], head.length
            return head.status, head.headers
        self._received = data
        self._protocol = protocol = _awaiting_response(self._event, self._content)
        while True:
            event = await self._next_event(protocol)
            if isinstance(event, h11.Response):
                self._head = None
                self._length_disputed = length_disputed(event.headers)
                self._success = event.status_code < 400
                return event.status_code, header_texts(event.headers)
            if not isinstance(event, h11.InformationalResponse):
                raise h11.RemoteProtocolError("the server closed the connection without a response")

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        protocol = self._protocol
        if protocol is None:
            return await self._next_part()
        event = await self._next_event(protocol)
        if isinstance(event, h11.Data):
            return bytes(event.data)
        done = protocol.our_state is h11.DONE and protocol.their_state is h11.DONE
        rest = self._received or protocol.trailing_data != (b"", False)
        self.reusable = done and not rest and not self._length_disputed and self._all_sent
        raise StopAsyncIteration

    @property
    def _all_sent(self) -> bool:
        return self._connection is not None and self._connection.all_sent

    async def _next_part(self) -> bytes:
        if not self._left:
            self.reusable = not self._received and self._all_sent
            raise StopAsyncIteration
        data = await self._receive(self._left)
        if not data:
            raise h11.RemoteProtocolError("the server closed the connection before the end of the body")
        self._left -= len(data)
        return data

    async def _next_event(self, protocol: h11.Connection) -> object:
        if self._budget.spend(0):
            await anyio.lowlevel.checkpoint()
        while (event := protocol.next_event()) is h11.NEED_DATA:
            data = await self._receive(HEAD_PART if self._head else CHUNK)
            if self._head:
                self._head.feed(data)
            elif len(protocol.trailing_data[0]) > HEAD_PART:
                raise h11.RemoteProtocolError(
                    "the size of a chunk, or the trailer after the last one, is too long"
                )
            protocol.receive_data(data)
        return event

    async def _receive(self, size: int) -> bytes:
        """Return up to ``size`` bytes of the response, none at the end of the stream."""
        if self._connection is None:
            raise AssertionError("an exchange was read before it began")
        data = self._received or await self._connection.receive(CHUNK)
        if not data and self._success and (error := self._connection.send_error) is not None:
            raise error  # it may have been reset within a body without a length, and a success is not guessed
        data, self._received = data[:size], data[size:]
        if self._budget.spend(len(data)):
            await anyio.lowlevel.checkpoint()
        return data


def _awaiting_response(event: h11.Request, content: bytes) -> h11.Connection:
    """Return an h11 connection that waits for the response to a request."""
    protocol = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
    for sent in (event, h11.Data(data=content), h11.EndOfMessage()):
        protocol.send(sent)
    return protocol


def _close_all(connections: Collection[Connection]) -> None:
    for connection in connections:
        connection.close()
    if isinstance(connections, list):
        connections.clear()
