"""A limit on the requests in a window of time, counted as the Cloud Controller counts."""

from __future__ import annotations

import math

import attrs


@attrs.frozen
class Allowance:
    """The requests left in a window, when it ends (seconds on the clock), and whether it is exceeded."""

    remaining: int
    reset: float
    exceeded: bool


class RateLimit:
    """Allows ``limit`` requests in each ``window`` of seconds; a window opens with a request.

    The ``processes`` take the requests in turn; each counts its own, and allows its share of the limit. The
    number that remains is an estimate, by the process that takes a request: the whole limit, times the part
    of its share that is left, rounded down to tenths (Cloud Controller, ``middleware/base_rate_limiter.rb``).
    """

    def __init__(self, limit: int, window: float = 3600.0, *, processes: int = 1) -> None:
        if processes < 1:
            raise ValueError(f"rate_limit_processes is 1 or more, not {processes}")
        self.limit = limit
        self.window = window
        self._used = [0] * processes
        self._requests = 0
        self._reset: float | None = None

    def spend(self, now: float) -> Allowance:
        """Count one request made now (seconds on the simulator's clock), and return what is left."""
        processes = len(self._used)
        if self._reset is None or now >= self._reset:
            self._reset, self._used = now + self.window, [0] * processes
        process = self._requests % processes
        self._requests += 1
        self._used[process] += 1
        allowed, used = math.ceil(self.limit / processes), self._used[process]
        tenths = 10 * (allowed - used) // allowed if allowed else 0
        return Allowance(max(0, tenths) * self.limit // 10, self._reset, used > allowed)
