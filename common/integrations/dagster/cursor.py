"""The state of a sensor between two ticks: the open jobs, and up to where it has read."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import partial
from typing import Self

import attrs

from common.integrations.outcomes import is_settled
from common.model.errors import UsageError
from common.model.job import Job
from common.sources.batch_look import Outcome

VERSION = 1


@attrs.define
class Cursor:
    """The open jobs by ref, with the state in which each was seen last; a job that has ended is dropped.

    With the state is the partition of the asset that named the job, to which its end is reported.
    """

    jobs: dict[str, tuple[str | None, str | None]] = attrs.field(factory=dict)
    read: str | None = None
    """Up to where Dagster's events have been read."""
    looked_at: datetime = attrs.field(factory=partial(datetime.now, UTC))
    """When the jobs were looked at last."""

    @classmethod
    def parse(cls, text: str | None) -> Self:
        """Return what `dump` wrote; an empty one for a sensor that has never run, or was reset."""
        if not text:
            return cls()
        data = json.loads(text)
        if data["version"] != VERSION:
            raise UsageError(f"the cursor is of version {data['version']}, but this release reads {VERSION}")
        return cls(
            {ref: (state, partition) for ref, (state, partition) in data["jobs"].items()},
            data["read"],
            datetime.fromisoformat(data["looked_at"]),
        )

    def dump(self) -> str:
        """Return it as text."""
        data = {"jobs": self.jobs, "read": self.read, "looked_at": self.looked_at.isoformat()}
        return json.dumps({"version": VERSION, **data})

    def add(self, ref: str, partition: str | None) -> None:
        """Follow one more job."""
        self.jobs.setdefault(ref, (None, partition))

    def take(self, ref: str, outcome: Outcome) -> bool:
        """Store the state of a job, or drop the job and return True if there is nothing more to see of it."""
        if is_settled(outcome) or isinstance(outcome, UsageError):
            del self.jobs[ref]
            return True
        if isinstance(outcome, Job):
            self.jobs[ref] = (outcome.state.name, self.jobs[ref][1])
        return False
