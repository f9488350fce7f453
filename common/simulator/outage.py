"""A connection lost before its response is complete, and the time in which none is accepted."""

from __future__ import annotations

import math
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from common.simulator.clock import Clock

LossKind = Literal["reset", "refused", "cut"]
OnChange = Callable[[float], None]
"""Takes the seconds left, on the loop's clock; 0 where connections are accepted at once."""


class ConnectionLost(ConnectionError):
    """Raised in place of the rest of a response; the server or transport in charge loses the connection.

    ``kind`` is what the client meets: its connection is reset, refused in the first place, or closed in the
    middle of a body (``cut``). ``outage`` is set where further connections are refused too.
    """

    def __init__(self, kind: LossKind, outage: Outage | None = None) -> None:
        super().__init__(f"the simulator's connection is {kind}, as a test asked for")
        self.kind: LossKind = kind
        self.outage = outage


class Outage:
    """A time in which a simulator accepts no connection: until its clock reaches the end, or until `end`.

    A server that closed its socket for the outage is told the seconds left, again after each change, since
    it may run on another loop. With a stepped clock the socket stays open, so that ``/_sim/`` can be reached.
    """

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._until = clock.now() + seconds
        self._left = clock.real(seconds)
        self._on_change: OnChange | None = None
        self._lock = Lock()
        clock.watchers.add(self._changed)

    @property
    def seconds_left(self) -> float:
        """The seconds for which sockets stay closed, on the loop's clock, as of the last change."""
        return 0.0 if math.isinf(self._left) else self._left

    def lasts(self, now: float) -> bool:
        """Whether connections are refused at this time on the simulator's clock."""
        return now < self._until

    def end(self) -> None:
        """Accept connections from now on."""
        self._until = -math.inf
        self._changed()

    def begin(self, stop_listening: Callable[[], OnChange]) -> None:
        """Let a server close its socket, unless the outage is over, and tell it the seconds left."""
        with self._lock:  # or `end` between the two calls would leave the server closed
            if self.seconds_left:
                self._on_change = stop_listening()
                self._on_change(self.seconds_left)

    def forget(self) -> None:
        """Tell the server nothing more."""
        with self._lock:
            self._on_change = None

    def _changed(self) -> None:
        over = self._until == -math.inf or not self.lasts(self._clock.now())
        if over:
            self._clock.watchers.discard(self._changed)
        with self._lock:
            self._left = 0.0 if over else self._clock.real(self._until - self._clock.now())
            if self._on_change is not None:
                self._on_change(self.seconds_left)
