"""Pause, resume or cancel all of ONTAP's jobs that match a filter: the requests, and their responses.

Facts are from the ONTAP REST reference ("ONTAP supports query-based DELETE or PATCH for all collection
endpoints"), and from NetApp's Python client (9.19), which sends a ``PATCH`` to each next page that a reply
links. The reference does not show the form of errors about single jobs, so every known form is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

import attrs

from common.model.errors import ActionUncertain, DecodeError, JobsError, TransportError, UsageError
from common.model.job import ErrorDetail
from common.model.refs import JobRef
from common.model.states import Action, JobState
from common.response.decoding import Fields, Object, objects, readable_id, root_object
from common.response.http_response import HttpResponse
from common.set_module import set_module
from common.sources.large_responses import decode
from common.sources.reader import HttpReader
from ontapjobs.actions.single import REFUSALS, refusal
from ontapjobs.lists.paging import PageWalk
from ontapjobs.lists.query import Filters, encode, filter_query
from ontapjobs.paths.links import JOBS
from ontapjobs.records.job_record import NO_MESSAGE
from ontapjobs.wire import PROVIDER, read_hrefs
from ontapjobs.writes.started import parse_started, read_errors

OPTIONS = (("continue_on_failure", "true"), ("return_records", "true"))
"""A refusal for one job does not stop the others, and the response names the jobs acted on."""
HELD = 15.0
"""Seconds after which the server ends such a request by default, with a link for the rest."""
PER_JOB = frozenset(code for code, refusal in REFUSALS.items() if not refusal.retryable) | {"4"}
"""Codes that are about one job of those that matched: the server may have acted on others."""


@attrs.frozen
class BulkResult:
    """The server's answer to an action on all jobs that match a filter.

    Actions take effect with a delay: to learn how a job ends, wait for it. ``refs`` are those of the jobs
    that the server named, ``count`` is the number of jobs that it acted on, None if it does not tell.
    ``errors`` has every error, with the job's id as ``target`` if the server names it. ``started`` are the
    jobs by which the server carries out the action, if it does so later.
    """

    action: Action
    count: int | None = None
    refs: tuple[JobRef, ...] = ()
    errors: tuple[ErrorDetail, ...] = ()
    started: tuple[JobRef, ...] = ()

    def __str__(self) -> str:
        """One line for people: the action, how many jobs it was, and every error."""
        number = "an unknown number of" if self.count is None else self.count
        errors = f": {'; '.join(map(str, self.errors))}" if self.errors else ""
        return f"{self.action} of {number} jobs, {len(self.errors)} errors{errors}"


def bulk_path(action: Action, filters: Filters, *, every: object) -> str:
    """Return the path of the request. Raise `UsageError` for an empty filter without ``every=True``."""
    pairs = filter_query(filters)
    if not isinstance(every, bool):
        raise UsageError("every= must be True, for all jobs of the cluster, or left out")
    if every and pairs:
        raise UsageError(f"every=True and a filter cannot be combined: {action}_all() takes one of them")
    if not every and not pairs:
        raise UsageError(
            f"{action}_all() without a filter is about all jobs of the cluster: pass a filter, such as "
            "svm_name='vs1', or every=True"
        )
    return f"{JOBS}?{encode([*pairs, ('action', action.value), *OPTIONS])}"


async def act_on_all(
    reader: HttpReader,
    path: str,
    action: Action,
    *,
    endpoint: str,
    states: Mapping[str, JobState],
    timeout: float,
) -> BulkResult:
    """Send the request, and those for the rest that the server links. None is sent twice.

    Raise what `ontapjobs.actions.single.send_action` does. An error on the way to a later page has a note
    that says what the server did before.
    """
    walk, result, href = PageWalk(endpoint), None, path
    try:
        while (page_path := walk.next_path(href)) is not None:
            response = await _send(reader, page_path, action, timeout)
            read = partial(_read, reader, response, action, endpoint, states)
            page, following = await decode(response, read)
            result = page if result is None else _together(result, page)
            walk.mark_read(page_path)
            if following is None:
                break
            href = following
    except JobsError as error:
        if result is not None:
            error.add_note(f"before that, the server answered: {result}")
        raise
    return BulkResult(action) if result is None else result


def _together(first: BulkResult, second: BulkResult) -> BulkResult:
    """Return the results of two pages as one; the count is None if that of one is."""
    known = first.count is not None and second.count is not None
    return BulkResult(
        first.action,
        (first.count or 0) + (second.count or 0) if known else None,
        first.refs + second.refs,
        first.errors + second.errors,
        first.started + second.started,
    )


async def _send(reader: HttpReader, path: str, action: Action, timeout: float) -> HttpResponse:
    try:
        return await reader.send("PATCH", path, timeout=timeout)
    except (TransportError, DecodeError) as error:
        if not error.sent:
            raise
        raise _uncertain(action, error) from error


def _read(
    reader: HttpReader,
    response: HttpResponse,
    action: Action,
    endpoint: str,
    states: Mapping[str, JobState],
) -> tuple[BulkResult, str | None]:
    """Return what one reply says, and the link to the rest. Raise the exception for one that refuses all."""
    error_body = reader.error_body(response)
    try:
        root = root_object(response.body) if response.body.strip() else {}
    except DecodeError as error:
        if response.ok:
            raise _uncertain(action, error) from error
        root = {}
    records = objects(root.get("records"))
    refused = [record for record in records if record.get("error")]
    ids = [id for record in records if not record.get("error") and (id := readable_id(record, "uuid"))]
    count = Fields(root).integer("num_records")
    started = parse_started(response, endpoint=endpoint, states=states).refs
    if not (response.ok or ids or refused or count or started or error_body.code in PER_JOB):
        raise refusal(
            reader,
            response,
            action,
            subject=f"jobs of {endpoint}",
            request=f"PATCH {JOBS} {action}",
            lost=partial(_uncertain, action),
        )
    result = BulkResult(
        action,
        len(ids) if count is None and records else count,
        tuple(JobRef(PROVIDER, endpoint, id) for id in ids),
        tuple(_errors(reader, root, refused)),
        started,
    )
    return result, read_hrefs(root).get("next")


def _errors(reader: HttpReader, root: Object, refused: Iterable[Object]) -> Iterable[ErrorDetail]:
    """Iterate over every error in a reply, also one of an unknown form."""
    for name in ("error", "errors", "rollback_errors"):
        for error in read_errors(root.get(name)):
            yield _shown(reader, error, error.target)
    for record in refused:
        for error in read_errors(record.get("error")):
            yield _shown(reader, error, readable_id(record, "uuid") or error.target)


def _shown(reader: HttpReader, error: ErrorDetail, target: str | None) -> ErrorDetail:
    known = REFUSALS.get(error.code or "")
    message = known.sentence if known and error.message == NO_MESSAGE else reader.redact(error.message)
    return attrs.evolve(error, message=message, target=target)


def _uncertain(action: Action, error: JobsError) -> ActionUncertain:
    return ActionUncertain(
        f"the response to {action}_all was lost ({error}); it may have been carried out: list the jobs "
        "before you repeat it"
    )


set_module(BulkResult)
