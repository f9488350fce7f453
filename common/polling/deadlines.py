"""Which waits are past their deadline: a heap with lazy deletion, from which they are ended some at a time.

A wait that ends before its deadline leaves a stale item, which is dropped when it comes to the top, or when
stale items outnumber the live ones (`discard`). The heap holds a key in place of the waiter, so that a stale
item keeps nothing alive: a removed waiter is released at once, and its job with it.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable

from common.polling.waiters import Waiter

EXPIRED_AT_ONCE = 1000
"""The most waits that end by their deadline in one turn of the event loop, which takes 15 to 25 ms."""
MAX_STALE = 16
"""So many stale items are tolerated in a heap of any size."""


class Deadlines:
    """The waiters that have a deadline, by deadline."""

    def __init__(self) -> None:
        self.heap: list[tuple[float, int]] = []
        """The deadlines with their keys. Public, so that the poller can see without a call that it is empty.
        """
        self._waiters: dict[int, Waiter] = {}
        self._expired: set[Waiter] = set()
        self._keys = itertools.count(1)

    def __len__(self) -> int:
        return len(self.heap) + len(self._expired)

    def put(self, waiter: Waiter) -> None:
        """Add a waiter that has a deadline."""
        waiter.deadline_key = next(self._keys)
        self._waiters[waiter.deadline_key] = waiter
        heapq.heappush(self.heap, (waiter.deadline, waiter.deadline_key))

    def first(self) -> float:
        """Return the first deadline; infinity if there is none."""
        while self.heap and not self._is_live(self.heap[0]):
            self._waiters.pop(heapq.heappop(self.heap)[1], None)
        return self.heap[0][0] if self.heap else math.inf

    def expire(self, now: float, wake: Callable[[Waiter], None]) -> bool:
        """End waits that are past their deadline, each once. Return False if more remain for the next turn.

        No more than `EXPIRED_AT_ONCE` are on their way out at a time (until `discard`), since thousands would
        block the event loop. A waiter that leads a request is not ended here: the request runs in a cancel
        scope with its deadline.
        """
        heap, waiters, expired = self.heap, self._waiters, self._expired
        while heap and heap[0][0] <= now and len(expired) < EXPIRED_AT_ONCE:
            waiter = waiters.pop(heapq.heappop(heap)[1], None)
            if waiter is not None and waiter.active and not waiter.notified and waiter.request is None:
                waiter.expire()
                expired.add(waiter)
                wake(waiter)
        return self.first() > now

    def discard(self, waiter: Waiter, live: int) -> None:
        """Remove a waiter. Also drop stale items if they outnumber the ``live`` waiters."""
        self._waiters.pop(waiter.deadline_key, None)
        self._expired.discard(waiter)
        if len(self.heap) > 2 * live + MAX_STALE or not live:
            self.heap = [item for item in self.heap if self._is_live(item)]
            heapq.heapify(self.heap)

    def _is_live(self, item: tuple[float, int]) -> bool:
        waiter = self._waiters.get(item[1])
        return waiter is not None and waiter.active
