"""``jobsource count``: how many jobs match."""

from __future__ import annotations

from common.cli.arguments.options import DebugOptions, SystemOptions, TargetArgument
from common.cli.arguments.states import read_states
from common.cli.commands.list import FilterOption, StateOption
from common.cli.console import write_line
from common.cli.exit_status import ExitStatus
from common.cli.listing import count as count_jobs
from common.cli.listing import read_filters
from common.cli.running import run


def count(
    target: TargetArgument = None,
    /,
    *,
    state: StateOption = None,
    filter_: FilterOption = (),
    system: SystemOptions = SystemOptions(),
    debugging: DebugOptions = DebugOptions(),
) -> int:
    """Print how many jobs match, without reading them if the system can count."""
    states = read_states(state, "--state") if state is not None else []
    filters = read_filters(filter_)

    async def counting() -> ExitStatus:
        async with system.systems(target) as systems:
            number = await count_jobs(systems.default(), states, filters)
        write_line(str(number))
        return ExitStatus.OK

    return run(counting, debug=debugging.debug)
