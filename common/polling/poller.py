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
from common.polling.executor import Asking
from common.polling.pollable import Pollable
from common.polling.schedule import Deadlines, Queue
from common.polling.waiters import Entry, Flight, Waiter


class Poller:
    """Asks about all jobs that anybody waits for. Belongs to one source and one event loop."""

    def __init__(self, source: Pollable) -> None:
        self._source = source
        self._parking = parking()
        self.now: Callable[[], float] = self._parking.now
        self._asking = Asking(source, self.now, self._wake)
        self._entries: dict[str, Entry] = {}
        self._queue = Queue()
        self._deadlines = Deadlines()
        self._parked: dict[Waiter, None] = {}
        self._one_reads: dict[Waiter, None] = {}
        self._keeper: Waiter | None = None
        self._armed = math.inf
        self._inside = 0
        self._flying = 0
        self._numbers = itertools.count(1)
        self._closed = False

    @property
    def idle(self) -> bool:
        """True where nobody waits, and so nothing at all is held."""
        waiters = len(self._parked) + len(self._one_reads)
        held = len(self._entries) + len(self._queue) + len(self._deadlines) + waiters
        return not held and self._keeper is None and not self._flying and not self._inside

    def turn(self, waiter: Waiter) -> Awaitable[object] | None:
        """What this waiter's task is to await next: a request, the time, or its wake-up. None: it is told.

        The task itself awaits it, in the one frame that a wait has: thousands of them are kept at a time.
        """
        if waiter.ready:
            return None
        now = self.now()
        if now >= waiter.cut:
            waiter.fail(waiter.expired())  # its request landed in the very moment of its deadline
            return None
        self._dispatch(now)
        if waiter.flight is not None:
            return self._fly(waiter.flight)
        if self._keeper is None or self._keeper is waiter:
            return self._keep_time(waiter, now)
        self._parked[waiter] = None
        return self._parking.park(waiter)

    def close(self) -> None:
        """End every wait with an exception, cut the requests in flight, and take no more waits."""
        self._closed = True
        for entry in self._entries.values():
            for waiter in entry.waiters:
                if not waiter.ready:
                    waiter.fail(
                        UsageError(f"{waiter.ref}: the source was closed under this wait", ref=waiter.ref)
                    )
                    self._wake(waiter)
                if waiter.flight is not None and waiter.flight.scope is not None:
                    waiter.flight.scope.cancel()

    # Coming and going

    def enter(self, waiter: Waiter) -> None:
        """A wait begins: its task takes turns from now on. Raises `UsageError` once the source is closed."""
        if self._closed:
            raise UsageError("the source is closed: make a new one, or close it later", ref=waiter.ref)
        entry = self._entries.get(waiter.ref.id)
        if entry is None:
            entry = Entry(waiter.ref, [waiter], self._source.seat(waiter.ref))
            self._entries[waiter.ref.id] = entry
        else:
            entry.waiters.append(waiter)
        waiter.number = waiter.number or next(self._numbers)
        waiter.inside = True
        self._inside += 1
        self._deadlines.put(waiter)
        if waiter.one_read:
            self._one_reads[waiter] = None
        self._rearm(waiter.cut)
        self._enqueue(entry)

    def leave(self, waiter: Waiter) -> None:
        """A wait is over, or its task cancelled: what it carried goes to others."""
        self._parked.pop(waiter, None)
        self._one_reads.pop(waiter, None)
        waiter.inside = False
        self._inside -= 1
        entry = self._entries[waiter.ref.id]
        entry.waiters.remove(waiter)
        flight, waiter.flight = waiter.flight, None
        if flight is not None:
            self._land(flight)  # cancelled after it was chosen, before it took off
        if not entry.waiters and not entry.flying:
            self._drop(entry)
        if self._keeper is waiter:
            self._hand_over()
        self._queue.prune(len(self._entries))
        self._deadlines.forget(waiter, self._inside)

    def _drop(self, entry: Entry) -> None:
        entry.due = math.inf  # what the queue still has of it counts no more
        if self._entries.get(entry.ref.id) is entry:
            del self._entries[entry.ref.id]

    def _hand_over(self) -> None:
        self._armed = math.inf
        self._keeper = next(iter(self._parked), None)
        if self._keeper is not None:
            self._wake(self._keeper)

    def _wake(self, waiter: Waiter) -> None:
        self._parked.pop(waiter, None)
        self._parking.wake(waiter)

    def _rearm(self, at: float) -> None:
        # A newcomer that is due earlier wakes the sleeper, who then sleeps for less.
        if self._keeper is not None and at < self._armed and self._keeper in self._parked:
            self._wake(self._keeper)

    # Keeping time

    async def _keep_time(self, waiter: Waiter, now: float) -> None:
        self._keeper = waiter
        self._armed = self._next_wake(now)
        self._parked[waiter] = None
        with anyio.CancelScope(deadline=self._armed):
            await self._parking.park(waiter)
        self._parked.pop(waiter, None)

    def _enqueue(self, entry: Entry) -> None:
        due = math.inf
        for waiter in entry.waiters:
            if waiter.due < due and waiter.inside and not waiter.ready:
                due = waiter.due
        if entry.flying or due == entry.due:
            return
        self._queue.put(entry, due)
        self._rearm(due)

    def _next_wake(self, now: float) -> float:
        due = self._queue.first_due()
        if due < math.inf:
            due = max(due, self._source.open_at(now, self._flying))
        return min(due, self._deadlines.first())

    def _dispatch(self, now: float) -> None:
        """End what is past its deadline, and give what is due to pilots."""
        for waiter in self._deadlines.passed(now):
            if not waiter.ready and waiter.flight is None:
                waiter.fail(waiter.expired())
                self._wake(waiter)
        while self._source.open_at(now, self._flying) <= now:
            batch = now >= self._asking.batch_after
            entries = self._queue.board(self._source.room, now, batch=batch, resumed=self._source.resumed)
            if not entries:
                break
            self._source.departing(now)
            self._take_off(entries)
        for waiter in self._one_reads:
            # With no time allowed there is one read: it waits for a place in flight, but for no floor.
            if not now < self._source.open_at(now, self._flying) < math.inf:
                break
            entry = self._entries[waiter.ref.id]
            if not waiter.ready and not entry.flying:
                self._take_off([entry])

    # Carrying requests

    def _take_off(self, entries: list[Entry]) -> None:
        for entry in entries:
            entry.due = entry.owed = math.inf
        free = [waiter for entry in entries for waiter in entry.waiters if waiter.inside and not waiter.ready]
        if not free:
            return
        pilot = max(free, key=lambda waiter: waiter.cut)
        for entry in entries:
            entry.flying = True
        self._flying += 1
        pilot.flight = Flight(next(self._numbers), entries, pilot, self._source.room)
        self._wake(pilot)

    async def _fly(self, flight: Flight) -> None:
        pilot = flight.pilot
        if self._keeper is pilot:
            self._hand_over()
        try:
            with anyio.CancelScope(deadline=pilot.cut) as scope:
                flight.scope = scope
                await self._asking.carry(flight)
            if scope.cancelled_caught and not pilot.ready:
                pilot.fail(pilot.expired())
        except BaseException:
            pilot.inside = False  # cancelled, and on its way out: it carries nothing more
            raise
        finally:
            pilot.flight = None
            self._land(flight)

    def _land(self, flight: Flight) -> None:
        if flight.landed:
            return
        flight.landed = True
        self._flying -= 1
        for entry in flight.entries:
            entry.flying = False
            if entry.waiters:
                self._enqueue(entry)
            else:
                self._drop(entry)
        now = self.now()
        self._dispatch(now)
        self._rearm(self._next_wake(now))  # the keeper may sleep until a request lands, which one just did
