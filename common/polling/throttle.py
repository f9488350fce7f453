"""When the next request of a source may be sent, how many may be in flight, and how far polls are apart.

Pure arithmetic on the event loop's clock, in seconds. A server that tells no rate budget gets at most
``max_in_flight`` requests at a time. A 429 halves that number, and each full round of good replies adds one
again. Of a rate budget that is half used up, polls take half of what is left and leave the rest to other
clients: each job is asked about less often, but at least as often as its policy's ``maximum`` says, since
only a 429 forbids requests. Polls that fell due during a ``Retry-After`` or an outage are spread over the
time after it (see `common.polling.schedule`).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import anyio
import attrs

from common.concurrency import running_loop
from common.model.errors import RateLimited, SourceError

BUDGET_SHARE = 0.5
"""The part of a server's remaining budget that polls may use until the budget is renewed."""
PLENTY = 0.5
"""While more than this part of the budget is left, the policy alone decides how often to ask."""
SMOOTHING = 0.25
"""The weight of one reply in the mean of what is left: a server's processes may each count separately."""
SAME_WINDOW = 5.0
"""Seconds: a window whose end differs by more than this from that of the last one has a new budget."""


@attrs.frozen
class Budget:
    """A server's rate budget: ``remaining`` of ``limit`` requests, for ``seconds`` more."""

    limit: int
    remaining: float
    seconds: float

    def interval(self) -> float:
        """Return the seconds between two polls under this budget; 0 while there is plenty."""
        if self.seconds <= 0 or self.remaining > self.limit * PLENTY:
            return 0.0
        return self.seconds / max(1.0, self.remaining * BUDGET_SHARE)


@attrs.define(eq=False, repr=False)
class Throttle:
    """The limits of one source on one event loop."""

    max_in_flight: int
    retry_after_cap: float = 3600.0
    """The longest ``Retry-After`` that is obeyed, in seconds."""
    retry_after_until: float = attrs.field(default=-math.inf, init=False)
    """No poll is sent before this time, which a ``Retry-After`` set."""
    recovered_at: float = attrs.field(default=-math.inf, init=False)
    """When the server recovered. Polls that fell due before that are spread over the time after it."""
    limit: int = attrs.field(init=False)
    """How many polls may be in flight now."""
    _exact_limit: float = attrs.field(init=False)
    _failures: int = attrs.field(default=0, init=False)
    _interval: float = attrs.field(default=0.0, init=False)
    _left: float = attrs.field(default=1.0, init=False)
    window_ends: float = attrs.field(default=-math.inf, init=False)
    """When the current window of the rate budget ends."""

    def __attrs_post_init__(self) -> None:
        self._set_limit(float(self.max_in_flight))

    def next_send_at(self, now: float, in_flight: int) -> float:
        """Return the earliest time for one more poll beside ``in_flight`` others.

        Infinity means "once one of them has been answered".
        """
        return math.inf if in_flight >= self.limit else max(now, self.retry_after_until)

    def interval(self, now: float) -> float:
        """Return how many seconds the rate budget wants two polls of this source to be apart; 0 for none."""
        return self._interval if now < self.window_ends else 0.0

    def on_success(self, now: Callable[[], float]) -> None:
        """Note a reply of the API's own. ``now`` returns the time, and is called only where it is needed.

        It ends an outage if as many requests had failed as may be in flight at once.
        """
        if self._failures >= self.limit:
            self.recovered_at = max(self.recovered_at, now())
        self._failures = 0
        if self.limit < self.max_in_flight:
            self._set_limit(min(float(self.max_in_flight), self._exact_limit + 1.0 / self._exact_limit))

    def on_failure(self, error: SourceError, now: float) -> None:
        """Note a failed request: a 429 allows fewer at a time, a ``Retry-After`` none until it is over.

        Cap ``error.retry_after``.
        """
        if error.transient:
            self._failures += 1
        if isinstance(error, RateLimited):
            self._set_limit(max(1.0, self._exact_limit / 2))
        if error.retry_after is not None:
            error.retry_after = min(error.retry_after, self.retry_after_cap)
            self.retry_after_until = max(self.retry_after_until, now + error.retry_after)
            self.recovered_at = max(self.recovered_at, self.retry_after_until)

    def update_budget(self, budget: Budget, now: float) -> None:
        """Add the rate budget of a reply to the mean of this window's replies."""
        ends, left = now + budget.seconds, budget.remaining / budget.limit
        if abs(ends - self.window_ends) <= SAME_WINDOW:
            left = self._left + (left - self._left) * SMOOTHING
        self._left, self.window_ends = left, ends
        self._interval = attrs.evolve(budget, remaining=left * budget.limit).interval()

    def _set_limit(self, exact: float) -> None:
        self._exact_limit, self.limit = exact, int(exact)


class LoopThrottle:
    """The `Throttle` of the running event loop.

    Another loop gets a new one, for loops do not share a clock.
    """

    def __init__(self, max_in_flight: int, retry_after_cap: float) -> None:
        self.max_in_flight = max_in_flight
        self._retry_after_cap = retry_after_cap
        self._current: tuple[object, Throttle] = (None, self._new())

    def current(self) -> Throttle:
        """Return the throttle of the running event loop."""
        running = running_loop()
        loop, throttle = self._current  # read and written at once: another loop's thread may be doing it too
        if loop is not running:
            if loop is not None:
                throttle = self._new()
            self._current = running, throttle
        return throttle

    def on_success(self) -> None:
        """See `Throttle.on_success`."""
        self.current().on_success(anyio.current_time)

    def on_failure(self, error: SourceError) -> None:
        """See `Throttle.on_failure`."""
        self.current().on_failure(error, anyio.current_time())

    def update_budget(self, budget: Budget) -> None:
        """See `Throttle.update_budget`."""
        self.current().update_budget(budget, anyio.current_time())

    def _new(self) -> Throttle:
        return Throttle(self.max_in_flight, self._retry_after_cap)
