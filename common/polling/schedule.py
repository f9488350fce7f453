"""What falls due when, and what goes out together: two heaps, and how the next request is filled.

`PollQueue` holds the jobs by the time that they fall due, `Deadlines` the waits by their deadline. Both are
binary heaps with lazy deletion: an item is never searched for and taken out. It becomes stale instead,
because its job or its wait no longer refers to it, and it is dropped when it comes to the top, or when stale
items outnumber the live ones (`prune`, `discard`). Removing an item at once would be O(n); this way each
operation is O(log n) amortized, and a heap holds at most two items for each live one, and a few more.

`PollQueue.next_batch` fills a request. The first job that is due opens it. Where the server answers for many
ids, further jobs join in the order of their due times: those due within `COALESCE_WINDOW` of now, which were
meant to go together, and those that fall due within `EARLY_FRACTION` of their own delay. Jobs that must be
asked for alone are skipped and put back.

Going early is what brings jobs into step that began at different times. Left to themselves, a hundred waits
that begin within a minute would be a hundred series of requests for one job each, and no two would ever meet.
A free place in a request costs the server a record, a request of its own costs far more, so a job goes along
as soon as a quarter of its delay is over. Both are due together from then on, and whoever meets them joins.
A newcomer does its part where others are waited for: its first request is sent a quarter of a second after
the last one (`NEWCOMER_WINDOW`) and not sooner, so that more can come in meanwhile, and those who left with
the last request can go along again. Of 120 s jobs that begin within 20 s, a thousand cost 275 requests in
place of 1,185, and fifty 83 in place of 187, for 2 to 70 % more records; no end is learnt of later than the
job's delay allows.

After an outage, or after a ``Retry-After``, everything is due at once. To send it all would be the herd that
brings a server down again, so the overdue jobs are spread (`RecoverySpread`): each is asked about again
within its own delay after the recovery, evenly, at the rate of requests that there was before. Jobs that
share a request stay together, the first request leaves at once, so that a source with few jobs notices
nothing, and a job that was put off keeps its place, so that repeated outages do not put off the same one for
ever.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterator

import attrs

from common.polling.waiters import PolledJob, Waiter

COALESCE_WINDOW = 0.05
"""Seconds: a job that falls due so soon after the first one goes out with it."""
EARLY_FRACTION = 0.75
"""Free room in a request goes to a job that is due within this part of its own delay."""
NEWCOMER_WINDOW = 0.25
"""Seconds: at most so long after a batch request the first request for a new waiter's job is sent."""
MAX_SKIPPED = 64
"""At most so many jobs that must go alone are skipped in filling one request."""
MAX_STALE = 16
"""So many stale items are tolerated in a heap of any size."""

_Item = tuple[float, float, int, PolledJob]


class PollQueue:
    """The jobs to ask about, by due time. An item is live while it has its job's ``due`` time."""

    def __init__(self) -> None:
        self._heap: list[_Item] = []
        self._sequence = itertools.count()
        self._recovery = RecoverySpread()
        self.gathering_until: float = -math.inf
        """Waiters that begin before this time are asked for together: see `newcomer_due`."""

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, job: PolledJob, due: float) -> None:
        """Set when to ask about a job, in place of any earlier time; infinity for not at all."""
        job.due = due
        if due < math.inf:
            job.first_due = min(job.first_due, due)
            heapq.heappush(self._heap, (due, job.first_due, next(self._sequence), job))

    def newcomer_due(self, waiter: Waiter) -> float:
        """Return when to ask first for a waiter that begins while newcomers are being gathered.

        That is at most a quarter of its policy's first delay after the last batch request, and leaves at
        least half of the time to its deadline for the reply.
        """
        early = NEWCOMER_WINDOW - min(NEWCOMER_WINDOW, (1.0 - EARLY_FRACTION) * waiter.policy.initial)
        return max(waiter.due, min(self.gathering_until - early, (waiter.due + waiter.deadline) / 2))

    def first_due(self) -> float:
        """Return when the first job falls due; infinity if there is none."""
        heap = self._heap
        while heap:
            due, _, _, job = heap[0]
            if job.due == due and not job.in_flight:
                return due
            heapq.heappop(heap)
        return math.inf

    def next_batch(self, limit: int, now: float, *, recovered_at: float = -math.inf) -> list[PolledJob]:
        """Return the jobs of the next request: one that is due, if any, and what goes with it.

        ``limit`` is how many bytes of ids a batch request holds, 0 for requests for one job only. What fell
        due before ``recovered_at``, while the server was not available, is spread over the time after it.
        """
        if recovered_at > -math.inf:
            self._spread(now, limit, recovered_at)
        if self.first_due() > now:
            return []
        first = self._pop()
        if not limit or not first.batch_cost or now < first.single_until:
            return [first]
        self.gathering_until = now + NEWCOMER_WINDOW
        limit, batch = limit - first.batch_cost, [first]
        skipped: list[tuple[PolledJob, float]] = []
        while len(skipped) < MAX_SKIPPED and (due := self.first_due()) < math.inf:
            job = self._heap[0][-1]
            window = EARLY_FRACTION * job.delay if job.delay else NEWCOMER_WINDOW
            if due > now + max(COALESCE_WINDOW, window) or job.batch_cost > limit:
                break
            self._pop()
            if not job.batch_cost or now < job.single_until:
                skipped.append((job, due))
                continue
            limit -= job.batch_cost
            batch.append(job)
        for job, due in skipped:
            self.put(job, due)
        return batch

    def prune(self, live: int) -> None:
        """Drop stale items if they outnumber the ``live`` jobs."""
        if not live:
            self._heap.clear()
        elif len(self._heap) > 2 * live + MAX_STALE:
            self._heap = [item for item in self._heap if _is_live(item)]
            heapq.heapify(self._heap)

    def _spread(self, now: float, limit: int, recovered_at: float) -> None:
        overdue: list[PolledJob] = []
        while self.first_due() < min(now, recovered_at):
            overdue.append(self._pop())
        # Longest overdue first: else some would be put off by each outage, and never asked about.
        overdue.sort(key=lambda job: job.first_due)
        for job in overdue:
            due = self._recovery.due(job, recovered_at, limit if now >= job.single_until else 0)
            for waiter in job.waiters:
                waiter.due = max(waiter.due, due)  # so that a newcomer's is the earliest
            self.put(job, due)

    def _pop(self) -> PolledJob:
        job = heapq.heappop(self._heap)[-1]
        job.due = math.inf
        return job


