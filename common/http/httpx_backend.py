"""Requests over httpx, or its successor httpx2: our own client, or the caller's."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import aclosing
from types import ModuleType
from typing import Any

import anyio
from anyio.lowlevel import current_token

from common.http.backend import HttpFailure, HttpRequest, HttpResult, header_texts, read_response
from common.http.tls import tls_context
from common.model.errors import UsageError
from common.options import Options
from common.response.http_response import HttpResponse
from common.response.redaction import SECRET_HEADERS

_LIBRARIES = ("httpx", "httpx2")
_NO_TIMEOUT = {"connect": None, "read": None, "write": None, "pool": None}
"""The time allowed is for the whole request, and is kept by who sends it."""
_UNSENT = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout", "InvalidURL", "UnsupportedProtocol"})
_DROPPED = frozenset({"RemoteProtocolError", "ReadError", "WriteError", "BrokenResourceError"})
"""By the names of httpx's exceptions, which its successor kept."""


class HttpxBackend:
    """`Exchanger` over an ``AsyncClient``. ``auth`` is what signs: the library's own, or None for nobody."""

    def __init__(self, library: ModuleType, client: Any, *, own: bool, auth: Mapping[str, Any]) -> None:
        self._library = library
        self._client = client
        self._own = own
        self._auth = auth
        self._loop = current_token().native_token

    @classmethod
    def make(
        cls, options: Options, *, endpoint: str, keepalive: float, auth: Mapping[str, Any]
    ) -> HttpxBackend:
        """A client for these options: the caller's own where there is one."""
        library = library_of(options.http)
        if options.http is not None:
            return cls(library, options.http, own=False, auth=auth)
        return cls(library, _make(library, options, endpoint, keepalive), own=True, auth=auth)

    @property
    def on_current_loop(self) -> bool:
        """Whether it is the running event loop's."""
        return current_token().native_token is self._loop

    async def aclose(self) -> None:
        """Close the connections, unless they are the caller's."""
        if self._own:
            await self._client.aclose()

    async def send(self, request: HttpRequest) -> HttpResult | HttpFailure:
        """Send a request and read the reply, within bounds. Raises `DecodeError` for what is past them."""
        try:
            response = await self._client.send(
                self._request(request), stream=True, follow_redirects=False, **self._auth
            )
            try:
                reply = await _read(response)
            finally:
                await response.aclose()
        except self._library.HTTPStatusError as error:
            # A hook of the caller's own client raised for the status: which is a reply all the same.
            response = error.response
            reply = _known(response, response.content if response.is_stream_consumed else b"")
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
        return HttpResult(reply, response.request.headers)

    def _request(self, asked: HttpRequest) -> Any:
        if self._own:
            # Ours has no headers or parameters of its own to merge, which takes longer than all of the rest.
            return self._library.Request(
                asked.method,
                asked.url,
                headers=asked.headers,
                content=asked.content,
                extensions={"timeout": _NO_TIMEOUT},
            )
        request = self._client.build_request(
            asked.method, asked.url, headers=asked.headers, content=asked.content, timeout=None
        )
        request.url = self._library.URL(asked.url)  # without the parameters of the caller's own client
        if asked.unauthenticated:
            given = {name.lower() for name in asked.headers}
            for name in set(SECRET_HEADERS) - given:
                request.headers.pop(name, None)
        return request


def _make(library: ModuleType, options: Options, endpoint: str, keepalive: float) -> Any:
    from common.http.no_cookies import (
        NoCookies,  # lazily, as the library itself
        take_no_cookies,
    )

    if options.transport is not None:
        client = library.AsyncClient(
            transport=options.transport, cookies=NoCookies(), trust_env=False, verify=False
        )
    else:
        secure = endpoint.startswith("https:")
        client = library.AsyncClient(
            verify=tls_context(options.verify, options.cert) if secure else options.proxy is not None,
            proxy=options.proxy,
            limits=library.Limits(
                max_connections=options.concurrency,
                max_keepalive_connections=options.concurrency,
                keepalive_expiry=keepalive,
            ),
            cookies=NoCookies(),
        )
    take_no_cookies(client)
    return client


async def _read(response: Any) -> HttpResponse:
    if response.is_stream_consumed:  # a mock transport's reply, read and inflated when it was made
        return _known(response, await response.aread())
    # Not by aiter_raw(): it counts and splits what needs neither.
    async with aclosing(aiter(response.stream)) as chunks:
        return await read_response(response.status_code, response.headers.raw, chunks)


def _known(response: Any, body: bytes) -> HttpResponse:
    return HttpResponse(response.status_code, header_texts(response.headers.raw), bytes(body))


def library_of(client: Any) -> ModuleType:
    """The HTTP library that a client comes from, told by the client's own class; httpx for None."""
    if client is None:
        import httpx  # lazily: importing it takes longer than all of the rest

        return httpx
    for cls in type(client).__mro__:
        root = cls.__module__.partition(".")[0]
        if root in _LIBRARIES and cls.__name__ == "AsyncClient":
            return sys.modules[root]
    raise UsageError("http= must be an httpx.AsyncClient: a synchronous client would block the event loop")
