"""A trio clock in virtual time: whenever every task waits, it jumps to the next deadline."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, NoReturn

import attrs
import trio
import trio.testing

from common.testing.deadlock import (
    GRACE,
    PATIENCE,
    SILENCE,
    SPINS,
    VirtualTimeError,
    check_times,
    deadlock,
    spin,
)

_OWN = 1
"""How many sockets trio itself waits for: its way to be woken by threads."""


class VirtualClock(trio.abc.Clock, trio.abc.Instrument):
    """trio's ``MockClock(autojump_threshold=0)``, and honest about what is real.

    It stands still while tasks run, and jumps to the next deadline once all wait. While a thread works
    (``trio.to_thread``, name lookups), time passes as it does on the wall; open sockets and child processes
    get ``patience`` seconds of wall time to stir before each jump. Where nothing will ever happen again, the
    main task gets a `VirtualTimeError` at the place where it waits; after 100,000 rounds in which time stands
    still it gets that too, or is cancelled with this reason where it is among those that never wait.
    ``start`` is the first time that the clock shows, in seconds. A clock serves one run.
    """

    def __init__(self, start: float = 0.0, *, patience: float = PATIENCE) -> None:
        check_times(start, patience)
        self.error: VirtualTimeError | None = None
        """What ended the run, if virtual time could not go on."""
        self._now = start
        self._patience = patience
        self._quiet = 0  # how often in a row trio asked how long to sleep, and nothing was scheduled
        self._target: float | None = None  # where to jump
        self._real_since: float | None = None
        self._rounds = 0

    def start_clock(self) -> None:
        """Called by trio when the run begins."""
        trio.lowlevel.add_instrument(self)

    def current_time(self) -> float:
        """The virtual time, in seconds."""
        if self._real_since is None:
            return self._now
        return self._now + (time.perf_counter() - self._real_since)

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Called by trio when no task can run: how long to wait for something real, in wall time."""
        self._target = None
        if _threads():
            self._real_since = time.perf_counter()
            return deadline - self._now
        self._quiet += 1
        watching = _sockets() > _OWN
        if self._quiet == 1:  # first of all a look at what is there already
            return self._patience if watching else 0.0
        if deadline < math.inf:
            self._target = deadline
        elif self._quiet > 2:
            self._fail(deadlock((task.name, task.coro) for task in _user_tasks()))
            return 0.0
        return SILENCE if watching else GRACE

    def task_scheduled(self, task: trio.lowlevel.Task) -> None:
        """Called by trio: something happens."""
        del task
        self._quiet = 0

    def before_io_wait(self, timeout: float) -> None:
        """Called by trio in each round of its loop, with the time that it is going to sleep."""
        if self._target is not None and timeout >= GRACE:  # less is the cushion of a `wait_all_tasks_blocked`
            self._now = max(self._target, math.nextafter(self._now, math.inf))
            trio.lowlevel.current_trio_token().run_sync_soon(_wake_up, idempotent=True)
        self._rounds = 0 if timeout > 0 else self._rounds + 1
        if self._rounds > SPINS:
            self._rounds = 0
            if not _threads():  # who asks again and again whether a thread is done is not lost
                self._fail(spin(self._now))

    def after_io_wait(self, timeout: float) -> None:
        """Called by trio once something stirred, or the time was up."""
        del timeout
        if self._real_since is not None:
            self._now, self._real_since = self.current_time(), None

    def _fail(self, error: VirtualTimeError) -> None:
        """Raise an error in the main task, as trio does a KeyboardInterrupt."""
        if self.error is not None:
            raise error  # the main task had its chance: this ends the run, tidy or not
        self.error = error
        nursery = _nurseries()[-1]
        main: Any = next(iter(nursery.child_tasks))

        def raise_it() -> NoReturn:
            raise error

        try:
            abort: Callable[..., Any] = main._attempt_abort
            if main._abort_func is None:
                raise AttributeError
        except AttributeError:  # it runs, or another version of trio does this differently
            _cancel(nursery.cancel_scope, reason=str(error))
        else:
            abort(raise_it)


def _wake_up() -> None:
    """Nothing to do: that it is called ends a sleep."""


def _cancel(scope: trio.CancelScope, *, reason: str) -> None:
    try:
        scope.cancel(reason=reason)
    except TypeError:  # trio before 0.31 asks for no reason
        scope.cancel()


def _threads() -> int:
    counted: Callable[[], int] | None = getattr(trio.testing, "active_thread_count", None)
    return counted() if counted else 0


def _sockets() -> int:
    waiting = attrs.asdict(trio.lowlevel.current_statistics().io_statistics)
    return sum(count for count in waiting.values() if isinstance(count, int))


def _nurseries() -> list[trio.Nursery]:
    root = trio.lowlevel.current_root_task()
    return [] if root is None else list(root.child_nurseries)


def _user_tasks() -> list[trio.lowlevel.Task]:
    found: list[trio.lowlevel.Task] = []
    nurseries = _nurseries()[-1:]
    while nurseries:
        for task in nurseries.pop().child_tasks:
            found.append(task)
            nurseries += task.child_nurseries
    return found
