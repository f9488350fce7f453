"""Hold idle shared sources for as long as a run of trio lasts."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any


@cache
def _variable() -> Any:
    return import_module("trio.lowlevel").RunVar("idle shared sources")


def idle_entries() -> set[Any]:
    """Return the set of the running run, which ends with it. anyio's variables would outlive it."""
    variable = _variable()
    try:
        entries: set[Any] = variable.get()
    except LookupError:
        entries = set()
        variable.set(entries)
    return entries
