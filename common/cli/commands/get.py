"""``jobsource get``: one look at some jobs."""

from __future__ import annotations

from common.cli.arguments.options import DebugOptions, Output, RefsArgument, SystemOptions
from common.cli.arguments.refs import check_names, read_refs
from common.cli.console import complain
from common.cli.exit_status import ExitStatus, combined, status_of
from common.cli.output.writer import Format, make_writer
from common.cli.running import run
from common.cli.systems import Systems
from common.model.errors import JobsError
from common.sources.sets.get_all import get_all


def get(
    *refs: RefsArgument,
    output: Output = "text",
    system: SystemOptions = SystemOptions(),
    debugging: DebugOptions = DebugOptions(),
) -> int:
    """Print jobs with every error and warning.

    On ONTAP, one request reads many jobs. The exit status is 1 if a job has failed, and 0 if all have
    succeeded or are still running.
    """
    check_names(refs, "get")
    return run(lambda: _get(refs, output, system.systems()), debug=debugging.debug)


async def _get(names: tuple[str, ...], output: Format, systems: Systems) -> ExitStatus:
    writer = make_writer(output)
    async with systems:
        refs = list(dict.fromkeys([systems.ref(name) async for name in read_refs(names)]))
        outcomes = await get_all(systems.fleet, refs) if refs else []
    for outcome in outcomes:
        writer.outcome(outcome)
        if isinstance(outcome, JobsError):
            complain(outcome)
    writer.close()
    return combined(map(status_of, outcomes))
