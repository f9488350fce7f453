"""An asyncio loop in virtual time: whenever every task waits, its clock jumps to the next timer."""

from __future__ import annotations

import asyncio
import math
import selectors
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple

from common.testing.deadlock import (
    GRACE,
    PATIENCE,
    SILENCE,
    SPINS,
    VirtualTimeError,
    check_times,
    deadlock_error,
    spin_error,
)

_T = TypeVar("_T")
_Args = TypeVarTuple("_Args")

_LONGEST = 24 * 3600
"""Seconds after which asyncio looks again, whatever it waits for."""
_RESOLUTION = time.get_clock_info("monotonic").resolution


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An asyncio loop whose clock stands still while tasks run, and jumps to the next timer once all wait.

    Code under test is unchanged: ``asyncio.sleep``, ``asyncio.timeout``, anyio and the waits of a source go
    by this clock. ``time.time()`` and ``datetime.now()`` do not. What happens outside the loop is real:

    - While a thread works for the loop (``run_in_executor``, ``asyncio.to_thread``, ``getaddrinfo``,
      ``anyio.to_thread``), and while a child process runs, time passes at its real pace, so that a timeout
      around them means real seconds.
    - Open sockets are polled for ``patience`` seconds of wall time before each jump. That is plenty for a
      server on the same machine, and not for one elsewhere.
    - Before a deadlock is reported, a thread that the loop does not know of gets a second of wall time to end
      it, and an open socket a minute.

    In a deadlock, and after 100,000 rounds in which time stands still, the loop raises `VirtualTimeError`
    instead of hanging. ``start`` is the first time that its clock shows, in seconds.
    """

    _closed: bool = True  # until __init__ has run: a loop whose arguments are refused needs no closing

    def __init__(self, start: float = 0.0, *, patience: float = PATIENCE) -> None:
        check_times(start, patience)
        self._futures: set[asyncio.Future[Any]] = set()
        self._children: set[asyncio.SubprocessTransport] = set()
        self._joining = False
        self._jumping = _Jumping(
            start, patience, next_timer=self._next_timer, busy=self._busy, deadlock=self._deadlock
        )
        super().__init__(self._jumping)
        self._jumping.watched_before = len(self._jumping.get_map())

    def time(self) -> float:
        """Return the virtual time, in seconds."""
        return self._jumping.now

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*_Args], _T], *args: *_Args
    ) -> asyncio.Future[_T]:
        """Run a function in a thread; until it returns, time passes at its real pace."""
        future = super().run_in_executor(executor, func, *args)
        self._futures.add(future)
        future.add_done_callback(self._futures.discard)
        return future

    async def shutdown_default_executor(self, *args: Any, **options: Any) -> None:
        """Join the threads of the default executor, in real time."""
        self._joining = True
        try:
            await super().shutdown_default_executor(*args, **options)
        finally:
            self._joining = False

    async def subprocess_exec(self, *args: Any, **options: Any) -> Any:
        """Start a child process; until it ends, time passes at its real pace."""
        return self._adopt(await super().subprocess_exec(*args, **options))

    async def subprocess_shell(self, *args: Any, **options: Any) -> Any:
        """Start a child process in a shell; until it ends, time passes at its real pace."""
        return self._adopt(await super().subprocess_shell(*args, **options))

    def _adopt(self, started: tuple[asyncio.SubprocessTransport, Any]) -> Any:
        self._children.add(started[0])
        return started

    def _busy(self) -> bool:
        """Whether a thread or a child process works for this loop."""
        self._children = {child for child in self._children if child.get_returncode() is None}
        return (
            self._joining
            or bool(self._children)
            or any(not future.done() for future in self._futures)
            or any(map(self._works_for_anyio, threading.enumerate()))
        )

    def _works_for_anyio(self, thread: Any) -> bool:
        # anyio's worker threads bypass the executor. Other threads have none of these attributes.
        return getattr(thread, "loop", None) is self and thread not in getattr(
            thread, "idle_workers", (thread,)
        )

    def _next_timer(self) -> float | None:
        """Return when the next timer is due; None where this version of asyncio does not show it."""
        timers: list[asyncio.TimerHandle] | None = getattr(self, "_scheduled", None)
        return timers[0].when() if timers else None

    def _deadlock(self) -> VirtualTimeError:
        return deadlock_error((task.get_name(), task.get_coro()) for task in asyncio.all_tasks(self))


def virtual_time_loop(start: float = 0.0, *, patience: float = PATIENCE) -> VirtualTimeLoop:
    """Return a new `VirtualTimeLoop`, for ``asyncio.Runner(loop_factory=virtual_time_loop)`` and the like."""
    return VirtualTimeLoop(start, patience=patience)


class _Jumping(selectors.DefaultSelector):  # type: ignore[valid-type, misc, unused-ignore]
    """A selector that moves the clock to the next timer instead of sleeping, unless real work goes on."""

    def __init__(
        self,
        start: float,
        patience: float,
        *,
        next_timer: Callable[[], float | None],
        busy: Callable[[], bool],
        deadlock: Callable[[], VirtualTimeError],
    ) -> None:
        super().__init__()
        self.now: float = start
        self.watched_before: int = 0
        """How many files the loop watches for itself: the pipe by which threads wake it."""
        self._patience = patience
        self._next_timer = next_timer
        self._busy = busy
        self._deadlock = deadlock
        self._rounds = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            self._count_round(progress=bool(ready))
            if self.now + _RESOLUTION == self.now:
                # asyncio runs timers due before now plus a clock tick. At so late a time the tick is lost to
                # rounding, and a timer that is due now would never run.
                self.now = math.nextafter(self.now, math.inf)
            return ready
        self._rounds = 0
        if self._busy():
            return self._select_in_real_time(timeout)
        if timeout is not None and timeout >= _LONGEST and (due := self._next_timer()) is not None:
            timeout = None if due == math.inf else due - self.now  # no timer, or one far away
        watching = len(self.get_map()) > self.watched_before
        if timeout is None:
            ready = super().select(self._until_hopeless(watching=watching))
            if not ready:
                raise self._deadlock()
            return ready
        if watching and (ready := super().select(min(timeout, self._patience))):
            return ready
        self._pass(timeout)
        return []

    def _select_in_real_time(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        began = time.perf_counter()
        ready = super().select(timeout)
        elapsed = time.perf_counter() - began
        self._pass(elapsed if ready or timeout is None else max(elapsed, timeout))
        return ready

    def _pass(self, seconds: float) -> None:
        # Seconds so few that the sum would not change still move the clock; else the wait would never end.
        self.now = max(self.now + seconds, math.nextafter(self.now, math.inf))

    def _until_hopeless(self, *, watching: bool) -> float:
        if watching:
            return SILENCE
        return GRACE if threading.active_count() > 1 else 0.0

    def _count_round(self, *, progress: bool) -> None:
        self._rounds = 0 if progress else self._rounds + 1
        if self._rounds > SPINS:
            self._rounds = 0
            if not self._busy():  # a task may poll a thread that will be done
                raise spin_error(self.now)
