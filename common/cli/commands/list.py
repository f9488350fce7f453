"""``jobsource list``: the jobs of one system, once or again and again."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

import anyio

from common.cli.arguments.durations import read_duration
from common.cli.arguments.options import DebugOptions, Quiet, SystemOptions, TargetArgument
from common.cli.arguments.parameters import Parameter
from common.cli.arguments.states import read_states
from common.cli.console import complain, is_terminal
from common.cli.exit_status import ExitStatus
from common.cli.listing import read_filters, select
from common.cli.output.text import TextWriter
from common.cli.output.writer import Format, Writer, make_writer
from common.cli.running import run
from common.cli.views.make_view import make_view
from common.cli.views.view import View
from common.model.errors import SourceError, UsageError
from common.model.job import Job
from common.model.refs import JobRef
from common.model.states import JobState
from common.sources.base import BaseSource

STREAMS: tuple[Format, ...] = ("text", "jsonl")
"""The formats that ``--watch`` can write."""
StateOption = Annotated[
    str | None,
    Parameter(names=("--state",), value="STATES", help="Only jobs in these states, such as running,queued."),
]
FilterOption = Annotated[
    tuple[str, ...],
    Parameter(
        names=("--filter",),
        value="KEY=VALUE",
        help="A filter of the system's job list as key=value, such as svm_name=vs1; can be repeated.",
    ),
]


def list_jobs(
    target: TargetArgument = None,
    /,
    *,
    state: StateOption = None,
    filter_: FilterOption = (),
    limit: Annotated[int | None, Parameter(value="N", help="The maximum number of jobs.")] = None,
    watch: Annotated[bool, Parameter(help="Repeat, and print the changes.")] = False,
    interval: Annotated[
        str, Parameter(value="DURATION", help="The time between two requests of --watch.")
    ] = "5s",
    output: Annotated[
        Format,
        Parameter(
            names=("--output", "-o"), value="FORMAT", group="Output", help="The format on standard output."
        ),
    ] = "text",
    quiet: Quiet = False,
    system: SystemOptions = SystemOptions(),
    debugging: DebugOptions = DebugOptions(),
) -> int:
    """List the jobs of one system, one per line.

    The output can be piped into wait, watch and get. The exit status is 0 whatever the jobs' states are.
    """
    states = read_states(state, "--state") if state is not None else []
    filters = read_filters(filter_)
    seconds = read_duration(interval, "--interval")
    if limit is not None and limit < 1:
        raise UsageError("--limit must be 1 or more")
    if watch and output not in STREAMS:
        raise UsageError(f"--watch writes {' or '.join(STREAMS)}, not {output}")

    async def once() -> ExitStatus:
        writer = TextWriter(details=False) if output == "text" else make_writer(output)
        async with system.systems(target) as systems:
            async for job in _limited(systems.default(), states, filters, limit):
                writer.outcome(job)
        writer.close()
        return ExitStatus.OK

    async def again_and_again() -> ExitStatus:
        live = output == "text" and is_terminal(sys.stdout)
        lines = TextWriter(details=False) if output == "text" else make_writer(output)
        lines.changes = True
        writer = Writer() if live else lines
        view = make_view(quiet=quiet, streams_changes=not live)
        async with system.systems(target) as systems:
            source = systems.default()
            with view:
                async with anyio.create_task_group() as group:
                    group.start_soon(view.refresh)
                    while True:
                        await _look(source, states, filters, limit, view, writer, quiet=quiet)
                        await anyio.sleep(max(0.1, seconds))
        return ExitStatus.OK  # never: a signal ends it

    return run(again_and_again if watch else once, debug=debugging.debug)


async def _limited(
    source: BaseSource, states: Sequence[JobState], filters: dict[str, Any], limit: int | None
) -> AsyncIterator[Job]:
    number = 0
    async for job in select(source, states, filters):
        yield job
        number += 1
        if number == limit:
            return


async def _look(
    source: BaseSource,
    states: Sequence[JobState],
    filters: dict[str, Any],
    limit: int | None,
    view: View,
    writer: Writer,
    *,
    quiet: bool,
) -> None:
    """Read the list once, and show what has changed. A transient error is reported, but not raised."""
    try:
        jobs: dict[JobRef, Job] = {job.ref: job async for job in _limited(source, states, filters, limit)}
    except SourceError as error:
        if not error.transient:
            raise
        if not quiet:
            complain(error)
        return
    for ref in [ref for ref in view.rows if ref not in jobs]:
        del view.rows[ref]
    for ref, job in jobs.items():
        known = view.rows[ref].job if ref in view.rows else None
        if known is None:
            view.add(ref)
        if known is None or job.differs(known):
            if job.done:
                view.outcome(ref, job)
                writer.outcome(job)
            else:
                view.change(job)
                writer.change(job)
