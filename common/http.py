"""The one place that touches the HTTP library: sends a request, bounds it, and returns a plain `Reply`."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Mapping
from contextlib import aclosing
from types import ModuleType
from typing import Any

import anyio
import attrs
from anyio.lowlevel import current_token

from common.auth import HeaderAuth
from common.auth import read_auth
from common.bodies import ACCEPT_ENCODING
from common.bodies import read_bounded
from common.errors import DecodeError
from common.errors import TransportError
from common.errors import UsageError
from common.options import Options
from common.redaction import proxy_secrets
from common.redaction import secrets_in
from common.replies import Reply
from common.tls import tls_context

SHORTEST_SECRET = 3
"""Characters: cleaning texts of anything shorter would clean away the text."""

_LIBRARIES = ("httpx", "httpx2")
_IDEMPOTENT = frozenset({"GET", "HEAD"})
_NO_TIMEOUT = {"connect": None, "read": None, "write": None, "pool": None}
"""The time allowed is for the whole request, and is kept here."""
_UNSENT = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout", "InvalidURL", "UnsupportedProtocol"})
_DROPPED = frozenset({"RemoteProtocolError", "ReadError", "WriteError", "BrokenResourceError"})
"""By the names of httpx's exceptions, which its successor kept."""


def user_agent(own: str | None) -> str:
    """``jobsource/<version>``, with the caller's product before it."""
    from importlib import metadata  # lazily: it reads e-mail headers for a living

    try:
        ours = f"jobsource/{metadata.version('jobsource')}"
    except metadata.PackageNotFoundError:
        ours = "jobsource"
    return f"{own} {ours}" if own else ours


