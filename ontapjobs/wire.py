"""Decode ONTAP's responses, without I/O: jobs, pages and error bodies.

Facts are from the ONTAP REST reference, "Cluster jobs" (9.6 to 9.19), and recorded traffic.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from common.model.errors import DecodeError
from common.model.job import ErrorDetail, Job, typed_record
from common.model.refs import RESULTS, JobRef, Scope
from common.model.states import JobState, read_state
from common.response.decoding import (
    Fields,
    Object,
    objects,
    readable_id,
    repair_warnings,
    root_object,
    text,
)
from common.response.failures import ErrorBody
from common.response.http_response import HttpResponse
from common.response.job_list import as_one, read_each
from ontapjobs.paths.links import results_hint
from ontapjobs.records.batch_page import BatchPage
from ontapjobs.records.data_engine import MORE_STATES, PATH, links_with_parent, read_progress, sub_job_items
from ontapjobs.records.fast_path import FastReader
from ontapjobs.records.job_record import NO_MESSAGE, JobRecord, parse_record

PROVIDER = "ontap"

REFERENCE_STATES: Mapping[str, JobState] = {
    "queued": JobState.QUEUED,
    "running": JobState.RUNNING,
    "paused": JobState.PAUSED,
    "success": JobState.SUCCEEDED,
    "failure": JobState.FAILED,
}
"""The words of the REST reference, the only ones that a list can be filtered by."""

STATES: Mapping[str, JobState] = {
    **REFERENCE_STATES,
    "initial": JobState.QUEUED,
    "dormant": JobState.RUNNING,
    "pausing": JobState.RUNNING,
    "quitting": JobState.RUNNING,
    "reschedule": JobState.RUNNING,
    "restart": JobState.RUNNING,
    "waiting": JobState.RUNNING,
    "dead": JobState.FAILED,
    "error": JobState.FAILED,
    "quit": JobState.FAILED,
    "expired": JobState.FAILED,
    "cancelled": JobState.CANCELLED,
}
"""Beside the reference's, those of NetApp's ONTAPI-to-REST mapping and of the loop in its own Python client.

Private CLI calls hand them through. CANCELLED is the server's word, never inferred: a job that was cancelled
through the REST API ends as success or failure.
"""

TRANSIENT_CODES = frozenset({"262160", "65541", "65552", "65562", "393271", "458773", "2621573"})
"""Codes of transient errors, with any status: too many requests in progress, RPC failures, a node out of
quorum, a job manager that is not initialised yet, an SVM that is locked for a moment."""

NO_REASON = "the job failed, and the server gave no reason"

_DATA_ENGINE_STATES = {**STATES, **MORE_STATES}
_KEYS = frozenset({"uuid", "state"})
_UNSUCCESSFUL = (JobState.FAILED, JobState.CANCELLED, JobState.PARTIAL)


def parse_job(
    data: bytes | str | Object,
    *,
    endpoint: str = "",
    scope: Scope = (),
    id: str = "",
    states: Mapping[str, JobState] | None = None,
    own: bool = False,
) -> Job:
    """Return the job in the response to ``GET /api/cluster/jobs/{uuid}``.

    ``id`` is used if the response has no uuid. ``states`` adds words to the table. ``own=True`` promises
    for decoded data that nobody will change it: then fields of the job may be read on access, as they are
    for bytes.

    Raise `DecodeError` for anything else: not JSON, an error body, an object without a job, a job without
    an id.
    """
    root = root_object(data)
    if own or root is not data:
        job = fast_reader(endpoint, scope, states, intern=False).read(root)
        if job is not None:
            return job
    if not _KEYS & root.keys():
        what = "an error body" if "error" in root else "no job in the response"
        raise DecodeError(f"{what}: neither uuid nor state", transient=True)
    return build_job(root, endpoint=endpoint, scope=scope, id=id, states=states, path="$")


def parse_jobs(
    data: bytes | str | Object, *, endpoint: str = "", states: Mapping[str, JobState] | None = None
) -> list[Job]:
    """Return the jobs in a page of ``GET /api/cluster/jobs``. Raise `DecodeError` with the record's path."""
    page = parse_page(data, endpoint=endpoint, states=states)
    if page.failures:
        raise as_one(page.failures)
    return page.jobs


def record(job: Job) -> JobRecord:
    """Return everything that ONTAP sent of a job, typed.

    Raise `WrongSource` for a job of another system, and `UsageError` for one without a record: after a
    conversion to plain data and back, or where a probe, or the status of its write, said the state.
    """
    return typed_record(job, JobRecord, PROVIDER)


@attrs.frozen(eq=False)
class Page:
    """One page of a list: its jobs, the link to the next page, and how many records the server counts.

    ``failures`` has an error for each record that cannot be read.
    """

    jobs: list[Job]
    next: str | None
    num_records: int | None
    failures: list[DecodeError] = attrs.field(factory=list[DecodeError])


def parse_page(
    data: bytes | str | Object, *, endpoint: str = "", states: Mapping[str, JobState] | None = None
) -> Page:
    """Return a whole page. Raise `DecodeError` for a response that is not a list of jobs.

    A page may be empty and still have a next one: the server also ends it after ``return_timeout`` seconds.
    """
    root = root_object(data)
    fields = Fields(root)
    count = fields.integer("num_records")
    records = root.get("records")
    if records is not None and not isinstance(records, list | Mapping):
        raise DecodeError("records must be an array", path="$.records", transient=True)
    if records is None and count is None:
        raise DecodeError("not a list of jobs: it has neither records nor num_records", transient=True)
    members = [records] if isinstance(records, Mapping) else records or []  # some references print one object
    # Data that the caller decoded may be changed by the caller later: it is read at once, on the general
    # path.
    reader = None if root is data else fast_reader(endpoint, (), states, intern=True)

    def read(record: Object, index: int) -> Job:
        return (reader and reader.read(record)) or build_job(
            record, endpoint=endpoint, scope=(), id="", states=states, path=f"$.records[{index}]"
        )

    jobs, failures = read_each(members, read, "$.records")
    return Page(jobs, read_hrefs(root).get("next"), count, failures)


