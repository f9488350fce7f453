"""Work in processes that are forked from this one, some at a time, each for a limited time."""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

import attrs

T = TypeVar("T")


@attrs.frozen
class Task(Generic[T]):
    """Some work, for how many seconds it may take, and what its answer is for."""

    subject: T
    work: Callable[[], object]
    timeout: float


@attrs.define(eq=False)
class Fork(Generic[T]):
    """A process that works on a task; its answer comes through a pipe."""

    task: Task[T]
    process: int
    pipe: int
    until: float
    answer: bytes = b""

    @classmethod
    def start(cls, task: Task[T]) -> Fork[T]:
        """Fork, and let the child work in silence."""
        reading, writing = os.pipe()
        process = os.fork()
        if not process:
            os.close(reading)
            _work(task, writing)
        os.close(writing)
        return cls(task, process, reading, time.monotonic() + task.timeout)

    def read(self) -> bool:
        """Read what there is, and return whether there may be more."""
        chunk = os.read(self.pipe, 65536)
        self.answer += chunk
        return bool(chunk)

    def end(self) -> object:
        """End the process with all that it has started, and return its answer, or None without one."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process, signal.SIGKILL)
        os.close(self.pipe)
        os.waitpid(self.process, 0)
        with contextlib.suppress(EOFError, pickle.UnpicklingError):
            return pickle.loads(self.answer)  # noqa: S301 - our own child's
        return None


def _work(task: Task[T], pipe: int) -> None:
    os.setsid()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(int(task.timeout) + 10)  # should the parent be gone
    silence = os.open(os.devnull, os.O_RDWR)
    for stream in (1, 2):
        os.dup2(silence, stream)
    try:
        os.write(pipe, b"")
        with os.fdopen(pipe, "wb") as file:
            pickle.dump(task.work(), file)
    finally:
        os._exit(0)


def answers(tasks: Iterable[Task[T]], *, jobs: int = 1) -> Iterator[tuple[T, object]]:
    """Yield the subject and the answer of each task, as they come in; None for one that gave none in time."""
    todo = iter(tasks)
    running: dict[int, Fork[T]] = {}
    try:
        while True:
            while len(running) < jobs and (task := next(todo, None)) is not None:
                fork = Fork.start(task)
                running[fork.pipe] = fork
            if not running:
                return
            soonest = min(fork.until for fork in running.values())
            ready, _, _ = select.select(running, [], [], max(0.0, soonest - time.monotonic()))
            over = [running[pipe] for pipe in ready if not running[pipe].read()]
            over += [each for each in running.values() if each.until <= time.monotonic() and each not in over]
            for fork in over:
                del running[fork.pipe]
                yield fork.task.subject, fork.end()
    finally:
        for fork in running.values():
            fork.end()
