"""Sign in for a bearer token, and keep it valid: one refresh, however many requests wait for it.

**One refresh is shared by all.** A source may have thousands of waits, and all of them need the same token.
The first request that finds no fresh one becomes the leader: it signs in within its own task (there is no
background task), and publishes a `_Refresh`. Every other request awaits that, and takes the leader's token,
or a copy of its error. A refresh belongs to an event loop, since its `anyio.Event` does; a token does not.

**A token is refreshed ahead of its expiry**: `REFRESH_AHEAD` seconds before, or at half of a short
lifetime, so that no request is sent with a token that expires on its way. Only the leader waits for this;
until the old token has expired, all others go on with it. If such a refresh fails with a transient error,
the old token is used and the refresh tried again `REFRESH_RETRY_DELAY` seconds later. A token that a server
refuses with 401 is replaced at once, and never used again; a thousand requests that were refused with the
same one cause a single refresh.

**The leader may be cancelled**, as any task may. Then one of the requests that wait finds neither a token
nor an error, and becomes the next leader. With a password that is harmless. A refresh token, however, may
be valid once: the server spends it when the request arrives, and its successor is in a response that nobody
would read. Were it lost, only a person could sign in again. So a request that spends a refresh token is
shielded from cancellation for `REFRESH_GRACE` seconds, which is enough for a response under way, and short
enough for a shutdown. The shield includes storing the successor and calling ``on_rotate``.

**A rejection is remembered** for `REJECTION_KEPT` seconds: many servers lock an account after a few wrong
passwords, and a thousand waits would send one each. Transient failures (no connection, 5xx, 429, a proxy's
page) are retried by the leader, up to `MAX_TRIES` times, and are not remembered.

``tests/common/auth/test_token_auth.py`` tests each of these, among others by cancelling a refresh at every
one of its awaits (``test_a_cancelled_sign_in_is_taken_over_whenever_it_is_cancelled``).
"""

from __future__ import annotations

import abc
import inspect
from collections.abc import Callable, Mapping
from random import Random

import anyio
import attrs

from common.auth.credentials import REMEMBERED, HeaderAuth
from common.auth.oauth2 import Token, TokenHttp, TokenRequest, read_token, request_token, token_error
from common.auth.token_cache import CachedToken, Rejection, running_loop
from common.concurrency import shielded
from common.model.errors import AuthenticationError, SourceError, UsageError
from common.response.redaction import Unpicklable
from common.telemetry.events import logger

MAX_TRIES = 4
"""How often one sign-in is tried while its failures are transient."""
RETRY_DELAY = 0.5
"""Seconds before the second try, doubled for each one after it, less a random part of up to half of it."""
MAX_RETRY_DELAY = 10.0
"""Seconds; a sign-in fails at once where the server asks for a longer delay than this."""
REFRESH_GRACE = 1.0
"""Seconds that a cancelled request with a refresh token is given: its successor may be in the response."""

OnRotate = Callable[[str], object]
"""Called with each refresh token that replaces the one before; may be async."""


@attrs.define(eq=False, repr=False)
class _Refresh:
    """A sign-in under way on one event loop, and its result. Neither token nor error: it was cancelled."""

    loop: object
    done: anyio.Event = attrs.field(factory=anyio.Event)
    token: str | None = None
    error: SourceError | None = None