def raw_page(data: bytes | str | Object) -> BatchPage:
    """Return a page's records as they are, without those that are not objects or have no id."""
    root = root_object(data)
    records = {str(record.get("uuid") or "").lower(): record for record in objects(root.get("records"))}
    records.pop("", None)
    return BatchPage(records, read_hrefs(root).get("next"))


def parse_count(data: bytes | str | Object, *, has_records: bool) -> tuple[int | None, str | None]:
    """Return how many records are on a page, None where it does not tell, and the link to the next page.

    ``has_records``: the records were asked for, and are counted; else their number was.
    """
    root = root_object(data)
    count, records = Fields(root).integer("num_records"), root.get("records")
    if has_records and records is not None:
        count = len(records) if isinstance(records, list) else 1
    return None if count is None or count < 0 else count, read_hrefs(root).get("next")


def parse_error(response: HttpResponse) -> ErrorBody:
    """Return what an error body says: ``{"error": {"message", "code", "target"?, "arguments"?}}``.

    Only a 404 with code "4" means that the job does not exist, and one with code "2" that the uuid is
    malformed; any other 404 comes from a proxy or a role, and says nothing about the job.
    """
    try:
        body = root_object(response.body).get("error")
    except DecodeError:
        body = None
    if not isinstance(body, Mapping):
        return ErrorBody(from_api=False)
    fields = Fields(body)
    code, message = fields.text("code"), fields.text("message")
    gone = response.status == 404 and code in ("4", "2")
    hint = None
    if response.status == 403 and code == "6":
        hint = "the account's role may not read jobs: give it read access to /api/cluster/jobs"
    return ErrorBody(
        code=code,
        message=message,
        transient=code in TRANSIENT_CODES or (response.status == 404 and not gone),
        not_found=gone,
        never_existed=gone and code == "2",
        hint=hint,
    )


def fast_reader(
    endpoint: str, scope: Scope, states: Mapping[str, JobState] | None, *, intern: bool
) -> FastReader:
    """Return a reader of ordinary records (see `ontapjobs.records.fast_path`)."""
    return FastReader(PROVIDER, endpoint, scope, _table(scope), states, intern=intern)


def _table(scope: Scope) -> Mapping[str, JobState]:
    elsewhere = any(name == PATH for name, _ in scope)
    return _DATA_ENGINE_STATES if elsewhere else STATES


def build_job(
    data: Object,
    *,
    endpoint: str,
    scope: Scope,
    id: str,
    states: Mapping[str, JobState] | None,
    path: str,
) -> Job:
    """Return the job in one record, wherever that was. Raise `DecodeError` with its ``path``."""
    record = parse_record(data, path)
    known_id = record.uuid or id
    if not known_id:
        raise DecodeError("the job has no uuid, and the request named none", path=f"{path}.uuid")
    if data.get("uuid") and readable_id(data, "uuid") is None:
        raise DecodeError("the uuid has characters that cannot be read", path=f"{path}.uuid", transient=True)
    table = _table(scope)
    state = read_state(record.state, table, states)
    items = sub_job_items(record, table, states)
    warnings: tuple[str, ...] = ()
    if state is JobState.SUCCEEDED:
        if any(item.state in _UNSUCCESSFUL for item in items):
            state = JobState.PARTIAL
        going_on = [item.id for item in items if item.native_state is not None and not item.state.terminal]
        if going_on:
            warnings = (f"the job ended while {len(going_on)} of its jobs had not: {', '.join(going_on)}",)
    results = results_hint(record.links.get(RESULTS), known_id)
    return Job(
        JobRef(PROVIDER, endpoint, known_id, scope, ((RESULTS, results),) if results else ()),
        state,
        native_state=record.state,
        operation=record.description,
        message=record.message,
        progress=read_progress(record),
        created_at=record.create_time,
        started_at=record.start_time,
        updated_at=record.update_time,
        finished_at=record.end_time if state.terminal else None,
        errors=_errors(record, state) + tuple(error for item in items for error in item.errors),
        warnings=warnings + repair_warnings(data),
        items=items,
        links=links_with_parent(record),
        record=record,
    )


def _errors(record: JobRecord, state: JobState) -> tuple[ErrorDetail, ...]:
    error = record.error
    failed = state is JobState.FAILED
    if error is None and not failed:
        return ()  # a code other than 0 is a progress id in a running job, and means nothing in a success
    code = error.code if error else None
    if code is None and failed:
        code = str(record.code) if record.code else text(record.extra.get("code"))
    message = (error and error.message) or (record.message if failed else None)
    return (
        ErrorDetail(
            message or (NO_REASON if failed else NO_MESSAGE),
            code=code,
            target=error.target if error else None,
            arguments=error.arguments if error else (),
        ),
    )


def read_hrefs(data: Object) -> dict[str, str]:
    """Return the links of any object, by name."""
    links = data.get("_links")
    if not isinstance(links, Mapping):
        return {}
    hrefs = {name: link.get("href") for name, link in links.items() if isinstance(link, Mapping)}
    return {name: href for name, href in hrefs.items() if isinstance(href, str)}
