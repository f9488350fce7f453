"""One job that is waited for, as it was last seen."""

from __future__ import annotations

import anyio
import attrs

from common.cli.console import printable
from common.cli.errors import in_words_of_the_shell
from common.model.errors import JobGone, JobNotFound, JobsError, WaitTimeout
from common.model.job import Job
from common.model.refs import JobRef


@attrs.define(eq=False)
class Row:
    """One job and its last observation. Times are the event loop's, in seconds."""

    ref: JobRef
    job: Job | None = None
    error: JobsError | None = None
    started_at: float = 0.0
    ended_at: float | None = None
    trouble: str = ""
    """The transient error of the last poll; "" after one that succeeded."""
    title: str = ""
    """What to call the job instead of its id."""

    @property
    def elapsed(self) -> float:
        """The seconds since the wait began, up to its end."""
        return (anyio.current_time() if self.ended_at is None else self.ended_at) - self.started_at

    @property
    def state(self) -> str:
        """The job's state in capitals, or how its wait ended; "…" before the first observation."""
        if isinstance(self.error, JobNotFound | JobGone):
            return "GONE"
        if self.error is not None:
            return "TIMEOUT" if isinstance(self.error, WaitTimeout) else "ERROR"
        return self.job.state.name if self.job else "…"

    @property
    def message(self) -> str:
        """The error of the wait, else the job's errors, its message or its warnings, on one line."""
        if self.error is not None:
            return self.without_ref(str(self.error))
        if self.trouble:
            # The row names the job: a narrow terminal has room for the answer, or for its id again.
            return self.trouble.removeprefix(f"GET job {self.ref.id}").lstrip(": ")
        if self.job is None:
            return ""
        errors = "; ".join(map(str, self.job.errors))
        return printable(errors or self.job.message or "; ".join(self.job.warnings))

    def without_ref(self, message: str) -> str:
        """Return an error's message in the words of the shell, without the job's own ref at its beginning."""
        return printable(in_words_of_the_shell(message.removeprefix(f"{self.ref}: ")))


def clock_text(seconds: float) -> str:
    """Return a duration as a clock shows it, in whole seconds: ``0:07``, ``12:30``, ``3:00:00``."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
