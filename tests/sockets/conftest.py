"""How much of the matrices is run, and how much that was.

By default it is a share, for seconds, and another one on each Python; with ``JOBSOURCE_SOCKETS=all`` it is
everything, for most of an hour:
``JOBSOURCE_SOCKETS=all pytest tests/sockets``.
"""

from __future__ import annotations

import os
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import pytest

_T = TypeVar("_T")
EVERY = 41
"""One in so many is in the share. It divides no length of what is combined: all of that gets its turn."""
ALL = os.environ.get("JOBSOURCE_SOCKETS", "") == "all"

Share = Callable[..., list[Any]]


@pytest.fixture
def share(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Share:
    """Choose and count the cases of a test: others for each of its parameters. ``all_of`` takes all."""

    def chosen(cases: Iterable[_T], what: str, *, all_of: bool = False, every: int = EVERY) -> list[_T]:
        begin = zlib.crc32(f"{sys.version_info[:2]} {request.node.name}".encode()) % every
        found = list(cases) if ALL or all_of else list(cases)[begin::every]
        record_property("sockets", (what, len(found)))
        return found

    return chosen


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how much was tried."""
    counts: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in (
                getattr(report, "user_properties", ()) if getattr(report, "when", "") == "call" else ()
            ):
                if name == "sockets":
                    counts[value[0]] += value[1]
    if counts:
        terminalreporter.line(", ".join(f"{count:,} {what}" for what, count in counts.items()))
