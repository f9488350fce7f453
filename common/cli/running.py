"""Run a command's coroutine until it ends or a signal comes, and turn that into an exit status."""

from __future__ import annotations

import logging
import signal
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager

import anyio
import anyio.abc

from common.cli.console import printable_lines, reader_is_gone
from common.cli.exit_status import ExitStatus

SIGNALS = (signal.SIGINT, signal.SIGTERM)
PIPE_CHECK = 0.5
"""Seconds between two looks whether what reads the output is still there."""


def run(command: Callable[[], Awaitable[ExitStatus]], *, debug: bool = False) -> int:
    """Run a command and return its status: 130 or 143 where a signal ended it, which cancels it first."""
    with _logging(debug):
        return anyio.run(_run, command)


async def _run(command: Callable[[], Awaitable[ExitStatus]]) -> int:
    came: list[int] = []
    status = ExitStatus.OK
    failure: Exception | None = None
    async with anyio.create_task_group() as group:
        await group.start(_cancel_on_signal, group.cancel_scope, came)
        group.start_soon(_cancel_on_closed_pipe, group.cancel_scope, came)
        try:
            status = await command()
        except Exception as error:  # raised below: the group would wrap it
            failure = error
        group.cancel_scope.cancel()
    while isinstance(failure, ExceptionGroup) and len(failure.exceptions) == 1:
        failure = failure.exceptions[0]  # of a task group of the command's own
    if failure is not None:
        raise failure
    return 128 + came[0] if came else status


async def _cancel_on_signal(
    scope: anyio.CancelScope, came: list[int], *, task_status: anyio.abc.TaskStatus[None]
) -> None:
    try:
        with anyio.open_signal_receiver(*SIGNALS) as signals:
            task_status.started()
            async for number in signals:
                came.append(number)
                scope.cancel()
    except NotImplementedError:  # no such thing on Windows: Ctrl-C is a KeyboardInterrupt there
        task_status.started()


async def _cancel_on_closed_pipe(scope: anyio.CancelScope, came: list[int]) -> None:
    """End a command whose reader went away, though nothing is to be written: ``watch … | head -1``."""
    while True:
        if reader_is_gone():
            came.append(ExitStatus.BROKEN_PIPE - 128)
            scope.cancel()
        await anyio.sleep(PIPE_CHECK)


class _Formatter(logging.Formatter):
    """A log may quote a server, which must not steer the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return printable_lines(super().format(record))


@contextmanager
def _logging(debug: bool) -> Generator[None]:
    """Write the log to standard error, each request too, or nowhere: the command says itself what matters."""
    logger = logging.getLogger("jobsource")
    level = logger.level
    # Without a handler, Python would print warnings.
    handler = logging.StreamHandler() if debug else logging.NullHandler()
    handler.setFormatter(_Formatter("%(asctime)s %(name)s %(message)s"))
    logger.addHandler(handler)
    if debug:
        logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
