"""What time it is in a simulator: the event loop's clock, and a wall clock tied to it."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from datetime import timedelta

import anyio


class Clock:
    """The event loop's clock in seconds, and dates that keep pace with it.

    The two are tied together when the clock is read first: that moment is ``wall`` (default: the
    real time then). So on a loop in virtual time, dates move with the loop. A clock belongs to one
    event loop.
    """

    def __init__(self, wall: datetime | None = None) -> None:
        if wall is not None and wall.tzinfo is None:
            raise ValueError("the wall time of a simulator must be aware: give it a time zone")
        self._wall = wall
        self._anchor: tuple[float, datetime] | None = None

    def now(self) -> float:
        """Return the current time in seconds. Raises `RuntimeError` outside an event loop."""
        return self._tied()[0]

    def read(self) -> float:
        """Return the time of what this clock follows; a clock of another kind overrides this and `sleep`."""
        return anyio.current_time()

    async def sleep(self, seconds: float) -> None:
        """Return once this many seconds have passed on this clock."""
        await anyio.sleep(seconds)

    def wall(self, at: float) -> datetime:
        """Return the date, in UTC, of a moment on this clock."""
        moment, date = self._anchor or self._tied()[1]
        return date.astimezone(UTC) + timedelta(seconds=at - moment)

    def _tied(self) -> tuple[float, tuple[float, datetime]]:
        now = self.read()
        self._anchor = self._anchor or (now, self._wall or datetime.now(UTC))
        return now, self._anchor
