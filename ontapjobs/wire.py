"""ONTAP's bytes to records to jobs, without a socket.

Facts are from the ONTAP REST reference, "Cluster jobs" (9.6 to 9.19), and recorded traffic.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from common.model.errors import DecodeError
from common.model.job import ErrorDetail, Job
from common.model.refs import JobRef, Scope
from common.model.states import JobState, read_state
from common.response.decoding import Fields, Object, objects, root_object, text
from common.response.failures import ErrorBody
from common.response.http_response import HttpResponse, last_segment
from common.response.writes import StartedJobs
from ontapjobs.fast_path import FastReader
from ontapjobs.records import JobRecord, parse_record

PROVIDER = "ontap"
JOBS = "/api/cluster/jobs"

STATES: Mapping[str, JobState] = {
    "queued": JobState.QUEUED,
    "running": JobState.RUNNING,
    "paused": JobState.PAUSED,
    "success": JobState.SUCCEEDED,
    "failure": JobState.FAILED,
}
"""The same five words in every release. A cancelled job ends as success or failure: none says so."""

PASSING_CODES = frozenset({"262160", "65541", "65552", "65562", "393271"})
"""Too many requests in progress, RPC trouble, a node out of quorum: all pass by themselves."""

NO_REASON = "the job failed, and the server gave no reason"


_KEYS = frozenset({"uuid", "state"})


def parse_job(
    data: bytes | str | Object,
    *,
    endpoint: str = "",
    scope: Scope = (),
    id: str = "",
    states: Mapping[str, JobState] | None = None,
    own: bool = False,
) -> Job:
    """The job in the reply to ``GET /api/cluster/jobs/{uuid}``.

    ``id`` stands in where the reply leaves the uuid out. ``states`` adds words to the table. ``own`` says of
    decoded data that nobody will change it: then parts of the job may be read later, as they are of bytes.
    Raises `DecodeError` for what cannot be a job: no JSON, an error body, no job in it, no id known.
    """
    root = root_object(data)
    if own or root is not data:
        job = _plain(endpoint, scope, states).read(root)
        if job is not None:
            return job
    if not _KEYS & root.keys():
        what = "an error body" if "error" in root else "no job in it"
        raise DecodeError(f"{what}: neither uuid nor state", transient=True)
    return _job(root, endpoint=endpoint, scope=scope, id=id, states=states, path="$")


def read_job(data: bytes | Object, ref: JobRef, states: Mapping[str, JobState] | None) -> Job:
    """Return what `parse_job` would for the job with this ref, which is complete and is not checked anew."""
    root = root_object(data)
    job = FastReader(PROVIDER, ref.endpoint, ref.scope, STATES, states, known=ref).read(root)
    if job is not None:
        return job
    return parse_job(root, endpoint=ref.endpoint, scope=ref.scope, id=ref.id, states=states)


def parse_jobs(
    data: bytes | str | Object, *, endpoint: str = "", states: Mapping[str, JobState] | None = None
) -> list[Job]:
    """The jobs in one page of ``GET /api/cluster/jobs``. Raises `DecodeError` with the record's path."""
    return parse_page(data, endpoint=endpoint, states=states).jobs


@attrs.frozen
class Page:
    """One page of a list: its jobs, the link to the next page, and the total where it was asked for."""

    jobs: list[Job]
    next: str | None
    num_records: int | None


def parse_page(
    data: bytes | str | Object, *, endpoint: str = "", states: Mapping[str, JobState] | None = None
) -> Page:
    """A whole page. A page may be empty and still have a next one: it also ends at ``return_timeout``."""
    root = root_object(data)
    fields = Fields(root)
    count = fields.integer("num_records")
    records = root.get("records")
    if "records" in root and records is not None and not isinstance(records, list | Mapping):
        raise DecodeError("records is no array", path="$.records", transient=True)
    if records is None and count is None:
        raise DecodeError("no list of jobs: neither records nor num_records", transient=True)
    found = objects(records)  # some references print a single object
    if isinstance(records, list) and len(found) != len(records):
        raise DecodeError("a record is not an object", path="$.records")
    plain = None if root is data else _plain(endpoint, (), states, share=True)
    jobs = [
        (plain and plain.read(record))
        or _job(record, endpoint=endpoint, scope=(), id="", states=states, path=f"$.records[{index}]")
        for index, record in enumerate(found)
    ]
    return Page(jobs, _links(root).get("next"), count)


