"""Who is asking: what every provider accepts as ``auth=``, and how it becomes a header."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, runtime_checkable

from common.model.errors import UsageError
from common.response.redaction import Unpicklable

TokenSource = Callable[[], Awaitable[str]]

REMEMBERED = 8
"""So many former tokens are remembered, to be cleaned out of what servers quote."""


@runtime_checkable
class HeaderAuth(Protocol):
    """Signing in through request headers, computed anew for each request."""

    async def headers(self) -> Mapping[str, str]:
        """The headers to send, such as ``Authorization``."""
        ...

    async def refresh(self, refused: Mapping[str, str]) -> bool:
        """Called after a 401 to these headers: True where the request is worth sending once more."""
        ...

    def secrets(self) -> tuple[str, ...]:
        """Texts that must appear in no message: an error's excerpt is cleaned of them."""
        ...


class Basic(Unpicklable):
    """HTTP Basic with a user name and a password, in UTF-8 as ONTAP expects them (RFC 7617)."""

    __slots__ = ("_header", "_secrets", "user")

    def __init__(self, user: str, password: str) -> None:
        if not isinstance(user, str) or not isinstance(password, str):
            raise UsageError("a user name and a password must be text")
        if ":" in user:
            raise UsageError("a user name for HTTP Basic must not hold a colon")
        if not (user + password).isprintable() and any(ord(c) < 32 for c in user + password):
            raise UsageError(
                "the user name or the password holds a control character (a line break at its end?)"
            )
        try:
            token = base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
        except UnicodeEncodeError:
            token = ""  # raised below: as a context, the codec's exception would carry the password along
        if not token:
            raise UsageError("the user name or the password holds half a character, which nothing can send")
        self.user: str = user
        self._header = {"Authorization": f"Basic {token}"}
        self._secrets = (password, token)

    async def headers(self) -> Mapping[str, str]:
        """``Authorization: Basic …``."""
        return self._header

    async def refresh(self, refused: Mapping[str, str]) -> bool:
        """A password does not get better by itself."""
        del refused
        return False

    def secrets(self) -> tuple[str, ...]:
        """The password, plain and encoded."""
        return self._secrets

    def __repr__(self) -> str:
        return f"Basic({self.user!r}, ****)"


class Bearer(Unpicklable):
    """A bearer token: the text itself, or an async function that gives a valid one for each request.

    The function is called again after a 401, and the request is sent once more if its answer differs.
    """

    __slots__ = ("_sent", "_token")

    def __init__(self, token: str | TokenSource) -> None:
        if not isinstance(token, str) and not callable(token):
            raise UsageError("Bearer() takes the token as text, or an async function that returns it")
        self._token = bare_token(token) if isinstance(token, str) else token
        self._sent: tuple[str, ...] = (self._token if isinstance(self._token, str) else "",)

    async def headers(self) -> Mapping[str, str]:
        """``Authorization: Bearer …``."""
        token = await self._current()
        if token != self._sent[-1]:
            # The one before may still be on its way, and be told back to us.
            self._sent = (*self._sent[-REMEMBERED:], token)
        return {"Authorization": f"Bearer {token}"}

    async def refresh(self, refused: Mapping[str, str]) -> bool:
        """Whether there is another token by now than the one that was refused."""
        return await self.headers() != refused

    async def _current(self) -> str:
        if isinstance(self._token, str):
            return self._token
        token = self._token()
        if not isinstance(token, Awaitable):
            raise UsageError("the function given to Bearer() must be async: its answer cannot be awaited")
        return bare_token(await token)

    def secrets(self) -> tuple[str, ...]:
        """The tokens last sent."""
        return tuple(token for token in self._sent if token)

    def __repr__(self) -> str:
        return "Bearer(****)"


def bare_token(token: object) -> str:
    """A token without the word "bearer" before it. Raises `UsageError` for what no header can carry."""
    # The cf command and many web pages show a token with the scheme's name before it.
    if not isinstance(token, str) or not token.strip():
        raise UsageError("the bearer token is empty: pass the token as text")
    if token.strip().lower() == "bearer" or token[:7].lower() == "bearer ":
        token = token.strip()[7:].strip()
    if not token:
        raise UsageError("the bearer token is empty behind the word 'bearer': pass the token as text")
    if any(ord(c) < 32 or ord(c) > 126 for c in token):
        raise UsageError(
            "the bearer token holds characters that no header may carry (a line break at its end?)"
        )
    return token
