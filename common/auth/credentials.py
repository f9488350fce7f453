"""Credentials that every provider accepts: HTTP Basic and bearer tokens."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, runtime_checkable

from common.model.errors import UsageError
from common.model.tracebacks import without_frames
from common.response.redaction import Unpicklable
from common.set_module import set_module

TokenSource = Callable[[], Awaitable[str]]

REMEMBERED = 8
"""How many former tokens are kept, to be redacted where a server quotes them."""


@runtime_checkable
class HeaderAuth(Protocol):
    """Authentication by request headers, which are computed for each request."""

    async def headers(self) -> Mapping[str, str]:
        """Return the headers to send, such as ``Authorization``."""
        ...

    async def refresh(self, refused: Mapping[str, str]) -> bool:
        """Return whether to send the request once more. Called after a 401; ``refused`` are its headers."""
        ...

    def secrets(self) -> tuple[str, ...]:
        """Return the texts that are redacted in errors and logs."""
        ...


class Basic(Unpicklable):
    """HTTP Basic with a user name and a password, in UTF-8 as ONTAP expects them (RFC 7617)."""

    __slots__ = ("_header", "_secrets", "user")

    @without_frames
    def __init__(self, user: str, password: str) -> None:
        if not isinstance(user, str) or not isinstance(password, str):
            raise UsageError("a user name and a password must be text")
        if ":" in user:
            raise UsageError("a user name for HTTP Basic must not contain a colon")
        if not (user + password).isprintable() and any(ord(c) < 32 for c in user + password):
            raise UsageError(
                "the user name or the password contains a control character (a line break at its end?)"
            )
        try:
            token = base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
        except UnicodeEncodeError:
            token = ""  # raised below: as its context, the codec's exception would contain the password
        if not token:
            raise UsageError(
                "the user name or the password contains a lone surrogate and cannot be encoded as UTF-8"
            )
        self.user: str = user
        self._header = {"Authorization": f"Basic {token}"}
        self._secrets = (password, token)

    async def headers(self) -> Mapping[str, str]:
        """Return ``Authorization: Basic …``."""
        return self._header

    async def refresh(self, refused: Mapping[str, str]) -> bool:
        """Return False: a password that was refused is wrong."""
        del refused
        return False

    def secrets(self) -> tuple[str, ...]:
        """Return the password, plain and encoded."""
        return self._secrets

    def credentials(self) -> tuple[str, ...]:
        """Return the user name and the password."""
        return self.user, self._secrets[0]

    def __repr__(self) -> str:
        return f"Basic({self.user!r}, ****)"


class Bearer(Unpicklable):
    """A bearer token: its text, or an async function that returns a valid one for each request.

    After a 401 the function is called again, and the request is sent once more if it returns another token.
    Raise `UsageError` for a token that a header cannot carry.
    """

    __slots__ = ("_sent", "_token")

    @without_frames
    def __init__(self, token: str | TokenSource) -> None:
        if not isinstance(token, str) and not callable(token):
            raise UsageError("Bearer() takes the token as text, or an async function that returns it")
        self._token = read_bearer_token(token) if isinstance(token, str) else token
        self._sent: tuple[str, ...] = (self._token if isinstance(self._token, str) else "",)

    async def headers(self) -> Mapping[str, str]:
        """Return ``Authorization: Bearer …``. Raise `UsageError` where the function returns no token."""
        token = await self._current()
        if token != self._sent[-1]:
            # A request with the token before may still be under way, and the server may quote it.
            self._sent = (*self._sent[-REMEMBERED:], token)
        return {"Authorization": f"Bearer {token}"}

    async def refresh(self, refused: Mapping[str, str]) -> bool:
        """Return whether the current token is another one than the refused one."""
        return await self.headers() != refused

    async def _current(self) -> str:
        if isinstance(self._token, str):
            return self._token
        token = self._token()
        if not isinstance(token, Awaitable):
            raise UsageError("the function given to Bearer() must be async: its result cannot be awaited")
        return read_bearer_token(await token)

    def secrets(self) -> tuple[str, ...]:
        """Return the tokens that were sent last."""
        return tuple(token for token in self._sent if token)

    def credentials(self) -> tuple[str, ...] | None:
        """Return the token, None where a function returns it."""
        return (self._token,) if isinstance(self._token, str) else None

    def __repr__(self) -> str:
        return "Bearer(****)"


def read_bearer_token(token: object) -> str:
    """Return a token without its scheme "bearer". Raise `UsageError` if a header cannot carry it."""
    # ``cf oauth-token`` and many web pages show a token with its scheme.
    if not isinstance(token, str) or not token.strip():
        raise UsageError("the bearer token must be text that is not empty")
    if token.strip().lower() == "bearer" or token[:7].lower() == "bearer ":
        token = token.strip()[7:].strip()
    if not token:
        raise UsageError("the bearer token is empty after the word 'bearer'")
    if any(ord(c) < 32 or ord(c) > 126 for c in token):
        raise UsageError(
            "the bearer token contains a character that a header cannot carry (a line break at its end?)"
        )
    return token


set_module(Basic, Bearer)
