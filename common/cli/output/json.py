"""JSON: one array of all outcomes, also for one job, so that a script needs to know one shape."""

from __future__ import annotations

import json
from typing import Any

from common.cli.console import write_line
from common.cli.output.writer import Writer
from common.model.errors import JobsError
from common.model.job import Job
from common.model.serialize import to_dict


class JsonWriter(Writer):
    """Writes, at the end, an array of what `common.to_dict` returns of each job or error."""

    def __init__(self) -> None:
        self._outcomes: list[dict[str, Any]] = []

    def outcome(self, outcome: Job | JobsError) -> None:
        """Keep an outcome."""
        self._outcomes.append(to_dict(outcome))

    def close(self) -> None:
        """Write the array."""
        write_line(json.dumps(self._outcomes, indent=2))
