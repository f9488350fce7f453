"""Decode the response to a write, without I/O: the jobs that it started, and what else it says.

Facts are from the ONTAP REST reference, "Asynchronous processing" of NetApp's automation guide, and NetApp's
Python client.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import attrs

from common.model.errors import DecodeError
from common.model.job import ErrorDetail, Job
from common.model.refs import DONE, RESULTS, JobRef
from common.model.states import JobState
from common.response.decoding import Object, as_json, objects, readable_id, repair_warnings, root_object, text
from common.response.http_response import HttpResponse, last_segment
from common.response.repair import REPLACEMENT
from common.response.writes import StartedJobs
from ontapjobs.paths.links import id_in_results, jobs_path, results_hint
from ontapjobs.records.data_engine import PATH
from ontapjobs.records.job_record import error_detail, read_error
from ontapjobs.wire import PROVIDER, build_job, read_hrefs

ACCEPTED = 202
DONE_STATUSES = frozenset({200, 201})
"""The statuses of a write whose work is done: with ``return_timeout``, within that time.

NetApp's guide says of the 200: "You do not need to retrieve the job state"; a POST answers 201.
"""


def parse_started(
    response: HttpResponse, *, endpoint: str, states: Mapping[str, JobState] | None = None
) -> StartedJobs:
    """Return the jobs in a write's response: ``job`` or ``jobs``, each with a uuid, a link, or complete.

    The ref's hints hold what the response says beside the id: the link to the results of a write of many
    records, and a status that means that the work is done. Only the path of a link is used, since its host
    may be a proxy's. Jobs that are not below ``/api/cluster/jobs`` have their path in the ref's scope.
    """
    accepted = response.status == ACCEPTED
    try:
        root = root_object(response.body)
    except DecodeError:
        return StartedJobs(unnamed=accepted)
    errors = (*read_errors(root.get("error")), *read_errors(root.get("errors")))
    done = str(response.status) if response.status in DONE_STATUSES and not errors else None
    refs: dict[JobRef, None] = {}
    jobs: list[Job] = []
    nameless = False
    for record in (*objects(root.get("job")), *objects(root.get("jobs"))):
        ref = _ref(record, endpoint)
        if ref is None:
            nameless = True
            continue
        if ref in refs:
            continue
        job = _job_in(record, ref, states)
        if done and (record.get("state") is None or (job is not None and job.succeeded)):
            ref = attrs.evolve(ref, hints=((DONE, done), *ref.hints))
        refs[ref] = None
        if job is not None:
            jobs.append(attrs.evolve(job, ref=ref))
    return StartedJobs(
        tuple(refs),
        tuple(jobs),
        warnings=repair_warnings(root),
        errors=errors,
        unnamed=accepted and (nameless or not refs),
    )


def read_errors(value: object, *, title: str | None = None) -> Iterator[ErrorDetail]:
    """Iterate over the errors in a list, or the one that is alone; one of an unknown form is JSON text."""
    for member in value if isinstance(value, list) else [value]:
        if member is None or member in ("", {}):
            continue
        inner = member.get("error") if isinstance(member, Mapping) else None
        error = read_error(inner or member)
        if error is None or not (error.message or error.code):
            yield ErrorDetail(text(member) or as_json(member), title=title)
        else:
            yield error_detail(error, title=title)


def _ref(record: Object, endpoint: str) -> JobRef | None:
    links = read_hrefs(record)
    own, results = links.get("self"), links.get(RESULTS)
    id = readable_id(record, "uuid") or last_segment(own, parent="jobs") or id_in_results(results)
    if not id or REPLACEMENT in id:  # it was repaired, and would be a guess
        return None
    path, results = jobs_path(own), results_hint(results, id)
    scope = ((PATH, path),) if path else ()
    return JobRef(PROVIDER, endpoint, id, scope, ((RESULTS, results),) if results else ())


def _job_in(record: Object, ref: JobRef, states: Mapping[str, JobState] | None) -> Job | None:
    """Return the job that a response contains, None if it contains no more than the job's id."""
    if record.get("state") is None:
        return None
    try:
        return build_job(
            record, endpoint=ref.endpoint, scope=ref.scope, id=ref.id, states=states, path="$.job"
        )
    except DecodeError:  # its state cannot be read: the ref alone is returned
        return None
