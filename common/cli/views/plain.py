"""Progress as lines: for a log, a pipe, or a terminal that cannot move its cursor."""

from __future__ import annotations

import anyio

from common.cli.console import note, printable
from common.cli.views.row import Row, clock_text
from common.cli.views.view import View

TROUBLE_EVERY = 10.0
"""Seconds between two lines about the trouble of one system."""


class PlainView(View):
    """One line a change: the time since the wait began, the job's id, its state and message.

    Without ``changes``, only what goes wrong meanwhile.
    """

    def __init__(self, *, changes: bool = True) -> None:
        super().__init__()
        self._changes = changes
        self._told: dict[tuple[str, str], float] = {}

    def say(self, text: str) -> None:
        """Write the line."""
        note(text)

    def show_trouble(self, row: Row) -> None:
        """Write what is wrong, once in a while for each system: thousands of its jobs may meet it."""
        system, now = (row.ref.provider, row.ref.endpoint), anyio.current_time()
        if now - self._told.get(system, -TROUBLE_EVERY) >= TROUBLE_EVERY:
            self._told[system] = now
            note(f"{clock_text(row.elapsed):>7}  {row.trouble}")

    def show_change(self, row: Row) -> None:
        """Write the line."""
        if not self._changes:
            return
        progress = ""
        if row.job is not None and row.job.progress is not None:
            progress = f" {row.job.progress:.0%}"
        # The error of a wait itself is written beside the view, which may be quiet.
        message = f": {row.message}" if row.message and row.error is None else ""
        name = printable(row.title or row.ref.id)
        note(f"{clock_text(row.elapsed):>7}  {name} {row.state}{progress}{message}")
