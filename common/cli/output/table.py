"""A table: drawn by rich at a terminal's width, and with every cell whole in a pipe."""

from __future__ import annotations

import sys

from rich.text import Text

from common.cli.output.writer import Writer
from common.cli.rich_console import PipeConsole
from common.cli.views.job_table import job_table
from common.cli.views.row import Row
from common.model.errors import JobsError
from common.model.job import Job

WHOLE = 10_000
"""Characters in a line where no terminal limits it."""


class TableWriter(Writer):
    """Writes, at the end, one table of all jobs."""

    def __init__(self) -> None:
        self._rows: list[Row] = []

    def outcome(self, outcome: Job | JobsError) -> None:
        """Keep an outcome."""
        if isinstance(outcome, Job):
            self._rows.append(Row(outcome.ref, job=outcome))
        elif outcome.ref is not None:
            self._rows.append(Row(outcome.ref, job=outcome.job, error=outcome))

    def close(self) -> None:
        """Draw the table."""
        terminal = sys.stdout.isatty()
        console = PipeConsole(file=sys.stdout, highlight=False, width=None if terminal else WHOLE)
        if self._rows:
            console.print(job_table(self._rows, console.width, live=False, whole=not terminal))
        else:
            console.print(Text("no jobs"), style="dim")
        sys.stdout.flush()
