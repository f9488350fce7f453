"""Sign in for a bearer token, and keep it valid: one sign-in, however many requests wait for it.

**One sign-in is shared by all.** A source may have thousands of waits, and all of them need the same token.
The first request that finds no fresh one begins a sign-in, which runs in a task of its own (`DetachedWork` of
``common.concurrency``). All requests that need the token wait for that task, the first like any other: each
keeps its own deadline and can be cancelled at any moment, and each gets the token, or a copy of the error. A
sign-in belongs to an event loop; a token does not.

**A request that was sent is completed.** A refresh token may be valid once: the server spends it when the
request arrives, and its successor is in the response. If that were lost, only a person could sign in again.
So a sign-in is cancelled when the last request that waits for it is, but it is shielded from the sending of
its request until the successor is stored and ``on_rotate`` has returned. The request and ``on_rotate`` each
take at most the source's ``request_timeout``. Closing a source waits for a sign-in that uses its connections.
A token can still be lost with a response that does not arrive, or with the process.

**A token is refreshed ahead of its expiry**: `REFRESH_AHEAD` seconds before, or at half of a short
lifetime, so that no request is sent with a token that expires on its way. Only the request that begins it
waits for this; until the old token has expired, all others go on with it. If such a refresh fails with a
transient error, the old token is used and the refresh tried again `REFRESH_RETRY_DELAY` seconds later.

**A token that an API refuses with 401** is replaced at once and never used again; a thousand requests that
were refused with the same one cause a single sign-in. If the new one is refused as well, by an API that has
not accepted it before, another would not help either: for `REJECTION_KEPT` seconds it is not replaced, and
requests end with the API's own error.

**A refused sign-in is remembered** for `REJECTION_KEPT` seconds: many servers lock an account after a few
wrong passwords, and a thousand waits would send one each. Transient failures (no connection, 5xx, 429, a
proxy's page) are retried, up to `MAX_TRIES` times, and are not remembered.

``tests/common/auth/test_token_auth.py`` tests each of these, among others by cancelling a request at every
one of its awaits; ``tests/faults/test_token_history.py`` checks what the issuer recorded of random schedules.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from functools import partial
from random import Random

import anyio

from common.auth.credentials import REMEMBERED
from common.auth.oauth2 import (
    Token,
    TokenHttp,
    TokenRequest,
    has_error_for_token,
    read_refresh_token,
    read_token,
    request_token,
    token_error,
)
from common.auth.rotation import OnRotate, tell_rotation
from common.auth.token_cache import CachedToken, Rejection
from common.concurrency import DetachedWork, running_loop
from common.model.errors import AuthenticationError, SourceError, UsageError
from common.model.tracebacks import without_frames
from common.response.redaction import Unpicklable

MAX_TRIES = 4
"""How often one sign-in is tried at most, if its failures are transient."""
RETRY_DELAY = 0.5
"""Seconds before the second try, doubled for each one after it, less a random part of up to half of it."""
MAX_RETRY_DELAY = 10.0
"""Seconds; a sign-in fails at once where the server asks for a longer delay than this."""


class _SignIn(DetachedWork[str]):
    """A sign-in under way, over the connections of one source; its value is the access token."""

    def __init__(self, http: TokenHttp) -> None:
        super().__init__()
        self.http = http


class TokenAuth(Unpicklable, abc.ABC):
    """Base class of sign-ins that obtain a bearer token. One instance may serve several sources.

    A subclass implements the request for a token (`token_request`) and names its secrets
    (`credential_secrets`); the rest is the same for all.
    """

    hint: str = "check the credentials"
    """What the user should do where the sign-in is refused."""
    can_reauthenticate: bool = True
    """Whether it can sign in again without a refresh token."""
    keeps_refresh_token: bool = True
    """Whether refresh tokens in responses are used."""

    def __init__(self, *, refresh_token: str | None = None, on_rotate: OnRotate | None = None) -> None:
        if on_rotate is not None and not callable(on_rotate):
            raise UsageError("on_rotate= must be a function of the new refresh token, or left out")
        self._on_rotate = on_rotate
        self._random = Random()
        self._refresh_token = refresh_token
        self._cached: CachedToken | None = None
        self._sign_in: _SignIn | None = None
        self._rejection: Rejection | None = None
        self._former_secrets: tuple[str, ...] = ()

    @abc.abstractmethod
    async def token_request(self, http: TokenHttp, refresh_token: str | None) -> TokenRequest:
        """Return the request for a token, with this refresh token where there is one."""

    async def cached_token(self) -> Token | None:
        """Return a valid token, other than the current one, without a sign-in; None for none."""
        return None

    def invalidate(self, http: TokenHttp) -> None:
        """Forget what was discovered for a sign-in, as that may be out of date. Called after a failed one."""

    @abc.abstractmethod
    def credential_secrets(self) -> tuple[str, ...]:
        """Return the passwords and keys that it was made with."""

    def secrets(self) -> tuple[str, ...]:
        """Return all texts that must appear in no message."""
        current = (self._refresh_token or "", self._cached.token.access if self._cached else "")
        return tuple(text for text in (*self.credential_secrets(), *self._former_secrets, *current) if text)

    def bind(self, http: TokenHttp) -> TokenSigner:
        """Return this sign-in as a `HeaderAuth` that uses the connections of one source."""
        return TokenSigner(self, http)

    def on_token(self, token: Token) -> None:
        """Called with each new token, once it and a new refresh token are stored."""

    async def token(self, http: TokenHttp, *, refused: str | None = None) -> str:
        """Return a valid access token, other than ``refused``, which a server has answered with 401.

        Raise `AuthenticationError` where the sign-in is refused (remembered for 10 s), and `TransportError`,
        `RateLimited` or `ServerError` where it failed for now.
        """
        while True:
            fresh = self._fresh_token(refused)
            if fresh is not None:
                return fresh
            sign_in = self._sign_in
            begins = sign_in is None or sign_in.done or sign_in.loop is not running_loop()
            if sign_in is None or begins:
                sign_in = self._sign_in = _SignIn(http)
                sign_in.start(partial(self._run_sign_in, sign_in))
            elif self._cached is not None and self._cached.unexpired:
                return self._cached.token.access  # refreshed ahead of time: no need to wait for that
            await sign_in.wait()
            if sign_in.value is not None:
                return sign_in.value
            if isinstance(sign_in.error, SourceError):
                refused = None  # error trackers record every local
                raise sign_in.error.copy_for(None, None)
            if begins and sign_in.error is not None:
                raise sign_in.error
            # The source of the sign-in was closed, or the request that began it failed: begin another one.

    def is_current(self, token: str) -> bool:
        """Whether this is the newest token."""
        return self._cached is not None and self._cached.token.access == token

    def replaces_refused(self, token: str) -> bool:
        """Whether this is the current token, and has just replaced one that was refused."""
        cached = self._cached
        if cached is None or cached.token.access != token or cached.rejected:
            return False
        cached.move_to(running_loop())
        return not cached.settled

    async def end_sign_in(self, http: TokenHttp) -> None:
        """Let a sign-in over these connections send nothing more, and wait for its end."""
        sign_in = self._sign_in
        if sign_in is not None and sign_in.http is http and sign_in.loop is running_loop():
            sign_in.cancel()
            await sign_in.join()

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
        self._cached = CachedToken.of(token, after=self._cached)
        self._rejection = None

    def _remember(self, secret: str | None) -> None:
        if secret:
            self._former_secrets = (*self._former_secrets[-REMEMBERED:], secret)

    async def _run_sign_in(self, sign_in: _SignIn) -> str:
        try:
            return await self._sign_in_with_retries(sign_in.http)
        except SourceError as error:
            if error.transient and self._cached is not None and self._cached.unexpired:
                # A refresh ahead of time failed, which can wait.
                self._cached.postpone_refresh()
                return self._cached.token.access
            self._on_failure(error, sign_in.http)
            raise
        finally:
            if self._sign_in is sign_in:
                self._sign_in = None

    def _on_failure(self, error: SourceError, http: TokenHttp) -> None:
        self.invalidate(http)
        if isinstance(error, AuthenticationError) and not (self._rejection and self._rejection.active):
            self._rejection = Rejection.of(error)

    async def _sign_in_with_retries(self, http: TokenHttp) -> str:
        tries = 0
        while True:
            tries += 1
            try:
                return await self._try_sign_in(http)
            except SourceError as error:
                delay = RETRY_DELAY * 2 ** (tries - 1) * (1 - self._random.random() / 2)
                delay = max(delay, error.retry_after or 0.0)
                if not error.transient or tries >= MAX_TRIES or delay > MAX_RETRY_DELAY:
                    raise
            await anyio.sleep(delay)

    @without_frames  # errors are kept, too, and these frames have credentials in their variables
    async def _try_sign_in(self, http: TokenHttp) -> str:
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
                return await self._request(http, request)
            except AuthenticationError:
                if not self.can_reauthenticate:
                    raise
            # Refresh tokens expire too; with a password it can sign in again.
            if self._refresh_token == refresh_token:  # else the refusal brought a new one
                self._remember(refresh_token)
                self._refresh_token = None
        return await self._request(http, await self.token_request(http, None))

    async def _request(self, http: TokenHttp, request: TokenRequest) -> str:
        with anyio.CancelScope(shield=True):
            return await self._exchange(http, request)
        raise AssertionError("nobody cancels this shield")

    async def _exchange(self, http: TokenHttp, request: TokenRequest) -> str:
        what = f"signing in at {request.url.partition('?')[0]}"
        form, json = (None, dict(request.fields)) if request.as_json else (request.fields, None)
        response = await request_token(
            http, "POST", request.url, what=what, form=form, json=json, headers=request.headers
        )
        if response.status != 200:
            raise token_error(response, what, self.hint, http)
        rotated = read_refresh_token(response) if self.keeps_refresh_token else None
        if rotated == self._refresh_token:
            rotated = None
        if rotated is not None:
            # Before anything else, and even if the response has no usable access token.
            self._remember(self._refresh_token)
            self._refresh_token = rotated
        try:
            if has_error_for_token(response):
                raise token_error(response, what, self.hint, http)
            token = read_token(response, what)
            self._store(token)
            self.on_token(token)
        finally:
            if rotated is not None and self._on_rotate is not None:
                await tell_rotation(self._on_rotate, rotated, http)
        return token.access

    def __repr__(self) -> str:
        return f"{type(self).__name__}(****)"


class TokenSigner:
    """`HeaderAuth` of a `TokenAuth` that uses the connections of one source."""

    def __init__(self, auth: TokenAuth, http: TokenHttp) -> None:
        self._auth = auth
        self._http = http
        self._accepted = ""

    async def headers(self) -> Mapping[str, str]:
        """Return ``Authorization: Bearer …``. Raise as `TokenAuth.token` does."""
        return {"Authorization": f"Bearer {await self._auth.token(self._http)}"}

    async def refresh(self, refused: Mapping[str, str]) -> bool:
        """Obtain a new token in place of the refused one. Raise as `TokenAuth.token` does.

        Return False where it is such a new one itself, which the API has never accepted.
        """
        token = refused.get("Authorization", "").removeprefix("Bearer ")
        if token != self._accepted and self._auth.replaces_refused(token):
            return False
        await self._auth.token(self._http, refused=token)
        return True

    def accepted(self, sent: Mapping[str, str]) -> None:
        """Called when a request with these headers has succeeded: the API accepts their token."""
        token = sent.get("Authorization", "").removeprefix("Bearer ")
        if self._auth.is_current(token):  # else the response was slower than the refresh of its token
            self._accepted = token

    async def aclose(self) -> None:
        """Wait for the end of a sign-in that uses the connections of this source."""
        await self._auth.end_sign_in(self._http)

    def secrets(self) -> tuple[str, ...]:
        """Return the secrets of the sign-in."""
        return self._auth.secrets()
