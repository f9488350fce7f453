"""What was handed out under a number: kept while it is good, and known for its own afterwards."""

from __future__ import annotations

import math
from typing import Generic
from typing import TypeVar

_T = TypeVar("_T")


class Ledger(Generic[_T]):
    """Names such as ``simulated-7``, and what belongs to each until a moment of the clock.

    What is over is forgotten, so that a simulator may hand out tokens for years: of its own names it
    needs to know no more than how many there were.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._count = 0
        self._suspended = 0
        self._good: dict[str, tuple[float, _T]] = {}

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._good)

    @property
    def next_name(self) -> str:
        """What is handed out next is called so."""
        return f"{self._prefix}{self._count + 1}"

    def add(self, what: _T, *, now: float, until: float | None) -> str:
        """Hand something out that is good until then (None: for ever), and return its name."""
        good = self._good
        while good and now >= good[oldest := next(iter(good))][0]:
            good.pop(oldest, None)
        name = self.next_name
        self._count += 1
        self._good[name] = math.inf if until is None else until, what
        return name

    def get(self, name: str, now: float) -> _T | None:
        """What is good under this name now."""
        until, what = self._good.get(name, (-math.inf, None))
        return what if now < until and self._number(name) > self._suspended else None

    def knows(self, name: str) -> bool:
        """Tell whether this was handed out here, be it good or not."""
        return 1 <= self._number(name) <= self._count

    def _number(self, name: str) -> int:
        number = name.removeprefix(self._prefix)
        if not (number.isascii() and number.isdecimal() and len(number) < 20):
            return 0
        return int(number) if name == f"{self._prefix}{int(number)}" else 0

    def end(self, name: str) -> None:
        """This is good no more."""
        self._good.pop(name, None)

    def end_all(self) -> None:
        """Nothing that was handed out so far is good any more. Any thread may call it."""
        self._good = {}

    def suspend_all(self) -> None:
        """Nothing that was handed out so far is good until `restore`."""
        self._suspended = self._count

    def restore(self) -> None:
        """What was suspended is good again, for as long as it was to be."""
        self._suspended = 0
