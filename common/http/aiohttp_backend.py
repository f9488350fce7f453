"""Send requests over aiohttp, and decide when: where it is installed, and nothing needs httpx.

It is here for speed: many waits take a third of the CPU that they take over httpx. A single request takes
some 210 µs of CPU in aiohttp and 1,900 µs in httpx (Python 3.11, a body of 395 bytes, keep-alive), and
httpx gets slower with each request more in flight.

aiohttp's own session is used, not httpx over it (``httpx-aiohttp``): httpx's requests and responses alone
take as much CPU as a whole request here (217 µs).
"""

from __future__ import annotations

import os
import re
import sys
import weakref
from collections.abc import Awaitable, Callable
from contextlib import suppress
from importlib import import_module
from itertools import chain
from typing import Any
from urllib.parse import urlsplit

from common.http.backend import HttpFailure, HttpRequest, HttpResult, read_response
from common.http.tls import tls_context
from common.model.errors import UsageError
from common.options import Options

BACKEND_VARIABLE = "JOBSOURCE_HTTP"
"""An environment variable: ``httpx`` forbids aiohttp; ``aiohttp`` requires it to be installed."""
MOCK_LIBRARIES = ("respx", "pytest_httpx")
"""Where these are loaded, tests replace the network below httpx, and would not see requests of aiohttp."""
MIN_VERSION = (3, 12)
"""The first aiohttp with middlewares, which can keep it from sending a request twice."""

_MAX_HEADER = 64 * 1024
"""Bytes of one header: the warnings of a Cloud Foundry job may take more than aiohttp's default of 8 KiB."""
_URL = re.compile(r"[!-~]+")
_LINE_BREAK = re.compile(r"[\r\n\0]")


def select_aiohttp(options: Options, *, endpoint: str) -> Any | None:
    """Return the module aiohttp if it is to be used for these options; None for httpx.

    The caller's own client or transport belongs to httpx, and proxies, those of the environment too, are left
    to httpx, which has its own rules for choosing one. Raise `UsageError` for a value of ``JOBSOURCE_HTTP``
    that is unknown, or ``aiohttp`` where that is not installed or too old.
    """
    wanted = os.environ.get(BACKEND_VARIABLE, "").strip().lower()
    if wanted not in ("", "aiohttp", "httpx"):
        raise UsageError(
            f"the environment has {BACKEND_VARIABLE}={wanted[:40]!r}: set it to 'httpx' or 'aiohttp'"
        )
    if wanted == "httpx" or (not wanted and any(name in sys.modules for name in MOCK_LIBRARIES)):
        return None
    try:
        aiohttp: Any = import_module("aiohttp")
    except ImportError:
        aiohttp = None
    if aiohttp is None or _version(aiohttp) < MIN_VERSION:
        if wanted:
            raise UsageError(
                f"the environment has {BACKEND_VARIABLE}=aiohttp, but no recent aiohttp is installed: "
                "pip install 'jobsource[aiohttp]'"
            )
        return None
    needs_httpx = options.http or options.transport or options.proxy
    return None if needs_httpx or may_use_proxy(endpoint) else aiohttp


def running_loop() -> Any | None:
    """Return the running asyncio loop, the only kind that aiohttp supports; None where none runs."""
    asyncio = sys.modules.get("asyncio")  # it has been imported if one runs
    try:
        return None if asyncio is None else asyncio.get_running_loop()
    except RuntimeError:
        return None


class AiohttpBackend:
    """`HttpBackend` over an aiohttp session that keeps connections, but no cookies and no credentials."""

    def __init__(self, aiohttp: Any, options: Options, *, endpoint: str, keepalive: float) -> None:
        self._error: type[Exception] = aiohttp.ClientError
        self._unsent = (aiohttp.ClientConnectorError, aiohttp.InvalidURL, UnicodeError)
        self._url: Any = import_module("yarl").URL
        self._session: Any = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=tls_context(options.verify, options.cert) if endpoint.startswith("https:") else True,
                limit=0,  # `ApiClient` limits the requests in flight
                keepalive_timeout=keepalive,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),  # `ApiClient` sets the timeout
            auto_decompress=False,  # `read_bounded` inflates, up to a limit
            skip_auto_headers=("Content-Type",),  # set by `ApiClient` where there is a body
            max_line_size=_MAX_HEADER,
            max_field_size=_MAX_HEADER,
            middlewares=(_never_resend(aiohttp),),
        )
        self._loop = running_loop()
        weakref.finalize(self, _close_abandoned, self._loop, self._session)

    @property
    def on_current_loop(self) -> bool:
        """Whether it belongs to the running event loop."""
        return running_loop() is self._loop

    async def aclose(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def send(self, request: HttpRequest) -> HttpResult | HttpFailure:
        """Send a request and read the response. Raise `DecodeError` for a body that cannot be read."""
        if not _URL.fullmatch(request.url) or _LINE_BREAK.search("".join(chain(*request.headers.items()))):
            error = ValueError("the request contains characters that cannot be sent")
            return HttpFailure(error, sent=False)
        try:
            response = await self._session.request(
                request.method,
                self._url(request.url, encoded=True),
                headers=request.headers,
                data=request.content,
                allow_redirects=False,
            )
            try:
                result = await read_response(
                    response.status, response.raw_headers, response.content.iter_any()
                )
            finally:
                if not response.closed:  # a body that was read to its end has released its connection
                    response.close()
        except (self._error, OSError, ValueError) as error:
            sent = not isinstance(error, self._unsent)
            return HttpFailure(error, sent=sent, dropped=sent and isinstance(error, self._error))
        except RuntimeError as error:
            if not self._session.closed:
                raise
            return HttpFailure(error, closed=True)
        return HttpResult(result, request.headers)


def _never_resend(aiohttp: Any) -> Callable[[Any, Callable[[Any], Awaitable[Any]]], Awaitable[Any]]:
    """Return a middleware that keeps aiohttp from resending a GET, PUT or DELETE by itself."""

    async def send_once(request: Any, send: Callable[[Any], Awaitable[Any]]) -> Any:
        try:
            return await send(request)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
            # aiohttp resends after these two, but not after their base class.
            raise aiohttp.ClientConnectionError(str(error) or type(error).__name__) from None

    return send_once


def _close_abandoned(loop: Any, session: Any) -> None:
    """Close the session of a source that was dropped without `aclose`; aiohttp would log an error for it."""
    if not loop.is_closed() and running_loop() is not loop:
        with suppress(RuntimeError):  # the loop was closed just now
            loop.call_soon_threadsafe(_close_abandoned, loop, session)
        return
    closing = session.close().__await__()
    next(closing, None)  # one step does all but wait until the last connection is closed
    closing.close()


def _version(aiohttp: Any) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", aiohttp.__version__)[:2])


def may_use_proxy(endpoint: str) -> bool:
    """Whether requests may have to go through a proxy of the environment (such as ``HTTPS_PROXY``).

    False only where every interpretation of ``NO_PROXY`` excludes the endpoint.
    """
    from urllib.request import getproxies  # lazily: the import is slow

    proxies = getproxies()
    parts = urlsplit(endpoint)
    if not any(proxies.get(name) for name in (parts.scheme, "all")):
        return False
    host = parts.hostname or ""
    names = [name.strip() for name in proxies.get("no", "").split(",")]
    return not any(name in {"*", host} or _is_within(host, name.lstrip(".")) for name in names)


def _is_within(host: str, domain: str) -> bool:
    return bool(domain) and host.endswith(f".{domain}")
