"""Send requests over httpx, or its successor httpx2, with a client of ours or the caller's."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Mapping
from contextlib import aclosing, suppress
from functools import cache, partial
from types import ModuleType
from typing import Any, Self
from urllib.parse import urlsplit

import anyio
import anyio.lowlevel
from anyio.lowlevel import current_token
from sniffio import current_async_library

from common.concurrency import running_loop, runs_in_own_task
from common.http.backend import (
    HttpFailure,
    HttpRequest,
    HttpResult,
    StepBudget,
    header_texts,
    read_response,
)
from common.http.over_httpx.handshakes import CLOSE_GRACE, ConnectionTrace
from common.http.over_httpx.heads import limit_heads
from common.http.over_httpx.leftovers import drop_unread, end_if_leftovers
from common.http.over_httpx.loop_end import ClosedWithLoop
from common.http.over_httpx.pools import remove_stuck_connections
from common.http.over_httpx.request_body import request_body
from common.http.selection import is_mocked, may_use_proxy
from common.http.tls import tls_context
from common.model.errors import UsageError
from common.options import Options
from common.response.http_response import HttpResponse
from common.response.redaction import SECRET_HEADERS

_LIBRARIES = ("httpx", "httpx2")
_NO_TIMEOUT = {"connect": None, "read": None, "write": None, "pool": None}
"""`ApiClient` sets one timeout for the whole request."""
_UNSENT = frozenset(
    {"ConnectError", "ConnectTimeout", "InvalidURL", "PoolTimeout", "ProxyError", "UnsupportedProtocol"}
)
"""Names of httpx's exceptions that occur before a request is sent."""
_DROPPED = frozenset({"RemoteProtocolError", "ReadError", "WriteError", "BrokenResourceError"})
"""Names of exceptions of httpx and anyio for a broken connection; httpx2 has the same names."""
LONG_URL = 250
"""Characters: the query of a longer URL bypasses httpx, in httpcore's request extension ``target``.

This does not apply if something in between reads the URL or sends requests of its own: an ``httpx.Auth``, a
proxy, a transport of the caller's, a mock.
"""


