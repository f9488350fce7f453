"""What every format of the output implements, and which one a name stands for."""

from __future__ import annotations

import pkgutil
from typing import Literal

from common.model.errors import JobsError
from common.model.job import Job

Format = Literal["text", "table", "json", "jsonl", "csv"]
JobFormat = Literal["text", "table", "json", "jsonl"]

_PACKAGE = __name__.rpartition(".")[0]


class Writer:
    """Writes jobs to standard output. Every method may raise `BrokenPipeError`."""

    changes: bool = False
    """Whether each change is data too, and not only how a job ended; for formats that leave it open."""

    def change(self, job: Job) -> None:
        """Write the first observation of a job, or a change; for formats that are made to be followed."""

    def outcome(self, outcome: Job | JobsError) -> None:
        """Write a job, or how else the wait for one ended."""

    def close(self) -> None:
        """Write what is written only once everything is known."""


def make_writer(name: Format, *, changes: bool = False) -> Writer:
    """Return the writer for a format; ``changes`` is its attribute of that name."""
    writer: Writer = pkgutil.resolve_name(f"{_PACKAGE}.{name}:{name.capitalize()}Writer")()
    writer.changes = changes
    return writer