class TokenAuth(Unpicklable, abc.ABC):
    """Base class of sign-ins that obtain a bearer token. One instance may serve several sources.

    A subclass says how to ask for a token (`token_request`); all else is the same for all of them.
    """

    hint: str = "check the credentials"
    """What the user should do where the sign-in is refused."""
    can_reauthenticate: bool = True
    """Whether it can sign in again without a refresh token."""

    def __init__(self, *, refresh_token: str | None = None, on_rotate: OnRotate | None = None) -> None:
        if on_rotate is not None and not callable(on_rotate):
            raise UsageError("on_rotate= must be a function of the new refresh token, or left out")
        self._on_rotate = on_rotate
        self._random = Random()
        self._refresh_token = refresh_token
        self._cached: CachedToken | None = None
        self._refresh: _Refresh | None = None
        self._rejection: Rejection | None = None
        self._former_secrets: tuple[str, ...] = ()

    @abc.abstractmethod
    async def token_request(self, http: TokenHttp, refresh_token: str | None) -> TokenRequest:
        """Return the request for a token, with this refresh token where there is one."""

    async def cached_token(self) -> Token | None:
        """Return a valid token, other than the current one, without a sign-in; None for none."""
        return None

    def invalidate(self, http: TokenHttp) -> None:
        """Forget what was discovered for a sign-in. Called after one that failed: it may be out of date."""

    @abc.abstractmethod
    def credential_secrets(self) -> tuple[str, ...]:
        """Return the passwords and keys that it was made with."""

    def secrets(self) -> tuple[str, ...]:
        """Return all texts that must appear in no message."""
        current = (self._refresh_token or "", self._cached.token.access if self._cached else "")
        return tuple(text for text in (*self.credential_secrets(), *self._former_secrets, *current) if text)

    def bind(self, http: TokenHttp) -> HeaderAuth:
        """Return this sign-in as a `HeaderAuth` that uses the connections of one source."""
        return _Signer(self, http)

    async def on_token(self, token: Token) -> None:
        """Store a new refresh token and call ``on_rotate`` with it. Called with each new token."""
        if token.refresh is None or token.refresh == self._refresh_token:
            return
        self._remember(self._refresh_token)
        self._refresh_token = token.refresh
        if self._on_rotate is not None:
            pending = self._on_rotate(token.refresh)
            if inspect.isawaitable(pending):
                await pending

    async def token(self, http: TokenHttp, *, refused: str | None = None) -> str:
        """Return a valid access token, other than ``refused``, which a server has answered with 401.

        Raise `AuthenticationError` where the sign-in is refused (remembered for 10 s), and `TransportError`,
        `RateLimited` or `ServerError` where it failed for now.
        """
        while True:
            fresh = self._fresh_token(refused)
            if fresh is not None:
                return fresh
            refresh = self._refresh
            if refresh is None or refresh.loop is not running_loop():
                return await self._lead_refresh(http)
            if self._cached is not None and self._cached.unexpired:
                return self._cached.token.access  # refreshed ahead of time: no need to wait for that
            await refresh.done.wait()
            if refresh.error is not None:
                raise refresh.error.copy_for(None, None)
            if refresh.token is not None:
                return refresh.token
            # The leader was cancelled: one of the requests that waited becomes the next leader.

    def _fresh_token(self, refused: str | None) -> str | None:
        cached = self._cached
        if cached is None:
            return None
        cached.move_to(running_loop())
        if cached.token.access == refused:
            cached.rejected = True
        return cached.token.access if cached.fresh else None

    def _store(self, token: Token) -> None:
        if self._cached is not None and self._cached.token.access != token.access:
            self._remember(self._cached.token.access)
        self._cached = CachedToken.of(token)
        self._rejection = None

    def _remember(self, secret: str | None) -> None:
        if secret:
            self._former_secrets = (*self._former_secrets[-REMEMBERED:], secret)

    async def _lead_refresh(self, http: TokenHttp) -> str:
        refresh = self._refresh = _Refresh(running_loop())
        try:
            refresh.token = await self._sign_in_with_retries(http)
        except SourceError as error:
            if error.transient and self._cached is not None and self._cached.unexpired:
                # A refresh ahead of time failed, which can wait.
                self._cached.postpone_refresh()
                refresh.token = self._cached.token.access
                return refresh.token
            refresh.error = error
            self._on_failure(error, http)
            raise
        else:
            return refresh.token
        finally:
            if self._refresh is refresh:
                self._refresh = None
            refresh.done.set()

    def _on_failure(self, error: SourceError, http: TokenHttp) -> None:
        self.invalidate(http)
        if isinstance(error, AuthenticationError) and not (self._rejection and self._rejection.active):
            self._rejection = Rejection.of(error)

    async def _sign_in_with_retries(self, http: TokenHttp) -> str:
        tries = 0
        while True:
            tries += 1
            try:
                return await self._sign_in(http)
            except SourceError as error:
                delay = RETRY_DELAY * 2 ** (tries - 1) * (1 - self._random.random() / 2)
                delay = max(delay, error.retry_after or 0.0)
                if not error.transient or tries >= MAX_TRIES or delay > MAX_RETRY_DELAY:
                    raise
            await anyio.sleep(delay)

    async def _sign_in(self, http: TokenHttp) -> str:
        available = await self.cached_token()
        if available is not None:
            self._store(available)
            return available.access
        if self._rejection is not None and self._rejection.active:
            raise self._rejection.error.copy_for(None, None)
        refresh_token = self._refresh_token
        if refresh_token is not None:
            request = await self.token_request(http, refresh_token)
            try:
                return await shielded(REFRESH_GRACE, lambda: self._request(http, request))
            except AuthenticationError:
                if not self.can_reauthenticate:
                    raise
            # Refresh tokens expire too; with a password it can sign in again.
            self._remember(refresh_token)
            self._refresh_token = None
        return await self._request(http, await self.token_request(http, None))

    async def _request(self, http: TokenHttp, request: TokenRequest) -> str:
        what = f"signing in at {request.url.partition('?')[0]}"
        form, json = (None, dict(request.fields)) if request.as_json else (request.fields, None)
        response = await request_token(
            http, "POST", request.url, what=what, form=form, json=json, headers=request.headers
        )
        if response.status != 200:
            raise token_error(response, what, self.hint, http)
        token = read_token(response, what)
        self._store(token)
        try:
            await self.on_token(token)
        except Exception as error:
            reason = http.redact(f"{type(error).__name__}: {error}")
            # Without its traceback: code that handles the token may quote it.
            logger.error("on_rotate failed (%s); the new refresh token is kept in this process alone", reason)
        return token.access

    def __repr__(self) -> str:
        return f"{type(self).__name__}(****)"


class _Signer:
    """`HeaderAuth` of a `TokenAuth` that uses the connections of one source."""

    def __init__(self, auth: TokenAuth, http: TokenHttp) -> None:
        self._auth = auth
        self._http = http

    async def headers(self) -> Mapping[str, str]:
        """Return ``Authorization: Bearer …``. Raise as `TokenAuth.token` does."""
        return {"Authorization": f"Bearer {await self._auth.token(self._http)}"}

    async def refresh(self, refused: Mapping[str, str]) -> bool:
        """Obtain a new token in place of the refused one; return True. Raise as `TokenAuth.token` does."""
        token = refused.get("Authorization", "").removeprefix("Bearer ")
        await self._auth.token(self._http, refused=token)
        return True

    def secrets(self) -> tuple[str, ...]:
        """Return the secrets of the sign-in."""
        return self._auth.secrets()
