"""Measure how deep data is nested: Python's pickle, JSON and cattrs recurse, and fail beyond some depth."""

from __future__ import annotations

from datetime import datetime
from types import NoneType
from typing import Any

import attrs

MAX_NESTING = 100
"""The limit in levels of arrays, objects and records; what servers send has fewer than ten."""
_LEAVES = frozenset({str, int, float, bool, datetime, NoneType})


def too_deep(value: object, levels: int = MAX_NESTING) -> bool:
    """Whether a value has more than ``levels`` levels. Does not recurse, and looks no deeper than that."""
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
