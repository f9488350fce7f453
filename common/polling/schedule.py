"""What falls due when, and what can go out together: two heaps, and how the next request is filled.

What is over stays in its heap until that is mostly such: taking it out at once would cost a search.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterator

import attrs

from common.polling.waiters import PolledJob, Waiter

COALESCE_WINDOW = 0.05
"""Seconds: what falls due so soon after the first goes out with it."""
EARLY_FRACTION = 0.25
"""A free seat in a request goes to a job that is due within this part of its own delay."""
MAX_SKIPPED = 64
"""So many jobs that must go alone are passed over in filling one request."""
MAX_STALE = 16
"""So many items that are over are borne with in any heap."""

_Item = tuple[float, float, int, PolledJob]


class PollQueue:
    """The jobs to ask about, by the time that they fall due. ``entry.due`` says which item of it counts."""

    def __init__(self) -> None:
        self._heap: list[_Item] = []
        self._numbers = itertools.count()
        self._spreading = RecoverySpread()

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, entry: PolledJob, due: float) -> None:
        """Ask about it at ``due``, whatever was said before; infinity for not at all."""
        entry.due = due
        if due < math.inf:
            entry.first_due = min(entry.first_due, due)
            heapq.heappush(self._heap, (due, entry.first_due, next(self._numbers), entry))

    def first_due(self) -> float:
        """When the first job falls due; infinity where there is none."""
        while self._heap and not _counts(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else math.inf

    def next_batch(
        self, room: int, now: float, *, batch: bool, resumed: float = -math.inf
    ) -> list[PolledJob]:
        """The jobs of the next request: one that is due, if any, and what has ``room`` beside it.

        What fell due before ``resumed`` while the server was not to be had is spread over the time after it.
        """
        self._spread(now, room if batch else 0, resumed)
        if self.first_due() > now:
            return []
        first = self._take()
        if not batch or not first.batch_cost or now < first.single_until:
            return [first]
        room, boarded = room - first.batch_cost, [first]
        passed: list[tuple[PolledJob, float]] = []
        while len(passed) < MAX_SKIPPED and (due := self.first_due()) < math.inf:
            entry = self._heap[0][-1]
            if due > now + max(COALESCE_WINDOW, EARLY_FRACTION * entry.delay) or entry.batch_cost > room:
                break
            self._take()
            if not entry.batch_cost or now < entry.single_until:
                passed.append((entry, due))
                continue
            room -= entry.batch_cost
            boarded.append(entry)
        for entry, due in passed:
            self.put(entry, due)
        return boarded

    def prune(self, most: int) -> None:
        """Forget items that are over, once there are more of them than ``most`` that count."""
        if not most:
            self._heap.clear()
        elif len(self._heap) > 2 * most + MAX_STALE:
            self._heap = [item for item in self._heap if _counts(item)]
            heapq.heapify(self._heap)

    def _spread(self, now: float, room: int, resumed: float) -> None:
        late: list[PolledJob] = []
        while self.first_due() < min(now, resumed):
            late.append(self._take())
        # Who was put off before comes first: else some would be put off each time, and never asked about.
        late.sort(key=lambda entry: entry.first_due)
        for entry in late:
            due = self._spreading.due(entry, resumed, room if now >= entry.single_until else 0)
            for waiter in entry.waiters:
                waiter.due = max(waiter.due, due)  # so that a newcomer's is the earliest
            self.put(entry, due)

    def _take(self) -> PolledJob:
        entry = heapq.heappop(self._heap)[-1]
        entry.due = math.inf
        return entry


class Deadlines:
    """The waiters that have a deadline, by that. Who has left is let go at once, and its job with it."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int]] = []
        self._waiters: dict[int, Waiter] = {}
        """By ticket, which is what the heap holds."""
        self._tickets = itertools.count(1)

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, waiter: Waiter) -> None:
        """Remember when its request, or itself, is cut."""
        if waiter.request_deadline < math.inf:
            waiter.deadline_key = next(self._tickets)
            self._waiters[waiter.deadline_key] = waiter
            heapq.heappush(self._heap, (waiter.request_deadline, waiter.deadline_key))

    def first(self) -> float:
        """The first deadline; infinity where there is none."""
        while self._heap and not self._counts(self._heap[0]):
            self._waiters.pop(heapq.heappop(self._heap)[1], None)
        return self._heap[0][0] if self._heap else math.inf

    def passed(self, now: float) -> Iterator[Waiter]:
        """The waiters whose deadline has come, each once."""
        while self.first() <= now:
            yield self._waiters.pop(heapq.heappop(self._heap)[1])

    def discard(self, waiter: Waiter, most: int) -> None:
        """This one has left. Also forget when, once there are more such than ``most`` that have not."""
        self._waiters.pop(waiter.deadline_key, None)
        if len(self._heap) > 2 * most + MAX_STALE or not most:
            self._heap = [item for item in self._heap if self._counts(item)]
            heapq.heapify(self._heap)

    def _counts(self, item: tuple[float, int]) -> bool:
        waiter = self._waiters.get(item[1])
        return waiter is not None and waiter.active


def _counts(item: _Item) -> bool:
    due, *_, entry = item
    return entry.due == due and not entry.in_flight


STEP = (math.sqrt(5) - 1) / 2
"""The golden ratio: its multiples, without their whole parts, fill 0 to 1 evenly, however many they are."""


@attrs.define
class RecoverySpread:
    """The times of those that fell due before ``resumed``."""

    _resumed: float = -math.inf
    _requests: int = 0
    _part: float = 0.0
    _room: int = 0
    _window: float = 0.0

    def due(self, entry: PolledJob, resumed: float, room: int) -> float:
        """When to ask about it, ``resumed`` or later; ``room`` is what one request holds, 0 for one job."""
        if resumed != self._resumed:
            self._resumed, self._requests, self._room = resumed, 0, 0
        window = _window(entry, resumed)
        if not entry.batch_cost or not room:
            return resumed + self._next_part() * window
        if entry.batch_cost > self._room:
            self._part, self._room, self._window = self._next_part(), room, window
        self._room -= entry.batch_cost
        self._window = min(self._window, window)
        return resumed + self._part * self._window

    def _next_part(self) -> float:
        part = self._requests * STEP % 1.0
        self._requests += 1
        return part


def _window(entry: PolledJob, resumed: float) -> float:
    """The seconds within which it is asked about: its own delay, and half of what a deadline leaves.

    The other half is for the answer. A caller who has no time at all is not kept waiting.
    """
    window = max(0.0, entry.delay or entry.waiters[0].policy.initial)
    for waiter in entry.waiters:
        window = 0.0 if waiter.single_read else min(window, max(0.0, waiter.deadline - resumed) / 2)
    return window
