"""Text: one line a job, and its errors and warnings indented below it."""

from __future__ import annotations

from common.cli.console import printable, write_line
from common.cli.output.writer import Writer
from common.model.errors import JobsError
from common.model.job import Job


class TextWriter(Writer):
    """Writes ``ref STATE progress: message``. How else a wait ended is left to standard error."""

    def __init__(self, *, details: bool = True) -> None:
        self._details = details

    def change(self, job: Job) -> None:
        """Write the line of a job that goes on, where changes are asked for."""
        if self.changes:
            write_line(printable(str(job)))

    def outcome(self, outcome: Job | JobsError) -> None:
        """Write the line of a job, and every error and warning that it has."""
        if isinstance(outcome, Job):
            lines = [printable(str(outcome))]
            if self._details:
                lines += [f"  {line}" for line in details(outcome)]
            write_line("\n".join(lines))


def details(job: Job) -> list[str]:
    """Return a line for each error and warning of a job."""
    lines = [f"error: {printable(str(error))}" for error in job.errors]
    return lines + [f"warning: {printable(warning)}" for warning in job.warnings]
