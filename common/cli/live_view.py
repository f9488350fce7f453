"""Show the progress of the demo's jobs at a terminal: a live table with one row a job, drawn by rich."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self, TextIO

import anyio
from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from common.cli.plain_view import ProgressView, Row
from common.cli.scenario import DemoSystem
from common.model.states import JobState

REFRESH = 0.1
"""Seconds between two updates of the table."""

STYLES = {
    JobState.QUEUED: "dim",
    JobState.RUNNING: "cyan",
    JobState.PAUSED: "yellow",
    JobState.SUCCEEDED: "green",
    JobState.PARTIAL: "yellow",
    JobState.FAILED: "red",
    JobState.CANCELLED: "magenta",
    JobState.UNKNOWN: "magenta",
}


class LiveView(ProgressView):
    """A table that is updated every `REFRESH` seconds."""

    def __init__(self, systems: Sequence[DemoSystem], out: TextIO) -> None:
        super().__init__(systems, out)
        self._console = Console(file=out)
        self._live = Live(console=self._console, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.update(self._table(), refresh=True)
        self._live.__exit__(kind, error, trace)

    async def refresh(self) -> None:
        """Update the table until every row has ended."""
        while any(row.ended_at is None for row in self.rows):
            self._live.update(self._table(), refresh=True)
            await anyio.sleep(REFRESH)

    def _table(self) -> Table:
        table = Table(expand=True, header_style="bold")
        table.add_column("system", no_wrap=True)
        table.add_column("job", no_wrap=True)
        table.add_column("state", no_wrap=True)
        table.add_column("progress", width=14, no_wrap=True)
        table.add_column("time", justify="right", no_wrap=True)
        table.add_column("message", ratio=1, no_wrap=True, overflow="ellipsis")
        for row in self.rows:
            style = STYLES[row.job.state] if row.job else "dim"
            table.add_row(
                row.demo_job.ref.provider,
                row.demo_job.title,
                Text(row.state, style=style),
                self._bar(row),
                f"{row.elapsed():.1f} s",
                Text(row.message),
            )
        return table

    def _bar(self, row: Row) -> ProgressBar:
        if row.job is not None and row.job.done:
            # A full bar shows that the job has ended; the colour shows in which state.
            return ProgressBar(total=1.0, completed=1.0, finished_style=STYLES[row.job.state])
        if row.job is not None and row.job.progress is not None:
            return ProgressBar(total=1.0, completed=row.job.progress)
        return ProgressBar(total=1.0, pulse=True, animation_time=anyio.current_time())
