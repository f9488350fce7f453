"""A job as ONTAP sent it: typed records that keep every value of the response.

Facts are from the ONTAP REST reference, "Cluster jobs" (9.6 to 9.19), and recorded traffic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar, cast

import attrs

from common.model.job import NO_LINKS, ErrorArgument, ErrorDetail, FrozenMap
from common.model.lazy import Unchecked, unchecked
from common.response.decoding import Fields, Object, finite, integer, moment, objects, only, text, word
from common.set_module import set_module


@attrs.frozen
class Named:
    """An SVM or a node that a job refers to."""

    name: str | None = None
    uuid: str | None = None
    links: Mapping[str, str] = attrs.field(factory=dict[str, str])
    extra: Mapping[str, Any] = attrs.field(factory=dict[str, Any])


@attrs.frozen
class JobError:
    """``error`` of a failed job, since 9.9; ``target`` is no longer in the schema since 9.14."""

    message: str | None = None
    code: str | None = None
    target: str | None = None
    arguments: tuple[ErrorArgument, ...] = ()
    extra: Mapping[str, Any] = attrs.field(factory=dict[str, Any])


@attrs.frozen
class SubJob:
    """A direct child of a job of the data engine: often no more than a reference."""

    uuid: str | None = None
    name: str | None = None
    state: str | None = None
    error: JobError | None = None
    links: Mapping[str, str] = attrs.field(factory=dict[str, str])
    extra: Mapping[str, Any] = attrs.field(factory=dict[str, Any])


@attrs.frozen
class JobRecord(Unchecked):
    """One job as ONTAP sent it. ``code`` is an integer here, whatever type it was on the wire.

    ``create_time``, ``update_time``, ``percent_complete``, ``parent_job`` and ``sub_jobs`` are those of the
    data engine's jobs alone.
    """

    uuid: str | None = None
    description: str | None = None
    state: str | None = None
    message: str | None = None
    code: int | None = None
    start_time: datetime | None = None
    """Recorded traffic shows that it can change between polls of one job."""
    end_time: datetime | None = None
    """Recorded on running jobs too, so `Job.finished_at` takes it only once the state is terminal."""
    svm: Named | None = None
    node: Named | None = None
    error: JobError | None = None
    create_time: datetime | None = None
    update_time: datetime | None = None
    percent_complete: float | None = None
    parent_job: Named | None = None
    sub_jobs: tuple[SubJob, ...] = ()
    links: Mapping[str, str] = attrs.field(factory=dict[str, str])
    extra: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    """Unknown keys, and known ones whose value could not be read; ``results`` once those were read."""


UncheckedRecord: Any = unchecked(JobRecord)
"""For the decoder: a `JobRecord` whose values are not checked (see `common.model.lazy`)."""

NO_MESSAGE = "the server gave no reason"

DATA_ENGINE_KEYS = ("percent_complete", "sub_jobs", "parent_job", "create_time", "update_time")
"""What jobs of the data engine have, and those of the cluster do not."""

_NAMED = frozenset({"name", "uuid", "_links"})
_SUB_JOB = frozenset({"uuid", "name", "state", "error", "_links"})
_KNOWN = frozenset(field.name for field in attrs.fields(JobRecord)) - {"links", "extra"} | {"_links"}
_T = TypeVar("_T")


def parse_record(data: Object, path: str = "$") -> JobRecord:
    """Return one record with every value kept. Raise `DecodeError` for a state that is not text."""
    extra = _unknown(data, _KNOWN)
    record = UncheckedRecord()
    record.uuid = _read(data, "uuid", text, extra)
    record.description = _read(data, "description", text, extra)
    record.state = word(data.get("state"), f"{path}.state")
    record.message = _read(data, "message", text, extra)
    record.code = _read(data, "code", integer, extra)
    record.start_time = _read(data, "start_time", moment, extra)
    record.end_time = _read(data, "end_time", moment, extra)
    record.svm = _read(data, "svm", read_named, extra)
    record.node = _read(data, "node", read_named, extra)
    record.error = _read(data, "error", read_error, extra)
    record.create_time = _read(data, "create_time", moment, extra)
    record.update_time = _read(data, "update_time", moment, extra)
    record.percent_complete = _read(data, "percent_complete", finite, extra)
    record.parent_job = _read(data, "parent_job", read_named, extra)
    record.sub_jobs = _read(data, "sub_jobs", _sub_jobs, extra) or ()
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
    result = reader(value)
    if result is None:
        extra[key] = value
    return result


def read_error(value: Any) -> JobError | None:
    """Return an error, also one that is text alone; None for none, and for anything else."""
    if isinstance(value, str):
        return JobError(message=value) if value else None
    error = only(value)
    if not error:
        return None
    inner = Fields(error)
    arguments = inner.objects("arguments")  # an array, although some references print one object
    if any(
        set(argument) - {"message", "code"}
        or any(v is not None and text(v) is None for v in argument.values())
        for argument in arguments
    ):
        inner.extra["arguments"] = error["arguments"]
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


def error_detail(error: JobError, *, target: str | None = None, title: str | None = None) -> ErrorDetail:
    """Return an error in the form of every system; ``target`` counts where the error names none."""
    return ErrorDetail(
        error.message or NO_MESSAGE,
        code=error.code,
        title=title,
        target=error.target or target,
        arguments=error.arguments,
    )


def read_named(value: Any) -> Named | None:
    """Return an SVM or a node, also one that was read already; None for anything else."""
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


def _sub_jobs(value: Any) -> tuple[SubJob, ...] | None:
    members = objects(value)
    if isinstance(value, list) and len(members) < len(value):
        return None
    return tuple(map(_sub_job, members)) if isinstance(value, list | Mapping) else None


def _sub_job(data: Object) -> SubJob:
    extra = _unknown(data, _SUB_JOB)
    return SubJob(
        uuid=_read(data, "uuid", text, extra),
        name=_read(data, "name", text, extra),
        state=_read(data, "state", _text_only, extra),
        error=_read(data, "error", read_error, extra),
        links=_take_links(data, extra),
        extra=extra,
    )


def _text_only(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _take_links(data: Object, extra: dict[str, Any]) -> FrozenMap:
    value = data.get("_links")
    links, complete = read_links(value)
    if not complete:
        extra["_links"] = value
    return links


def read_links(links: Any) -> tuple[FrozenMap, bool]:
    """Return the links with an ``href`` of text, by name, and whether that is all of ``_links``."""
    if not isinstance(links, dict):
        return NO_LINKS, links is None
    hrefs: dict[str, str] = {}
    complete = True
    for name, link in links.items():
        href = link.get("href") if isinstance(link, dict) else None
        if type(href) is str:
            hrefs[name] = href
            complete = complete and len(link) == 1
        else:
            complete = False
    return FrozenMap(hrefs), complete


set_module(Named, JobError, SubJob, JobRecord)
