"""``jobsource cancel``, ``pause`` and ``resume``."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Annotated

import attrs

from common.cli.arguments.options import (
    DebugOptions,
    Output,
    Quiet,
    RefsArgument,
    SystemOptions,
    WaitOptions,
)
from common.cli.arguments.parameters import Parameter
from common.cli.arguments.refs import check_names, read_refs
from common.cli.console import complain
from common.cli.exit_status import ExitStatus, combined, status_of
from common.cli.following import Following, check_waiting, deadline_of
from common.cli.output.writer import Format, Writer, make_writer
from common.cli.running import run
from common.cli.systems import Systems
from common.cli.views.make_view import make_view
from common.cli.views.view import View
from common.concurrency import run_together
from common.model.errors import JobsError
from common.model.job import Job
from common.model.refs import JobRef
from common.model.states import Action, JobState


def cancel(
    *refs: RefsArgument,
    wait: Annotated[bool, Parameter(help="Then wait until the jobs have ended, in any state.")] = False,
    output: Output = "text",
    quiet: Quiet = False,
    waiting: WaitOptions = WaitOptions(),
    system: SystemOptions = SystemOptions(),
    debugging: DebugOptions = DebugOptions(),
) -> int:
    """Cancel jobs, and print their state afterwards.

    Cancelling takes time, so a job may still be running: use --wait to wait for the end. The exit status is
    1 if a system refused, and with --wait 0 once all jobs have ended, in any state.
    """
    act = _Act("cancel", Action.CANCEL, output, quiet, waiting, system, any_end=True)
    return act.run(refs, wait=wait, debug=debugging.debug)


def pause(
    *refs: RefsArgument,
    wait: Annotated[bool, Parameter(help="Then wait until the jobs are paused.")] = False,
    output: Output = "text",
    quiet: Quiet = False,
    waiting: WaitOptions = WaitOptions(),
    system: SystemOptions = SystemOptions(),
    debugging: DebugOptions = DebugOptions(),
) -> int:
    """Pause jobs, and print their state afterwards.

    The exit status is 1 if a system refused.
    """
    act = _Act("pause", Action.PAUSE, output, quiet, waiting, system, until=(JobState.PAUSED,))
    return act.run(refs, wait=wait, debug=debugging.debug)


def resume(
    *refs: RefsArgument,
    wait: Annotated[bool, Parameter(help="Then wait until the jobs have ended.")] = False,
    output: Output = "text",
    quiet: Quiet = False,
    waiting: WaitOptions = WaitOptions(),
    system: SystemOptions = SystemOptions(),
    debugging: DebugOptions = DebugOptions(),
) -> int:
    """Resume paused jobs, and print their state afterwards.

    The exit status is 1 if a system refused.
    """
    act = _Act("resume", Action.RESUME, output, quiet, waiting, system)
    return act.run(refs, wait=wait, debug=debugging.debug)


@attrs.frozen
class _Act:
    """One action on the jobs of a command line, and what is waited for afterwards."""

    verb: str
    action: Action
    output: Format
    quiet: bool
    waiting: WaitOptions
    system: SystemOptions
    until: Collection[JobState] = ()
    any_end: bool = False

    def run(self, names: tuple[str, ...], *, wait: bool, debug: bool) -> int:
        check_names(names, self.verb)
        check_waiting(self.waiting, wait=wait)  # what is wrong is said before anything is sent
        return run(partial(self._act, names, wait), debug=debug)

    async def _act(self, names: tuple[str, ...], wait: bool) -> ExitStatus:
        writer = make_writer(self.output)
        view = make_view(quiet=self.quiet, streams_changes=self.output == "jsonl")
        async with self.system.systems(observer=view.observe) as systems:
            # Each once, by whatever names: an action that is sent twice would be refused the second time.
            refs = list(dict.fromkeys([systems.ref(name) async for name in read_refs(names)]))
            outcomes: dict[JobRef, Job | JobsError] = {}
            await run_together([partial(self._act_on, systems, ref, outcomes) for ref in refs])
            statuses: list[ExitStatus] = []
            going_on: list[JobRef] = []
            for ref in refs:
                outcome = outcomes[ref]
                if wait and isinstance(outcome, Job):
                    going_on.append(ref)
                    continue
                statuses.append(status_of(outcome) if isinstance(outcome, JobsError) else ExitStatus.OK)
                writer.outcome(outcome)
                if isinstance(outcome, JobsError) and not self.quiet:
                    complain(outcome)
            if going_on:
                statuses.append(await self._follow(systems, going_on, view, writer))
        writer.close()
        return combined(statuses)

    async def _act_on(self, systems: Systems, ref: JobRef, outcomes: dict[JobRef, Job | JobsError]) -> None:
        try:
            outcomes[ref] = await systems.fleet.act(ref, self.action)
        except JobsError as error:
            outcomes[ref] = error

    async def _follow(self, systems: Systems, refs: list[JobRef], view: View, writer: Writer) -> ExitStatus:
        resume = ["jobsource", "wait"]
        if self.until:
            resume += ["--until", ",".join(state.value for state in self.until)]
        resume += [*([] if self.output == "text" else ["-o", self.output]), *self.system.words()]
        return await Following(
            systems,
            view,
            writer,
            deadline=deadline_of(self.waiting),
            until=self.until,
            quiet=self.quiet,
            cancel_on_interrupt=self.waiting.cancel_on_interrupt,
            resume=tuple(resume),
            any_end=self.any_end,
        ).run(map(str, refs))
