"""Numbered tokens with an expiry; an expired one is still recognised by its number."""

from __future__ import annotations

import math
from typing import Generic, TypeVar

_T = TypeVar("_T")


class TokenStore(Generic[_T]):
    """Tokens such as ``simulated-7``, each with a value and an expiry on the simulator's clock.

    What has expired is deleted, so that a simulator may issue tokens for years: to recognise its own it
    needs no more than how many there were.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._count = 0
        self._suspended = 0
        self._good: dict[str, tuple[float, _T]] = {}

    def __len__(self) -> int:
        """How many tokens are stored."""
        return len(self._good)

    @property
    def next_name(self) -> str:
        """The token that `add` will return next."""
        return f"{self._prefix}{self._count + 1}"

    def add(self, value: _T, *, now: float, until: float | None) -> str:
        """Store a value under a new token that is good until then (None: for ever), and return the token."""
        good = self._good
        while good and now >= good[oldest := next(iter(good))][0]:
            good.pop(oldest, None)
        name = self.next_name
        self._count += 1
        self._good[name] = math.inf if until is None else until, value
        return name

    def get(self, name: str, now: float) -> _T | None:
        """Return the value of a token that is good now; None for any other."""
        until, value = self._good.get(name, (-math.inf, None))
        return value if now < until and self._number(name) > self._suspended else None

    def knows(self, name: str) -> bool:
        """Whether this token was issued here, be it good or not."""
        return 1 <= self._number(name) <= self._count

    def _number(self, name: str) -> int:
        number = name.removeprefix(self._prefix)
        if not (number.isascii() and number.isdecimal() and len(number) < 20):
            return 0
        return int(number) if name == f"{self._prefix}{int(number)}" else 0

    def end(self, name: str) -> None:
        """Let a token expire for good."""
        self._good.pop(name, None)

    def end_all(self) -> None:
        """Let all tokens issued so far expire for good. Any thread may call it."""
        self._good = {}

    def suspend_all(self) -> None:
        """Let all tokens issued so far expire until `restore`."""
        self._suspended = self._count

    def restore(self) -> None:
        """Let suspended tokens be good again, until their expiry."""
        self._suspended = 0
