"""How many polls may be under way, and how far apart they leave, when a server counts requests.

Pure arithmetic on the loop's clock. A healthy server without a count is asked ``concurrency`` at a time; one
that says 429 half as many, and one more again after each round of good answers. Of a budget that is half used
up, half of what is left is kept for everybody else: a wait slows down and never uses a foundation's hour up.
What piled up while the server asked to be left alone, or was away, does not go out in one heap afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import attrs

SHARE = 0.5
"""The part of a server's remaining budget that polls may use until it begins anew."""
FREELY = 0.5
"""Above this part of its budget a server is asked as often as the policy says."""


@attrs.frozen
class Budget:
    """What a server says it still answers: ``remaining`` of ``limit`` requests, for ``seconds`` more."""

    limit: int
    remaining: int
    seconds: float

    def interval(self) -> float:
        """Seconds between two polls under this budget; 0 while there is plenty."""
        if self.seconds <= 0 or self.remaining > self.limit * FREELY:
            return 0.0
        return self.seconds / max(1.0, self.remaining * SHARE)


@attrs.define
class Throttle:
    """When the next poll of one source may leave."""

    max_in_flight: int
    retry_after_until: float = -math.inf
    """Asked for by ``Retry-After``."""
    _recovered: float = attrs.field(default=-math.inf, init=False)
    _failed: int = attrs.field(default=0, init=False)
    _allowed: float = attrs.field(init=False)
    _interval: float = attrs.field(default=0.0, init=False)
    _next: float = attrs.field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        self._allowed = float(self.max_in_flight)

    @property
    def limit(self) -> int:
        """How many polls may be under way now."""
        return int(self._allowed)

    @property
    def recovered_at(self) -> float:
        """When the server was to be had again: what fell due before then is to come back spread over time."""
        return max(self.retry_after_until, self._recovered)

    def next_send_at(self, now: float, flying: int) -> float:
        """The earliest time for one more poll beside ``flying``; infinity for "once one of them is back"."""
        return math.inf if flying >= self.limit else max(now, self.retry_after_until, self._next)

    def request_sent(self, now: float) -> None:
        """A poll leaves."""
        if self._interval:
            self._next = max(now, self._next) + self._interval

    def request_failed(self) -> None:
        """A poll met trouble of the server's or on the way to it."""
        self._failed += 1

    def request_answered(self, clock: Callable[[], float]) -> None:
        """A poll was answered. After as many failures as may be under way at once, an outage has ended."""
        if self._failed >= self.limit:
            self._recovered = clock()
        self._failed = 0
        self._allowed = min(float(self.max_in_flight), self._allowed + 1.0 / self._allowed)

    def rate_limited(self) -> None:
        """The server said that there were too many."""
        self._allowed = max(1.0, self._allowed / 2)

    def delay_until(self, until: float) -> None:
        """The server asks to be left alone."""
        self.retry_after_until = max(self.retry_after_until, until)

    def budget(self, budget: Budget, now: float) -> None:
        """The server told what it still answers."""
        self._interval = budget.interval()
        self._next = min(self._next, now + self._interval) if self._interval else 0.0
