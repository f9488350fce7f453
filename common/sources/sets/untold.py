"""The outcomes and changes of a set's members that no consumer has taken yet."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import anyio
import anyio.lowlevel

from common.model.refs import JobRef
from common.polling.wait import Wait
from common.sources.batch_look import Outcome

TURN = 0.005
"""Seconds after which a consumer that always finds an entry lets other tasks run. Not a number of entries:
where a turn of the event loop takes long, as with a thousand requests in flight, few a turn would be late."""
MOST_A_TURN = 1_024
"""After so many entries it does so anyway: in virtual time a turn takes no time."""
LOOK_EVERY = 32
"""Entries between two looks at the clock."""


class Untold:
    """A queue of outcomes, and of marks for changes (None), each with its wait.

    A wait has one entry at most: its outcome takes the place of a change.
    """

    def __init__(self) -> None:
        self._entries: OrderedDict[Wait, Outcome | None] = OrderedDict()
        self._ended: dict[JobRef, list[Wait]] = {}
        self._arrival: anyio.Event | None = None
        self._taken = 0
        self._turn_began = 0.0

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, wait: Wait, outcome: Outcome | None) -> None:
        """Add an outcome, or with None the mark of a change."""
        self._entries[wait] = outcome
        if outcome is not None:
            self._ended.setdefault(wait.ref, []).append(wait)
        self.wake()

    def take(self) -> tuple[Wait, Outcome | None]:
        """Remove and return the first entry."""
        self._taken += 1
        wait, outcome = self._entries.popitem(last=False)
        if outcome is not None:
            self._forget(wait)
        return wait, outcome

    def turn_ends(self) -> bool:
        """Whether the consumer has taken entries for so long that others should run: see `next_turn`."""
        taken = self._taken
        return (
            taken > 0
            and taken % LOOK_EVERY == 0
            and (taken >= MOST_A_TURN or anyio.current_time() - self._turn_began >= TURN)
        )

    async def next_turn(self) -> None:
        """Let other tasks run."""
        await anyio.lowlevel.checkpoint()
        self._taken, self._turn_began = 0, anyio.current_time()

    def discard(self, wait: Wait) -> None:
        """Remove the entry of a wait, if it has one."""
        if self._entries.pop(wait, None) is not None:
            self._forget(wait)

    def discard_changes(self) -> None:
        """Remove the marks of changes, and keep the outcomes."""
        for wait in [wait for wait, outcome in self._entries.items() if outcome is None]:
            del self._entries[wait]

    def outcomes(self) -> list[tuple[Wait, Outcome]]:
        """Return the waits that have ended, with their outcomes, in the order in which they did."""
        return [(wait, outcome) for wait, outcome in self._entries.items() if outcome is not None]

    def ended(self, ref: JobRef) -> Sequence[Wait]:
        """Return the waits for one job that have ended, in the order in which they did."""
        return self._ended.get(ref, ())

    def _forget(self, wait: Wait) -> None:
        waits = self._ended[wait.ref]
        waits.remove(wait)
        if not waits:
            del self._ended[wait.ref]

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
