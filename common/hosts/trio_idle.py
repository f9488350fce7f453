"""Hold idle shared sources for as long as a run of trio lasts."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any


@cache
def _variable() -> Any:
    return import_module("trio.lowlevel").RunVar("idle shared sources")


def idle_entries() -> dict[Any, None]:
    """Return those of the running run, the longest idle first.

    They end with the run, which anyio's variables would outlive.
    """
    variable = _variable()
    try:
        entries: dict[Any, None] = variable.get()
    except LookupError:
        entries = {}
        variable.set(entries)
    return entries
