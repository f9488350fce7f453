"""Decode BlueXP's responses, without I/O: which record is the job, and which state its items give it.

Facts are from the BlueXP backup and recovery API reference ("job", ``cloudmanager_cbs``) and public issues.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import cast

from bluexp_jobs.records import Batch, File, JobRecord, Volume, parse_record
from common.model.errors import DecodeError
from common.model.job import ErrorDetail, Job, JobItem, typed_record
from common.model.refs import JobRef, Scope
from common.model.states import JobState, read_state
from common.response.decoding import (
    Fields,
    Object,
    kind,
    readable_id,
    repair_warnings,
    root_object,
    text,
)
from common.response.failures import ErrorBody
from common.response.http_response import HttpResponse
from common.response.job_list import as_one, read_each
from common.response.writes import StartedJobs

PROVIDER = "bluexp"

STATES: Mapping[str, JobState] = {
    "pending": JobState.QUEUED,
    "queued": JobState.QUEUED,
    "in_progress": JobState.RUNNING,
    "running": JobState.RUNNING,
    "paused": JobState.PAUSED,
    "completed": JobState.SUCCEEDED,
    "success": JobState.SUCCEEDED,
    "succeeded": JobState.SUCCEEDED,
    "warning": JobState.PARTIAL,
    "failed": JobState.FAILED,
    "timed_out": JobState.FAILED,
    "canceling": JobState.RUNNING,
    "cancelled": JobState.CANCELLED,
    "canceled": JobState.CANCELLED,
}
"""The documented words, those of the sister API, and SUCCESS of some references; letter case varies."""

TRANSIENT_STATUSES = frozenset({409, 420})
"""The platform's own statuses for a transient refusal."""

HINTS: Mapping[str, str] = {
    "action not allowed for user": "account= may be the account's name: use its id, such as 'account-x1'",
    "user is not allowed to do operation": "agent= may be wrong: use the id of the agent that runs the job",
}
"""The usual causes of the platform's plain-text refusals, by their text."""

GATEWAY_404 = re.compile(
    r"\brout(e|er|ing)|upstream|\bcannot (get|head|post|put|patch|delete)\b", re.IGNORECASE
)
"""What a 404 in JSON speaks of where it is a gateway's: "no Route matched with those values" (Kong), "Route
GET:/… not found" (Fastify), "Cannot GET /…" (Express), "no healthy upstream" (Envoy)."""

_KEYS = frozenset({"id", "status", "type", "data"})
_TEXT_KEYS = ("message", "detail", "title", "error")
_JOB_ID_KEYS = ("job-id", "jobId", "job_id")


class NoJob(DecodeError):
    """The response is well formed and contains no job: an empty array, or null."""


def parse_job(
    data: bytes | str | Object,
    *,
    endpoint: str = "",
    scope: Scope = (),
    id: str = "",
    states: Mapping[str, JobState] | None = None,
) -> Job:
    """Return the job in the response to ``GET …/job/{jobId}``: an array, an object in some references.

    ``id`` selects one of several, and is used if the record has none. ``states`` adds words to the table.
    Raise `DecodeError` for anything else: not JSON, no ``job`` in it (`NoJob` for an empty one), none with
    that id.
    """
    members = _members(data)
    if not members:
        raise NoJob("no job in the response", path="$.job", transient=True)
    records = {n: member for n, member in enumerate(members) if isinstance(member, Mapping)}
    if len(members) > 1:
        records = _with_id(records, id)
        if not records:
            raise DecodeError(
                f"{len(members)} jobs in the response, none with the requested id",
                path="$.job",
                transient=True,
            )
    if not records:
        raise DecodeError(f"expected a job, got {kind(members[0])}", path="$.job[0]", transient=True)
    index, record = next(iter(records.items()))
    return _job(record, endpoint, scope, id, states, f"$.job[{index}]")


def _with_id(records: Mapping[int, Object], id: str) -> dict[int, Object]:
    """Return the records of a job. Letter case counts only where ids differ in nothing else."""
    ids = {n: known for n, record in records.items() if (known := text(record.get("id")))}
    same = [n for n, known in ids.items() if known == id]
    if not same and len({known for known in ids.values() if known.casefold() == id.casefold()}) == 1:
        same = [n for n, known in ids.items() if known.casefold() == id.casefold()]
    return {n: records[n] for n in same}


def parse_jobs(
    data: bytes | str | Object,
    *,
    endpoint: str = "",
    scope: Scope = (),
    states: Mapping[str, JobState] | None = None,
) -> list[Job]:
    """Return the jobs in the response to ``GET …/job``. Raise `DecodeError` with the record's path."""
    jobs, failures = parse_list(data, endpoint=endpoint, scope=scope, states=states)
    if failures:
        raise as_one(failures)
    return jobs


def record(job: Job) -> JobRecord:
    """Return everything that BlueXP sent of a job, typed.

    Raise `WrongSource` for a job of another system, and `UsageError` for one without a record: after a
    conversion to plain data and back, or where a probe, or the status of its write, said the state.
    """
    return typed_record(job, JobRecord, PROVIDER)


def parse_list(
    data: bytes | str | Object,
    *,
    endpoint: str = "",
    scope: Scope = (),
    states: Mapping[str, JobState] | None = None,
) -> tuple[list[Job], list[DecodeError]]:
    """Return what `parse_jobs` would, and an error for each record that cannot be read."""

    def read(record: Object, index: int) -> Job:
        return _job(record, endpoint, scope, "", states, f"$.job[{index}]")

    return read_each(_members(data), read, "$.job")


