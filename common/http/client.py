"""Sends a request: signed, in its turn, bounded in time, once more where that is right; returns a `Reply`."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import anyio
import attrs

from common.auth.argument import read_auth
from common.auth.credentials import HeaderAuth
from common.http.aiohttp_backend import AiohttpBackend, aiohttp_of, running_loop
from common.http.backend import HttpBackend, HttpFailure, HttpRequest
from common.http.httpx_backend import HttpxBackend, library_of
from common.http.log import logged
from common.http.tls import tls_context
from common.model.endpoints import origin
from common.model.errors import SourceError, TransportError, UsageError
from common.options import Options
from common.response.body import ACCEPT_ENCODING
from common.response.http_response import HttpResponse
from common.response.redaction import proxy_secrets, secrets_in

SHORTEST_SECRET = 3
"""Characters: cleaning texts of anything shorter would clean away the text."""

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
    """The client and the turns of one event loop: neither can be carried to another."""

    backend: HttpBackend
    limiter: anyio.Semaphore
    other_origins: dict[str, HttpBackend] = attrs.field(factory=dict[str, HttpBackend])
    """For other origins than the source's: token endpoints."""


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
        self._signer: HeaderAuth | None = None
        bind = getattr(self._auth, "bind", None)  # of a `TokenAuth`, which only its users import
        if bind is not None:
            self._signer = bind(self)
        elif isinstance(self._auth, HeaderAuth):
            self._signer = self._auth
        self._keepalive = keepalive
        self._bare_headers = {
            "Accept-Encoding": ACCEPT_ENCODING,
            "Connection": "keep-alive",
            "User-Agent": user_agent(options.user_agent),
        }
        self._headers = {**self._bare_headers, **headers}
        # An auth of httpx's own signs httpx's own requests.
        by_httpx = self._auth is not None and self._signer is None
        self._aiohttp = None if by_httpx else aiohttp_of(options, endpoint=endpoint)
        if self._aiohttp is None:
            library_of(options.http)  # now, for it takes a while to import
        self._connection: _Connection | None = None
        self._closed = False
        self._sent: set[str] = set()
        self._connection_down = False
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
        content: bytes | None = None,
        timeout: float | None = None,
    ) -> HttpResponse:
        """Send one request and return the whole reply, whatever its status.

        ``target`` is the path with its query, percent-encoded. ``timeout`` is in seconds, for all of the
        request but its turn in the queue; None takes the source's. A GET that met a dropped connection is
        sent once more, unless that failed the last time, and any request once more after a 401 that the
        credentials could be refreshed for.
        Raises `TransportError` without a reply, `DecodeError` for a body that is too large.
        """
        connection = self._connected()
        seconds = self._options.request_timeout if timeout is None else timeout
        out = False  # whether the server may have it
        sent = {**self._headers, **(headers or {})}
        if json is not None:
            content = jsonlib.dumps(json).encode()
            sent["Content-Type"] = "application/json"
        request = HttpRequest(method, self.endpoint + target, sent, content)
        try:
            async with connection.limiter:
                with anyio.move_on_after(seconds):
                    if self._signer is None:
                        out = True
                        return await self._send_retrying_dropped(connection.backend, request)
                    # Credentials are in no variable here, and in no repr: error trackers keep every local.
                    signed = request.signed(await self._signer.headers())
                    out = True
                    reply = await self._send_retrying_dropped(connection.backend, signed)
                    if reply.status != 401:
                        return reply
                    out = False  # what was refused was not carried out
                    if not await self._signer.refresh(signed.signature):
                        return reply
                    signed = request.signed(await self._signer.headers())
                    out = True
                    return await self._send_retrying_dropped(connection.backend, signed)
        except SourceError as error:
            error.sent = error.sent and out
            raise
        what = "no whole reply" if out else "not signed in"
        raise TransportError(f"{method} {self.endpoint}: {what} within {seconds:g} s", sent=out)

    async def request(
        self,
        method: str,
        url: str,
        *,
        form: Mapping[str, str] | None = None,
        json: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> HttpResponse:
        """Send one request to any URL, without the source's credentials: signing in is made of these.

        Takes no turn, for the request that waits for it has one. Redirects are not followed. On another
        origin the well-known authorities are believed beside the source's CA file. Raises `TransportError`
        without a reply, `DecodeError` for a body that is too large.
        """
        sent = {**self._bare_headers, "Accept": "application/json", **(headers or {})}
        content = None
        if form is not None:
            content = urlencode(form).encode()
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        elif json is not None:
            content = jsonlib.dumps(json).encode()
            sent["Content-Type"] = "application/json"
        client, shown = self._client_for(url), url.partition("?")[0]
        with anyio.move_on_after(self._options.request_timeout):
            answer = await logged(client, self.redact)(
                HttpRequest(method, url, sent, content, unauthenticated=True)
            )
            if isinstance(answer, HttpFailure):
                raise self._failed(answer, method, shown)
            return answer.response
        raise TransportError(f"{method} {shown}: no whole reply within {self._options.request_timeout:g} s")

    async def aclose(self) -> None:
        """Close the client, unless it is the caller's. Safe to call twice."""
        self._closed = True
        connection, self._connection = self._connection, None
        if connection and connection.backend.on_current_loop:
            for client in (connection.backend, *connection.other_origins.values()):
                await client.aclose()

    def redact(self, text: str) -> str:
        """A text for people, without the secrets that this client sends."""
        known = set(self._signer.secrets()) if self._signer is not None else set[str]()
        known |= self._sent | self._proxy_secrets
        # As it is, and as JSON writes it; the longest first, for one may be a part of another.
        forms = {form for secret in known for form in (secret, jsonlib.dumps(secret)[1:-1])}
        for form in sorted(forms, key=len, reverse=True):
            if len(form) >= SHORTEST_SECRET:
                text = text.replace(form, "****")
        return text

    async def _send_retrying_dropped(self, client: HttpBackend, request: HttpRequest) -> HttpResponse:
        exchange = logged(client, self.redact)
        answer = await exchange(request)
        if (
            isinstance(answer, HttpFailure)
            and answer.dropped
            and request.method in _IDEMPOTENT
            and not self._connection_down
        ):
            # A server drops idle connections (ONTAP after 5 s): not trouble, but a matter of timing.
            answer = await exchange(request)
            # A fresh one dropped as well is an outage: until a reply comes, each poll is one request.
            self._connection_down = isinstance(answer, HttpFailure)
        if isinstance(answer, HttpFailure):
            raise self._failed(answer, request.method, self.endpoint)
        self._connection_down = False
        if answer.response.status >= 400:
            self._sent = secrets_in(answer.sent)
        return answer.response

    def _failed(self, failed: HttpFailure, method: str, endpoint: str) -> TransportError:
        if failed.closed:
            said = f"the client was closed meanwhile ({failed.error})"
            return TransportError(f"{method} {endpoint}: {said}")
        chain: list[str] = []
        cause: BaseException | None = failed.error
        while cause is not None and len(chain) < 8:
            chain.append(str(cause))
            cause = cause.__cause__ or cause.__context__
        untrusted = any("CERTIFICATE_VERIFY_FAILED" in text for text in chain)
        detail = self.redact(" ".join(next(filter(None, chain), "").split())[:300])
        hint = "; pass verify='ca.pem', the certificate of who signed the server's" if untrusted else ""
        return TransportError(
            f"{method} {endpoint}: {type(failed.error).__name__}{': ' if detail else ''}{detail}{hint}",
            sent=failed.sent,
            dropped=failed.dropped,
        )

    def _connected(self) -> _Connection:
        if self._closed:
            raise UsageError("the source is closed: make a new one, or close it later")
        if self._options.http is not None and self._options.http.is_closed:
            raise UsageError("the client given as http= is closed: keep it open for as long as its source")
        if self._connection is None or not self._connection.backend.on_current_loop:
            # Without a pause for a turn that is free: each request has enough of them.
            turns = anyio.Semaphore(self._options.concurrency, fast_acquire=True)
            self._connection = _Connection(self._own_client(), turns)
        return self._connection

    def _client_for(self, url: str) -> HttpBackend:
        connection, parts, options = self._connected(), urlsplit(url), self._options
        endpoint = origin(f"{parts.scheme}://{parts.netloc}")
        if endpoint == self.endpoint or options.http is not None or options.transport is not None:
            return connection.backend
        if endpoint not in connection.other_origins:
            # Another host has a proxy, a scheme and a certificate of its own: a cluster behind a private CA,
            # or on plain http, says nothing of how far its issuer of tokens is trusted.
            if endpoint.startswith("https:"):
                context = tls_context(options.verify, options.cert, public=True)
                options = attrs.evolve(options, verify=context, cert=None)
            aiohttp = None if self._aiohttp is None else aiohttp_of(options, endpoint=endpoint)
            connection.other_origins[endpoint] = self._client(endpoint, options, aiohttp, {"auth": None})
        return connection.other_origins[endpoint]

    def _own_client(self) -> HttpBackend:
        # None for who signs by headers: else httpx would take credentials from the caller's own client.
        auth = {} if self._auth is None else {"auth": None if self._signer else self._auth}
        return self._client(self.endpoint, self._options, self._aiohttp, auth)

    def _client(
        self, endpoint: str, options: Options, aiohttp: Any | None, auth: Mapping[str, Any]
    ) -> HttpBackend:
        if aiohttp is not None and running_loop() is not None:
            return AiohttpBackend(aiohttp, options, endpoint=endpoint, keepalive=self._keepalive)
        return HttpxBackend.make(options, endpoint=endpoint, keepalive=self._keepalive, auth=auth)


def needs_auth(auth: Any, options: Options) -> None:
    """Raise `UsageError` where nothing says who is asking."""
    if auth is None and options.cert is None and options.http is None:
        raise UsageError(
            "auth= is missing: pass (user, password), Bearer(token), or cert= for a client certificate"
        )
