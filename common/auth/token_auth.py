"""A bearer token that renews itself: one sign-in however many requests wait for it.

Renewed a minute before it expires, and at once where a server refuses it. Whoever needs it first carries the
sign-in; if that one is cancelled, the next takes it over. No task of its own.
"""

from __future__ import annotations

import abc
import inspect
import time
from collections.abc import Callable, Mapping
from random import Random

import anyio
import attrs
from anyio.lowlevel import current_token

from common.auth.credentials import REMEMBERED, HeaderAuth
from common.auth.oauth2 import Token, TokenHttp, TokenRequest, read_token, request_token, token_error
from common.concurrency import shielded
from common.model.errors import AuthenticationError, SourceError, UsageError
from common.response.redaction import Unpicklable
from common.telemetry.events import logger

REFRESH_AHEAD = 60.0
"""Seconds before its expiry that a token is renewed; at half of its life where that comes later."""
TRIES = 4
"""So often is one sign-in tried while what goes wrong is passing trouble."""
PAUSE = 0.5
"""Seconds before the second try, doubled for each one after it, less up to half of it by chance."""
LONGEST_PAUSE = 10.0
"""A server that asks for more seconds than this is left alone, and the sign-in fails for now."""
RETRY_EARLY = 5.0
"""Seconds until a renewal that failed is tried again while the token at hand is still good."""
REJECTION_KEPT = 10.0
"""Seconds for which a refused sign-in is not tried again: a thousand waits must not lock an account."""
REFRESH_GRACE = 1.0
"""Seconds that a cancelled sign-in with a refresh token is given: its successor may be in the reply."""

OnRotate = Callable[[str], object]
"""Told of a new refresh token that replaces the one before; may be async."""


@attrs.define(eq=False, repr=False)
class _Refresh:
    """A sign-in under way on one event loop, and what became of it."""

    loop: object
    done: anyio.Event = attrs.field(factory=anyio.Event)
    token: str | None = None
    error: SourceError | None = None


@attrs.define(eq=False, repr=False)
class _CachedToken:
    """A token at hand. Times are those of the loop that it came on, and by the process's own clock."""

    token: Token
    loop: object
    renew_at: float | None
    expires_at: float | None
    skew: float
    refused: bool = False
    """Whether a server has refused it."""

    @property
    def good(self) -> bool:
        """Whether it can be used for now, although it is due for renewal."""
        return not self.refused and self.expires_at is not None and anyio.current_time() < self.expires_at

    def moved(self, loop: object) -> None:
        """Go on on another event loop, whose clock may be another."""
        if loop is self.loop:
            return
        shift = anyio.current_time() - time.monotonic() - self.skew
        self.loop, self.skew = loop, self.skew + shift
        if self.renew_at is not None and self.expires_at is not None:
            self.renew_at, self.expires_at = self.renew_at + shift, self.expires_at + shift


@attrs.frozen(repr=False)
class _Rejection:
    """How the last sign-in was refused, and until when that counts on this event loop."""

    error: AuthenticationError
    loop: object
    until: float

    def counts(self) -> bool:
        return self.loop is current_token().native_token and anyio.current_time() < self.until


