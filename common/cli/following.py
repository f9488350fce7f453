"""Wait for the jobs that a command names, however many and of whatever systems: one set, one deadline."""

from __future__ import annotations

import math
import shlex
import sys
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Literal

import anyio
import attrs

from common.cli.arguments.durations import read_deadline, read_duration
from common.cli.arguments.options import WaitOptions
from common.cli.arguments.parameters import STDIN
from common.cli.arguments.refs import named_in, read_lines
from common.cli.console import complain, is_terminal, note, reader_is_gone
from common.cli.exit_status import ExitStatus, combined, status_of
from common.cli.output.writer import Writer
from common.cli.systems import Systems
from common.cli.views.view import View
from common.concurrency import run_together
from common.model.errors import JobsError, UnexpectedState, Unsupported, UsageError
from common.model.failure_text import state_words
from common.model.job import Job
from common.model.refs import JobRef
from common.model.states import Capability, JobState
from common.sources.sets.job_set import JobSet

CANCEL_TIMEOUT = 10.0
"""Seconds in which the systems must have taken the cancellations of ``--cancel-on-interrupt``."""
StopAt = Literal["all", "any", "first-failure"]


@attrs.define(eq=False)
class Following:
    """Waits for the jobs of one command, and tells a view and a writer of every change.

    ``until`` are states that end the wait for a job, as a success; if it has some, other ends are failures.
    ``resume`` is the command line that goes on with the wait, without the jobs and the deadline.
    """

    systems: Systems
    view: View
    writer: Writer
    deadline: datetime | None = None
    stop_at: StopAt = "all"
    until: Collection[JobState] = ()
    quiet: bool = False
    cancel_on_interrupt: bool = False
    resume: tuple[str, ...] = ("jobsource", "wait")
    any_end: bool = False
    """Whether each end of a job is a success, as after a cancel."""
    _ends_at: float = attrs.field(default=math.inf, init=False)
    _waiting: dict[JobRef, None] = attrs.field(factory=dict[JobRef, None], init=False)
    _statuses: list[ExitStatus] = attrs.field(factory=list[ExitStatus], init=False)
    _unwritten: list[Job | JobsError] = attrs.field(factory=list[Job | JobsError], init=False)

    async def run(self, names: Iterable[str], *, jobs: Iterable[Job] = ()) -> ExitStatus:
        """Wait for these jobs, and return the status of all. ``jobs`` are some that were seen before."""
        if self.deadline is not None:
            left = (self.deadline - datetime.now(UTC)).total_seconds()
            self._ends_at = anyio.current_time() + max(0.0, left)
        names = tuple(names)
        # All arguments are read before any request, so that an error in one of them comes first. Lines of
        # standard input are read while jobs are waited for.
        first = [self._ref(name) for name in names if name != STDIN]
        try:
            with self.view:
                async with anyio.create_task_group() as group:
                    group.start_soon(self.view.refresh)
                    await self._wait([*jobs, *first], reads=STDIN in names)
                    group.cancel_scope.cancel()
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await self._interrupted()
            raise
        finally:
            self._write_outcomes()
        return combined(self._statuses)

    async def _wait(self, first: list[JobRef | Job], *, reads: bool) -> None:
        refs = self._refs_of_stdin() if reads else None
        if not first and refs is not None and (ref := await anext(refs, None)) is not None:
            first = [ref]
        if not first:
            return
        async with JobSet(self.systems.fleet, changes=True) as jobs, anyio.create_task_group() as group:
            for job in first:
                self._add(jobs, job)
            if refs is None:
                jobs.close()
            else:
                group.start_soon(self._add_all, jobs, refs)
            async for outcome in jobs:
                if self._take(jobs, outcome):
                    break
            group.cancel_scope.cancel()

    async def _add_all(self, jobs: JobSet, refs: AsyncIterator[JobRef]) -> None:
        with anyio.move_on_at(self._ends_at) as scope:
            async for ref in refs:
                self._add(jobs, ref)
        if scope.cancelled_caught:
            complain("the deadline has passed, and standard input is still open")
            self._statuses.append(ExitStatus.DEADLINE)
        jobs.close()

    async def _refs_of_stdin(self) -> AsyncIterator[JobRef]:
        """Yield the jobs that standard input names. A line that is wrong is reported, and does not end it.

        An error that many lines have, such as all jobs of a system without credentials, is reported once.
        """
        number = 0
        problems: Counter[str] = Counter()
        async for line in read_lines():
            number += 1
            try:
                text = named_in(line)
                ref = self._ref(text) if text else None
            except JobsError as error:
                problems[str(error)] += 1
                if problems[str(error)] == 1:
                    complain(f"standard input, line {number}: {error}")
                self._statuses.append(status_of(error))
                continue
            if ref is not None:
                yield ref
        repeated = problems.total() - len(problems)
        if repeated:
            complain(f"standard input: {repeated} more lines have the same error")

    def _ref(self, name: str) -> JobRef:
        ref = self.systems.ref(name)
        source = self.systems.fleet.of(ref)
        if self.cancel_on_interrupt and Capability.CANCEL not in source.capabilities:
            raise Unsupported(f"--cancel-on-interrupt: {source.provider} jobs cannot be cancelled")
        return ref

    def _add(self, jobs: JobSet, job: JobRef | Job) -> None:
        ref = job.ref if isinstance(job, Job) else job
        if ref in self.view.rows:
            return
        self.view.add(ref)
        self._waiting[ref] = None
        jobs.add(job, deadline=self.deadline)

    def _take(self, jobs: JobSet, outcome: Job | JobsError) -> bool:
        """Take what came of a job. Return whether nothing else is waited for."""
        ref = outcome.ref
        if ref is None or ref not in self._waiting:
            return False  # it was waited for until a state that it had before
        reached = isinstance(outcome, Job) and outcome.state in self.until
        if isinstance(outcome, Job) and not outcome.done:
            if not reached:
                self.view.change(outcome)
                self.writer.change(outcome)
                return False
            jobs.discard(ref)
        del self._waiting[ref]
        self.view.outcome(ref, outcome)
        self._unwritten.append(outcome)
        if not (self.view.live and is_terminal(sys.stdout)):
            self._write_outcomes()
        status = status_of(outcome)
        if reached or (self.any_end and isinstance(outcome, Job)):
            status = ExitStatus.OK
        elif self.until and isinstance(outcome, Job):
            status = ExitStatus.FAILED
            if not self.quiet:
                complain(_other_state(outcome, self.until))
        self._statuses.append(status)
        return self.stop_at == "any" or (self.stop_at == "first-failure" and status is not ExitStatus.OK)

    def _write_outcomes(self) -> None:
        """Write the outcomes that were held back, since a live table must not be written over."""
        outcomes, self._unwritten = self._unwritten, []
        for outcome in outcomes:
            self.writer.outcome(outcome)
            if isinstance(outcome, JobsError) and not self.quiet:
                complain(outcome)

    async def _interrupted(self) -> None:
        """Say how to go on, or cancel the jobs where that was asked for."""
        if not self._waiting or reader_is_gone():
            return
        if self.cancel_on_interrupt:
            with anyio.move_on_after(CANCEL_TIMEOUT) as scope:
                await run_together([partial(self._cancel, ref) for ref in self._waiting])
            if scope.cancelled_caught:
                complain("some cancellations were not answered in time: check these jobs")
            return
        if self.quiet:
            return
        words = [*self.resume, *map(str, self._waiting)]
        if self.deadline is not None:
            words += ["--deadline", self.deadline.isoformat(timespec="seconds")]
        note("the jobs keep running; to resume waiting:")
        note(f"  {shlex.join(words)}")

    async def _cancel(self, ref: JobRef) -> None:
        try:
            job = await self.systems.fleet.cancel(ref)
        except JobsError as error:
            complain(error)
        else:
            if not self.quiet:
                note(f"cancelled: {job}")


def _other_state(job: Job, until: Collection[JobState]) -> UnexpectedState:
    wanted = " or ".join(sorted(state.name for state in until))
    return UnexpectedState(f"{job.ref}: ended as {state_words(job)}, not {wanted}", ref=job.ref, job=job)


def check_waiting(options: WaitOptions, *, wait: bool) -> None:
    """Raise `UsageError` for options of a wait that are wrong, or are given without ``--wait``."""
    deadline_of(options)
    if options != WaitOptions() and not wait:
        raise UsageError("--timeout, --deadline and --cancel-on-interrupt need --wait")


def deadline_of(options: WaitOptions) -> datetime | None:
    """Return when the waiting ends, None for no deadline. Raise `UsageError`."""
    if options.timeout is not None and options.deadline is not None:
        raise UsageError("--timeout and --deadline cannot be combined")
    if options.deadline is not None:
        return read_deadline(options.deadline)
    if options.timeout is None:
        return None
    try:
        return datetime.now(UTC) + timedelta(seconds=read_duration(options.timeout))
    except OverflowError:
        raise UsageError("--timeout is too long") from None
