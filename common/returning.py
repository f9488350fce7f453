"""How jobs come back once a server is to be had again: not as a herd.

While a server asks to be left alone, or hangs, jobs fall due and pile up. Each of them is asked about again
within its own delay, evenly spread: so many requests a second as there were before. What fits into one
request stays together, and the first leaves at once: a source with few jobs notices nothing.
"""

from __future__ import annotations

import math

import attrs

from common.waiters import Entry

STEP = (math.sqrt(5) - 1) / 2
"""The golden ratio: its multiples, without their whole parts, fill 0 to 1 evenly, however many they are."""


@attrs.define
class Return:
    """The times of those that fell due before ``resumed``."""

    _resumed: float = -math.inf
    _requests: int = 0
    _part: float = 0.0
    _room: int = 0
    _window: float = 0.0

    def due(self, entry: Entry, resumed: float, room: int) -> float:
        """When to ask about it, ``resumed`` or later; ``room`` is what one request holds, 0 for one job."""
        if resumed != self._resumed:
            self._resumed, self._requests, self._room = resumed, 0, 0
        window = _window(entry, resumed)
        if not entry.seat or not room:
            return resumed + self._next_part() * window
        if entry.seat > self._room:
            self._part, self._room, self._window = self._next_part(), room, window
        self._room -= entry.seat
        self._window = min(self._window, window)
        return resumed + self._part * self._window

    def _next_part(self) -> float:
        part = self._requests * STEP % 1.0
        self._requests += 1
        return part


def _window(entry: Entry, resumed: float) -> float:
    """The seconds within which it is asked about: its own delay, and half of what a deadline leaves.

    The other half is for the answer. A caller who has no time at all is not kept waiting.
    """
    window = max(0.0, entry.delay or entry.waiters[0].policy.initial)
    for waiter in entry.waiters:
        window = 0.0 if waiter.one_read else min(window, max(0.0, waiter.deadline - resumed) / 2)
    return window
