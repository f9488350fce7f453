"""How the progress of waits is shown: what every way has in common."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import anyio

from common.cli.views.row import Row
from common.model.errors import JobsError
from common.model.job import Job
from common.model.refs import JobRef
from common.telemetry.events import Event, EventKind


class View:
    """One row a job, in the order in which they were named. This one shows nothing."""

    live = False
    """Whether it draws on the terminal all the time, so that nothing else may be written there."""

    def __init__(self) -> None:
        self.rows: dict[JobRef, Row] = {}

    def add(self, ref: JobRef, title: str = "") -> None:
        """Add a job that is waited for; it is shown by its title if it has one."""
        self.rows[ref] = Row(ref, started_at=anyio.current_time(), title=title)

    def say(self, text: str) -> None:
        """Show a line about no job in particular; for subclasses."""

    def change(self, job: Job) -> None:
        """Show the first observation of a job, or a change."""
        row = self.rows[job.ref]
        row.job = job
        self.show_change(row)

    def outcome(self, ref: JobRef, outcome: Job | JobsError) -> None:
        """Show how the wait for a job ended."""
        row = self.rows[ref]
        row.trouble = ""
        if isinstance(outcome, Job):
            row.job = outcome
        else:
            row.error, row.job = outcome, outcome.job or row.job
        row.ended_at = anyio.current_time()
        self.show_change(row)

    def observe(self, event: Event) -> None:
        """Show a transient error of a poll; an `Observer`."""
        row = self.rows.get(event.ref)
        if row is None or event.kind not in (EventKind.SEEN, EventKind.CHANGED, EventKind.TROUBLE):
            return
        row.trouble = ""
        if event.kind is EventKind.TROUBLE:
            then = "" if event.next_in is None else f"; next attempt in {event.next_in:.0f} s"
            row.trouble = f"{row.without_ref(str(event.error))}{then}"
            self.show_trouble(row)

    def show_trouble(self, row: Row) -> None:
        """Show the trouble of one job; for subclasses."""

    def show_change(self, row: Row) -> None:
        """Show what has changed of one job; for subclasses."""

    async def refresh(self) -> None:
        """Keep what is shown up to date, for ever; for subclasses."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None
