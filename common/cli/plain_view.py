"""What the demo shows of its jobs, as plain lines: the form for a log, a pipe, or a terminal without rich."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self, TextIO

import anyio
import attrs

from common.cli.scenario import Cast, Part
from common.model.errors import JobsError
from common.model.job import Job


@attrs.define(eq=False)
class Row:
    """One job on the board. Times are the loop's."""

    part: Part
    began: float
    job: Job | None = None
    error: JobsError | None = None
    ended: float | None = None

    def elapsed(self) -> float:
        """Seconds since the wait began, until it ended."""
        return (anyio.current_time() if self.ended is None else self.ended) - self.began

    @property
    def state(self) -> str:
        """The state's name, "…" before the first observation."""
        return self.job.state.name if self.job else "…"

    @property
    def message(self) -> str:
        """What there is to say, errors first."""
        if self.error:
            return str(self.error)
        if self.job is None:
            return ""
        if self.job.errors:
            return "; ".join(error.message for error in self.job.errors)
        return "; ".join(self.job.warnings) or self.job.message or ""


class Board:
    """Rows of jobs; a subclass shows them."""

    def __init__(self, casts: Sequence[Cast], out: TextIO) -> None:
        now = anyio.current_time()
        self.casts = casts
        self.out = out
        self.began = now
        self.rows: list[Row] = [Row(part, now) for cast in casts for part in cast.parts]

    def changed(self, row: Row) -> None:
        """A job was observed for the first time, or differs from before."""

    def ended(self, row: Row) -> None:
        """The wait for a job ended."""

    async def refresh(self) -> None:
        """Keep elapsed times going until every row has ended."""

    def summary(self) -> None:
        """Say how it all ended."""
        counts: dict[str, int] = {}
        for row in self.rows:
            counts[row.state] = counts.get(row.state, 0) + 1
        ends = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
        seconds = anyio.current_time() - self.began
        self.line(f"{len(self.rows)} jobs on {len(self.casts)} systems in {seconds:.1f} s: {ends}.")
        for row in self.rows:
            details = [str(error) for error in row.job.errors] if row.job else []
            details += [f"warning: {warning}" for warning in row.job.warnings] if row.job else []
            if row.error:
                details.append(str(row.error))
            for detail in details:
                self.line(f"  {row.part.title}: {detail}")

    def line(self, text: str) -> None:
        """Write one line."""
        self.out.write(f"{text}\n")
        self.out.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class PlainBoard(Board):
    """One line for each change."""

    def __enter__(self) -> Self:
        for cast in self.casts:
            self.line(f"{cast.source.provider}: a simulator at {cast.url} runs {len(cast.parts)} jobs")
        return self

    def changed(self, row: Row) -> None:
        """Print the change."""
        done = f"{row.job.progress:.0%}" if row.job and row.job.progress is not None else ""
        self._row(row, f"{row.state:<10}{done:>5}  {row.message}")

    def ended(self, row: Row) -> None:
        """Print what went wrong with the wait itself."""
        if row.error:
            self._row(row, str(row.error))

    def _row(self, row: Row, text: str) -> None:
        name = f"{row.part.ref.provider:<7}{row.part.title:<22}"
        self.line(f"{row.elapsed():5.1f} s  {name}{text}".rstrip())
