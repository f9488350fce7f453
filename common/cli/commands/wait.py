"""``jobsource wait``: block until jobs have ended."""

from __future__ import annotations

from typing import Annotated

from common.cli.arguments.options import DebugOptions, Output, Quiet, RefsArgument, SystemOptions, WaitOptions
from common.cli.arguments.parameters import Parameter
from common.cli.arguments.refs import check_names
from common.cli.arguments.states import read_states
from common.cli.exit_status import ExitStatus
from common.cli.following import Following, StopAt, deadline_of
from common.cli.output.writer import make_writer
from common.cli.running import run
from common.cli.views.make_view import make_view
from common.model.errors import UsageError


def wait(
    *refs: RefsArgument,
    any_: Annotated[bool, Parameter(names=("--any",), help="Stop when one job has ended.")] = False,
    first_failure: Annotated[bool, Parameter(help="Stop when one job has ended without success.")] = False,
    until: Annotated[
        str | None,
        Parameter(
            value="STATES", help="States that also end the wait of a job, as success, such as paused,queued."
        ),
    ] = None,
    output: Output = "text",
    quiet: Quiet = False,
    waiting: WaitOptions = WaitOptions(),
    system: SystemOptions = SystemOptions(),
    debugging: DebugOptions = DebugOptions(),
) -> int:
    """Wait until jobs have ended, and print their outcomes.

    The jobs can be of several systems. The wait continues through outages, rate limits and restarts of a
    system until the deadline. Ctrl-C stops waiting, and the jobs keep running.
    """
    check_names(refs, "wait")
    if any_ and first_failure:
        raise UsageError("--any and --first-failure cannot be combined")
    stop_at: StopAt = "any" if any_ else "first-failure" if first_failure else "all"
    states = read_states(until, "--until") if until is not None else []
    deadline = deadline_of(waiting)
    resume = ["jobsource", "wait", *([] if stop_at == "all" else [f"--{stop_at}"])]
    resume += [] if until is None else ["--until", until]
    resume += [*([] if output == "text" else ["-o", output]), *system.words()]

    async def follow() -> ExitStatus:
        writer = make_writer(output)
        view = make_view(quiet=quiet, streams_changes=output == "jsonl")
        async with system.systems(observer=view.observe) as systems:
            status = await Following(
                systems,
                view,
                writer,
                deadline=deadline,
                stop_at=stop_at,
                until=states,
                quiet=quiet,
                cancel_on_interrupt=waiting.cancel_on_interrupt,
                resume=tuple(resume),
            ).run(refs)
        writer.close()
        return status

    return run(follow, debug=debugging.debug)
