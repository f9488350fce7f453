"""A request whose connection is lost before it is answered in full, and the while in which none is taken."""

from __future__ import annotations

import math
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from common.simulator.clock import Clock

How = Literal["reset", "refused", "cut"]
Tell = Callable[[float], None]
"""Takes the seconds that are left, on the loop's clock; 0 where connections are taken at once."""


class Lost(ConnectionError):
    """Raised in place of the rest of an answer; what carries the request makes it true.

    ``how`` is what the client meets: its connection is reset, refused in the first place, or closed
    in the middle of a body. ``outage`` is how long others are refused too.
    """

    def __init__(self, how: How, outage: Outage | None = None) -> None:
        super().__init__(f"the simulator's connection is {how}, as a test asked for")
        self.how: How = how
        self.outage = outage


class Outage:
    """A while in which a simulator takes no connection: until its clock says so, or until it is ended.

    What closed a door for it is told how long that takes, and again whenever it changes: a server may live
    on another loop than the clock. On a clock that stands still doors stay open, for they lead to ``/_sim/``
    too.
    """

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._until = clock.now() + seconds
        self._real = clock.real(seconds)
        self._tell: Tell | None = None
        self._turn = Lock()
        clock.watchers.add(self._changed)

    @property
    def left(self) -> float:
        """The seconds for which doors stay shut, on the loop's clock, as of the last change."""
        return 0.0 if math.isinf(self._real) else self._real

    def lasts(self, now: float) -> bool:
        """Tell whether connections are refused at this time on the simulator's clock."""
        return now < self._until

    def end(self) -> None:
        """Take connections from now on."""
        self._until = -math.inf
        self._changed()

    def begin(self, shut: Callable[[], Tell]) -> None:
        """Let a server shut its doors, unless all is over, and tell it when to open them."""
        with self._turn:  # or an end could come between the two, and not be told
            if self.left:
                self._tell = shut()
                self._tell(self.left)

    def forget(self) -> None:
        """Tell nobody any more."""
        with self._turn:
            self._tell = None

    def _changed(self) -> None:
        over = self._until == -math.inf or not self.lasts(self._clock.now())
        if over:
            self._clock.watchers.discard(self._changed)
        with self._turn:
            self._real = 0.0 if over else self._clock.real(self._until - self._clock.now())
            if self._tell is not None:
                self._tell(self.left)
