"""JSON lines: one event a line, made to be piped."""

from __future__ import annotations

import json

from common.cli.console import write_line
from common.cli.output.writer import Writer
from common.model.errors import JobsError
from common.model.job import Job
from common.model.serialize import to_dict


class JsonlWriter(Writer):
    """Writes ``{"event": "change" | "end" | "error", …}`` with what `common.to_dict` returns; all changes."""

    def change(self, job: Job) -> None:
        """Write a job that goes on."""
        write_line(json.dumps({"event": "change", **to_dict(job)}))

    def outcome(self, outcome: Job | JobsError) -> None:
        """Write how a job ended, that it goes on where it was read once, or the error."""
        event = "error" if isinstance(outcome, JobsError) else "end" if outcome.done else "change"
        write_line(json.dumps({"event": event, **to_dict(outcome)}))
