"""Decode Cloud Foundry's responses, without I/O: jobs, error bodies, rate limits, and the jobs of a write.

Facts are from the Cloud Controller v3 API reference ("Jobs", 3.228), its source, Korifi's, and recorded
traffic.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_plus

import attrs

from cfjobs.router import read_router_error
from common.model.errors import DecodeError
from common.model.job import ErrorDetail, Job, typed_record, unique
from common.model.refs import JobRef, Scope
from common.model.states import JobState, read_state
from common.polling.throttle import Budget
from common.response.decoding import (
    Fields,
    Object,
    as_json,
    integer,
    objects,
    readable_id,
    repair_warnings,
    root_object,
    text,
)
from common.response.failures import FATAL, ErrorBody
from common.response.http_response import HttpResponse, last_segment
from common.response.writes import StartedJobs
from common.set_module import set_module

PROVIDER = "cf"

STATES: Mapping[str, JobState] = {
    "processing": JobState.RUNNING,
    "polling": JobState.RUNNING,
    "complete": JobState.SUCCEEDED,
    "failed": JobState.FAILED,
}
"""POLLING is work that was queued again, mostly while the controller polls a service broker."""

TENTHS = 10
"""In how many steps the Cloud Controller counts down what is left."""
MAX_COUNT = 10**15
"""A larger number in a header is no count and no time, but what a proxy made of one."""
MAX_WINDOW = 86_400.0
"""Seconds; a reset further away means that a clock is wrong."""
NOT_FOUND = "10010"
"""CF-ResourceNotFound: the API's own code for a job that it never knew, or has deleted."""
TRANSIENT_CODES = frozenset({"10013", "10014", "10016", "20004"})
"""Codes of transient errors: rate limits of the platform, a user and a broker; UAA is unavailable."""

_KEYS = frozenset({"guid", "state", "operation"})
_JOB_LOCATION = re.compile(r"/jobs(/[^/?#]*)?/*([?#]|$)")
"""The Location of a job, also where its guid cannot be read."""


@attrs.frozen
class Link:
    """One link of a job, as the server sent it; a relative one stays relative."""

    href: str
    method: str | None = None
    extra: Mapping[str, Any] = attrs.field(factory=dict[str, Any])


@attrs.frozen
class JobError:
    """One error. ``detail`` is for people, ``code`` and ``title`` are for programs."""

    code: int | None = None
    title: str | None = None
    detail: str | None = None
    extra: Mapping[str, Any] = attrs.field(factory=dict[str, Any])


@attrs.frozen
class JobRecord:
    """One job as the Cloud Controller or Korifi sent it."""

    guid: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    operation: str | None = None
    state: str | None = None
    errors: tuple[JobError, ...] = ()
    warnings: tuple[str, ...] = ()
    links: Mapping[str, Link] = attrs.field(factory=dict[str, Link])
    extra: Mapping[str, Any] = attrs.field(factory=dict[str, Any])


def parse_job(
    data: bytes | str | Object,
    *,
    endpoint: str = "",
    scope: Scope = (),
    id: str = "",
    states: Mapping[str, JobState] | None = None,
) -> Job:
    """Return the job in the response to ``GET /v3/jobs/{guid}``.

    ``id`` is used if the response has no guid. ``states`` adds words to the table. Raise `DecodeError` for
    anything else: not JSON, an error body, an object without a job, a job without an id.
    """
    root = root_object(data)
    if not _KEYS & root.keys():
        what = "an error body" if "errors" in root else "no job in the response"
        raise DecodeError(f"{what}: none of guid, state, operation", transient=True)
    record = parse_record(root)
    known_id = record.guid or id
    if not known_id:
        raise DecodeError("the job has no guid, and the request named none", path="$.guid")
    if record.guid and readable_id(root, "guid") is None:
        raise DecodeError("the guid has characters that cannot be read", path="$.guid", transient=True)
    state = read_state(record.state, STATES, states)
    unexplained = state is JobState.FAILED and not record.errors
    return Job(
        JobRef(PROVIDER, endpoint, known_id, scope),
        state,
        native_state=record.state,
        operation=record.operation,
        created_at=record.created_at,
        updated_at=record.updated_at,
        message=_where_the_reason_is(record) if unexplained else None,
        errors=tuple(map(_detail, record.errors)),
        warnings=unique((*record.warnings, *repair_warnings(root))),
        links={name: link.href for name, link in record.links.items()},
        record=record,
    )


