"""The one place that touches the HTTP library: sends a request, bounds it, and returns a plain `Reply`."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import anyio
import attrs
from anyio.lowlevel import current_token

from common.auth import HeaderAuth
from common.auth import read_auth
from common.bodies import ACCEPT_ENCODING
from common.bodies import read_bounded
from common.errors import TransportError
from common.errors import UsageError
from common.options import Options
from common.replies import Reply
from common.tls import tls_context

_LIBRARIES = ("httpx", "httpx2")
_IDEMPOTENT = frozenset({"GET", "HEAD"})


def user_agent(own: str | None) -> str:
    """``jobsource/<version>``, with the caller's product before it."""
    from importlib import metadata  # lazily: it reads e-mail headers for a living

    try:
        ours = f"jobsource/{metadata.version('jobsource')}"
    except metadata.PackageNotFoundError:
        ours = "jobsource"
    return f"{own} {ours}" if own else ours


@attrs.define
class _Connection:
    """The client and the limiter of one event loop: neither can be carried to another."""

    loop: object
    client: Any
    limiter: anyio.CapacityLimiter


class ApiClient:
    """Sends requests to one origin: signed in, limited in number, bounded in time and size.

    ``keepalive`` is how long an idle connection is kept, in seconds. Requests beyond ``concurrency`` queue
    in our own limiter, never in the library's pool, which gets slow with many in it.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        auth: Any,
        options: Options,
        keepalive: float,
        headers: Mapping[str, str],
    ) -> None:
        self.endpoint = endpoint
        self._options = options
        self._auth = read_auth(auth)
        self._keepalive = keepalive
        self._headers = {
            "Accept-Encoding": ACCEPT_ENCODING,
            "User-Agent": user_agent(options.user_agent),
            **headers,
        }
        self._library = _library_of(options.http)
        self._connection: _Connection | None = None
        self._closed = False
        if options.http is None and options.transport is None and endpoint.startswith("https:"):
            # Now, so that a CA file that cannot be read is an error here and not in the middle of a wait.
            tls_context(options.verify, options.cert)

    async def send(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: object = None,
        timeout: float | None = None,
    ) -> Reply:
        """Send one request and return the whole reply, whatever its status.

        ``target`` is the path with its query, percent-encoded. ``timeout`` is in seconds, for all of the
        request but its turn in the queue; None takes the source's. A GET that met a dropped connection is
        sent once more, and any request once more after a 401 that the credentials could be refreshed for.
        Raises `TransportError` without a reply, `DecodeError` for a body that is too large.
        """
        connection = self._connected()
        async with connection.limiter:
            reply = await self._try(connection.client, method, target, headers, json, timeout)
            if reply.status == 401 and isinstance(self._auth, HeaderAuth) and await self._auth.refresh():
                reply = await self._try(connection.client, method, target, headers, json, timeout)
        return reply

    async def aclose(self) -> None:
        """Close the client, unless it is the caller's. Safe to call twice."""
        self._closed = True
        connection, self._connection = self._connection, None
        if connection and self._options.http is None and connection.loop is current_token().native_token:
            await connection.client.aclose()

    def clean(self, text: str) -> str:
        """A text for people, without the secrets that this client sends."""
        secrets = self._auth.secrets() if isinstance(self._auth, HeaderAuth) else ()
        if self._options.proxy and "@" in self._options.proxy:
            secrets = (*secrets, urlsplit(self._options.proxy).netloc.rpartition("@")[0])
        for secret in secrets:
            if len(secret) >= 3:
                text = text.replace(secret, "****")
        return text

    async def _try(
        self,
        client: Any,
        method: str,
        target: str,
        headers: Mapping[str, str] | None,
        json: object,
        timeout: float | None,
    ) -> Reply:
        seconds = self._options.request_timeout if timeout is None else timeout
        retried = False
        while True:
            with anyio.move_on_after(seconds):
                try:
                    return await self._exchange(client, method, target, headers, json)
                except TransportError as error:
                    # A server drops idle connections (ONTAP after 5 s): not trouble, but a matter of timing.
                    if retried or method not in _IDEMPOTENT or not error.dropped:
                        raise
                    retried = True
                    continue
            raise TransportError(f"{method} {self.endpoint}: no whole reply within {seconds:g} s")

    async def _exchange(
        self,
        client: Any,
        method: str,
        target: str,
        headers: Mapping[str, str] | None,
        json: object,
    ) -> Reply:
        sent = {**self._headers, **(headers or {})}
        auth: dict[str, Any] = {}
        if isinstance(self._auth, HeaderAuth):
            sent.update(await self._auth.headers())
            auth["auth"] = None  # else the library would take credentials from the caller's own client
        elif self._auth is not None:
            auth["auth"] = self._auth
        content = None
        if json is not None:
            content = jsonlib.dumps(json).encode()
            sent["Content-Type"] = "application/json"
        try:
            request = client.build_request(
                method, self.endpoint + target, headers=sent, content=content, timeout=None
            )
            response = await client.send(request, stream=True, follow_redirects=False, **auth)
            try:
                body = await self._body(response)
            finally:
                await response.aclose()
        except (
            self._library.HTTPError,
            self._library.InvalidURL,
            OSError,
            anyio.BrokenResourceError,
        ) as error:
            raise self._failed(error, method) from None
        return Reply(
            response.status_code,
            tuple((k.lower(), v) for k, v in response.headers.multi_items()),
            body,
        )

    async def _body(self, response: Any) -> bytes:
        if response.is_stream_consumed:  # a mock transport's reply, read and inflated when it was made
            return bytes(await response.aread())
        return await read_bounded(response.aiter_raw(), response.headers.get("content-encoding", ""))

    def _failed(self, error: Exception, method: str) -> TransportError:
        name = type(error).__name__
        detail = self.clean(" ".join(str(error).split())[:300])
        hint = ""
        if "CERTIFICATE_VERIFY_FAILED" in detail:
            hint = "; pass verify='ca.pem' with the certificate of the authority that signed the server's"
        # The cause is dropped: the library's exception holds the request, and so the credentials.
        return TransportError(
            f"{method} {self.endpoint}: {name}{': ' if detail else ''}{detail}{hint}",
            sent=name
            not in (
                "ConnectError",
                "ConnectTimeout",
                "PoolTimeout",
                "InvalidURL",
                "UnsupportedProtocol",
            ),
            dropped=name in ("RemoteProtocolError", "ReadError", "WriteError", "BrokenResourceError"),
        )

    def _connected(self) -> _Connection:
        if self._closed:
            raise UsageError("the source is closed: make a new one, or close it later")
        loop = current_token().native_token
        if self._connection is None or self._connection.loop is not loop:
            limiter = anyio.CapacityLimiter(self._options.concurrency)
            self._connection = _Connection(loop, self._options.http or self._client(), limiter)
        return self._connection

    def _client(self) -> Any:
        options = self._options
        limits = self._library.Limits(
            max_connections=options.concurrency,
            max_keepalive_connections=options.concurrency,
            keepalive_expiry=self._keepalive,
        )
        if options.transport is not None:
            return self._library.AsyncClient(transport=options.transport, trust_env=False, verify=False)
        secure = self.endpoint.startswith("https:")
        return self._library.AsyncClient(
            verify=tls_context(options.verify, options.cert) if secure else tls_context(),
            proxy=options.proxy,
            limits=limits,
        )


def _library_of(client: Any) -> ModuleType:
    """The HTTP library that a client comes from, told by the client's own class."""
    if client is None:
        import httpx  # lazily: importing it takes longer than all of the rest

        return httpx
    for cls in type(client).__mro__:
        root = cls.__module__.partition(".")[0]
        if root in _LIBRARIES and cls.__name__ == "AsyncClient":
            return sys.modules[root]
    raise UsageError("http= must be an httpx.AsyncClient: a synchronous client would block the event loop")


def needs_auth(auth: Any, options: Options) -> None:
    """Raise `UsageError` where nothing says who is asking."""
    if auth is None and options.cert is None and options.http is None:
        raise UsageError(
            "auth= is missing: pass (user, password), Bearer(token), or cert= for a client certificate"
        )
