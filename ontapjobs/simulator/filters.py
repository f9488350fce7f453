"""Compiles a filter and its query operators: ``a|b``, ``!a``, ``*``, ``a..b``, ``<a`` and the like."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from ontapjobs.simulator.errors import invalid_value
from ontapjobs.simulator.fields import Comparable, Kind, comparable

Test = Callable[[object], bool]
"""Whether one value of a field passes; None stands for a field without value."""

# The longer sign first, since "<" also begins "<=".
ORDERINGS: Mapping[str, Callable[[Any, Any], bool]] = MappingProxyType(
    {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt}
)
EXPECTED: Mapping[Kind, str] = MappingProxyType(
    {"number": "<integer>", "time": "<ISO-8601>", "text": "<string>"}
)


def compile_filter(name: str, kind: Kind, text: str) -> Test:
    """Return the test for a filter. Raise `OntapError` for a value that its field does not accept."""
    listed = plain_alternatives(text) if kind == "text" else None
    if listed is not None:
        return lambda value: value is not None and str(value) in listed
    tests = [_alternative(name, kind, part) for part in text.split("|")]
    return lambda value: any(test(value) for test in tests)


def plain_alternatives(text: str) -> frozenset[str] | None:
    """Return the texts that ``a|b|c`` lists; None if an operator other than ``|`` may be in it."""
    parts = text.split("|")
    if any(part == "null" or part[:1] in {"!", "<", ">"} or "*" in part or ".." in part for part in parts):
        return None
    return frozenset(parts)


def _alternative(name: str, kind: Kind, text: str) -> Test:
    if text.startswith("!"):
        affirmed = text.lstrip("!")
        test = _alternative(name, kind, affirmed)
        return test if (len(text) - len(affirmed)) % 2 == 0 else lambda value: not test(value)
    if text == "null":
        return lambda value: value is None
    for sign, ordering in ORDERINGS.items():
        if text.startswith(sign):
            return _compared(kind, ordering, _bound(name, kind, text[len(sign) :]))
    low, dots, high = text.partition("..")
    if dots and low and high:
        return _between(kind, _bound(name, kind, low), _bound(name, kind, high))
    if "*" in text:
        return _like(text)
    return _compared(kind, operator.eq, _bound(name, kind, text))


def _bound(name: str, kind: Kind, text: str) -> Comparable:
    bound = comparable(kind, text)
    if bound is None:
        raise invalid_value(text, name, EXPECTED[kind])
    return bound


def _compared(kind: Kind, ordering: Callable[[Any, Any], bool], bound: Comparable) -> Test:
    def test(value: object) -> bool:
        left = None if value is None else comparable(kind, value)
        return left is not None and ordering(left, bound)

    return test


def _between(kind: Kind, low: Comparable, high: Comparable) -> Test:
    over, under = _compared(kind, operator.ge, low), _compared(kind, operator.le, high)
    return lambda value: over(value) and under(value)


def _like(text: str) -> Test:
    first, *inner, last = text.split("*")

    def test(value: object) -> bool:
        # Not by a regular expression, which takes exponential time for some patterns.
        shown = "" if value is None else str(value)
        at, end = len(first), len(shown) - len(last)
        if value is None or at > end or not (shown.startswith(first) and shown.endswith(last)):
            return False
        for part in inner:
            found = shown.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return True

    return test
