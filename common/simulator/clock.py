"""The clock of a simulator: the event loop's, one at another pace, or one that is stepped by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import anyio
import anyio.lowlevel

FIRST, LAST = (datetime.fromisoformat(text) for text in ("0001-01-01T00:00Z", "9999-12-31T23:59:59Z"))


class Clock:
    """The event loop's clock in seconds, and dates that keep pace with it.

    When the clock is first read, its date is ``wall`` (default: the real time), and moves on with the
    loop's clock, also in virtual time. ``scale`` is how many of its seconds pass in one of the loop's; at 0
    the clock stands still, and only `step` moves it. A clock belongs to one event loop. Raise `ValueError`
    for a scale below 0, and for a ``wall`` without time zone.
    """

    def __init__(self, wall: datetime | None = None, *, scale: float = 1.0) -> None:
        if wall is not None and wall.tzinfo is None:
            raise ValueError("the wall time of a simulator must be aware: give it a time zone")
        self._wall = wall
        self._anchor: tuple[float, datetime] | None = None
        self._scale = _checked(scale)
        self._base: tuple[float, float] | None = None
        self._sleepers: set[anyio.Event] = set()
        self.watchers: set[Callable[[], None]] = set()
        """Called after each step and each change of pace."""

    @classmethod
    def scaled(cls, scale: float, wall: datetime | None = None) -> Clock:
        """Return a clock on which ``scale`` seconds pass in one of the loop's."""
        return cls(wall, scale=scale)

    @classmethod
    def stepped(cls, wall: datetime | None = None) -> Clock:
        """Return a clock that stands still until it is stepped."""
        return cls(wall, scale=0.0)

    @property
    def scale(self) -> float:
        """How many seconds pass on this clock in one of the loop's; 0 where it is stepped by hand."""
        return self._scale

    @scale.setter
    def scale(self, scale: float) -> None:
        checked = _checked(scale)
        try:
            self._base = self.read(), self.now()
        except RuntimeError:  # no event loop, so there is no time to go on from, and no sleeper to wake
            self._base, self._scale = None, checked
            return
        self._scale = checked
        self._wake()

    def step(self, seconds: float) -> None:
        """Move the clock ahead, and wake the sleepers that are due. Raise `ValueError` below 0 seconds."""
        if not 0 <= seconds < math.inf or math.isinf(self.now() + seconds):
            raise ValueError(f"a clock goes ahead by 0 seconds or more, not by {seconds}")
        self._base = self.read(), self.now() + seconds
        self._wake()

    def now(self) -> float:
        """Return the current time in seconds. Raise `RuntimeError` outside an event loop."""
        return self._tied()[0]

    def read(self) -> float:
        """Return the time, in seconds, that this clock follows; a subclass may override it."""
        return anyio.current_time()

    def real(self, seconds: float) -> float:
        """Return the seconds on the loop's clock that these take; infinite where this clock stands still."""
        return seconds / self._scale if self._scale else math.inf

    async def sleep(self, seconds: float) -> None:
        """Return once this many seconds have passed on this clock."""
        await anyio.lowlevel.checkpoint()
        until = self.now() + seconds
        while (left := until - self.now()) > 0:
            changed = anyio.Event()
            self._sleepers.add(changed)
            try:
                with anyio.move_on_after(self.real(left)) as timer:
                    await changed.wait()
            finally:
                self._sleepers.discard(changed)
            if timer.cancelled_caught:
                return  # rounding may leave a tiny rest

    def wall(self, at: float) -> datetime:
        """Return the date, in UTC, of a time on this clock; the first or last date for one beyond."""
        moment, date = self._anchor or self._tied()[1]
        try:
            return date.astimezone(UTC) + timedelta(seconds=at - moment)
        except OverflowError:
            return LAST if at > moment else FIRST

    def _tied(self) -> tuple[float, tuple[float, datetime]]:
        now = read = self.read()
        if self._base is None and self._scale != 1:
            self._base = read, read
        if self._base is not None:
            since, base = self._base
            now = base + (read - since) * self._scale
        self._anchor = self._anchor or (now, self._wall or datetime.now(UTC))
        return now, self._anchor

    def _wake(self) -> None:
        for sleeper in self._sleepers:
            sleeper.set()
        for watcher in tuple(self.watchers):
            watcher()


def parse_clock(text: str) -> Clock:
    """Return the clock that ``loop``, ``stepped`` or ``scaled:60`` names. Raise `ValueError`."""
    kind, _, scale = text.partition(":")
    match kind, scale:
        case "loop", "":
            return Clock()
        case "stepped", "":
            return Clock.stepped()
        case "scaled", _ if scale:
            try:
                return Clock.scaled(float(scale))
            except ValueError:
                raise ValueError(
                    f"a clock's scale is 0 or more, such as scaled:60, not {scale[:40]!r}"
                ) from None
        case _:
            raise ValueError(f"a clock is loop, stepped or scaled:<factor>, not {text!r}")


def _checked(scale: float) -> float:
    if not 0 <= scale < math.inf:
        raise ValueError(f"a clock's scale is 0 or more, not {scale}")
    return float(scale)
