"""``jobsource demo``: every provider's simulator on a real socket, and one `Fleet` waiting for all jobs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import TextIO

import anyio

from common.cli.plain_view import PlainView, ProgressView, Row
from common.cli.scenario import DemoJob, DemoSystem, Scenario
from common.config.fleet import Fleet
from common.model.errors import JobsError, UsageError
from common.model.states import Action
from common.providers import get_provider, provider_names

TIME_ALLOWED = 18.0
"""Seconds for one wait; the longest job takes about eight."""


async def run_demo(plain: bool = False, out: TextIO | None = None) -> int:
    """Run the demo and return 0 once every job has ended one way or the other."""
    where = out or sys.stdout
    async with AsyncExitStack() as stack:
        systems = [await stack.enter_async_context(scenario()) for scenario in _scenarios()]
        view = _view(systems, plain=plain, out=where)
        fleet = Fleet(system.source for system in systems)
        with view:
            async with anyio.create_task_group() as group:
                for row in view.rows:
                    group.start_soon(_follow, fleet, row, view)
                    if row.demo_job.cancel_after is not None:
                        group.start_soon(_cancel, fleet, row.demo_job)
                group.start_soon(view.refresh)
        view.summary()
    return 0 if all(row.job is not None and row.job.done for row in view.rows) else 1


def _scenarios() -> Sequence[Callable[[], Scenario]]:
    providers = map(get_provider, sorted(provider_names()))
    scenarios = [provider.demo() for provider in providers if provider.demo]
    if not scenarios:
        raise UsageError("no provider with a demo is installed: run it from the installed package")
    return scenarios


async def _follow(fleet: Fleet, row: Row, view: ProgressView) -> None:
    try:
        async for job in fleet.watch(row.demo_job.ref, timeout=TIME_ALLOWED):
            row.job = job
            view.changed(row)
    except JobsError as error:
        row.error = error
    finally:
        row.ended_at = anyio.current_time()
        view.ended(row)


async def _cancel(fleet: Fleet, job: DemoJob) -> None:
    await anyio.sleep(job.cancel_after or 0.0)
    await fleet.act(job.ref, Action.CANCEL)


def _view(systems: Sequence[DemoSystem], *, plain: bool, out: TextIO) -> ProgressView:
    if plain or not out.isatty():
        return PlainView(systems, out)
    try:
        from common.cli.live_view import LiveView
    except ImportError:
        return PlainView(systems, out)  # without the extra "cli" the demo is lines, not a table
    return LiveView(systems, out)
