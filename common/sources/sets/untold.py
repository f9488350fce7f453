"""What the members of a set have to tell, until a consumer takes it."""

from __future__ import annotations

from collections import OrderedDict

import anyio

from common.polling.wait import Wait
from common.sources.batch_look import Outcome


class Untold:
    """Outcomes, and marks of changes (None), each with the wait that it is of; first in, first out.

    A wait has one entry at most: its outcome takes the place of a change.
    """

    def __init__(self) -> None:
        self._entries: OrderedDict[Wait, Outcome | None] = OrderedDict()
        self._arrival: anyio.Event | None = None

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, wait: Wait, outcome: Outcome | None) -> None:
        """Add an outcome, or with None the mark of a change."""
        self._entries[wait] = outcome
        self.wake()

    def take(self) -> tuple[Wait, Outcome | None]:
        """Remove and return the first entry."""
        return self._entries.popitem(last=False)

    def discard(self, wait: Wait) -> None:
        """Remove what is left to tell of a wait, if anything is."""
        self._entries.pop(wait, None)

    def discard_changes(self) -> None:
        """Keep the outcomes alone."""
        for wait in [wait for wait, outcome in self._entries.items() if outcome is None]:
            del self._entries[wait]

    def outcomes(self) -> list[tuple[Wait, Outcome]]:
        """Return the waits that have ended, with their outcomes, in the order in which they did."""
        return [(wait, outcome) for wait, outcome in self._entries.items() if outcome is not None]

    def wake(self) -> None:
        """Let the consumers that wait look again."""
        if self._arrival is not None:
            self._arrival.set()
            self._arrival = None

    async def wait(self) -> None:
        """Wait until `wake`, by `put` or another."""
        self._arrival = self._arrival or anyio.Event()
        await self._arrival.wait()
