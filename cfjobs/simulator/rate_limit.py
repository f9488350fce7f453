"""How many requests a simulator takes in a window of time."""

from __future__ import annotations

import attrs


@attrs.frozen
class Allowance:
    """What is left after a request, when the window ends, and whether it was one too many."""

    remaining: int
    reset: float
    exceeded: bool


class RateLimit:
    """Takes ``limit`` requests in each ``window`` of seconds, which opens with a request."""

    def __init__(self, limit: int, window: float = 3600.0) -> None:
        self.limit = limit
        self.window = window
        self._used = 0
        self._reset: float | None = None

    def spend(self, now: float) -> Allowance:
        """Count one request made now (seconds on the simulator's clock)."""
        if self._reset is None or now >= self._reset:
            self._reset, self._used = now + self.window, 0
        self._used += 1
        return Allowance(max(0, self.limit - self._used), self._reset, self._used > self.limit)
