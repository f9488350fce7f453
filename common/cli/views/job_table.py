"""The table of jobs, for the live view and for ``-o table``: which columns and rows fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from common.cli.console import printable
from common.cli.views.row import Row, clock_text
from common.model.job import Job, JobItem
from common.model.states import JobState

STYLES = {
    JobState.QUEUED: "dim",
    JobState.RUNNING: "cyan",
    JobState.PAUSED: "yellow",
    JobState.SUCCEEDED: "green",
    JobState.PARTIAL: "yellow",
    JobState.FAILED: "red",
    JobState.CANCELLED: "magenta",
    JobState.UNKNOWN: "magenta",
}
NARROW, WIDE = 72, 100
"""Characters: below the first there is no progress bar, from the second the whole id of a job fits."""
SHORT = 13
"""Characters of an id that are shown where there is little room."""
ITEMS = 12
"""At most so many items are shown below a live job; those that failed come first."""


def job_table(
    rows: Sequence[Row], width: int, *, live: bool = True, height: int = 0, whole: bool = False
) -> Table:
    """Return the table of these jobs for a terminal of so many columns.

    ``live`` adds a bar and the elapsed time. ``height`` is how many lines there are, 0 for any: the jobs that
    go on come first then, and a last line counts the others. ``whole`` leaves no text out.
    """
    table = Table(
        box=SIMPLE_HEAD,
        expand=live,
        width=width if live else None,
        header_style="bold",
        pad_edge=False,
        show_edge=False,
    )
    systems = {(row.ref.provider, row.ref.endpoint) for row in rows}
    several = len(systems) > 1 and width >= NARROW
    by_provider = len({provider for provider, _ in systems}) == len(systems)
    bars = live and width >= NARROW and any(row.job and row.job.progress is not None for row in rows)
    if several:
        table.add_column("system", no_wrap=True, max_width=None if whole else max(8, width // 6))
    table.add_column("job", no_wrap=True)
    table.add_column("state", no_wrap=True)
    if bars:
        table.add_column("progress", width=12, no_wrap=True)
    if live:
        table.add_column("time", justify="right", no_wrap=True)
    table.add_column("message", ratio=1 if live else None, no_wrap=True, overflow="ellipsis", min_width=8)
    shown, left = _fitting(rows, height)
    for row in shown:
        for index, (name, state, message) in enumerate(_lines(row, width, whole)):
            is_job = index == 0
            cells: list[Text | ProgressBar | str] = []
            if several:
                cells.append(_system(row, by_provider) if is_job else "")
            cells += [Text(name), state]
            if bars:
                cells.append(_bar(row.job) if is_job else "")
            if live:
                cells.append(clock_text(row.elapsed) if is_job else "")
            table.add_row(*cells, Text(message))
    if left:
        table.caption = f"and {left} more" if left > 1 else "and 1 more"
        table.caption_justify = "left"
    return table


def _fitting(rows: Sequence[Row], height: int) -> tuple[Sequence[Row], int]:
    if not height or len(rows) <= height:
        return rows, 0
    urgent = sorted(rows, key=lambda row: (row.ended_at is not None, _went_well(row)))
    keep = set(map(id, urgent[: max(1, height - 1)]))
    shown = [row for row in rows if id(row) in keep]
    return shown, len(rows) - len(shown)


def _went_well(row: Row) -> bool:
    return row.error is None and row.job is not None and row.job.succeeded


def _lines(row: Row, width: int, whole: bool) -> Iterator[tuple[str, Text, str]]:
    """Yield name, state and message of a job, then those of its items."""
    name = printable(row.title) or _short(row.ref.id, width, whole)
    style = "red" if row.error else STYLES[row.job.state] if row.job else "dim"
    yield name, Text(row.state, style=style), row.message
    if row.job is not None and len(row.job.items) > 1:
        # Of a job that has ended, only what went wrong is still worth a line.
        ended = row.job.done and not whole
        items = [item for item in row.job.items if not ended or item.state is not JobState.SUCCEEDED]
        yield from _item_lines(items, width, whole)


def _item_lines(items: Sequence[JobItem], width: int, whole: bool) -> Iterator[tuple[str, Text, str]]:
    ordered = items if whole else sorted(items, key=_rank)[:ITEMS]
    for item in ordered:
        name = f"  {_short(printable(item.id), width, whole)}"
        message = printable("; ".join(map(str, item.errors)))
        if not message and item.items:
            message = f"{len(item.items)} {item.items[0].kind}{'s' if len(item.items) > 1 else ''}"
        yield name, Text(item.state.name, style=STYLES[item.state]), message
    if len(items) > len(ordered):
        yield f"  and {len(items) - len(ordered)} more", Text(""), ""


def _rank(item: JobItem) -> int:
    return 2 if item.state is JobState.SUCCEEDED else 1 if not item.state.terminal and not item.errors else 0


def _short(id: str, width: int, whole: bool) -> str:
    if whole or width >= WIDE or len(id) <= SHORT:
        return printable(id)
    return f"{printable(id)[: SHORT - 1]}…"


def _system(row: Row, by_provider: bool) -> Text:
    """Return the name of a job's system: its provider's, where there is one system of each."""
    if by_provider:
        return Text(row.ref.provider)
    return Text(f"{row.ref.provider}://{row.ref.endpoint.rpartition('://')[2]}")


def _bar(job: Job | None) -> ProgressBar | str:
    if job is None or job.progress is None:
        return ""
    return ProgressBar(total=1.0, completed=job.progress, finished_style=STYLES[job.state])
