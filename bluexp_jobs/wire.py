"""BlueXP's bytes to jobs, without a socket: which record is meant, and what its state and items amount to.

Facts are from the BlueXP backup and recovery API reference ("job", ``cloudmanager_cbs``) and public issues.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bluexp_jobs.records import Batch, File, JobRecord, Volume, parse_record
from common.model.errors import DecodeError
from common.model.job import ErrorDetail, Job, JobItem
from common.model.refs import JobRef, Scope
from common.model.states import JobState, read_state
from common.response.decoding import Fields, Object, kind, root_object, text
from common.response.failures import ErrorBody
from common.response.http_response import HttpResponse
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
    "warning": JobState.PARTIAL,
    "failed": JobState.FAILED,
    "cancelled": JobState.CANCELLED,
}
"""Documented words, the sister API's, and SUCCESS of some references; letter case varies."""

PASSING_STATUSES = frozenset({409, 420})
"""The platform's own statuses for "not now"."""

HINTS: Mapping[str, str] = {
    "action not allowed for user": "account= may be the account's name: pass its id, such as 'account-x1'",
    "user is not allowed to do operation": "agent= may be wrong: pass the id of the agent that runs the job",
}
"""What the platform's plain-text refusals usually come from."""

_KEYS = frozenset({"id", "status", "type", "data"})
_JOB_ID_KEYS = ("job-id", "jobId", "job_id")


class NoJob(DecodeError):
    """The reply is well formed and holds no job: an empty array, or null."""


def parse_job(
    data: bytes | str | Object,
    *,
    endpoint: str = "",
    scope: Scope = (),
    id: str = "",
    states: Mapping[str, JobState] | None = None,
) -> Job:
    """The job in the reply to ``GET …/job/{jobId}``: an array by schema, an object in some references.

    ``id`` picks among several and stands in where the reply leaves its own out; ``states`` adds words.
    Raises `DecodeError` for what cannot be a job: no JSON, no ``job`` in it, none with that id.
    """
    found = _records(data)
    if not found:
        raise NoJob("no job in the reply", path="$.job", transient=True)
    index, record = 0, found[0]
    if len(found) > 1:
        same = [n for n, item in enumerate(found) if id and text(item.get("id")) == id]
        if not same:
            raise DecodeError(
                f"{len(found)} jobs in the reply, none with the id asked for",
                path="$.job",
                transient=True,
            )
        index, record = same[0], found[same[0]]
    return _job(record, endpoint, scope, id, states, f"$.job[{index}]")


def parse_jobs(
    data: bytes | str | Object,
    *,
    endpoint: str = "",
    scope: Scope = (),
    states: Mapping[str, JobState] | None = None,
) -> list[Job]:
    """The jobs in the reply to ``GET …/job``. Raises `DecodeError` with the path of the bad record."""
    return [_job(item, endpoint, scope, "", states, f"$.job[{n}]") for n, item in enumerate(_records(data))]


def parse_error(reply: HttpResponse) -> ErrorBody:
    """What a reply that is no success says: four shapes of JSON, plain text, a gateway's page, or nothing.

    Only a 404 in JSON, or a job that is empty or null, is the API's word that there is no such job.
    """
    request_id = reply.header("oncloud-request-id") or reply.header("x-response_id")
    try:
        fields = Fields(root_object(reply.body))
    except DecodeError:
        plain = reply.excerpt if reply.body and not reply.body.lstrip().startswith(b"<") else None
        hint = HINTS.get((plain or "").strip(" .").casefold())
        return ErrorBody(message=plain, request_id=request_id, from_api=hint is not None, hint=hint)
    message = fields.text("message") or fields.text("detail") or fields.text("title") or fields.text("error")
    return ErrorBody(
        code=fields.text("code"),
        message=message,
        request_id=request_id,
        transient=reply.status in PASSING_STATUSES,
        not_found=reply.status == 404,
        hint=HINTS.get((message or "").strip(" .").casefold()),
    )


def parse_started(reply: HttpResponse) -> StartedJobs:
    """The job that a write started: its body tells, whatever the status; there is no Location."""
    try:
        root = root_object(reply.body)
    except DecodeError:
        return StartedJobs()
    ids = [text(root.get(key)) for key in _JOB_ID_KEYS]
    return StartedJobs(tuple(id for id in ids if id)[:1])


def _records(data: bytes | str | Object) -> list[Object]:
    root = root_object(data)
    if "job" not in root:
        raise DecodeError("no job in the reply: it has no key 'job'", transient=True)
    if root["job"] == {}:
        return []
    fields = Fields(root)
    found = fields.objects("job")
    if "job" in fields.extra:
        raise DecodeError(f"expected jobs, got {kind(root['job'])}", path="$.job", transient=True)
    return found


def _job(
    data: Object,
    endpoint: str,
    scope: Scope,
    id: str,
    states: Mapping[str, JobState] | None,
    path: str,
) -> Job:
    if not _KEYS & data.keys():
        raise DecodeError("no job: none of a job's keys", path=path, transient=True)
    record = parse_record(data, path)
    found = record.id or id
    if not found:
        raise DecodeError("a job without its id, and none was asked for", path=f"{path}.id")
    items = tuple(_items(record, states))
    state = read_state(record.status, STATES, states)
    open_items = [item for item in items if not item.state.terminal]
    warnings: tuple[str, ...] = ()
    if state is JobState.SUCCEEDED:
        if any(item.state in (JobState.FAILED, JobState.CANCELLED, JobState.PARTIAL) for item in items):
            state = JobState.PARTIAL
        if open_items:
            names = ", ".join(f"{item.kind} {item.id}" for item in open_items)
            warnings = (f"the job ended while {len(open_items)} of its items had not ended: {names}",)
    own = (ErrorDetail(record.error),) if record.error else ()
    return Job(
        JobRef(PROVIDER, endpoint, found, scope),
        state,
        native_state=record.status,
        operation=record.type,
        message=record.error or None,
        progress=_progress(items),
        created_at=record.time,
        errors=own + tuple(error for item in items for error in item.errors),
        warnings=warnings,
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
    # A volume is listed only once it has ended, so volumes do not tell what is outstanding.
    batches = [item for item in items if item.kind == "batch"]
    if not batches:
        return None
    return sum(item.state.terminal for item in batches) / len(batches)