def parse_error(response: HttpResponse) -> ErrorBody:
    """Return what an error body says: one of four shapes of JSON, plain text, a gateway's page, or nothing.

    Only a 404 in JSON, or a job that is empty or null, is the API's own statement that there is no such job;
    and no such 404 that speaks of a route, for that is a gateway's.
    """
    request_id = response.header("oncloud-request-id") or response.header("x-response_id")
    try:
        fields = Fields(root_object(response.body))
    except DecodeError:
        plain = response.excerpt if response.body and not response.body.lstrip().startswith(b"<") else None
        hint = HINTS.get((plain or "").strip(" .").casefold())
        return ErrorBody(message=plain, request_id=request_id, from_api=hint is not None, hint=hint)
    texts = [value for key in _TEXT_KEYS if (value := fields.text(key))]
    message = texts[0] if texts else None
    gateway = response.status == 404 and any(map(GATEWAY_404.search, texts))
    return ErrorBody(
        code=fields.text("code"),
        message=message,
        request_id=request_id,
        from_api=not gateway,
        transient=response.status in TRANSIENT_STATUSES,
        not_found=response.status == 404 and not gateway,
        hint=HINTS.get((message or "").strip(" .").casefold()),
    )


def parse_started(response: HttpResponse) -> StartedJobs:
    """Return the job that a write started: its body names it, whatever the status; there is no Location.

    A 202 without one has started a job that nobody can wait for, unless the request named it.
    """
    accepted = response.status == 202
    try:
        root = root_object(response.body)
    except DecodeError:
        return StartedJobs(unnamed=accepted)
    ids = [readable_id(root, key) for key in _JOB_ID_KEYS]
    refs = tuple(JobRef(PROVIDER, "", id) for id in ids if id)[:1]
    error, message = text(root.get("error")), text(root.get("message"))
    errors = (ErrorDetail(message or error, code=text(root.get("code")), title=error),) if error else ()
    return StartedJobs(refs, warnings=repair_warnings(root), errors=errors, unnamed=accepted and not refs)


def _members(data: bytes | str | Object) -> list[object]:
    """Return the members of ``job``, objects or not; one object counts as an array of one."""
    root = root_object(data)
    if "job" not in root:
        raise DecodeError("no job in the response: it has no key 'job'", transient=True)
    members = root["job"]
    if members is None or members == {}:
        return []
    if isinstance(members, Mapping):
        return [members]
    if not isinstance(members, list):
        raise DecodeError(f"expected jobs, got {kind(members)}", path="$.job", transient=True)
    return cast("list[object]", members)


def _job(
    data: Object,
    endpoint: str,
    scope: Scope,
    id: str,
    states: Mapping[str, JobState] | None,
    path: str,
) -> Job:
    if not _KEYS & data.keys():
        raise DecodeError("not a job: it has none of a job's keys", path=path, transient=True)
    record = parse_record(data, path)
    known_id = record.id or id
    if not known_id:
        raise DecodeError("the job has no id, and the request named none", path=f"{path}.id")
    if record.id and readable_id(data, "id") is None:
        raise DecodeError("the id has characters that cannot be read", path=f"{path}.id", transient=True)
    items = tuple(_items(record, states))
    state = read_state(record.status, STATES, states)
    open_items = [item for item in items if not item.state.terminal]
    warnings: tuple[str, ...] = ()
    if state is JobState.SUCCEEDED:
        unsuccessful = (JobState.FAILED, JobState.CANCELLED, JobState.PARTIAL)
        if record.error or any(item.state in unsuccessful for item in items):
            state = JobState.PARTIAL
        if open_items:
            names = ", ".join(f"{item.kind} {item.id}" for item in open_items)
            warnings = (f"the job ended before {len(open_items)} of its items: {names}",)
    job_errors = (ErrorDetail(record.error),) if record.error else ()
    return Job(
        JobRef(PROVIDER, endpoint, known_id, scope),
        state,
        native_state=record.status,
        operation=record.type,
        message=record.error or None,
        progress=_progress(items),
        created_at=record.time,
        errors=job_errors + tuple(error for item in items for error in item.errors),
        warnings=warnings + repair_warnings(data),
        items=items,
        record=record,
    )


def _items(record: JobRecord, states: Mapping[str, JobState] | None) -> Iterator[JobItem]:
    for index, volume in enumerate(record.volumes):
        yield _item("volume", index, volume, states)
    for index, batch in enumerate(record.batches):
        yield _item("batch", index, batch, states, batch.files)


def _item(
    kind: str,
    index: int,
    part: Volume | Batch,
    states: Mapping[str, JobState] | None,
    files: tuple[File, ...] = (),
) -> JobItem:
    id = part.id or str(index + 1)
    state = read_state(part.status, STATES, states)
    return JobItem(
        id=id,
        kind=kind,
        state=state,
        native_state=part.status,
        errors=(ErrorDetail(part.error, target=id),) if part.error else (),
        items=tuple(
            JobItem(file.path or str(file.inode or n + 1), "file", state) for n, file in enumerate(files)
        ),
    )


def _progress(items: tuple[JobItem, ...]) -> float | None:
    # The server lists a volume only once it has ended, so volumes do not tell what is outstanding.
    batches = [item for item in items if item.kind == "batch"]
    if not batches:
        return None
    return sum(item.state.terminal for item in batches) / len(batches)