def raw_page(data: bytes | str | Object) -> tuple[list[Object], str | None]:
    """A page's records as they are, what is none passed over, and the link to the next page."""
    root = root_object(data)
    return objects(root.get("records")), _links(root).get("next")


def parse_error(reply: HttpResponse) -> ErrorBody:
    """What an error body says: ``{"error": {"message", "code", "target"?, "arguments"?}}``.

    Only a 404 with code "4" means that the job is gone, and one with code "2" that the uuid never was one;
    any other 404 comes from a proxy or a role, and says nothing of the job.
    """
    try:
        body = root_object(reply.body).get("error")
    except DecodeError:
        body = None
    if not isinstance(body, Mapping):
        return ErrorBody(from_api=False)
    fields = Fields(body)
    code, message = fields.text("code"), fields.text("message")
    gone = reply.status == 404 and code in ("4", "2")
    hint = None
    if reply.status == 403 and code == "6":
        hint = "the account's role may not read jobs: give it read access to /api/cluster/jobs"
    return ErrorBody(
        code=code,
        message=message,
        transient=code in PASSING_CODES or (reply.status == 404 and not gone),
        not_found=gone,
        never_existed=gone and code == "2",
        hint=hint,
    )


def parse_started(
    reply: HttpResponse, *, endpoint: str, states: Mapping[str, JobState] | None = None
) -> StartedJobs:
    """The jobs of a write's reply: ``job`` or ``jobs``, with a uuid, with a link alone, or inlined whole."""
    try:
        root = root_object(reply.body)
    except DecodeError:
        return StartedJobs()
    ids: list[str] = []
    jobs: list[Job] = []
    for found in (*objects(root.get("job")), *objects(root.get("jobs"))):
        id = text(found.get("uuid")) or _id_of(_links(found).get("self"))
        if not id or id in ids:
            continue
        ids.append(id)
        if found.get("state") is not None:
            try:
                jobs.append(_job(found, endpoint=endpoint, scope=(), id=id, states=states, path="$.job"))
            except DecodeError:
                continue  # its state cannot be read here: the ref is what there is to hand over
    return StartedJobs(tuple(ids), tuple(jobs))


def _plain(
    endpoint: str, scope: Scope, states: Mapping[str, JobState] | None, *, share: bool = False
) -> FastReader:
    return FastReader(PROVIDER, endpoint, scope, STATES, states, share=share)


def _job(
    data: Object,
    *,
    endpoint: str,
    scope: Scope,
    id: str,
    states: Mapping[str, JobState] | None,
    path: str,
) -> Job:
    record = parse_record(data, path)
    found = record.uuid or id
    if not found:
        raise DecodeError("a job without its uuid, and none was asked for", path=f"{path}.uuid")
    state = read_state(record.state, STATES, states)
    return Job(
        JobRef(PROVIDER, endpoint, found, scope),
        state,
        native_state=record.state,
        operation=record.description,
        message=record.message,
        started_at=record.start_time,
        finished_at=record.end_time if state.terminal else None,
        errors=_errors(record, state),
        links=record.links,
        record=record,
    )


def _errors(record: JobRecord, state: JobState) -> tuple[ErrorDetail, ...]:
    error = record.error
    failed = state is JobState.FAILED
    if error is None and not failed:
        return ()  # a code that is not 0 is a progress id in a running job, and means nothing in a success
    code = error.code if error else None
    if code is None and failed:
        code = str(record.code) if record.code else text(record.extra.get("code"))
    message = (error and error.message) or (record.message if failed else None)
    return (
        ErrorDetail(
            message or (NO_REASON if failed else "the server gave no reason"),
            code=code,
            target=error.target if error else None,
            arguments=error.arguments if error else (),
        ),
    )


def _links(data: Object) -> dict[str, str]:
    links = data.get("_links")
    if not isinstance(links, Mapping):
        return {}
    found = {name: link.get("href") for name, link in links.items() if isinstance(link, Mapping)}
    return {name: href for name, href in found.items() if isinstance(href, str)}


def _id_of(href: str | None) -> str | None:
    # Only the id is taken from a link: its host may be a proxy's.
    return last_segment(href, parent="jobs")
