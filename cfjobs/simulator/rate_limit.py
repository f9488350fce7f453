"""A limit on the requests in a window of time."""

from __future__ import annotations

import attrs


@attrs.frozen
class Allowance:
    """The requests left in a window, when it ends (seconds on the clock), and whether it is exceeded."""

    remaining: int
    reset: float
    exceeded: bool


class RateLimit:
    """Allows ``limit`` requests in each ``window`` of seconds; a window opens with a request."""

    def __init__(self, limit: int, window: float = 3600.0) -> None:
        self.limit = limit
        self.window = window
        self._used = 0
        self._reset: float | None = None

    def spend(self, now: float) -> Allowance:
        """Count one request made now (seconds on the simulator's clock), and return what is left."""
        if self._reset is None or now >= self._reset:
            self._reset, self._used = now + self.window, 0
        self._used += 1
        return Allowance(max(0, self.limit - self._used), self._reset, self._used > self.limit)
