"""Hold idle shared sources for as long as a run of trio lasts; imported only within one."""

from __future__ import annotations

from typing import Any

from trio.lowlevel import RunVar

_idle: RunVar[set[Any]] = RunVar("idle shared sources")


def idle_entries() -> set[Any]:
    """Return the set of the running run, which ends with it. anyio's variables would outlive it."""
    try:
        return _idle.get()
    except LookupError:
        entries = set[Any]()
        _idle.set(entries)
        return entries
