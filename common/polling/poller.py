"""The shared poller: all waits of one source, asked about together.

It has no task of its own. Each waiter is some caller's task, and two roles go round among them. The *keeper*
is a parked waiter, the only one with a timer: it sleeps until the next job falls due or the next deadline
passes. A *pilot* carries one request, for its own job and for all others in it; it is the passenger with the
latest deadline, so that a deadline rarely cuts a request that others wait for. Whoever ends or is cancelled
hands its role over on the way out: any waiter may go at any time, and the rest go on.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Awaitable, Callable

import anyio

from common.concurrency import parking
from common.model.errors import UsageError
from common.polling.executor import PollExecutor
from common.polling.pollable import Pollable
from common.polling.schedule import Deadlines, PollQueue
from common.polling.waiters import PolledJob, PollRequest, Waiter


class Poller:
    """Asks about all jobs that anybody waits for. Belongs to one source and one event loop."""

    def __init__(self, source: Pollable) -> None:
        self._source = source
        self._parking = parking()
        self.now: Callable[[], float] = self._parking.now
        self._executor = PollExecutor(source, self.now, self._wake)
        self._jobs: dict[str, PolledJob] = {}
        self._queue = PollQueue()
        self._deadlines = Deadlines()
        self._parked: dict[Waiter, None] = {}
        self._single_reads: dict[Waiter, None] = {}
        self._timer: Waiter | None = None
        self._wake_at = math.inf
        self._active = 0
        self._in_flight = 0
        self._sequence = itertools.count(1)
        self._closed = False

    @property
    def idle(self) -> bool:
        """True where nobody waits, and so nothing at all is held."""
        waiters = len(self._parked) + len(self._single_reads)
        held = len(self._jobs) + len(self._queue) + len(self._deadlines) + waiters
        return not held and self._timer is None and not self._in_flight and not self._active

    def next_step(self, waiter: Waiter) -> Awaitable[object] | None:
        """What this waiter's task is to await next: a request, the time, or its wake-up. None: it is told.

        The task itself awaits it, in the one frame that a wait has: thousands of them are kept at a time.
        """
        if waiter.notified:
            return None
        now = self.now()
        if now >= waiter.request_deadline:
            waiter.fail(waiter.timeout_error())  # its request landed in the very moment of its deadline
            return None
        self._dispatch(now)
        if waiter.request is not None:
            return self._send(waiter.request)
        if self._timer is None or self._timer is waiter:
            return self._run_timer(waiter, now)
        self._parked[waiter] = None
        return self._parking.park(waiter)

    def close(self) -> None:
        """End every wait with an exception, cut the requests in flight, and take no more waits."""
        self._closed = True
        for entry in self._jobs.values():
            for waiter in entry.waiters:
                if not waiter.notified:
                    waiter.fail(
                        UsageError(f"{waiter.ref}: the source was closed under this wait", ref=waiter.ref)
                    )
                    self._wake(waiter)
                if waiter.request is not None and waiter.request.scope is not None:
                    waiter.request.scope.cancel()

    # Coming and going

    def add(self, waiter: Waiter) -> None:
        """A wait begins: its task takes turns from now on. Raises `UsageError` once the source is closed."""
        if self._closed:
            raise UsageError("the source is closed: make a new one, or close it later", ref=waiter.ref)
        entry = self._jobs.get(waiter.ref.id)
        if entry is None:
            entry = PolledJob(waiter.ref, [waiter], self._source.seat(waiter.ref))
            self._jobs[waiter.ref.id] = entry
        else:
            entry.waiters.append(waiter)
        waiter.sequence = waiter.sequence or next(self._sequence)
        waiter.active = True
        self._active += 1
        self._deadlines.put(waiter)
        if waiter.single_read:
            self._single_reads[waiter] = None
        self._wake_timer(waiter.request_deadline)
        self._enqueue(entry)

    def remove(self, waiter: Waiter) -> None:
        """A wait is over, or its task cancelled: what it carried goes to others."""
        self._parked.pop(waiter, None)
        self._single_reads.pop(waiter, None)
        waiter.active = False
        self._active -= 1
        entry = self._jobs[waiter.ref.id]
        entry.waiters.remove(waiter)
        flight, waiter.request = waiter.request, None
        if flight is not None:
            self._complete(flight)  # cancelled after it was chosen, before it took off
        if not entry.waiters and not entry.in_flight:
            self._drop(entry)
        if self._timer is waiter:
            self._elect_timer()
        self._queue.prune(len(self._jobs))
        self._deadlines.discard(waiter, self._active)

    def _drop(self, entry: PolledJob) -> None:
        entry.due = math.inf  # what the queue still has of it counts no more
        if self._jobs.get(entry.ref.id) is entry:
            del self._jobs[entry.ref.id]

    def _elect_timer(self) -> None:
        self._wake_at = math.inf
        self._timer = next(iter(self._parked), None)
        if self._timer is not None:
            self._wake(self._timer)

    def _wake(self, waiter: Waiter) -> None:
        self._parked.pop(waiter, None)
        self._parking.unpark(waiter)

    def _wake_timer(self, at: float) -> None:
        # A newcomer that is due earlier wakes the sleeper, who then sleeps for less.
        if self._timer is not None and at < self._wake_at and self._timer in self._parked:
            self._wake(self._timer)

    # Keeping time

    async def _run_timer(self, waiter: Waiter, now: float) -> None:
        self._timer = waiter
        self._wake_at = self._next_wake(now)
        self._parked[waiter] = None
        with anyio.CancelScope(deadline=self._wake_at):
            await self._parking.park(waiter)
        self._parked.pop(waiter, None)

    def _enqueue(self, entry: PolledJob) -> None:
        due = math.inf
        for waiter in entry.waiters:
            if waiter.due < due and waiter.active and not waiter.notified:
                due = waiter.due
        if entry.in_flight or due == entry.due:
            return
        self._queue.put(entry, due)
        self._wake_timer(due)

    def _next_wake(self, now: float) -> float:
        due = self._queue.first_due()
        if due < math.inf:
            due = max(due, self._source.open_at(now, self._in_flight))
        return min(due, self._deadlines.first())

    def _dispatch(self, now: float) -> None:
        """End what is past its deadline, and give what is due to pilots."""
        for waiter in self._deadlines.passed(now):
            if not waiter.notified and waiter.request is None:
                waiter.fail(waiter.timeout_error())
                self._wake(waiter)
        while self._source.open_at(now, self._in_flight) <= now:
            batch = now >= self._executor.batch_after
            entries = self._queue.next_batch(
                self._source.room, now, batch=batch, resumed=self._source.resumed
            )
            if not entries:
                break
            self._source.departing(now)
            self._assign(entries)
        for waiter in self._single_reads:
            # With no time allowed there is one read: it waits for a place in flight, but for no floor.
            if not now < self._source.open_at(now, self._in_flight) < math.inf:
                break
            entry = self._jobs[waiter.ref.id]
            if not waiter.notified and not entry.in_flight:
                self._assign([entry])

    # Carrying requests

    def _assign(self, entries: list[PolledJob]) -> None:
        for entry in entries:
            entry.due = entry.first_due = math.inf
        free = [
            waiter for entry in entries for waiter in entry.waiters if waiter.active and not waiter.notified
        ]
        if not free:
            return
        pilot = max(free, key=lambda waiter: waiter.request_deadline)
        for entry in entries:
            entry.in_flight = True
        self._in_flight += 1
        pilot.request = PollRequest(next(self._sequence), entries, pilot, self._source.room)
        self._wake(pilot)

    async def _send(self, flight: PollRequest) -> None:
        pilot = flight.leader
        if self._timer is pilot:
            self._elect_timer()
        try:
            with anyio.CancelScope(deadline=pilot.request_deadline) as scope:
                flight.scope = scope
                await self._executor.execute(flight)
            if scope.cancelled_caught and not pilot.notified:
                pilot.fail(pilot.timeout_error())
        except BaseException:
            pilot.active = False  # cancelled, and on its way out: it carries nothing more
            raise
        finally:
            pilot.request = None
            self._complete(flight)

    def _complete(self, flight: PollRequest) -> None:
        if flight.completed:
            return
        flight.completed = True
        self._in_flight -= 1
        for entry in flight.jobs:
            entry.in_flight = False
            if entry.waiters:
                self._enqueue(entry)
            else:
                self._drop(entry)
        now = self.now()
        self._dispatch(now)
        self._wake_timer(
            self._next_wake(now)
        )  # the keeper may sleep until a request lands, which one just did
