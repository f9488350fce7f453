"""Processes, cores, medians and tables: what all benchmarks share."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[2]
Form = Callable[[Any], str]
"""How a table writes a value."""
Row = dict[str, Any]
"""What a table shows, and what goes out as one JSON line: seconds, bytes and counts by name."""


def cores() -> tuple[int, int] | None:
    """The server's core and the clients' own; None where the system cannot keep a process to one."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


def keep_to(core: int) -> Callable[[], None] | None:
    pinned = cores()
    if pinned is None:
        return None
    return lambda: os.sched_setaffinity(0, {pinned[core]})


def environment(packages: Path = ROOT) -> dict[str, str]:
    paths = [str(packages), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "NO_PROXY": "*"}


def python(*arguments: str, limit: float, packages: Path = ROOT) -> Row:
    """The JSON that a process on the clients' core prints last. Says why where there is none.

    ``packages`` is the tree that it imports from.
    """
    try:
        done = subprocess.run(
            [sys.executable, *arguments],
            preexec_fn=keep_to(1),  # no thread of ours runs meanwhile
            env=environment(packages),
            cwd=packages,
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"no end within {limit:.0f} s"}
    if done.returncode or not done.stdout:
        return {"failed": (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1][:200]}
    found: Row = json.loads(done.stdout.splitlines()[-1])
    if done.stderr.strip():
        found["said"] = done.stderr.strip().splitlines()[-1][:200]
    return found


class Server:
    """The server process, on a core of its own; ends with the ``with``."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.server"],
            preexec_fn=keep_to(0),
            env=environment(),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line.strip():
            raise RuntimeError("the server did not start")
        self.url = f"http://127.0.0.1:{int(line)}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def median(runs: Sequence[Row]) -> Row:
    """Of each number the median of all runs that have it; of anything else the last."""
    good = [run for run in runs if "failed" not in run]
    if not good:
        return dict(runs[-1]) if runs else {"failed": "not run"}
    merged: Row = {}
    for name in {name: None for run in good for name in run}:
        values = [run[name] for run in good if run.get(name) is not None]
        number = values and all(isinstance(value, int | float) for value in values)
        merged[name] = statistics.median(values) if number else (values[-1] if values else None)
    merged["runs"] = len(good)
    return merged


class Report:
    """Tables for people on standard output, and every row as a JSON line."""

    def __init__(self, lines: Path | None) -> None:
        self._lines = lines
        self._rows: list[Row] = []
        if lines is not None:
            lines.write_text("")

    def say(self, text: str = "") -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    def head(self) -> None:
        pinned = cores()
        where = f"server on core {pinned[0]}, clients on {pinned[1]}" if pinned else "cores not pinned"
        load = f"load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
        self.say(
            f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, "
            f"{os.cpu_count()} cores ({where}), {load} at the start. Others' load disturbs: read the ratios."
        )

    def table(self, title: str, rows: Iterable[Row], columns: Mapping[str, Form]) -> None:
        rows = list(rows)
        cells = [list(columns)]
        cells += [[_cell(row, name, form) for name, form in columns.items()] for row in rows]
        widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
        self.say(f"\n{title}")
        for line in cells:
            first, *rest = (
                cell.ljust(width) if i == 0 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
            self.say("  ".join([first, *rest]).rstrip())
        for row in rows:
            for word in ("failed", "said"):
                if row.get(word):
                    self.say(f"  {row[next(iter(columns))]} {word}: {row[word]}")
            self._line({"table": title, **row})

    def goal(self, what: str, value: float | None, bound: float, *, least: bool = False) -> None:
        """One line: what was to be reached, and whether it was."""
        if value is None:
            self.say(f"  ?  {what}: not measured")
        else:
            reached = value >= bound if least else value <= bound
            sign = "at least" if least else "at most"
            result = "reached" if reached else "NOT reached"
            self.say(f"  {'+' if reached else '-'}  {what}: {value:.3g} ({sign} {bound:g}: {result})")
        self._line({"goal": what, "value": value, "bound": bound, "least": least})

    def close(self) -> None:
        """The JSON lines, unless a file has them already."""
        if self._lines is None:
            self.say("\nJSON lines:")
            for row in self._rows:
                self.say(json.dumps(row))

    def _line(self, row: Row) -> None:
        self._rows.append(row)
        if self._lines is not None:
            with self._lines.open("a") as file:
                file.write(json.dumps(row) + "\n")


def _cell(row: Row, name: str, form: Form) -> str:
    value = row.get(name)
    return "-" if value is None else form(value)


def fixed(digits: int) -> Form:
    return lambda value: f"{value:,.{digits}f}"


def times(value: Any) -> str:
    return f"{value:,.2f}x" if value < 10 else f"{value:,.0f}x"


def ratio(row: Row | None, base: Row | None, name: str) -> float | None:
    """How many times the base a row has of something."""
    above, below = (row or {}).get(name), (base or {}).get(name)
    return above / below if above is not None and below else None
