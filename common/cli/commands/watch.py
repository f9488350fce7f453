"""``jobsource watch``: every change of jobs, until they have ended."""

from __future__ import annotations

import sys

from common.cli.arguments.options import (
    DebugOptions,
    Output,
    Quiet,
    RefsArgument,
    SystemOptions,
    WaitOptions,
)
from common.cli.arguments.refs import check_names
from common.cli.console import is_terminal
from common.cli.exit_status import ExitStatus
from common.cli.following import Following, deadline_of
from common.cli.output.writer import make_writer
from common.cli.running import run
from common.cli.views.make_view import make_view


def watch(
    *refs: RefsArgument,
    output: Output = "text",
    quiet: Quiet = False,
    waiting: WaitOptions = WaitOptions(),
    system: SystemOptions = SystemOptions(),
    debugging: DebugOptions = DebugOptions(),
) -> int:
    """Show every change of jobs until they end: as a live table on a terminal, else as lines.

    In a pipe, each change is a line on standard output. The exit status is that of wait.
    """
    check_names(refs, "watch")
    deadline = deadline_of(waiting)
    streams = output == "jsonl" or (output == "text" and not is_terminal(sys.stdout))
    resume = ("jobsource", "watch", *([] if output == "text" else ["-o", output]), *system.words())

    async def follow() -> ExitStatus:
        writer = make_writer(output, changes=streams)
        view = make_view(quiet=quiet, streams_changes=streams)
        async with system.systems(observer=view.observe) as systems:
            status = await Following(
                systems,
                view,
                writer,
                deadline=deadline,
                quiet=quiet,
                cancel_on_interrupt=waiting.cancel_on_interrupt,
                resume=resume,
            ).run(refs)
        writer.close()
        return status

    return run(follow, debug=debugging.debug)
