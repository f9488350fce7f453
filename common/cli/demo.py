"""``jobsource demo``: a dozen jobs on three simulated systems, with faults, and how each wait ends."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack

import anyio
import anyio.abc
import attrs

from common.cli.console import printable, write_line
from common.cli.exit_status import ExitStatus
from common.cli.scenario import DemoJob, DemoSystem, Scenario
from common.cli.views.row import Row
from common.cli.views.view import View
from common.config.fleet import Fleet
from common.model.errors import UsageError
from common.model.job import Job
from common.providers import get_provider, provider_names
from common.simulator.faults import Reset, RetryAfter
from common.sources.sets.job_set import JobSet

TIME_ALLOWED = 15.0
"""Seconds for one wait; the longest job takes about nine."""
RETRY_AFTER = 2
"""Seconds that the busy system asks to wait for."""
RESTART_AT, RESTART_TAKES = 5.5, 1.0
"""Seconds: when the waiting process is restarted, and for how long nobody waits then."""


async def run_demo(view: View, *, calm: bool = False) -> ExitStatus:
    """Run the demo for about ten seconds, and return OK if every wait has ended, whatever its outcome."""
    view.say("Simulated systems run on this machine; no other system is contacted.")
    async with AsyncExitStack() as stack:
        systems = [await stack.enter_async_context(scenario()) for scenario in _scenarios()]
        demo = Demo(systems, view)
        with view:
            await (demo.run_calmly() if calm else demo.run())
    demo.summary()
    return ExitStatus.OK if all(row.ended_at is not None for row in view.rows.values()) else ExitStatus.FAILED


@attrs.define(eq=False)
class Demo:
    """The systems, the jobs, and what is shown of them."""

    systems: Sequence[DemoSystem]
    view: View
    fleet: Fleet = attrs.field(init=False)
    _started_at: float = attrs.field(factory=anyio.current_time, init=False)

    def __attrs_post_init__(self) -> None:
        names = ", ".join(get_provider(system.connect().provider).title for system in self.systems)
        self.view.say(f"{len(self._jobs)} jobs run on {names}; one fleet waits for all of them.")
        for job in self._jobs:
            self.view.add(job.ref, job.title)

    @property
    def _jobs(self) -> list[DemoJob]:
        return [job for system in self.systems for job in system.jobs]

    async def run_calmly(self) -> None:
        """Wait for all jobs, of which one is cancelled."""
        async with self._connected() as self.fleet, anyio.create_task_group() as group:
            group.start_soon(self.view.refresh)
            self._start_cancellations(group)
            async with JobSet(self.fleet, self._refs, changes=True, timeout=TIME_ALLOWED) as jobs:
                jobs.close()
                await self._take(jobs)
            group.cancel_scope.cancel()

    async def run(self) -> None:
        """Wait for all jobs, while systems and connections fail, and across a restart of what waits."""
        async with anyio.create_task_group() as group:
            group.start_soon(self.view.refresh)
            group.start_soon(self._trouble)
            self._start_cancellations(group)
            async with (
                self._connected() as self.fleet,
                JobSet(self.fleet, self._refs, changes=True, timeout=TIME_ALLOWED) as jobs,
            ):
                with anyio.move_on_at(self._started_at + RESTART_AT):
                    await self._take(jobs)
                stored = json.dumps(jobs.checkpoint())
            self._say(f"the waiting process is restarted, with a checkpoint of {len(stored)} bytes")
            await anyio.sleep(RESTART_TAKES)
            async with (
                self._connected() as self.fleet,
                JobSet(self.fleet, changes=True, checkpoint=json.loads(stored)) as jobs,
            ):
                self._say(f"it goes on with the {len(jobs)} unfinished waits")
                await self._take(jobs)
            group.cancel_scope.cancel()

    def summary(self) -> None:
        """Write how many jobs ended in which state, each error and warning, and what to do next."""
        rows = self.view.rows.values()
        counts = Counter(row.state for row in rows)
        ends = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
        seconds = anyio.current_time() - self._started_at
        write_line(f"{len(rows)} jobs on {len(self.systems)} systems in {seconds:.1f} s: {ends}.")
        for row in rows:
            for detail in _details(row):
                write_line(f"  {row.title}: {printable(detail)}")
        write_line('next: serve a simulated system for your own code with "jobsource simulate ontap"')

    @property
    def _refs(self) -> list[str]:
        return [str(job.ref) for job in self._jobs]

    def _connected(self) -> Fleet:
        return Fleet([system.connect() for system in self.systems], observer=self.view.observe)

    def _say(self, text: str) -> None:
        self.view.say(f"{anyio.current_time() - self._started_at:5.1f} s  >> {text}")

    async def _take(self, jobs: JobSet) -> None:
        waiting = {ref for ref, row in self.view.rows.items() if row.ended_at is None}
        while waiting:
            outcome = await anext(jobs)
            if isinstance(outcome, Job) and not outcome.done:
                self.view.change(outcome)
            elif outcome.ref is not None:
                self.view.outcome(outcome.ref, outcome)
                waiting.discard(outcome.ref)

    async def _trouble(self) -> None:
        """Inject the faults that occur in production, one after another."""
        busy, cut = self.systems[1], self.systems[0]
        await anyio.sleep(1.2)
        self._say(f"{_name(busy)} answers 503, Retry-After: {RETRY_AFTER}; it gets no requests for this time")
        busy.simulator.inject(None, RetryAfter(RETRY_AFTER, status=503))
        await anyio.sleep(1.3)
        self._say(f"{_name(cut)} resets the next two connections; its jobs are polled again")
        cut.simulator.inject(None, Reset(), times=2)
        for system in self.systems:
            for job in system.jobs:
                if job.forget_after is not None:
                    await anyio.sleep_until(self._started_at + job.forget_after)
                    self._say(f'{_name(system)} forgets "{job.title}"; its outcome is reported as unknown')
                    system.simulator.jobs.pop(job.ref.id, None)

    def _start_cancellations(self, group: anyio.abc.TaskGroup) -> None:
        for job in self._jobs:
            if job.cancel_after is not None:
                group.start_soon(self._cancel, job, job.cancel_after)

    async def _cancel(self, job: DemoJob, after: float) -> None:
        await anyio.sleep(after)
        self._say(f'"{job.title}" is cancelled')
        await self.fleet.cancel(job.ref)


def _name(system: DemoSystem) -> str:
    return system.connect().provider


def _details(row: Row) -> list[str]:
    details = [str(row.error)] if row.error else []
    if row.job is not None and row.error is None:
        details += map(str, row.job.errors)
        details += [f"warning: {warning}" for warning in row.job.warnings]
    return details


def _scenarios() -> Sequence[Callable[[], Scenario]]:
    providers = map(get_provider, sorted(provider_names()))
    scenarios = [provider.demo() for provider in providers if provider.demo]
    if not scenarios:
        raise UsageError("no provider with a demo is installed: run it from the installed package")
    return scenarios
