"""The state that a `TokenAuth` keeps: the current token with its times, and a refused sign-in.

Times are those of the event loop's clock. A token outlives its loop, so its times are converted when it is
used on another one; what the loops have in common is the process's own clock, ``time.monotonic()``.
"""

from __future__ import annotations

import time

import anyio
import attrs

from common.auth.oauth2 import Token
from common.concurrency import running_loop
from common.model.errors import AuthenticationError

REFRESH_AHEAD = 60.0
"""Seconds before its expiry that a token is refreshed; at half of its lifetime where that comes later."""
REFRESH_RETRY_DELAY = 5.0
"""Seconds until a failed refresh is tried again while the cached token has not expired."""
REJECTION_KEPT = 10.0
"""Seconds for which a refused sign-in is not tried again, since a thousand waits must not lock an account,
and for which a token that replaced a refused one is not replaced in turn."""


@attrs.define(eq=False, repr=False)
class CachedToken:
    """The current token. ``refresh_at`` and ``expires_at`` are None where the server told no lifetime.

    ``settled_at`` is the time until which a refusal of it says more about the API than about the token, and
    ``skew`` is the loop's clock less ``time.monotonic()``, in seconds.
    """

    token: Token
    loop: object
    refresh_at: float | None
    expires_at: float | None
    settled_at: float
    skew: float
    rejected: bool = False
    """Whether a server has refused it."""

    @classmethod
    def of(cls, token: Token, *, after: CachedToken | None) -> CachedToken:
        """Return the cache entry of a token that was issued just now, after the one before.

        Must be called in an event loop.
        """
        now = anyio.current_time()
        refresh_at = expires_at = None
        if token.lifetime is not None:
            expires_at = now + token.lifetime
            refresh_at = expires_at - min(REFRESH_AHEAD, token.lifetime / 2)
        settled_at = now + REJECTION_KEPT if after is not None and after.rejected else now
        return cls(token, running_loop(), refresh_at, expires_at, settled_at, now - time.monotonic())

    @property
    def unexpired(self) -> bool:
        """Whether it can still be used, although it may be due for a refresh."""
        return not self.rejected and self.expires_at is not None and anyio.current_time() < self.expires_at

    @property
    def fresh(self) -> bool:
        """Whether it can be used and is not due for a refresh. One without a lifetime never is due."""
        return not self.rejected and (self.refresh_at is None or anyio.current_time() < self.refresh_at)

    @property
    def settled(self) -> bool:
        """Whether a refusal of it is the token's fault, and a new one worth a sign-in."""
        return anyio.current_time() >= self.settled_at

    def move_to(self, loop: object) -> None:
        """Convert the times to the clock of another event loop, the running one."""
        if loop is self.loop:
            return
        shift = anyio.current_time() - time.monotonic() - self.skew
        self.loop, self.skew, self.settled_at = loop, self.skew + shift, self.settled_at + shift
        if self.refresh_at is not None and self.expires_at is not None:
            self.refresh_at, self.expires_at = self.refresh_at + shift, self.expires_at + shift

    def postpone_refresh(self) -> None:
        """Let the next refresh wait for `REFRESH_RETRY_DELAY`, at most until the token expires."""
        if self.expires_at is not None:
            self.refresh_at = min(anyio.current_time() + REFRESH_RETRY_DELAY, self.expires_at)


@attrs.frozen(repr=False)
class Rejection:
    """A refused sign-in, which counts for `REJECTION_KEPT` seconds on the event loop that it happened on."""

    error: AuthenticationError
    loop: object
    until: float

    @classmethod
    def of(cls, error: AuthenticationError) -> Rejection:
        """Return the rejection of a sign-in that was refused just now."""
        return cls(error, running_loop(), anyio.current_time() + REJECTION_KEPT)

    @property
    def active(self) -> bool:
        """Whether the sign-in is not to be tried again yet."""
        return self.loop is running_loop() and anyio.current_time() < self.until