class HttpxBackend:
    """`HttpBackend` over an ``AsyncClient``.

    ``owned`` is False for the caller's client. ``auth`` is the keyword of ``client.send``: empty, or
    ``{"auth": …}`` with an ``httpx.Auth``, or with None for no authentication by httpx. ``in_memory`` is for
    a transport without sockets, such as a simulator's.
    """

    def __init__(
        self, library: ModuleType, client: Any, *, owned: bool, auth: Mapping[str, Any], in_memory: bool
    ) -> None:
        self._library = library
        self._client = client
        self._owned = owned
        self._auth = auth
        self._loop = current_token().native_token
        self._may_name_target = False
        self._parsed: tuple[str, Any] = "", None
        """The last URL as text and as httpx's object: parsing takes 90 µs, and a wait polls one URL."""
        self._in_memory = in_memory
        self._closed_with_loop = ClosedWithLoop(client) if owned and not in_memory else None
        # A native cancellation (``task.cancel()``, ``asyncio.timeout``) in httpcore 1.0 leaves a slot of its
        # pool occupied for good, since it breaks a shielded checkpoint of httpcore's lock. So a request runs
        # in a child task, where only anyio's own cancellation arrives. That costs a seventh of a request's
        # time.
        self._in_child_task = not in_memory and current_async_library() == "asyncio"

    @classmethod
    def create(
        cls, options: Options, *, endpoint: str, keepalive: float, auth: Mapping[str, Any]
    ) -> HttpxBackend:
        """Return a backend for these options, with the caller's own client where there is one.

        ``keepalive`` is how long an idle connection is kept, in seconds.
        """
        library = library_of(options.http)
        if options.http is not None:
            limit_heads(options.http)
            return cls(library, options.http, owned=False, auth=auth, in_memory=False)
        client = _create_client(library, options, endpoint, keepalive)
        in_memory = options.transport is not None and _is_in_memory(library, options.transport)
        if not in_memory:
            limit_heads(client)
        made = cls(library, client, owned=True, auth=auth, in_memory=in_memory)
        made._may_name_target = not (
            options.transport or auth.get("auth") or options.proxy or may_use_proxy(endpoint) or is_mocked()
        )
        return made

    @property
    def on_current_loop(self) -> bool:
        """Whether it belongs to the running event loop."""
        return running_loop() is self._loop

    async def aclose(self) -> None:
        """Close the connections, unless they are the caller's."""
        if self._closed_with_loop is not None:
            await self._closed_with_loop.aclose()
        elif self._owned:
            await self._client.aclose()

    async def send(self, request: HttpRequest) -> HttpResult | HttpFailure:
        """Send a request and read the response. Raise `DecodeError` for a body that cannot be read."""
        if self._closed_with_loop is not None:
            await self._closed_with_loop.attach()
        if not self._in_child_task or runs_in_own_task():
            return await self._send(request)
        results: list[HttpResult | HttpFailure] = []
        errors: list[Exception] = []

        async def run() -> None:
            try:
                results.append(await self._send(request))
            except Exception as error:  # raised below, so that it is not wrapped in a group
                errors.append(error)

        async with anyio.create_task_group() as group:
            group.start_soon(run)
        if errors:
            raise errors[0]
        return results[0]

    async def _send(self, request: HttpRequest) -> HttpResult | HttpFailure:
        try:
            built = self._request(request)
            request.library_headers.append(built.headers)
            response = await self._response(built)
            try:
                result = await (_read_in_memory if self._in_memory else read_streamed)(response)
            finally:
                await response.aclose()
        except self._library.HTTPStatusError as error:
            # A hook of the caller's own client raised for the status: that is a response all the same.
            response = error.response
            result = _buffered_response(response, response.content if response.is_stream_consumed else b"")
        except (
            self._library.HTTPError,
            self._library.InvalidURL,
            OSError,
            UnicodeError,
            anyio.BrokenResourceError,
            anyio.ClosedResourceError,
        ) as error:
            name = type(error).__name__
            sent = name not in _UNSENT and not isinstance(error, UnicodeError)
            return HttpFailure(error, sent=sent, dropped=name in _DROPPED)
        except RuntimeError as error:
            if not self._client.is_closed:
                raise
            return HttpFailure(error, closed=True)
        except Exception as error:
            if type(error).__module__.partition(".")[0] != "socksio":
                raise
            return HttpFailure(error, sent=False)  # a SOCKS protocol error, which httpx does not wrap
        return HttpResult(result, response.request.headers)

    async def _response(self, built: Any) -> Any:
        send = partial(self._client.send, built, stream=True, follow_redirects=False, **self._auth)
        if self._in_memory:
            return await send()
        try:
            with anyio.CancelScope() as scope:
                built.extensions["trace"] = ConnectionTrace(self._client, scope).follow
                return await send()
        except BaseException:
            await remove_stuck_connections(self._client)
            raise
        raise AssertionError("nobody cancels this scope")

    def _request(self, request: HttpRequest) -> Any:
        built = self._build_request(request)
        if not self._in_memory:
            built.stream = request_body(self._library, request.content)
        return built

    def _build_request(self, request: HttpRequest) -> Any:
        if self._owned:
            # Without ``build_request``: merging the client's headers and parameters, of which ours has none,
            # takes longer than all of the rest.
            url, extensions = request.url, dict[str, Any](timeout=_NO_TIMEOUT)
            if self._may_name_target and len(url) > LONG_URL:
                # httpx would look at each character of it in Python: 0.4 ms for 150 ids of a batch request.
                parts = urlsplit(url)
                url = f"{parts.scheme}://{parts.netloc}{parts.path}"
                extensions["target"] = f"{parts.path}?{parts.query}".encode()
            if self._parsed[0] != url:
                self._parsed = url, self._library.URL(url)
            return self._library.Request(
                request.method,
                self._parsed[1],
                headers=request.headers,
                content=request.content,
                extensions=extensions,
            )
        built = self._client.build_request(
            request.method, request.url, headers=request.headers, content=request.content, timeout=None
        )
        built.url = self._library.URL(request.url)  # without the parameters of the caller's own client
        if request.unauthenticated:
            named = {name.lower() for name in request.headers}
            for name in set(SECRET_HEADERS) - named:
                built.headers.pop(name, None)
        return built


