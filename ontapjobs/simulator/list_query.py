"""Parses the parameters of a request for the list of jobs: filters, fields, order and page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import attrs

from ontapjobs.simulator.errors import invalid_value, unknown_field
from ontapjobs.simulator.fields import (
    ALL,
    Comparable,
    Field,
    Version,
    comparable,
    known,
    pick,
    selectable,
    values,
)
from ontapjobs.simulator.filters import Test, compile_filter, plain_alternatives

if TYPE_CHECKING:
    from collections.abc import Sequence

Parameters = tuple[tuple[str, str], ...]
Record = Mapping[str, Any]

START = "start.uuid"
CONTROLS = frozenset({"fields", "max_records", "return_records", "return_timeout", "order_by", START})
MAX_TIMEOUT = 120
MAX_DIGITS = 18
"""A longer number is out of every range."""


@attrs.frozen
class Order:
    """One field to sort by."""

    name: str
    field: Field
    descending: bool

    def key(self, record: Record) -> tuple[bool, Any]:
        """Return the sort key of a record; records without the field come last."""
        value = next(values(record, self.name), None)
        comparable_value: Comparable | None = None if value is None else comparable(self.field.kind, value)
        return comparable_value is None, "" if comparable_value is None else comparable_value


@attrs.frozen
class ListQuery:
    """The parameters of a request for the list of jobs, parsed."""

    tests: tuple[tuple[str, Test], ...]
    ids: frozenset[str] | None
    """The ids that a filter lists, so that only they can match; None where it lists none."""
    fields: frozenset[str]
    max_records: int | None
    return_records: bool
    order: tuple[Order, ...]
    start: str | None

    def matches(self, record: Record) -> bool:
        """Whether a record passes every filter."""
        return all(
            any(test(value) for value in (tuple(values(record, name)) or (None,)))
            for name, test in self.tests
        )

    def sorted(self, records: Sequence[Record]) -> list[Record]:
        """Return the records in the order of ``order_by``; by uuid without one."""
        ordered = sorted(records, key=lambda record: str(record["uuid"]))
        for order in reversed(self.order):
            ordered.sort(key=order.key, reverse=order.descending)
        return ordered

    def cut(self, record: Record) -> dict[str, Any]:
        """Return a record cut to the fields of the query."""
        return dict(record) if self.fields & ALL else pick(record, self.fields)


def parse_query(parameters: Parameters, version: Version) -> ListQuery:
    """Return the parsed parameters. Raise `OntapError` for one that ONTAP refuses."""
    texts = dict(parameters)
    parse_timeout(texts)
    fields = known(version)
    filters = [pair for pair in parameters if pair[0] not in CONTROLS]
    for name, _ in filters:
        if name not in fields:
            raise unknown_field(name, name)
    listed = [plain_alternatives(text) for name, text in filters if name == "uuid"]
    tests = [(name, compile_filter(name, fields[name].kind, text)) for name, text in filters]
    return ListQuery(
        tests=tuple(tests),
        ids=next((ids for ids in listed if ids is not None), None),
        fields=parse_fields(texts.get("fields", ""), version),
        max_records=_whole_number(texts, "max_records", 1, None),
        return_records=_flag(texts, "return_records"),
        order=tuple(_order(text, fields) for text in texts.get("order_by", "").split(",") if text),
        start=texts.get(START),
    )


def parse_fields(text: str, version: Version) -> frozenset[str]:
    """Return the names listed in ``fields``. Raise `OntapError` for one that the release lacks."""
    names = frozenset(name.strip() for name in text.split(",") if name.strip())
    for name in sorted(names - ALL - selectable(version)):
        raise unknown_field(name, "fields")
    return names


def parse_timeout(texts: Mapping[str, str]) -> int:
    """Return ``return_timeout`` in seconds, 0 without one. Raise `OntapError` outside 0 to 120."""
    return _whole_number(texts, "return_timeout", 0, MAX_TIMEOUT) or 0


def next_href(path: str, parameters: Parameters, last: str) -> str:
    """Return the link to the page after the one that ends with this uuid."""
    kept = [(name, text) for name, text in parameters if name != START]
    pairs = [(START, last), *kept]
    return path + "?" + "&".join(f"{quote(name)}={quote(text, safe='*,')}" for name, text in pairs)


def _whole_number(texts: Mapping[str, str], name: str, low: int, high: int | None) -> int | None:
    text = texts.get(name)
    if text is None:
        return None
    digits = text.lstrip("0") or text[-1:]
    if digits.isascii() and digits.isdigit() and len(digits) <= MAX_DIGITS:
        number = int(digits)
        if low <= number and (high is None or number <= high):
            return number
    raise invalid_value(text, name, f"<{low}..{'' if high is None else high}>")


def _flag(texts: Mapping[str, str], name: str) -> bool:
    text = texts.get(name, "true")
    if text not in {"true", "false"}:
        raise invalid_value(text, name, "<true|false>")
    return text == "true"


def _order(text: str, fields: Mapping[str, Field]) -> Order:
    name, _, direction = text.strip().partition(" ")
    if name not in fields:
        raise unknown_field(name, "order_by")
    if direction not in {"", "asc", "desc"}:
        raise invalid_value(text, "order_by", "<field asc|desc>")
    return Order(name, fields[name], direction == "desc")
