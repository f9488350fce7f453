"""How deep data may be nested that is to be written again: Python's pickle and JSON recurse, and give up."""

from __future__ import annotations

from datetime import datetime
from types import NoneType
from typing import Any

import attrs

DEEPEST = 100
"""Levels of arrays, objects and records; what the servers send has fewer than ten."""
_LEAVES = frozenset({str, int, float, bool, datetime, NoneType})


def too_deep(value: object, levels: int = DEEPEST) -> bool:
    """Whether a value is nested deeper than so many levels. Never recurses, and looks no deeper than that."""
    level = _within([value])
    for _ in range(levels):
        if not level:
            return False
        level = _within([part for holder in level for part in _parts(holder)])
    return bool(level)


def _within(values: list[Any]) -> list[Any]:
    return [value for value in values if type(value) not in _LEAVES]


def _parts(holder: Any) -> Any:
    if isinstance(holder, dict):
        return holder.values()
    if isinstance(holder, list | tuple):
        return holder
    fields = attrs.fields(type(holder)) if attrs.has(type(holder)) else ()
    return [getattr(holder, field.name, None) for field in fields]
