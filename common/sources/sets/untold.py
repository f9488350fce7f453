"""The outcomes and changes of a set's members that no consumer has taken yet."""

from __future__ import annotations

from collections import OrderedDict

import anyio
import anyio.lowlevel

from common.model.refs import JobRef
from common.polling.wait import Wait
from common.sources.batch_look import Outcome

TURN = 0.005
"""Seconds for which a consumer may take entries before other tasks run.

It is a time, not a number of entries: if a turn of the event loop takes long, as with a thousand requests in
flight, a few entries a turn would be too slow.
"""
MAX_PER_TURN = 1_024
"""How many entries it may take at most, since in virtual time the clock stands still meanwhile."""
CLOCK_INTERVAL = 32
"""Entries between two readings of the clock."""


class Untold:
    """A queue of outcomes, and of marks for changes (None), each with its wait.

    A wait has one entry at most: its outcome takes the place of a change.
    """

    def __init__(self) -> None:
        self._entries: OrderedDict[Wait, Outcome | None] = OrderedDict()
        self._by_ref: dict[JobRef, list[Wait]] | None = None
        self._arrival: anyio.Event | None = None
        self._taken = 0
        self._turn_began = 0.0

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, wait: Wait, outcome: Outcome | None) -> None:
        """Add an outcome, or with None the mark of a change."""
        self._entries[wait] = outcome
        self._by_ref = None
        self.wake()

    def take(self) -> tuple[Wait, Outcome | None]:
        """Remove and return the first entry."""
        self._taken += 1
        return self._entries.popitem(last=False)

    def turn_is_over(self) -> bool:
        """Whether the consumer has taken entries for so long that others should run: see `next_turn`."""
        taken = self._taken
        return (
            taken > 0
            and taken % CLOCK_INTERVAL == 0
            and (taken >= MAX_PER_TURN or anyio.current_time() - self._turn_began >= TURN)
        )

    async def next_turn(self) -> None:
        """Let other tasks run."""
        await anyio.lowlevel.checkpoint()
        self._taken, self._turn_began = 0, anyio.current_time()

    def discard(self, wait: Wait) -> None:
        """Remove the entry of a wait, if it has one."""
        self._entries.pop(wait, None)

    def discard_changes(self) -> None:
        """Remove the marks of changes, and keep the outcomes."""
        for wait in [wait for wait, outcome in self._entries.items() if outcome is None]:
            del self._entries[wait]

    def outcomes(self) -> list[tuple[Wait, Outcome]]:
        """Return the waits that have ended, with their outcomes, in the order in which they did."""
        return [(wait, outcome) for wait, outcome in self._entries.items() if outcome is not None]

    def ended(self, ref: JobRef) -> list[Wait]:
        """Return the waits for one job that have ended, in the order in which they did."""
        if self._by_ref is None:  # made only when it is needed: most sets never discard a job
            self._by_ref = {}
            for wait, _ in self.outcomes():
                self._by_ref.setdefault(wait.ref, []).append(wait)
        return [wait for wait in self._by_ref.get(ref, ()) if wait in self._entries]

    def wake(self) -> None:
        """Wake the consumers that wait."""
        if self._arrival is not None:
            self._arrival.set()
            self._arrival = None

    async def wait(self) -> None:
        """Wait for the next `put` or `wake`."""
        self._arrival = self._arrival or anyio.Event()
        await self._arrival.wait()
        self._taken, self._turn_began = 0, anyio.current_time()
