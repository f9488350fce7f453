"""What a request for the collection asks for: filters, fields, order, page; or its refusal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import attrs

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
from ontapjobs.simulator.refusals import invalid_value, unknown_field

if TYPE_CHECKING:
    from collections.abc import Sequence

Parameters = tuple[tuple[str, str], ...]
Record = Mapping[str, Any]

START = "start.uuid"
CONTROLS = frozenset({"fields", "max_records", "return_records", "return_timeout", "order_by", START})
MAX_TIMEOUT = 120


@attrs.frozen
class Order:
    """One field to sort by."""

    name: str
    field: Field
    descending: bool

    def key(self, record: Record) -> tuple[bool, Any]:
        """Return what to sort a record by; records without the field come last."""
        value = next(values(record, self.name), None)
        mine: Comparable | None = None if value is None else comparable(self.field.kind, value)
        return mine is None, "" if mine is None else mine


@attrs.frozen
class Query:
    """A request for the collection, understood."""

    tests: tuple[tuple[str, Test], ...]
    ids: frozenset[str] | None
    """The only ids that can match, where the filter lists them."""
    fields: frozenset[str]
    max_records: int | None
    return_records: bool
    order: tuple[Order, ...]
    start: str | None

    def matches(self, record: Record) -> bool:
        """Tell whether a record passes every filter."""
        return all(
            any(test(value) for value in (tuple(values(record, name)) or (None,)))
            for name, test in self.tests
        )

    def sorted(self, records: Sequence[Record]) -> list[Record]:
        """Return the records in the order asked for; by uuid where none was."""
        ordered = sorted(records, key=lambda record: str(record["uuid"]))
        for order in reversed(self.order):
            ordered.sort(key=order.key, reverse=order.descending)
        return ordered

    def cut(self, record: Record) -> dict[str, Any]:
        """Return a record with the fields asked for."""
        return dict(record) if self.fields & ALL else pick(record, self.fields)


def parse_query(parameters: Parameters, version: Version) -> Query:
    """Understand the parameters of a request for the collection. Raises `Refusal`."""
    given = dict(parameters)
    parse_timeout(given)
    fields = known(version)
    filters = [pair for pair in parameters if pair[0] not in CONTROLS]
    for name, _ in filters:
        if name not in fields:
            raise unknown_field(name, name)
    listed = [plain_alternatives(text) for name, text in filters if name == "uuid"]
    tests = [(name, compile_filter(name, fields[name].kind, text)) for name, text in filters]
    return Query(
        tests=tuple(tests),
        ids=next((ids for ids in listed if ids is not None), None),
        fields=parse_fields(given.get("fields", ""), version),
        max_records=_whole_number(given, "max_records", 1, None),
        return_records=_flag(given, "return_records"),
        order=tuple(_order(text, fields) for text in given.get("order_by", "").split(",") if text),
        start=given.get(START),
    )


def parse_fields(text: str, version: Version) -> frozenset[str]:
    """Return the names listed in ``fields``. Raises `Refusal` for one that the release lacks."""
    names = frozenset(name.strip() for name in text.split(",") if name.strip())
    for name in sorted(names - ALL - selectable(version)):
        raise unknown_field(name, "fields")
    return names


def parse_timeout(given: Mapping[str, str]) -> int:
    """Return ``return_timeout`` in seconds, 0 without one. Raises `Refusal` outside 0 to 120."""
    return _whole_number(given, "return_timeout", 0, MAX_TIMEOUT) or 0


def next_href(path: str, parameters: Parameters, last: str) -> str:
    """Return the link to the page after the one that ends with this uuid."""
    kept = [(name, text) for name, text in parameters if name != START]
    pairs = [(START, last), *kept]
    return path + "?" + "&".join(f"{quote(name)}={quote(text, safe='*,')}" for name, text in pairs)


def _whole_number(given: Mapping[str, str], name: str, low: int, high: int | None) -> int | None:
    text = given.get(name)
    if text is None:
        return None
    if text.isascii() and text.isdigit() and low <= int(text) and (high is None or int(text) <= high):
        return int(text)
    raise invalid_value(text, name, f"<{low}..{'' if high is None else high}>")


def _flag(given: Mapping[str, str], name: str) -> bool:
    text = given.get(name, "true")
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
