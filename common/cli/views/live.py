"""Progress as a table that is drawn again and again, on standard error."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

import anyio
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from common.cli.views.job_table import job_table
from common.cli.views.view import View

REFRESH = 0.2
"""Seconds between two drawings."""
FRAME = 4
"""Lines of the terminal that are not rows: the head, a line below it, the caption and the cursor's."""
ECHO = 2
"""Columns that stay free: a terminal echoes Ctrl-C as ^C, which must not begin another line."""


class LiveView(View):
    """A live table. With ``keep`` its last state stays on the screen; else it makes room for the output."""

    live = True

    def __init__(self, *, keep: bool = False) -> None:
        super().__init__()
        # What the command writes meanwhile goes through it too, and must not be broken into several lines.
        self._console = Console(file=sys.stderr, highlight=False, soft_wrap=True)
        self._live = Live(console=self._console, auto_refresh=False, transient=not keep)

    def say(self, text: str) -> None:
        """Write the line above the table."""
        self._console.print(Text(text), soft_wrap=True)

    async def refresh(self) -> None:
        """Draw the table every `REFRESH` seconds."""
        while True:
            self._live.update(self._table(), refresh=True)
            await anyio.sleep(REFRESH)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.update(self._table(), refresh=True)
        self._live.__exit__(kind, error, trace)

    def _table(self) -> Table:
        height = max(1, self._console.height - FRAME)
        return job_table(list(self.rows.values()), self._console.width - ECHO, height=height)
