"""One job as ONTAP wrote it: typed records with everything in them kept.

Facts are from the ONTAP REST reference, "Cluster jobs" (9.6 to 9.19), and recorded traffic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar, cast

import attrs

from common.model.job import NO_LINKS, ErrorArgument, FrozenMap
from common.model.lazy import Unchecked, unchecked
from common.response.decoding import Fields, Object, integer, moment, only, text, word


@attrs.frozen
class Named:
    """An SVM or a node, as a job names it."""

    name: str | None = None
    uuid: str | None = None
    links: Mapping[str, str] = attrs.field(factory=dict[str, str])
    extra: Mapping[str, Any] = attrs.field(factory=dict[str, Any])


@attrs.frozen
class JobError:
    """``error`` of a failed job, 9.9 and later; ``target`` left the schema in 9.14."""

    message: str | None = None
    code: str | None = None
    target: str | None = None
    arguments: tuple[ErrorArgument, ...] = ()
    extra: Mapping[str, Any] = attrs.field(factory=dict[str, Any])


@attrs.frozen
class JobRecord(Unchecked):
    """One job as ONTAP sent it. ``code`` is an integer here, whatever it was on the wire."""

    uuid: str | None = None
    description: str | None = None
    state: str | None = None
    message: str | None = None
    code: int | None = None
    start_time: datetime | None = None
    """Recorded to change between polls of one job."""
    end_time: datetime | None = None
    """Recorded on a running job too: `Job.finished_at` takes it only once the state is terminal."""
    svm: Named | None = None
    node: Named | None = None
    error: JobError | None = None
    links: Mapping[str, str] = attrs.field(factory=dict[str, str])
    extra: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    """Keys that are not known here, and known ones with a value that could not be read."""


RecordDraft: Any = unchecked(JobRecord)
"""For the decoder alone."""

_NAMED = frozenset({"name", "uuid", "_links"})
_KNOWN = frozenset(field.name for field in attrs.fields(JobRecord)) - {"links", "extra"} | {"_links"}
_T = TypeVar("_T")


def parse_record(data: Object, path: str = "$") -> JobRecord:
    """One record, everything in it kept. Raises `DecodeError` for a state that is no text."""
    extra = _unknown(data, _KNOWN)
    record = RecordDraft()
    record.uuid = _read(data, "uuid", text, extra)
    record.description = _read(data, "description", text, extra)
    record.state = word(data.get("state"), f"{path}.state")
    record.message = _read(data, "message", text, extra)
    record.code = _read(data, "code", integer, extra)
    record.start_time = _read(data, "start_time", moment, extra)
    record.end_time = _read(data, "end_time", moment, extra)
    record.svm = _read(data, "svm", read_named, extra)
    record.node = _read(data, "node", read_named, extra)
    record.error = _read(data, "error", _error, extra)
    record.links = _take_links(data, extra)
    record.extra = extra
    record.__class__ = JobRecord
    return cast("JobRecord", record)


def _unknown(data: Object, known: frozenset[str]) -> dict[str, Any]:
    return {} if known.issuperset(data) else {key: data[key] for key in data if key not in known}


def _read(data: Object, key: str, reader: Callable[[Any], _T | None], extra: dict[str, Any]) -> _T | None:
    value = data.get(key)
    if value is None:
        return None
    found = reader(value)
    if found is None:
        extra[key] = value
    return found


def _error(value: Any) -> JobError | None:
    if isinstance(value, str):
        return JobError(message=value) if value else None
    found = only(value)
    if not found:
        return None
    inner = Fields(found)
    arguments = inner.objects("arguments")  # an array, though some references print one object
    if any(
        set(argument) - {"message", "code"}
        or any(v is not None and text(v) is None for v in argument.values())
        for argument in arguments
    ):
        inner.extra["arguments"] = found["arguments"]
    return JobError(
        message=inner.text("message"),
        code=inner.text("code"),
        target=inner.text("target"),
        arguments=tuple(
            ErrorArgument(text(argument.get("message")) or "", text(argument.get("code")))
            for argument in arguments
        ),
        extra=inner.extra,
    )


def read_named(value: Any) -> Named | None:
    """An SVM or a node, also one that was read already; None for what is none."""
    if type(value) is Named:
        return value
    data = only(value)
    if data is None:
        return None
    extra = _unknown(data, _NAMED)
    return Named(
        _read(data, "name", text, extra),
        _read(data, "uuid", text, extra),
        _take_links(data, extra),
        extra,
    )


def _take_links(data: Object, extra: dict[str, Any]) -> FrozenMap:
    links = data.get("_links")
    found, whole = read_links(links)
    if not whole:
        extra["_links"] = links
    return found


def read_links(links: Any) -> tuple[FrozenMap, bool]:
    """The links with an ``href`` of text, by name, and whether that is all there is to them."""
    if type(links) is not dict:
        return NO_LINKS, links is None
    found: dict[str, str] = {}
    whole = True
    for name, link in links.items():
        href = link.get("href") if type(link) is dict else None
        if type(href) is str:
            found[name] = href
            whole = whole and len(link) == 1
        else:
            whole = False
    return FrozenMap(found), whole
