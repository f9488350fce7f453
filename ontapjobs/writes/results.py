"""Read what became of each record of a write of many, for which the job has no more than one state.

``POST`` with ``{"records": […]}`` starts one job; its link ``results`` (``…?job_results_uuid=<uuid>``) has
``records``, ``errors`` and ``rollback_errors``, also where the job says success. Facts are from NetApp's
Python client, which reads them after the job.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import attrs

from common.model.errors import ApiError, DecodeError, SourceError
from common.model.job import UNREAD_RESULTS, ErrorDetail, Job, JobItem, unique
from common.model.refs import RESULTS
from common.model.states import JobState
from common.response.decoding import Object, kind, repair_warnings, root_object, text
from common.sources.driver import DriverHttp
from common.sources.large_responses import decode
from ontapjobs.lists.paging import MAX_PAGES, NEXT, next_page_path
from ontapjobs.paths.links import results_target
from ontapjobs.records.job_record import JobRecord
from ontapjobs.wire import read_hrefs
from ontapjobs.writes.started import read_errors

KEYS = ("records", "errors", "rollback_errors")


def results_path(job: Job) -> str | None:
    """Return where the results of a job that has ended are, None where there are none left to read.

    Its link ``results`` is gone once they were read.
    """
    href = job.links.get(RESULTS)
    return None if href is None else results_target(href, job.ref.id)


async def read_results(http: DriverHttp, job: Job) -> Job:
    """Return an ended job with its results: each record is an item, and their errors are the job's as well.

    A success with errors there is PARTIAL. Raise `SourceError` for a failure that may pass. Any other leaves
    the state, and adds a warning beside what was read so far.
    """
    found: dict[str, list[Any]] = {key: [] for key in KEYS}
    path, seen, repairs = results_path(job), set[str](), list[str]()
    try:
        while path is not None and path not in seen:  # the last page may name itself
            if len(seen) >= MAX_PAGES:
                raise DecodeError(f"the results have more than {MAX_PAGES} pages", path=NEXT)
            seen.add(path)
            root = await _page(http, path, job)
            repairs += repair_warnings(root)
            for key in KEYS:
                found[key] += _members(root.get(key))
            following = read_hrefs(root).get("next")
            path = next_page_path(following, job.ref.endpoint) if following else None
    except SourceError as error:
        if error.transient:
            raise
        return _merged(job, found, [*repairs, f"{UNREAD_RESULTS}: {_reason(error)}"])
    return _merged(job, found, repairs)


def _reason(error: SourceError) -> str:
    if not isinstance(error, ApiError) or error.message is None:
        return str(error)
    # Without the hint of the error, which is about reading jobs.
    code = f" (code {error.code})" if error.code else ""
    return f"answered {error.status}: {error.message}{code}"


async def _page(http: DriverHttp, path: str, job: Job) -> Object:
    response = await http.send("GET", path)
    if response.status == 200:
        root = await decode(response, partial(root_object, response.body))
        if not root.keys() & {*KEYS, "num_records"}:
            raise DecodeError("no results in the response: none of records, errors, num_records")
        for key in KEYS:
            if isinstance(root.get(key), bool | int | float):
                raise DecodeError(f"expected an array, got {kind(root[key])}", path=f"$.{key}")
        return root
    failure = http.failure(response, f"GET the results of job {job.ref.id}")
    if response.status == 404 and isinstance(failure, ApiError) and failure.code is not None:
        failure.transient = False  # the API's own word that the results are not, or no longer, there
    raise failure


def _members(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _merged(job: Job, found: Mapping[str, list[Any]], warnings: list[str]) -> Job:
    errors = (
        *read_errors(found["errors"]),
        *read_errors(found["rollback_errors"], title="while rolling back"),
    )
    # A record that is listed was worked on; if the job did not succeed, that may have been undone.
    listed = JobState.SUCCEEDED if job.succeeded else JobState.UNKNOWN
    records = [_item(index, record, listed) for index, record in enumerate(found["records"], 1)]
    items = (*job.items, *records, *_failed_items(errors))
    errors += tuple(error for item in records for error in item.errors)
    earlier = [text for text in job.warnings if not text.startswith(UNREAD_RESULTS)]
    record = job.record
    if isinstance(record, JobRecord) and any(found.values()):
        record = attrs.evolve(record, extra={**record.extra, RESULTS: dict(found)})
    return attrs.evolve(
        job,
        state=JobState.PARTIAL if job.succeeded and errors else job.state,
        errors=(*job.errors, *errors),
        warnings=unique([*earlier, *warnings]),
        items=items,
        links={name: href for name, href in job.links.items() if name != RESULTS},
        record=record,
    )


def _item(index: int, record: Any, state: JobState) -> JobItem:
    fields = record if isinstance(record, Mapping) else {}
    id = text(fields.get("uuid")) or text(fields.get("name")) or text(fields.get("path")) or str(index)
    errors = tuple(
        attrs.evolve(error, target=error.target or id) for error in read_errors(fields.get("error"))
    )
    return JobItem(id, "record", JobState.FAILED if errors else state, errors=errors)


def _failed_items(errors: tuple[ErrorDetail, ...]) -> Iterator[JobItem]:
    """Iterate over the records that an error names by their place in the write, as in ``records[1]``."""
    by_target: dict[str, list[ErrorDetail]] = {}
    for error in errors:
        if error.target is not None and error.target.startswith("records[") and error.title is None:
            by_target.setdefault(error.target.partition("]")[0] + "]", []).append(error)
    for target, own in by_target.items():
        yield JobItem(target, "record", JobState.FAILED, errors=tuple(own))
