"""Event loops that do something at a chosen step of theirs: cancel a task, or let time pass.

A step of asyncio is one round of its loop, with the real sockets that are ready in it; it may begin before
those are told (the task is cancelled first) or after (their wake-ups are under way). On trio it is a round
as well, or a step of any task. No step is made by polling, so that there are as many as the work needs.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import anyio
import trio

When = Literal["before", "behind"]
"""Before the events of a round are told, or behind them."""


class Stepper:
    """Counts steps, and calls a function at one of them. ``jump`` seconds are added to the loop's clock."""

    def __init__(self) -> None:
        self.jumped = 0.0
        self._action: Callable[[], object] | None = None
        self._left = 0
        self._when: When = "before"

    def arm(self, step: int, when: When, action: Callable[[], object]) -> None:
        """Call ``action`` so many steps from now."""
        self._left, self._when, self._action = step, when, action

    def disarm(self) -> bool:
        """Whether the step had not come yet; it will not come any more."""
        action, self._action = self._action, None
        return action is not None

    def jump(self) -> None:
        """Let ten seconds pass at once."""
        self.jumped += 10.0

    def step(self, when: When) -> Callable[[], object] | None:
        """Count a step; return what is to be called in it."""
        if self._action is None or when != self._when:
            return None
        self._left -= 1
        if self._left >= 0:
            return None
        action, self._action = self._action, None
        return action


class _Selector(selectors.DefaultSelector):
    loop: _Loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(timeout)
        stepper = self.loop.stepper
        if action := stepper.step("before"):
            action()
        if action := stepper.step("behind"):
            self.loop.call_at(self.loop.time(), action)  # timers run behind what the selector found
        return events


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, stepper: Stepper) -> None:
        self.stepper = stepper
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return time.monotonic() + self.stepper.jumped


class _Instrument(trio.abc.Instrument):
    def __init__(self, stepper: Stepper) -> None:
        self._stepper = stepper

    def after_io_wait(self, timeout: float) -> None:
        del timeout
        if action := self._stepper.step("before"):
            action()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        del task
        if action := self._stepper.step("behind"):
            action()


class _Clock(trio.abc.Clock):
    def __init__(self, stepper: Stepper) -> None:
        self._stepper = stepper

    def start_clock(self) -> None:
        pass

    def current_time(self) -> float:
        return time.monotonic() + self._stepper.jumped

    def deadline_to_sleep_time(self, deadline: float) -> float:
        return deadline - self.current_time()


def run(loop: str, main: Callable[[Stepper], Awaitable[Any]]) -> Any:
    """Run ``main`` on an event loop whose steps it controls."""
    stepper = Stepper()
    options: dict[str, Any]
    if loop == "trio":
        options = {"clock": _Clock(stepper), "instruments": [_Instrument(stepper)]}
    else:
        options = {"loop_factory": lambda: _Loop(stepper)}
    return anyio.run(main, stepper, backend=loop, backend_options=options)
