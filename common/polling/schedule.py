"""Which jobs are asked about next, and which of them in one request: a heap of jobs by due time.

`PollQueue` holds the jobs by the time that they fall due. It is a binary heap with lazy deletion: a job is
never searched for and taken out. Its place becomes stale instead, because the job is due at another time, and
is dropped when it comes to the top, or when stale places outnumber the live ones (`prune`). Removing it at
once would be O(n); this way each operation is O(log n) amortized, and there are at most two places for each
job, and a few more.

An item of the heap is a group of jobs that were put in one after another for the same time: those of one
request, all of which are due again a second later, or those that a set begins to wait for. So the heap has
as many items as there are requests to send, and to put a job in or to take it out is mostly to append to a
list and to pop from one.

`PollQueue.next_batch` fills a request. The first job that is due opens it. Where the server answers for many
ids, further jobs join in the order of their due times: those due within `COALESCE_WINDOW` of now, which were
meant to go together, and those that are due within `EARLY_FRACTION` of their own delay. Jobs that must be
asked for alone are skipped and put back.

Polling some jobs early is what aligns jobs that began at different times. Otherwise a hundred waits that
begin within a minute would be a hundred series of requests for one job each, which never coincide. One more
record in a request costs the server far less than one more request, so a job joins one as soon as a quarter
of its delay is over. From then on both are due together, and further jobs join them. A newcomer takes part in
this: while other jobs are polled, its first request is sent a quarter of a second after the last one
(`NEWCOMER_WINDOW`) and not sooner, so that more newcomers can share it, and the jobs of the last request can
join it. Of 120 s jobs that begin within 20 s, a thousand cost 275 requests in place of 1,185, and fifty 83 in
place of 187, for 2 to 70 % more records; no end is known later than the job's delay allows.

After an outage, or after a ``Retry-After``, every job is due at once. Sending all of that at once could bring
the server down again, so the overdue jobs are spread (`RecoverySpread`): each is asked about within its own
delay after the recovery, evenly, at the rate of requests that there was before. Jobs that share a request
stay together. The first request is sent at once, so that a source with few jobs is not delayed. A job that
was postponed keeps its place in the order, so that repeated outages do not postpone the same one for ever.
"""

from __future__ import annotations

import heapq
import itertools
import math

import attrs

from common.polling.waiters import PolledJob, Waiter

COALESCE_WINDOW = 0.05
"""Seconds: a job that falls due so soon after the first one goes out with it."""
EARLY_FRACTION = 0.75
"""Free room in a request goes to a job that is due within this part of its own delay."""
NEWCOMER_WINDOW = 0.25
"""Seconds: how long after a batch request the first request for a new waiter's job is sent, at most."""
MAX_SKIPPED = 64
"""How many jobs that must be asked for alone are skipped at most while one request is filled."""
MAX_STALE = 16
"""How many stale items are tolerated in a heap of any size."""


class _Group(list[PolledJob]):
    """Jobs that were put into the queue one after another for the same time: one item of its heap.

    While it is ``open`` jobs are appended; then it is reversed, and they are popped off its end.
    """

    __slots__ = ("open",)
    open: bool


_Item = tuple[float, float, int, _Group]


