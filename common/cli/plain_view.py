"""Show the progress of the demo's jobs as plain lines: for a log, a pipe, or a terminal without rich."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self, TextIO

import anyio
import attrs

from common.cli.scenario import DemoJob, DemoSystem
from common.model.errors import JobsError
from common.model.job import Job


@attrs.define(eq=False)
class Row:
    """One job and its last observation. Times are the event loop's, in seconds."""

    demo_job: DemoJob
    started_at: float
    job: Job | None = None
    error: JobsError | None = None
    ended_at: float | None = None

    def elapsed(self) -> float:
        """Return the seconds since the wait began, up to its end."""
        return (anyio.current_time() if self.ended_at is None else self.ended_at) - self.started_at

    @property
    def state(self) -> str:
        """The name of the job's state, "…" before the first observation."""
        return self.job.state.name if self.job else "…"

    @property
    def message(self) -> str:
        """The error of the wait, else the job's errors, its warnings or its message."""
        if self.error:
            return str(self.error)
        if self.job is None:
            return ""
        if self.job.errors:
            return "; ".join(error.message for error in self.job.errors)
        return "; ".join(self.job.warnings) or self.job.message or ""


class ProgressView:
    """One row for each job, and a summary at the end; a subclass shows the rows."""

    def __init__(self, systems: Sequence[DemoSystem], out: TextIO) -> None:
        now = anyio.current_time()
        self.systems = systems
        self.out = out
        self.started_at = now
        self.rows: list[Row] = [Row(job, now) for system in systems for job in system.jobs]

    def changed(self, row: Row) -> None:
        """Show the first observation of a job, or a change."""

    def ended(self, row: Row) -> None:
        """Show that the wait for a job has ended."""

    async def refresh(self) -> None:
        """Keep the elapsed times up to date until every row has ended."""

    def summary(self) -> None:
        """Write how many jobs ended in which state, and each error and warning."""
        counts: dict[str, int] = {}
        for row in self.rows:
            counts[row.state] = counts.get(row.state, 0) + 1
        ends = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
        seconds = anyio.current_time() - self.started_at
        self.line(f"{len(self.rows)} jobs on {len(self.systems)} systems in {seconds:.1f} s: {ends}.")
        for row in self.rows:
            details = [str(error) for error in row.job.errors] if row.job else []
            details += [f"warning: {warning}" for warning in row.job.warnings] if row.job else []
            if row.error:
                details.append(str(row.error))
            for detail in details:
                self.line(f"  {row.demo_job.title}: {detail}")

    def line(self, text: str) -> None:
        """Write one line of text."""
        self.out.write(f"{text}\n")
        self.out.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class PlainView(ProgressView):
    """One line for each change."""

    def __enter__(self) -> Self:
        for system in self.systems:
            self.line(f"{system.source.provider}: a simulator at {system.url} runs {len(system.jobs)} jobs")
        return self

    def changed(self, row: Row) -> None:
        """Write the job's state, progress and message."""
        progress = f"{row.job.progress:.0%}" if row.job and row.job.progress is not None else ""
        self._row(row, f"{row.state:<10}{progress:>5}  {row.message}")

    def ended(self, row: Row) -> None:
        """Write the error of the wait itself, if there is one."""
        if row.error:
            self._row(row, str(row.error))

    def _row(self, row: Row, text: str) -> None:
        name = f"{row.demo_job.ref.provider:<7}{row.demo_job.title:<22}"
        self.line(f"{row.elapsed():5.1f} s  {name}{text}".rstrip())
