"""Send the requests of a source: authenticated, limited in number and time, retried where that is safe."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Callable, Mapping, Set
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import anyio
import attrs

from common.auth.argument import read_auth
from common.auth.credentials import HeaderAuth
from common.concurrency import finish, restore_message
from common.http.backend import HttpBackend, HttpFailure, HttpRequest, HttpResult
from common.http.backends import Backends
from common.http.log import Send, logged
from common.http.no_response import plain_http_refused, transport_error
from common.http.observed import observed, trace_headers
from common.http.user_agent import user_agent
from common.model.endpoints import origin, split_endpoint
from common.model.errors import SourceError, TransportError, UsageError
from common.model.tracebacks import without_frames
from common.options import Options
from common.response.body import ACCEPT_ENCODING
from common.response.http_response import HttpResponse, redirect_origin
from common.response.redaction import proxy_secrets, secrets_in
from common.response.redactor import Redactor
from common.telemetry.requests import RequestObserver, request_observers

if TYPE_CHECKING:
    from common.auth.token_auth import TokenSigner

_IDEMPOTENT = frozenset({"GET", "HEAD"})
_BEFORE_JSON = b" \t\r\n\xef\xbb\xbf"
"""The bytes that may come before JSON: white space, and UTF-8's byte order mark."""


@attrs.define(eq=False, repr=False)
class _LoopState:
    """What belongs to one event loop, and cannot be used on another."""

    backend: HttpBackend
    limiter: anyio.Semaphore
    other_origins: dict[str, HttpBackend] = attrs.field(factory=dict[str, HttpBackend])
    """Backends for other origins than the source's: token endpoints."""


class _Call:
    """A request of the API, with its current credentials, and what is known of its fate."""

    __slots__ = ("_unsigned", "backend", "request", "sent")

    def __init__(self, backend: HttpBackend, request: HttpRequest) -> None:
        self.backend = backend
        self.request = self._unsigned = request
        self.sent = False  # whether the server may have it, and has not refused its credentials

    def sign(self, auth_headers: Mapping[str, str]) -> None:
        """Add the headers that authenticate the request, in place of those that it had before."""
        plain = self._unsigned
        headers = {**plain.headers, **auth_headers}
        self.request = HttpRequest(plain.method, plain.url, headers, plain.content, auth_headers)


