"""Requests over aiohttp, where it is installed: many waits take a third of the CPU that they take over httpx.

aiohttp's own session is called, not httpx over it (``httpx-aiohttp``): httpx's requests and responses alone
take as long as all of a request here.
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

SWITCH = "JOBSOURCE_HTTP"
"""An environment variable: ``httpx`` keeps aiohttp from being used, ``aiohttp`` is a complaint without it."""
MOCKS = ("respx", "pytest_httpx")
"""Where these are loaded, tests stand in for the network through httpx: they would see nothing of aiohttp."""
OLDEST = (3, 12)
"""The first aiohttp that can be kept from sending a request twice."""

_MAX_HEADER = 64 * 1024
"""Bytes of one header: aiohttp's own 8 KiB are less than the warnings of a Cloud Foundry job may take."""
_URL = re.compile(r"[!-~]+")
_BREAK = re.compile(r"[\r\n\0]")


def aiohttp_of(options: Options, *, endpoint: str) -> Any | None:
    """The aiohttp to use for these options; None where it is httpx that must send.

    The caller's own client or transport is one of httpx; and so are proxies, the environment's too, which
    httpx chooses among by rules of its own. Raises `UsageError` for a switch that means nothing.
    """
    wanted = os.environ.get(SWITCH, "").strip().lower()
    if wanted not in ("", "aiohttp", "httpx"):
        raise UsageError(f"{SWITCH}={wanted[:40]!r} in the environment: it can be 'httpx' or 'aiohttp'")
    if wanted == "httpx" or (not wanted and any(name in sys.modules for name in MOCKS)):
        return None
    try:
        aiohttp: Any = import_module("aiohttp")
    except ImportError:
        aiohttp = None
    if aiohttp is None or _version(aiohttp) < OLDEST:
        if wanted:
            raise UsageError(
                f"{SWITCH}=aiohttp in the environment, but there is none: pip install 'jobsource[aiohttp]'"
            )
        return None
    given = options.http or options.transport or options.proxy
    return None if given or behind_a_proxy(endpoint) else aiohttp


def running_loop() -> Any | None:
    """The asyncio loop that runs here: aiohttp knows no other."""
    asyncio = sys.modules.get("asyncio")  # which is there, if it runs
    try:
        return None if asyncio is None else asyncio.get_running_loop()
    except RuntimeError:
        return None


class AiohttpBackend:
    """`Exchanger` over a session that keeps nothing but connections: no cookies, and nobody's password."""

    def __init__(self, aiohttp: Any, options: Options, *, endpoint: str, keepalive: float) -> None:
        self._error: type[Exception] = aiohttp.ClientError
        self._unsent = (aiohttp.ClientConnectorError, aiohttp.InvalidURL, UnicodeError)
        self._url: Any = import_module("yarl").URL
        self._session: Any = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=tls_context(options.verify, options.cert) if endpoint.startswith("https:") else True,
                limit=0,  # requests queue for their turn before they come here
                keepalive_timeout=keepalive,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),  # kept by who sends
            auto_decompress=False,  # inflated here, within bounds
            skip_auto_headers=("Content-Type",),  # what a body is, its sender knows
            max_line_size=_MAX_HEADER,
            max_field_size=_MAX_HEADER,
            middlewares=(_once(aiohttp),),
        )
        self._loop = running_loop()
        weakref.finalize(self, _abandon, self._loop, self._session)

    @property
    def on_current_loop(self) -> bool:
        """Whether it is the running event loop's."""
        return running_loop() is self._loop

    async def aclose(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def send(self, request: HttpRequest) -> HttpResult | HttpFailure:
        """Send a request and read the reply, within bounds. Raises `DecodeError` for what is past them."""
        if not _URL.fullmatch(request.url) or _BREAK.search("".join(chain(*request.headers.items()))):
            return HttpFailure(ValueError("the request holds characters that cannot be sent"), sent=False)
        try:
            response = await self._session.request(
                request.method,
                self._url(request.url, encoded=True),
                headers=request.headers,
                data=request.content,
                allow_redirects=False,
            )
            try:
                reply = await read_response(
                    response.status, response.raw_headers, response.content.iter_any()
                )
            finally:
                if not response.closed:  # a body read to its end has given its connection back
                    response.close()
        except (self._error, OSError, ValueError) as error:
            sent = not isinstance(error, self._unsent)
            return HttpFailure(error, sent=sent, dropped=sent and isinstance(error, self._error))
        except RuntimeError as error:
            if not self._session.closed:
                raise
            return HttpFailure(error, closed=True)
        return HttpResult(reply, request.headers)


def _once(aiohttp: Any) -> Callable[[Any, Callable[[Any], Awaitable[Any]]], Awaitable[Any]]:
    """A middleware that keeps aiohttp from sending a GET, but also a PUT or DELETE, again by itself."""

    async def once(request: Any, send: Callable[[Any], Awaitable[Any]]) -> Any:
        try:
            return await send(request)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
            # The one kind of error about connections that is not taken for a reason to try again.
            raise aiohttp.ClientConnectionError(str(error) or type(error).__name__) from None

    return once


def _abandon(loop: Any, session: Any) -> None:
    """Close what a source leaves behind that nobody closed; by itself, aiohttp would log an error."""
    if not loop.is_closed() and running_loop() is not loop:
        with suppress(RuntimeError):  # closed just now
            loop.call_soon_threadsafe(_abandon, loop, session)
        return
    closing = session.close().__await__()
    next(closing, None)  # as far as it goes by itself: all but waiting until the last connection is closed
    closing.close()


def _version(aiohttp: Any) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", aiohttp.__version__)[:2])


def behind_a_proxy(endpoint: str) -> bool:
    """Whether requests may have to go through a proxy of the environment (``HTTPS_PROXY`` and its like).

    False only where all readings of ``NO_PROXY`` agree that there is none.
    """
    from urllib.request import getproxies  # lazily: it takes long to import

    proxies = getproxies()
    parts = urlsplit(endpoint)
    if not any(proxies.get(name) for name in (parts.scheme, "all")):
        return False
    host = parts.hostname or ""
    names = [name.strip() for name in proxies.get("no", "").split(",")]
    return not any(name in {"*", host} or _is_within(host, name.lstrip(".")) for name in names)


def _is_within(host: str, domain: str) -> bool:
    return bool(domain) and host.endswith(f".{domain}")
