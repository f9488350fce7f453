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
    deadlock_error,
    spin_error,
)

_OWN = 1
"""How many sockets trio waits for itself: the one by which threads wake it."""


class VirtualClock(trio.abc.Clock, trio.abc.Instrument):
    """A virtual clock like trio's ``MockClock(autojump_threshold=0)``, which also waits for what is real.

    It stands still while tasks run, and jumps to the next deadline once all wait. While a thread works
    (``trio.to_thread``, name lookups), time passes at its real pace; open sockets and child processes
    are polled for ``patience`` seconds of wall time before each jump. In a deadlock, `VirtualTimeError` is
    raised in the main task at the place where it waits. After 100,000 rounds in which time stands still it is
    raised there too, or the main task is cancelled with this reason where it is among those that never wait.
    ``start`` is the first time that the clock shows, in seconds. A clock serves one run.
    """

    def __init__(self, start: float = 0.0, *, patience: float = PATIENCE) -> None:
        check_times(start, patience)
        self.error: VirtualTimeError | None = None
        """The error that ended the run; None unless virtual time could not go on."""
        self._now = start
        self._patience = patience
        self._quiet = 0  # how often in a row trio asked how long to sleep without scheduling a task
        self._target: float | None = None  # where to jump
        self._real_since: float | None = None
        self._rounds = 0

    def start_clock(self) -> None:
        """Called by trio when the run begins."""
        trio.lowlevel.add_instrument(self)

    def current_time(self) -> float:
        """Return the virtual time, in seconds."""
        if self._real_since is None:
            return self._now
        return self._now + (time.perf_counter() - self._real_since)

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Called by trio when no task can run: return how long to wait for real events, in wall time."""
        self._target = None
        if _threads():
            self._real_since = time.perf_counter()
            return deadline - self._now
        self._quiet += 1
        watching = _sockets() > _OWN
        if self._quiet == 1:  # first poll what is ready already
            return self._patience if watching else 0.0
        if deadline < math.inf:
            self._target = deadline
        elif self._quiet > 2:
            self._fail(deadlock_error((task.name, task.coro) for task in _user_tasks()))
            return 0.0
        return SILENCE if watching else GRACE

    def task_scheduled(self, task: trio.lowlevel.Task) -> None:
        """Called by trio when a task is scheduled."""
        del task
        self._quiet = 0

    def before_io_wait(self, timeout: float) -> None:
        """Called by trio in each round of its loop, with the seconds that it is going to sleep."""
        if self._target is not None and timeout >= GRACE:  # less is the cushion of a `wait_all_tasks_blocked`
            self._now = max(self._target, math.nextafter(self._now, math.inf))
            trio.lowlevel.current_trio_token().run_sync_soon(_wake_up, idempotent=True)
        self._rounds = 0 if timeout > 0 else self._rounds + 1
        if self._rounds > SPINS:
            self._rounds = 0
            if not _threads():  # a task may poll a thread that will be done
                self._fail(spin_error(self._now))

    def after_io_wait(self, timeout: float) -> None:
        """Called by trio after an event, or once the sleep is over."""
        del timeout
        if self._real_since is not None:
            self._now, self._real_since = self.current_time(), None

    def _fail(self, error: VirtualTimeError) -> None:
        """Raise an error in the main task, as trio does a KeyboardInterrupt."""
        if self.error is not None:
            raise error  # the main task ignored it: end the run, whatever that leaves behind
        self.error = error
        nursery = _nurseries()[-1]
        main: Any = next(iter(nursery.child_tasks))

        def raise_it() -> NoReturn:
            raise error

        try:
            abort: Callable[..., Any] = main._attempt_abort
            if main._abort_func is None:
                raise AttributeError
        except AttributeError:  # the task is running, or this version of trio has other internals
            _cancel(nursery.cancel_scope, reason=str(error))
        else:
            abort(raise_it)


def _wake_up() -> None:
    """Do nothing: being called ends the sleep."""


def _cancel(scope: trio.CancelScope, *, reason: str) -> None:
    try:
        scope.cancel(reason=reason)
    except TypeError:  # trio before 0.31 takes no reason
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
    tasks: list[trio.lowlevel.Task] = []
    nurseries = _nurseries()[-1:]
    while nurseries:
        for task in nurseries.pop().child_tasks:
            tasks.append(task)
            nurseries += task.child_nurseries
    return tasks
