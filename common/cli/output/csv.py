"""CSV: one row a job, for spreadsheets."""

from __future__ import annotations

import csv
import sys
from datetime import datetime

from common.cli.console import printable_lines
from common.cli.output.writer import Writer
from common.model.errors import JobsError
from common.model.job import Job

COLUMNS = (
    *("ref", "id", "state", "native_state", "operation", "progress"),
    *("created_at", "started_at", "updated_at", "finished_at", "message"),
)
"""The fields of a job that have a column; one more, ``errors``, holds all errors of the job."""


class CsvWriter(Writer):
    """Writes a head and a row for each job, as RFC 4180 has it but for the end of a line."""

    def __init__(self) -> None:
        self._csv = csv.writer(sys.stdout, lineterminator="\n")
        self._has_head = False

    def outcome(self, outcome: Job | JobsError) -> None:
        """Write the row of a job."""
        if isinstance(outcome, Job):
            self._write_head()
            errors = _cell("; ".join(map(str, outcome.errors)))
            self._csv.writerow([*(_cell(getattr(outcome, name)) for name in COLUMNS), errors])
            sys.stdout.flush()

    def close(self) -> None:
        """Write the head, where there was no job."""
        self._write_head()
        sys.stdout.flush()

    def _write_head(self) -> None:
        if not self._has_head:
            self._csv.writerow((*COLUMNS, "errors"))
            self._has_head = True


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    # Some Pythons do not quote a lone carriage return, at which a spreadsheet would begin another row.
    text = "" if value is None else printable_lines(str(value).replace("\r\n", "\n").replace("\r", "\n"))
    # A spreadsheet would take such a text of a server's for a formula, and run it.
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\n")) else text