def _create_client(library: ModuleType, options: Options, endpoint: str, keepalive: float) -> Any:
    # Lazily, as the library itself: ``http.cookiejar`` brings 44 more modules.
    from common.http.over_httpx.no_cookies import NoCookies, take_no_cookies

    if options.transport is not None:
        client = library.AsyncClient(
            transport=options.transport, cookies=NoCookies(), trust_env=False, verify=False
        )
    else:
        verify: Any = options.proxy is not None or _unused_context()
        if endpoint.startswith("https:"):
            verify = tls_context(options.verify, options.cert, trust_env=options.trust_env)
        client = library.AsyncClient(
            verify=verify,
            proxy=options.proxy,
            limits=library.Limits(
                max_connections=options.concurrency,
                max_keepalive_connections=options.concurrency,
                keepalive_expiry=keepalive,
            ),
            cookies=NoCookies(),
            trust_env=options.trust_env and may_use_proxy(endpoint),  # only then was the environment checked
        )
    take_no_cookies(client)
    return client


def _is_in_memory(library: ModuleType, transport: Any) -> bool:
    """Whether a transport is known to have no connections: an unknown one may have some, or wrap others."""
    known = (library.MockTransport, library.ASGITransport)
    return isinstance(transport, known) or getattr(transport, "in_memory", False) is True


@cache
def _unused_context() -> ssl.SSLContext:
    """Return the context of all clients for plain http: httpx would make one for each, in 0.3 ms."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


async def _read_in_memory(response: Any) -> HttpResponse:
    if response.is_stream_consumed:  # a mock transport's response, read and inflated when it was made
        return _buffered_response(response, await response.aread())
    async with aclosing(aiter(response.stream)) as chunks:
        return await read_response(response.status_code, header_texts(response.headers.raw), chunks)


async def read_streamed(response: Any) -> HttpResponse:
    """Return a complete response, and let its connection be reused unless more came behind it."""
    if response.is_stream_consumed:  # a mock transport's response, read and inflated when it was made
        return _buffered_response(response, await response.aread())
    chunks = _Chunks(response.stream)
    try:
        result = await read_response(response.status_code, header_texts(response.headers.raw), chunks)
        if chunks.complete:
            end_if_leftovers(response)
        return result
    finally:
        if not chunks.finished:
            with anyio.move_on_after(CLOSE_GRACE, shield=True):
                await chunks.end(response)


class _Chunks:
    """The body of a response as it arrives.

    It does not use ``aiter_raw()``, which also counts and splits the chunks.
    """

    def __init__(self, stream: Any) -> None:
        self._iterator: Any = aiter(stream)
        self._budget = StepBudget()
        self.finished = False
        """Whether nothing is left to iterate over."""
        self.complete = False
        """Whether the body was read to its end."""

    async def end(self, response: Any) -> None:
        """Close a response whose body is not read to its end."""
        await response.aclose()
        if drop_unread(response):
            # httpcore's nested generators cannot be closed from outside, and leaving them to the garbage
            # collector is a ResourceWarning on trio. Since the connection is closed and nothing is left in
            # it, iterating ends them.
            with suppress(Exception):
                async for _ in self:
                    pass
        elif hasattr(self._iterator, "aclose"):
            await self._iterator.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk: bytes = await anext(self._iterator)
        except BaseException as error:
            self.finished = True
            self.complete = isinstance(error, StopAsyncIteration)
            raise
        if self._budget.spend(len(chunk)):
            await anyio.lowlevel.checkpoint()
        return chunk


def _buffered_response(response: Any, body: bytes) -> HttpResponse:
    return HttpResponse(response.status_code, header_texts(response.headers.raw), bytes(body))


def library_of(client: Any) -> ModuleType:
    """Return the HTTP library that a client comes from, by the client's class; httpx for None.

    Raise `UsageError` for what is no asynchronous client of httpx or httpx2.
    """
    if client is None:
        import httpx  # lazily: the import takes some 134 ms, most of all that is imported here

        return httpx
    for cls in type(client).__mro__:
        root = cls.__module__.partition(".")[0]
        if root in _LIBRARIES and cls.__name__ == "AsyncClient":
            return sys.modules[root]
    raise UsageError("http= must be an httpx.AsyncClient: a synchronous client would block the event loop")