def record(job: Job) -> JobRecord:
    """Return everything that the Cloud Controller sent of a job, typed.

    Raise `WrongSource` for a job of another system, and `UsageError` for one without a record: after a
    conversion to plain data and back, or where a probe, or the status of its write, said the state.
    """
    return typed_record(job, JobRecord, PROVIDER)


def parse_record(data: Object) -> JobRecord:
    """Return one record with every value kept. Raise `DecodeError` for a state that is not text."""
    fields = Fields(data)
    return JobRecord(
        guid=fields.text("guid"),
        created_at=fields.moment("created_at"),
        updated_at=fields.moment("updated_at"),
        operation=fields.text("operation"),
        state=fields.word("state", "$.state"),
        errors=tuple(_error(item) for item in _array(fields, "errors")),
        warnings=_warnings(fields),
        links=_links(fields),
        extra=fields.extra,
    )


def parse_error(response: HttpResponse) -> ErrorBody:
    """Return what an error body says: ``{"errors": […]}``, or on 502 one error at the root.

    Only code and title are stable, never the detail. A 404 is about the job only with code 10010, and what
    the platform's router answers is never the API's word (`cfjobs.router`): it passes.
    """
    request_id = response.header("x-vcap-request-id")
    router = read_router_error(response)
    if router is not None:
        reached = "" if router.forwarded else ": no server of the API got the request"
        return ErrorBody(
            request_id=request_id,
            from_api=False,
            transient=True,
            forwarded=router.forwarded,
            hint=f"the platform's router says {router.word!r} (X-Cf-RouterError){reached}",
        )
    try:
        root = root_object(response.body)
    except DecodeError:
        return ErrorBody(request_id=request_id, from_api=False)
    fields = [Fields(item) for item in objects(root.get("errors")) or [root]]
    codes = [code for item in fields if (code := item.text("code")) is not None]
    messages = [message for item in fields if (message := item.text("detail") or item.text("title"))]
    if not codes and not messages:
        return ErrorBody(request_id=request_id, from_api=False)
    missing = response.status == 404 and NOT_FOUND in codes
    return ErrorBody(
        code=codes[0] if codes else None,
        message="; ".join(messages) or None,
        request_id=request_id,
        transient=(response.status not in FATAL and not TRANSIENT_CODES.isdisjoint(codes))
        or (response.status == 404 and not missing),
        not_found=missing,
    )


def parse_started(response: HttpResponse) -> StartedJobs:
    """Return the job of a write: that of a 202 with a Location whose last segment but one is ``jobs``.

    204 and 200 mean that there is none, and so does a 202 without such a Location (a task is no job).
    ``X-Cf-Warnings`` has the write's own warnings in either case.
    """
    location = response.header("location") if response.status == 202 else None
    id = last_segment(location, parent="jobs")
    return StartedJobs(
        (JobRef(PROVIDER, "", id),) if id else (),
        warnings=parse_warnings(response.header_values("x-cf-warnings")),
        errors=_errors_beside(response) if id else (),
        unnamed=id is None and bool(_JOB_LOCATION.search(location or "")),
    )


def _errors_beside(response: HttpResponse) -> tuple[ErrorDetail, ...]:
    try:
        fields = Fields(root_object(response.body))
    except DecodeError:
        return ()
    return tuple(_detail(_error(item)) for item in _array(fields, "errors"))


