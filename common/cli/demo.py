"""``jobsource demo``: every provider's simulator on a real socket, and one `Fleet` waiting for all jobs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import TextIO

import anyio

from common.cli.plain_view import Board, PlainBoard, Row
from common.cli.scenario import Cast, Part, Stage
from common.model.errors import JobsError, UsageError
from common.model.states import Action
from common.providers import known_names, provider
from common.sources.fleet import Fleet

TIME_ALLOWED = 18.0
"""Seconds for one wait; the longest job takes about eight."""


async def run_demo(plain: bool = False, out: TextIO | None = None) -> int:
    """Run the demo and return 0 once every job has ended one way or the other."""
    where = out or sys.stdout
    async with AsyncExitStack() as stack:
        casts = [await stack.enter_async_context(stage()) for stage in _stages()]
        board = _board(casts, plain=plain, out=where)
        fleet = Fleet(cast.source for cast in casts)
        with board:
            async with anyio.create_task_group() as group:
                for row in board.rows:
                    group.start_soon(_follow, fleet, row, board)
                    if row.part.cancel_after is not None:
                        group.start_soon(_cancel, fleet, row.part)
                group.start_soon(board.refresh)
        board.summary()
    return 0 if all(row.job is not None and row.job.done for row in board.rows) else 1


def _stages() -> Sequence[Callable[[], Stage]]:
    stages = [found() for name in sorted(known_names()) if (found := provider(name).demo)]
    if not stages:
        raise UsageError("no provider with a demo is installed: run it from the installed package")
    return stages


async def _follow(fleet: Fleet, row: Row, board: Board) -> None:
    try:
        async for job in fleet.watch(row.part.ref, timeout=TIME_ALLOWED):
            row.job = job
            board.changed(row)
    except JobsError as error:
        row.error = error
    finally:
        row.ended = anyio.current_time()
        board.ended(row)


async def _cancel(fleet: Fleet, part: Part) -> None:
    await anyio.sleep(part.cancel_after or 0.0)
    await fleet.act(part.ref, Action.CANCEL)


def _board(casts: Sequence[Cast], *, plain: bool, out: TextIO) -> Board:
    if plain or not out.isatty():
        return PlainBoard(casts, out)
    try:
        from common.cli.live_view import LiveBoard
    except ImportError:
        return PlainBoard(casts, out)  # without the extra "cli" the demo is lines, not a table
    return LiveBoard(casts, out)