class ApiClient:
    """Sends requests to one endpoint: authenticated, limited in number, in time and in size.

    ``keepalive`` is how long an idle connection is kept, in seconds. ``locate`` returns the path below the
    endpoint for a path of the API; None if they are the same. Requests beyond ``concurrency`` queue in a
    limiter here, not in the library's pool, which gets slow with many in it. Raise `UsageError` for an
    invalid ``auth``, and for TLS files that cannot be loaded.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        auth: Any,
        options: Options,
        keepalive: float,
        headers: Mapping[str, str],
        locate: Callable[[str], str] | None = None,
    ) -> None:
        self.endpoint = endpoint
        self._locate = locate
        self._options = options
        self._auth = read_auth(auth)
        self._signer: HeaderAuth | None = None
        self._token_signer: TokenSigner | None = None
        bind = getattr(self._auth, "bind", None)  # of a `TokenAuth`, which is imported only where it is used
        if bind is not None:
            self._signer = self._token_signer = bind(self)
        elif isinstance(self._auth, HeaderAuth):
            self._signer = self._auth
        self._base_headers = {
            "Accept-Encoding": ACCEPT_ENCODING,
            "Connection": "keep-alive",
            "User-Agent": user_agent(options.user_agent),
        }
        self._headers = {**self._base_headers, **headers}
        self._backends = Backends(
            options,
            endpoint=endpoint,
            keepalive=keepalive,
            # None if we set the headers: otherwise httpx would take credentials from the caller's own client.
            auth={} if self._auth is None else {"auth": None if self._signer else self._auth},
            signs_in=self._token_signer is not None,
            token_url=getattr(self._auth, "token_url", None),
        )
        self._state: _LoopState | None = None
        self._closed = False
        self._sent_secrets: set[str] = set()
        self._connection_down = False
        self._had_good_reply = False  # once True, an error that looks like a misconfiguration is transient
        self._proxy_secrets = proxy_secrets(options.proxy if options.trust_env else options.proxy or "")
        self._redactor = Redactor(())
        self.request_observers: tuple[RequestObserver, ...] = request_observers(options.observer)
        """Who is told of each request."""

    async def send(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        timeout: float | None = None,
    ) -> HttpResponse:
        """Send one request and return the complete response, whatever its status.

        ``target`` is the path with its query, percent-encoded. ``timeout`` is in seconds, without the time in
        the queue; None takes the source's. A GET whose connection was dropped is sent once more, unless that
        failed the last time, and any request once more after a 401 if the credentials could be refreshed.

        Raise `TransportError` without a response, `DecodeError` for a body that is too large or unreadable,
        and what the sign-in raises. The frames of these hold requests: callers are marked `without_frames`.
        The error's ``sent`` is False if the server has not carried out anything.
        """
        state = self._loop_state()
        seconds = self._options.request_timeout if timeout is None else timeout
        call = _Call(state.backend, self._request(method, target, headers or {}, content))
        scope = anyio.CancelScope()
        try:
            async with state.limiter:
                scope.deadline = anyio.current_time() + seconds
                with scope:
                    return await self._send_authenticated(call)
        except SourceError as error:
            error.sent = error.sent and call.sent
            if isinstance(error, TransportError) and error.misconfigured:
                # Decided here and not where it was raised: a sign-in may be shared with other sources.
                error.transient = self._had_good_reply
            raise
        except BaseException as error:
            restore_message(error, scope)
            raise
        what = "no complete response" if call.sent else "not signed in"
        raise TransportError(f"{method} {self.endpoint}: {what} within {seconds:g} s", sent=call.sent)

    @without_frames
    async def request(
        self,
        method: str,
        url: str,
        *,
        form: Mapping[str, str] | None = None,
        json: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> HttpResponse:
        """Send one request of a sign-in, to any URL, without the source's credentials.

        It does not queue in the limiter, in which the request that waits for it already has a place.
        Redirects are not followed. For another origin, the well-known authorities are trusted in addition to
        the source's CA file. Raise `TransportError` without a response, `DecodeError` for a body that is too
        large or unreadable.
        """
        all_headers = {**self._base_headers, "Accept": "application/json", **(headers or {})}
        content = None
        if form is not None:
            content = urlencode(form).encode()
            all_headers["Content-Type"] = "application/x-www-form-urlencoded"
        elif json is not None:
            content = jsonlib.dumps(json).encode()
            all_headers["Content-Type"] = "application/json"
        backend, without_query = self._backend_for(url), url.partition("?")[0]
        seconds = self._options.request_timeout
        with anyio.move_on_after(seconds):
            result = await self._sender(backend)(
                HttpRequest(method, url, all_headers, content, unauthenticated=True)
            )
            # A GET discovers the token endpoint, and proves nothing about it.
            return self._read(result, method, without_query, proves_set_up=method not in _IDEMPOTENT)
        raise TransportError(f"{method} {without_query}: no complete response within {seconds:g} s")

    @property
    def request_timeout(self) -> float:
        """How long one request may take, in seconds."""
        return self._options.request_timeout

    async def aclose(self) -> None:
        """Close the client, unless it is the caller's, after waiting for a sign-in that was sent.

        The sign-in takes at most the source's ``request_timeout``; a cancellation of the caller is delayed
        until then. Safe to call twice.
        """
        self._closed = True
        state, self._state = self._state, None
        if state and state.backend.on_current_loop:
            await finish(partial(self._close, state))

    async def _close(self, state: _LoopState) -> None:
        try:
            if self._token_signer is not None:
                with anyio.move_on_after(self.request_timeout):
                    await self._token_signer.aclose()
        finally:
            for backend in (state.backend, *state.other_origins.values()):
                with anyio.move_on_after(self.request_timeout):
                    await backend.aclose()

    def redact(self, text: str, limit: int | None = None, *, also: Set[str] = frozenset()) -> str:
        """Return a text, or its first ``limit`` characters, with ``****`` for secrets that are sent.

        ``also`` are secrets that this client does not know of.
        """
        secrets = set(self._signer.secrets()) if self._signer is not None else set[str]()
        secrets |= self._sent_secrets | self._proxy_secrets | also
        if self._redactor.secrets != secrets:
            self._redactor = Redactor(secrets)
        return self._redactor.redact(text, limit)

    def _sender(self, backend: HttpBackend) -> Send:
        send = logged(backend, self.redact)
        return observed(send, self.request_observers) if self.request_observers else send

    def _request(
        self, method: str, target: str, headers: Mapping[str, str], content: bytes | None
    ) -> HttpRequest:
        """Return a request of the API, without credentials."""
        all_headers = {**self._headers, **headers}
        if self.request_observers:
            all_headers = {**trace_headers(self.request_observers), **all_headers}
        path = target if self._locate is None else self._locate(target)
        return HttpRequest(method, self.endpoint + path, all_headers, content)

    async def _send_authenticated(self, call: _Call) -> HttpResponse:
        """Send a request, signed if the source has a signer; once more after a 401 if that could refresh."""
        signer = self._signer
        if signer is None:
            return await self._send_retrying_dropped(call)
        response = await self._sign_and_send(call, signer)
        if response.status == 401:
            call.sent = False  # what was refused was not carried out
            if await signer.refresh(call.request.auth_headers):
                response = await self._sign_and_send(call, signer)
        if 200 <= response.status < 300 and self._token_signer is not None:
            self._token_signer.accepted(call.request.auth_headers)
        return response

    async def _sign_and_send(self, call: _Call, signer: HeaderAuth) -> HttpResponse:
        # No local variable, and no repr, shows the credentials: error trackers record both.
        call.sign(await signer.headers())
        return await self._send_retrying_dropped(call)

    async def _send_retrying_dropped(self, call: _Call) -> HttpResponse:
        request, send = call.request, self._sender(call.backend)
        call.sent = True
        result = await send(request)
        if (
            isinstance(result, HttpFailure)
            and result.dropped
            and request.method in _IDEMPOTENT
            and not self._connection_down
        ):
            # Servers drop idle connections (ONTAP after 5 s), sometimes just as a request is sent.
            result = await send(request)
            # A new connection that is dropped too is an outage: until a response, nothing is sent twice.
            self._connection_down = isinstance(result, HttpFailure)
        if isinstance(result, HttpFailure):
            self._sent_secrets = request.secrets
        else:
            self._connection_down = False
            if result.response.status >= 400:
                self._sent_secrets = secrets_in(result.sent_headers)
        return self._read(result, request.method, request.url, shown=self.endpoint)

    def _read(
        self,
        result: HttpResult | HttpFailure,
        method: str,
        url: str,
        *,
        shown: str | None = None,
        proves_set_up: bool = True,
    ) -> HttpResponse:
        """Return the response to a request. Raise `TransportError`, in which ``shown`` stands for the URL.

        ``proves_set_up`` is whether a success proves that the source is configured correctly.
        """
        if isinstance(result, HttpFailure):
            error = transport_error(result, method, shown or url, redact=self.redact)
        else:
            response = result.response
            if 200 <= response.status < 300:
                if proves_set_up and not self._had_good_reply:
                    body = response.body.lstrip(_BEFORE_JSON)
                    # The API's own: a JSON object, or the empty response to a write.
                    self._had_good_reply = body.startswith(b"{") or (not body and method not in _IDEMPOTENT)
                return response
            refused = plain_http_refused(response, method, shown or url)
            if refused is None:
                elsewhere = redirect_origin(response, url)
                return attrs.evolve(response, redirected_to=elsewhere) if elsewhere else response
            error = refused
        error.transient = error.transient or self._had_good_reply
        raise error

    def _loop_state(self) -> _LoopState:
        if self._closed:
            raise UsageError("the source is closed: make a new one, or close it later")
        if self._options.http is not None and self._options.http.is_closed:
            raise UsageError("the client given as http= is closed: keep it open for as long as its source")
        state = self._state
        if state is None or not state.backend.on_current_loop:
            # ``fast_acquire``: no checkpoint at the limiter, since a request has enough others.
            limiter = anyio.Semaphore(self._options.concurrency, fast_acquire=True)
            # The local variable is returned: a loop in another thread may have replaced the attribute.
            self._state = state = _LoopState(self._backends.own(), limiter)
        return state

    def _backend_for(self, url: str) -> HttpBackend:
        state, parts, options = self._loop_state(), urlsplit(url), self._options
        endpoint = origin(f"{parts.scheme}://{parts.netloc}")
        given = options.http is not None or options.transport is not None
        if given or endpoint == split_endpoint(self.endpoint)[0]:
            return state.backend
        if endpoint not in state.other_origins:
            state.other_origins[endpoint] = self._backends.elsewhere(endpoint)
        return state.other_origins[endpoint]