class TokenAuth(Unpicklable, abc.ABC):
    """Base of what signs in for a bearer token and keeps it good. May serve several sources.

    A class of this kind says how to ask for a token (`grant`); all else is the same for all.
    """

    hint: str = "check the credentials"
    """What to do where the sign-in is refused."""
    can_reauthenticate: bool = True
    """Whether it can sign in again without a refresh token."""

    def __init__(self, *, refresh_token: str | None = None, on_rotate: OnRotate | None = None) -> None:
        if on_rotate is not None and not callable(on_rotate):
            raise UsageError("on_rotate= must be a function of the new refresh token, or left out")
        self._on_rotate = on_rotate
        self._random = Random()
        self._refresh_token = refresh_token
        self._cached: _CachedToken | None = None
        self._refresh: _Refresh | None = None
        self._rejection: _Rejection | None = None
        self._former: tuple[str, ...] = ()

    @abc.abstractmethod
    async def grant(self, http: TokenHttp, refresh_token: str | None) -> TokenRequest:
        """The request for a token, with this refresh token where there is one."""

    async def cached_token(self) -> Token | None:
        """A good token, other than the one held, that is there without a sign-in; None for none."""
        return None

    def invalidate(self, http: TokenHttp) -> None:
        """Called after a sign-in that failed: what was found out for it may be out of date."""

    @abc.abstractmethod
    def own_secrets(self) -> tuple[str, ...]:
        """The passwords and keys that it was made of."""

    def secrets(self) -> tuple[str, ...]:
        """All texts that must appear in no message."""
        current = (self._refresh_token or "", self._cached.token.access if self._cached else "")
        return tuple(text for text in (*self.own_secrets(), *self._former, *current) if text)

    def bind(self, http: TokenHttp) -> HeaderAuth:
        """This sign-in, carried out over the connections of one source."""
        return _Signer(self, http)

    async def on_token(self, token: Token) -> None:
        """Called with each new token. Tells the caller of a new refresh token (``on_rotate``)."""
        if token.refresh is None or token.refresh == self._refresh_token:
            return
        self._remember(self._refresh_token)
        self._refresh_token = token.refresh
        if self._on_rotate is not None:
            said = self._on_rotate(token.refresh)
            if inspect.isawaitable(said):
                await said

    async def token(self, http: TokenHttp, *, refused: str | None = None) -> str:
        """A good access token, other than one that a server has refused. Raises what the sign-in met.

        `AuthenticationError` where it was refused, which counts for 10 s; `TransportError`, `RateLimited` or
        `ServerError` where it failed for now.
        """
        while True:
            found = self._usable(refused)
            if found is not None:
                return found
            attempt = self._refresh
            if attempt is None or attempt.loop is not current_token().native_token:
                return await self._refresh_once(http)
            if self._cached is not None and self._cached.good:
                return self._cached.token.access  # renewed ahead of time: no need to wait for that
            await attempt.done.wait()
            if attempt.error is not None:
                raise attempt.error.copy_for(None, None)
            if attempt.token is not None:
                return attempt.token
            # Its task was cancelled: one of those that waited goes on.

    def _store(self, token: Token) -> None:
        """Take a token that is at hand already. Only within an event loop."""
        now, loop = anyio.current_time(), current_token().native_token
        renew_at = expires_at = None
        if token.lifetime is not None:
            expires_at = now + token.lifetime
            renew_at = expires_at - min(REFRESH_AHEAD, token.lifetime / 2)
        if self._cached is not None and self._cached.token.access != token.access:
            self._remember(self._cached.token.access)
        self._cached = _CachedToken(token, loop, renew_at, expires_at, now - time.monotonic())
        self._rejection = None

    def _usable(self, refused: str | None) -> str | None:
        held = self._cached
        if held is None:
            return None
        held.moved(current_token().native_token)
        if held.token.access == refused:
            held.refused = True
        if held.refused:
            return None
        due = held.renew_at is not None and anyio.current_time() >= held.renew_at
        return None if due else held.token.access

    def _remember(self, secret: str | None) -> None:
        if secret:
            self._former = (*self._former[-REMEMBERED:], secret)

    async def _refresh_once(self, http: TokenHttp) -> str:
        attempt = self._refresh = _Refresh(current_token().native_token)
        try:
            attempt.token = await self._obtain(http)
        except SourceError as error:
            attempt.token = self._unexpired() if error.transient else None
            if attempt.token is not None:
                return attempt.token
            attempt.error = error
            self._on_failure(error, http)
            raise
        else:
            return attempt.token
        finally:
            if self._refresh is attempt:
                self._refresh = None
            attempt.done.set()

    def _unexpired(self) -> str | None:
        """The token at hand where a renewal ahead of time failed, which can wait."""
        held = self._cached
        if held is None or not held.good or held.expires_at is None:
            return None
        held.renew_at = min(anyio.current_time() + RETRY_EARLY, held.expires_at)
        return held.token.access

    def _on_failure(self, error: SourceError, http: TokenHttp) -> None:
        self.invalidate(http)
        if isinstance(error, AuthenticationError) and not (self._rejection and self._rejection.counts()):
            until = anyio.current_time() + REJECTION_KEPT
            self._rejection = _Rejection(error, current_token().native_token, until)

    async def _obtain(self, http: TokenHttp) -> str:
        tries = 0
        while True:
            tries += 1
            try:
                return await self._sign_in(http)
            except SourceError as error:
                pause = PAUSE * 2 ** (tries - 1) * (1 - self._random.random() / 2)
                pause = max(pause, error.retry_after or 0.0)
                if not error.transient or tries >= TRIES or pause > LONGEST_PAUSE:
                    raise
            await anyio.sleep(pause)

    async def _sign_in(self, http: TokenHttp) -> str:
        found = await self.cached_token()
        if found is not None:
            self._store(found)
            return found.access
        if self._rejection is not None and self._rejection.counts():
            raise self._rejection.error.copy_for(None, None)
        refresh = self._refresh_token
        if refresh is not None:
            grant = await self.grant(http, refresh)
            try:
                return await shielded(REFRESH_GRACE, lambda: self._asked(http, grant))
            except AuthenticationError:
                if not self.can_reauthenticate:
                    raise
            # Refresh tokens expire too; whoever has the password signs in anew.
            self._remember(refresh)
            self._refresh_token = None
        return await self._asked(http, await self.grant(http, None))

    async def _asked(self, http: TokenHttp, grant: TokenRequest) -> str:
        what = f"signing in at {grant.url.partition('?')[0]}"
        form, json = (None, dict(grant.fields)) if grant.as_json else (grant.fields, None)
        reply = await request_token(
            http, "POST", grant.url, what=what, form=form, json=json, headers=grant.headers
        )
        if reply.status != 200:
            raise token_error(reply, what, self.hint, http)
        token = read_token(reply, what)
        self._store(token)
        try:
            await self.on_token(token)
        except Exception as error:
            said = http.redact(f"{type(error).__name__}: {error}")
            # Without its traceback: whatever handles the token may quote it.
            logger.error("on_rotate failed (%s); the new refresh token is kept in this process alone", said)
        return token.access

    def __repr__(self) -> str:
        return f"{type(self).__name__}(****)"


class _Signer:
    """`HeaderAuth` of a `TokenAuth` over the connections of one source."""

    def __init__(self, auth: TokenAuth, http: TokenHttp) -> None:
        self._auth = auth
        self._desk = http

    async def headers(self) -> Mapping[str, str]:
        """``Authorization: Bearer …``."""
        return {"Authorization": f"Bearer {await self._auth.token(self._desk)}"}

    async def refresh(self, refused: Mapping[str, str]) -> bool:
        """A new token in place of the refused one. Raises what the sign-in met."""
        token = refused.get("Authorization", "").removeprefix("Bearer ")
        await self._auth.token(self._desk, refused=token)
        return True

    def secrets(self) -> tuple[str, ...]:
        """Those of the sign-in."""
        return self._auth.secrets()