class Deadlines:
    """The waiters that have a deadline, by deadline. A removed one is released at once, and its job with it.

    So the heap holds a key in place of the waiter: a stale item keeps nothing alive.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int]] = []
        self._waiters: dict[int, Waiter] = {}
        self._keys = itertools.count(1)

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, waiter: Waiter) -> None:
        """Add a waiter that has a deadline."""
        waiter.deadline_key = next(self._keys)
        self._waiters[waiter.deadline_key] = waiter
        heapq.heappush(self._heap, (waiter.deadline, waiter.deadline_key))

    def first(self) -> float:
        """Return the first deadline; infinity if there is none."""
        while self._heap and not self._is_live(self._heap[0]):
            self._waiters.pop(heapq.heappop(self._heap)[1], None)
        return self._heap[0][0] if self._heap else math.inf

    def passed(self, now: float) -> Iterator[Waiter]:
        """Yield the waiters whose deadline has passed, each once."""
        while self.first() <= now:
            yield self._waiters.pop(heapq.heappop(self._heap)[1])

    def discard(self, waiter: Waiter, live: int) -> None:
        """Remove a waiter. Also drop stale items if they outnumber the ``live`` waiters."""
        self._waiters.pop(waiter.deadline_key, None)
        if len(self._heap) > 2 * live + MAX_STALE or not live:
            self._heap = [item for item in self._heap if self._is_live(item)]
            heapq.heapify(self._heap)

    def _is_live(self, item: tuple[float, int]) -> bool:
        waiter = self._waiters.get(item[1])
        return waiter is not None and waiter.active


def _is_live(item: _Item) -> bool:
    due, *_, job = item
    return job.due == due and not job.in_flight


GOLDEN_RATIO = (math.sqrt(5) - 1) / 2
"""The fractional parts of its multiples fill 0 to 1 evenly, however many there are."""


@attrs.define
class RecoverySpread:
    """When to ask again about the jobs that fell due before the server recovered."""

    _recovered_at: float = -math.inf
    _requests: int = 0
    _fraction: float = 0.0
    _room: int = 0
    _window: float = 0.0

    def due(self, job: PolledJob, recovered_at: float, limit: int) -> float:
        """Return when to ask about a job, ``recovered_at`` or later.

        ``limit`` is how many bytes of ids one request holds, 0 for one job.
        """
        if recovered_at != self._recovered_at:
            self._recovered_at, self._requests, self._room = recovered_at, 0, 0
        window = _window(job, recovered_at)
        if not job.batch_cost or not limit:
            return recovered_at + self._next_fraction() * window
        if job.batch_cost > self._room:
            self._fraction, self._room, self._window = self._next_fraction(), limit, window
        self._room -= job.batch_cost
        self._window = min(self._window, window)
        return recovered_at + self._fraction * self._window

    def _next_fraction(self) -> float:
        fraction = self._requests * GOLDEN_RATIO % 1.0
        self._requests += 1
        return fraction


def _window(job: PolledJob, recovered_at: float) -> float:
    """Return the seconds within which to ask again: the job's own delay, at most half the time to a deadline.

    The other half is for the reply. A waiter that makes a single read is not kept waiting.
    """
    window = max(0.0, job.delay or job.waiters[0].policy.initial)
    for waiter in job.waiters:
        window = 0.0 if waiter.single_read else min(window, max(0.0, waiter.deadline - recovered_at) / 2)
    return window