def parse_budget(response: HttpResponse) -> Budget | None:
    """Return the budget of ``X-RateLimit-Limit``, ``-Remaining`` and ``-Reset`` (epoch seconds), or None.

    It is None where one of them is missing. The Cloud Controller floors the remaining count to tenths of the
    limit (``middleware/base_rate_limiter.rb``, ``estimate_remaining``), so that 0 stands for up to a tenth
    left; the middle of that tenth is returned. Each of its processes counts for itself: counts may jump.
    """
    limit = _count(response.header("x-ratelimit-limit"))
    if limit is None or limit <= 0:  # mostly there is none
        return None
    remaining, reset = (_count(response.header(f"x-ratelimit-{name}")) for name in ("remaining", "reset"))
    if remaining is None or reset is None:
        return None
    now = (response.date or datetime.now(UTC)).timestamp()
    middle = min(limit, max(0, remaining) + limit / TENTHS / 2)
    return Budget(limit, middle, min(max(0.0, reset - now), MAX_WINDOW))


def _count(value: str | None) -> int | None:
    number = integer(value)
    return None if number is None or abs(number) > MAX_COUNT else number


def parse_warnings(values: tuple[str, ...]) -> tuple[str, ...]:
    """Return the warnings of ``X-Cf-Warnings``, without repeats.

    The Cloud Controller sends them comma-separated and form-encoded, Korifi as plain text.
    """
    warnings: list[str] = []
    for value in values:
        if " " in value.strip().replace(", ", ","):
            warnings.append(value.strip())  # encoded text has no space: this is Korifi's plain text
        else:
            warnings += [unquote_plus(part.strip()) for part in value.split(",")]
    return unique(warning for warning in warnings if warning)


def _array(fields: Fields, key: str) -> list[Any]:
    value = fields.data.get(key)
    fields.extra.pop(key, None)
    items = value if isinstance(value, list) else [value]
    return [item for item in items if item is not None]


def _error(item: Any) -> JobError:
    if isinstance(item, Mapping):
        fields = Fields(item)
        return JobError(fields.integer("code"), fields.text("title"), fields.text("detail"), fields.extra)
    return JobError(detail=_as_text(item))


def _warnings(fields: Fields) -> tuple[str, ...]:
    items = _array(fields, "warnings")
    if any(isinstance(item, Mapping) and set(item) - {"detail"} for item in items):
        fields.extra["warnings"] = fields.data["warnings"]
    return tuple(
        (text(item.get("detail")) if isinstance(item, Mapping) else None) or _as_text(item) for item in items
    )


def _as_text(item: Any) -> str:
    # An error or a warning of an unknown form is still one: it is reported as JSON.
    return text(item) or as_json(item)


def _detail(error: JobError) -> ErrorDetail:
    # The error of a retried attempt has "description" where all others have "detail".
    description = text(error.extra.get("description"))
    code = error.code if error.code is not None else text(error.extra.get("code"))
    return ErrorDetail(
        error.detail or description or error.title or "the server gave no reason",
        code=None if code is None else str(code),
        title=error.title,
    )


def _where_the_reason_is(record: JobRecord) -> str:
    """Return where to look for the reason of a failed job without errors, by the link to its resource.

    Since 2026 the Cloud Controller sets stuck creates to FAILED so, on purpose.
    """
    resource, guid, operation = "its resource", "…", True
    for name, link in record.links.items():
        href = link.href.partition("?")[0].rstrip("/")
        if name != "self" and "/" in href:
            resource, guid = href, href.rpartition("/")[2]
            operation = "instance" in name or "binding" in name
            break
    events = f"/v3/audit_events?target_guids={guid}"
    look = f"the last_operation of {resource}, or {events}" if operation else events
    return f"the server gave no reason: look at {look}"


def _links(fields: Fields) -> dict[str, Link]:
    value = fields.object("links")
    links: dict[str, Link] = {}
    for name, link in (value or {}).items():
        if isinstance(link, Mapping) and isinstance(link.get("href"), str):
            inner = Fields(link)
            links[name] = Link(inner.text("href") or "", inner.text("method"), inner.extra)
        elif isinstance(link, str):
            links[name] = Link(link)
    if value is not None and len(links) < len(value):
        fields.extra["links"] = {name: link for name, link in value.items() if name not in links}
    return links


set_module(Link, JobError, JobRecord)
