"""The pytest plugin that looks at all that a test shows, and fails it for a secret among that.

It is on for the whole suite, but for tests marked ``unwatched``, and says at the end how much it has looked
at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from typing import Any

import pytest

from tests.leaks.recorder import Recorder, install, recording

_RECORDER = pytest.StashKey[Recorder]()
SHOWN = 10
"""How many leaks of one test are told."""

install()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Record from before the first fixture until after the last."""
    if item.get_closest_marker("unwatched") is not None:
        return (yield)
    with recording() as item.stash[_RECORDER]:
        try:
            return (yield)
        finally:
            del item.stash[_RECORDER]  # the items live as long as the session: so would all that it holds


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, Any, Any]:
    """Look for secrets in what the test and its fixtures have shown."""
    result = yield
    recorder = item.stash.get(_RECORDER, None)
    if recorder is None:
        return result
    # What Hypothesis draws as a secret may be any word, also a user's name in another example.
    found = [] if item.get_closest_marker("hypothesis") else recorder.leaks()
    if recorder.counts:
        item.user_properties.append(("shown", dict(recorder.counts)))
    if found:
        lines = [f"{leak.encoding} {leak.secret!r}, {where}: …{leak.text}…" for where, leak in found[:SHOWN]]
        pytest.fail(f"{len(found)} secrets are shown:\n" + "\n".join(lines), pytrace=False)
    return result


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how much was looked at."""
    counts: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") == "teardown":
                for name, value in report.user_properties:
                    if name == "shown":
                        counts.update(value)
    if counts:
        looked_at = ", ".join(f"{count:,} {what}" for what, count in sorted(counts.items()))
        terminalreporter.line(f"looked for secrets in {looked_at}")