@attrs.frozen
class Ask:
    """One request, before it is signed."""

    method: str
    target: str
    headers: Mapping[str, str]
    json: object = None


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
            "Connection": "keep-alive",
            "User-Agent": user_agent(options.user_agent),
            **headers,
        }
        self._library = _library_of(options.http)
        self._connection: _Connection | None = None
        self._closed = False
        self._sent: set[str] = set()
        self._proxy_secrets = proxy_secrets(options.proxy)
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
        seconds = self._options.request_timeout if timeout is None else timeout
        async with connection.limiter:
            with anyio.move_on_after(seconds):
                return await self._signed(connection.client, Ask(method, target, headers or {}, json))
        raise TransportError(f"{method} {self.endpoint}: no whole reply within {seconds:g} s")

    async def aclose(self) -> None:
        """Close the client, unless it is the caller's. Safe to call twice."""
        self._closed = True
        connection, self._connection = self._connection, None
        if connection and self._options.http is None and connection.loop is current_token().native_token:
            await connection.client.aclose()

    def clean(self, text: str) -> str:
        """A text for people, without the secrets that this client sends."""
        known = set(self._auth.secrets()) if isinstance(self._auth, HeaderAuth) else set[str]()
        known |= self._sent | self._proxy_secrets
        # As it is, and as JSON writes it; the longest first, for one may be a part of another.
        forms = {form for secret in known for form in (secret, jsonlib.dumps(secret)[1:-1])}
        for form in sorted(forms, key=len, reverse=True):
            if len(form) >= SHORTEST_SECRET:
                text = text.replace(form, "****")
        return text

    async def _signed(self, client: Any, ask: Ask) -> Reply:
        if not isinstance(self._auth, HeaderAuth):
            return await self._twice(client, ask, {}, {} if self._auth is None else {"auth": self._auth})
        # Else the library would take credentials from the caller's own client.
        off = {"auth": None}
        signature = await self._auth.headers()
        reply = await self._twice(client, ask, signature, off)
        if reply.status == 401 and await self._auth.refresh(signature):
            reply = await self._twice(client, ask, await self._auth.headers(), off)
        return reply

    async def _twice(
        self, client: Any, ask: Ask, signature: Mapping[str, str], auth: Mapping[str, Any]
    ) -> Reply:
        reply = await self._exchange(client, ask, signature, auth)
        if isinstance(reply, TransportError) and reply.dropped and ask.method in _IDEMPOTENT:
            # A server drops idle connections (ONTAP after 5 s): not trouble, but a matter of timing.
            reply = await self._exchange(client, ask, signature, auth)
        if isinstance(reply, TransportError):
            raise reply
        return reply

    async def _exchange(
        self, client: Any, ask: Ask, signature: Mapping[str, str], auth: Mapping[str, Any]
    ) -> Reply | TransportError:
        sent = {**self._headers, **ask.headers, **signature}
        content = None
        if ask.json is not None:
            content = jsonlib.dumps(ask.json).encode()
            sent["Content-Type"] = "application/json"
        url = self.endpoint + ask.target
        try:
            request = self._request(client, ask.method, url, sent, content)
            response = await client.send(request, stream=True, follow_redirects=False, **auth)
            if response.status_code >= 400:
                self._sent = secrets_in(response.request.headers)
            try:
                body = await self._body(response)
            finally:
                await response.aclose()
        except self._library.HTTPStatusError as error:
            # A hook of the caller's own client raised for the status: which is a reply all the same.
            response = error.response
            body = bytes(response.content) if response.is_stream_consumed else b""
        except (
            self._library.HTTPError,
            self._library.InvalidURL,
            OSError,
            UnicodeError,
            anyio.BrokenResourceError,
            anyio.ClosedResourceError,
        ) as error:
            # Returned, not raised: as a context the library's exception would carry the request, and with it
            # the credentials, into every log that prints the chain.
            return self._failed(error, ask.method)
        except RuntimeError as error:
            if not client.is_closed:
                raise
            return TransportError(f"{ask.method} {self.endpoint}: the client was closed meanwhile ({error})")
        headers = tuple((name.lower(), value) for name, value in response.headers.multi_items())
        return Reply(response.status_code, headers, body)

    def _request(
        self, client: Any, method: str, url: str, headers: Mapping[str, str], content: bytes | None
    ) -> Any:
        if self._options.http is None:
            # Ours has no headers or parameters of its own to merge, which takes longer than all of the rest.
            return self._library.Request(
                method, url, headers=headers, content=content, extensions={"timeout": _NO_TIMEOUT}
            )
        request = client.build_request(method, url, headers=headers, content=content, timeout=None)
        request.url = self._library.URL(url)  # without the parameters of the caller's own client
        return request

    async def _body(self, response: Any) -> bytes:
        if response.is_stream_consumed:  # a mock transport's reply, read and inflated when it was made
            return bytes(await response.aread())
        try:
            async with aclosing(response.aiter_raw()) as chunks:
                return await read_bounded(chunks, response.headers.get("content-encoding", ""))
        except DecodeError:
            if response.status_code < 400:
                raise
            return b""  # a refusal is one, also where its body cannot be read

    def _failed(self, error: Exception, method: str) -> TransportError:
        name = type(error).__name__
        chain: list[str] = []
        cause: BaseException | None = error
        while cause is not None and len(chain) < 8:
            chain.append(str(cause))
            cause = cause.__cause__ or cause.__context__
        untrusted = any("CERTIFICATE_VERIFY_FAILED" in text for text in chain)
        detail = self.clean(" ".join(next(filter(None, chain), "").split())[:300])
        hint = "; pass verify='ca.pem', the certificate of who signed the server's" if untrusted else ""
        return TransportError(
            f"{method} {self.endpoint}: {name}{': ' if detail else ''}{detail}{hint}",
            sent=name not in _UNSENT and not isinstance(error, UnicodeError),
            dropped=name in _DROPPED,
        )

    def _connected(self) -> _Connection:
        if self._closed:
            raise UsageError("the source is closed: make a new one, or close it later")
        if self._options.http is not None and self._options.http.is_closed:
            raise UsageError("the client given as http= is closed: keep it open for as long as its source")
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
            verify=tls_context(options.verify, options.cert) if secure else options.proxy is not None,
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
