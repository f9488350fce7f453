"""The fields that a job has in each release, how they compare, and how a record is cut to some of them."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, cast

import attrs

Kind = Literal["text", "number", "time"]
Version = tuple[int, ...]
Comparable = str | float | datetime


@attrs.frozen
class Field:
    """A field of the job resource: how it compares, and the first release that has it."""

    kind: Kind = "text"
    since: Version = (9, 6)


FIELDS: Mapping[str, Field] = {
    "uuid": Field(),
    "description": Field(),
    "state": Field(),
    "message": Field(),
    "code": Field("number"),
    "start_time": Field("time"),
    "end_time": Field("time"),
    "svm.name": Field(since=(9, 8)),
    "svm.uuid": Field(since=(9, 8)),
    "error.code": Field(since=(9, 9)),
    "error.message": Field(since=(9, 9)),
    "error.target": Field(since=(9, 9)),
    "error.arguments.code": Field(since=(9, 9)),
    "error.arguments.message": Field(since=(9, 9)),
    "node.name": Field(since=(9, 11)),
}
KEY_FIELDS = ("uuid", "_links")
ALL = frozenset({"*", "**"})


def parse_version(text: str) -> Version:
    """Return ``9.15`` or ``9.15.1`` as numbers. Raise `ValueError` for anything else."""
    try:
        return tuple(int(part) for part in text.split("."))
    except ValueError:
        raise ValueError(f"a release is such as 9.15 or 9.15.1, not {text[:40]!r}") from None


def known(version: Version) -> dict[str, Field]:
    """Return the fields of a release by dotted name."""
    return {name: field for name, field in FIELDS.items() if field.since <= version}


@functools.lru_cache(maxsize=16)
def selectable(version: Version) -> frozenset[str]:
    """Return the names that ``fields=`` accepts in a release: the fields, and the objects that hold them."""
    names = {"_links"}
    for name in known(version):
        parts = name.split(".")
        names.update(".".join(parts[:length]) for length in range(1, len(parts) + 1))
    return frozenset(names)


def comparable(kind: Kind, value: object) -> Comparable | None:
    """Return the value in the form in which its kind compares; None where it has no such form."""
    try:
        if kind == "number":
            return float(str(value))
        if kind == "time":
            moment = datetime.fromisoformat(str(value))
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except ValueError:
        return None
    return str(value)


def values(record: object, name: str) -> Iterator[object]:
    """Yield every value that a record has under a dotted name, through lists as well."""
    if isinstance(record, list):
        for item in cast("list[object]", record):
            yield from values(item, name)
    elif not name:
        yield record
    elif isinstance(record, Mapping):
        head, _, rest = name.partition(".")
        members = cast("Mapping[str, object]", record)
        if head in members:
            yield from values(members[head], rest)


def pick(record: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Return the record cut to some dotted names and the key fields."""
    picked: dict[str, Any] = _pick(record, {*names, *KEY_FIELDS})
    return picked


def _pick(value: object, names: Collection[str]) -> Any:
    if isinstance(value, list):
        return [_pick(item, names) for item in cast("list[object]", value)]
    if not isinstance(value, Mapping):
        return value
    picked: dict[str, Any] = {}
    members = cast("Mapping[str, object]", value)
    for key, member in members.items():
        below = {name.partition(".")[2] for name in names if name.partition(".")[0] == key}
        if below:
            picked[key] = member if "" in below else _pick(member, below)
    return picked