class PollQueue:
    """The jobs to ask about, by due time. A place in it is live while its time is its job's ``due``."""

    def __init__(self) -> None:
        self.heap: list[_Item] = []
        """Public, so that the poller can test without a call whether it is empty."""
        self._sequence = itertools.count()
        self._size = 0
        self._last: tuple[float, float, _Group] = math.inf, math.inf, _Group()
        self._recovery = RecoverySpread()
        self.gathering_until: float = -math.inf
        """Until when newcomers are gathered into one request: see `newcomer_due`."""

    def __len__(self) -> int:
        return self._size

    def put(self, job: PolledJob, due: float) -> None:
        """Set when to ask about a job, in place of any earlier time; infinity for not at all."""
        job.due = due
        if due == math.inf:
            return
        first_due = job.first_due
        if due < first_due:
            job.first_due = first_due = due
        self._size += 1
        last_due, last_first_due, group = self._last
        if due == last_due and first_due == last_first_due and group.open:
            group.append(job)
            return
        group = _Group((job,))
        group.open = True
        self._last = due, first_due, group
        heapq.heappush(self.heap, (due, first_due, next(self._sequence), group))

    def newcomer_due(self, waiter: Waiter) -> float:
        """Return when the first request for a waiter is due that begins while newcomers are gathered.

        That is at most a quarter of its policy's first delay after the last batch request. At least half of
        the time to its deadline is left for the reply.
        """
        early = NEWCOMER_WINDOW - min(NEWCOMER_WINDOW, (1.0 - EARLY_FRACTION) * waiter.rules.policy.initial)
        return max(waiter.due, min(self.gathering_until - early, (waiter.due + waiter.deadline) / 2))

    def first_due(self) -> float:
        """Return when the first job falls due; infinity if there is none."""
        first = self._first()
        return math.inf if first is None else first.due

    def next_batch(self, limit: int, now: float, *, recovered_at: float = -math.inf) -> list[PolledJob]:
        """Return the jobs of the next request: the first that is due, if any, and those that join it.

        ``limit`` is how many bytes of ids a batch request holds, 0 for requests for one job only. What fell
        due before ``recovered_at``, while the server was not available, is spread over the time after it.
        """
        if recovered_at > -math.inf:
            self._spread(now, limit, recovered_at)
        first = self._first()
        if first is None or first.due > now:
            return []
        self._pop()
        if not limit or not first.batch_cost or now < first.single_until:
            return [first]
        self.gathering_until = now + NEWCOMER_WINDOW
        limit, batch = limit - first.batch_cost, [first]
        skipped: list[tuple[PolledJob, float]] = []
        while limit >= 0 and self._first() is not None:
            limit = self._fill(batch, limit, now, skipped)
        for job, due in skipped:
            self.put(job, due)
        return batch

    def _fill(
        self, batch: list[PolledJob], limit: int, now: float, skipped: list[tuple[PolledJob, float]]
    ) -> int:
        """Move jobs of the first group into a request. Return the bytes left, -1 once it takes no more."""
        due, _, _, group = self.heap[0]
        near = due <= now + COALESCE_WINDOW
        while group:
            job = group[-1]
            if job.due != due or job.in_flight:
                break  # a stale place, which `_first` drops
            cost = job.batch_cost
            if cost > limit:
                return -1
            if not near and due > now + (EARLY_FRACTION * job.delay if job.delay else NEWCOMER_WINDOW):
                return -1
            group.pop()
            self._size -= 1
            job.due = math.inf
            if cost and now >= job.single_until:
                limit -= cost
                batch.append(job)
            else:
                skipped.append((job, due))
                if len(skipped) == MAX_SKIPPED:
                    return -1
        return limit

    def prune(self, live: int) -> None:
        """Drop stale places if they outnumber the ``live`` jobs."""
        if live and self._size <= 2 * live + MAX_STALE:
            return
        self._size = 0
        for due, _, _, group in self.heap:
            group[:] = [job for job in group if live and job.due == due and not job.in_flight]
            self._size += len(group)
        self.heap = [item for item in self.heap if item[-1]]
        heapq.heapify(self.heap)
        self._last = math.inf, math.inf, _Group()

    def _spread(self, now: float, limit: int, recovered_at: float) -> None:
        overdue: list[PolledJob] = []
        while (job := self._first()) is not None and job.due < min(now, recovered_at):
            self._pop()
            overdue.append(job)
        # Longest overdue first: otherwise each outage could postpone the same jobs again.
        overdue.sort(key=lambda job: job.first_due)
        for job in overdue:
            due = self._recovery.due(job, recovered_at, limit if now >= job.single_until else 0)
            for waiter in job.waiters:
                waiter.due = max(waiter.due, due)  # so that a newcomer's is the earliest
            self.put(job, due)

    def _first(self) -> PolledJob | None:
        """Return the job that falls due first, at the end of the first group, None for an empty queue."""
        heap = self.heap
        while heap:
            due, _, _, group = heap[0]
            if group.open:
                group.open = False
                group.reverse()
            while group:
                job = group[-1]
                if job.due == due and not job.in_flight:
                    return job
                group.pop()
                self._size -= 1
            heapq.heappop(heap)
        return None

    def _pop(self) -> None:
        """Take out the job that `_first` has returned."""
        self.heap[0][-1].pop().due = math.inf
        self._size -= 1


GOLDEN_RATIO = (math.sqrt(5) - 1) / 2
"""The fractional parts of its multiples are spread evenly over 0 to 1, however many there are."""


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
    """Return the seconds within which to ask again: the job's delay, at most half the time to a deadline.

    The other half is left for the reply. A single read is not delayed.
    """
    window = max(0.0, job.delay or job.waiters[0].rules.policy.initial)
    for waiter in job.waiters:
        window = 0.0 if waiter.single_read else min(window, max(0.0, waiter.deadline - recovered_at) / 2)
    return window
