"""The driver of ONTAP: paths, parsers, and one request for many jobs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, ClassVar

import attrs

from common.model.endpoints import split_endpoint
from common.model.errors import DecodeError, SourceError, UsageError
from common.model.job import Job
from common.model.refs import DONE, RESULTS, JobRef, Scope, encode_segment
from common.model.states import Capability, JobState
from common.model.tracebacks import without_frames
from common.polling.policy import PollPolicy
from common.polling.pollable import BatchReading, BatchRefused
from common.response.decoding import Object, root_object
from common.response.failures import ErrorBody, is_transient
from common.response.http_response import HttpResponse
from common.response.writes import StartedJobs
from common.sources.driver import Driver, DriverHttp
from common.sources.large_responses import decode
from ontapjobs.lists.paging import MAX_PAGES, next_page_path
from ontapjobs.lists.query import with_return_timeout
from ontapjobs.paths.gateway import outer_path
from ontapjobs.paths.links import JOBS, is_jobs_path, results_target
from ontapjobs.records.batch_page import BatchPage, RecordText, read_page
from ontapjobs.records.data_engine import PATH
from ontapjobs.wire import PROVIDER, fast_reader, parse_error, parse_job, raw_page
from ontapjobs.writes.results import read_results, results_path
from ontapjobs.writes.started import DONE_STATUSES, parse_started

RETENTION = 300.0
"""Seconds after its end that ONTAP deletes a job, by default."""
LONGEST_GAP = 240.0
"""Seconds between two polls that a policy may have at most: in a longer gap a job could end and vanish."""
BATCH_LIMIT = 6_000
"""Bytes of ids in one request: gateways refuse URLs of more than 7 to 8 kB."""
MIN_HALVED = 200
"""Bytes of a path: of a shorter one, half would not hold two ids."""
SEPARATOR = "%7C"
"""``|`` between the ids of one request, percent-encoded."""
UUID_SHAPE = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
TOO_LONG = frozenset({413, 414, 431})
"""Statuses by which servers and gateways refuse a URL for its length."""


class OntapDriver(Driver):
    """The driver of one cluster's REST API; ``app`` names the calling program to the server."""

    provider: ClassVar[str] = PROVIDER
    capabilities: ClassVar[frozenset[Capability]] = frozenset(Capability)
    batch_limit: ClassVar[int] = BATCH_LIMIT
    job_scope: ClassVar[frozenset[str]] = frozenset({PATH})
    # The server closes idle connections after 5 s ("Keep-Alive: timeout=5, max=100").
    keepalive: ClassVar[float] = 3.0
    # A later time would come too near the 300 s after which finished jobs are gone.
    retry_after_cap: ClassVar[float] = 120.0
    retention: ClassVar[float] = RETENTION
    lost_write_hint: ClassVar[str] = (
        "look for its job, by a description such as 'DELETE /api/storage/volumes/*', and at the resource"
    )

    def __init__(self, endpoint: str, *, states: Mapping[str, JobState], app: str) -> None:
        super().__init__(endpoint, states=states)
        self._prefix = split_endpoint(endpoint)[1]
        self._reader = fast_reader(endpoint, (), states, intern=False)
        # The server keeps statistics by the first of these headers.
        self.headers: Mapping[str, str] = {
            "X-Dot-Client-App": app,
            "Accept": "application/hal+json, application/json",
        }

    def locate(self, path: str) -> str:
        """Return the path below the endpoint for a path of ONTAP's; at a gateway it has no ``/api``."""
        return outer_path(path, self._prefix)

    @classmethod
    def default_policy(cls) -> PollPolicy:
        """Return a policy of at most 60 s between two polls."""
        return PollPolicy(maximum=60.0)

    def check_policy(self, policy: PollPolicy) -> PollPolicy:
        """Refuse a policy under which a job could end and be forgotten between two polls."""
        if policy.maximum > LONGEST_GAP:
            raise UsageError(
                f"PollPolicy.maximum of {policy.maximum:g} s: ONTAP deletes a finished job after "
                f"{RETENTION:g} s, so at most {LONGEST_GAP:g} s may pass between two polls"
            )
        return policy

    @classmethod
    def canonical_scope(cls, scope: Scope) -> Scope:
        """Return the scope without the path of the cluster's own jobs, which is the default."""
        return tuple(pair for pair in scope if pair != (PATH, JOBS))

    def check_ref(self, ref: JobRef) -> None:
        """Raise `UsageError` for a path or a hint that no response to a write can have contained."""
        path, done, results = dict(ref.scope).get(PATH), ref.hint(DONE), ref.hint(RESULTS)
        if path is not None and not is_jobs_path(path):
            raise UsageError("the ref's path is not one of jobs: use the ref that the write returned")
        if done is not None and (not done.isdecimal() or int(done) not in DONE_STATUSES):
            raise UsageError("the ref's hint 'done' must be a success status, such as 200")
        if results is not None and results_target(results, ref.id) is None:
            raise UsageError("the ref's hint 'results' must be a path of the API, such as /api/storage/luns")

    def job_path(self, ref: JobRef) -> str:
        """Ask for all common fields: the names of later releases would be an error on earlier ones."""
        return f"{_jobs_of(ref)}/{encode_segment(ref.id)}?fields=*"

    def parse_job(self, body: bytes, ref: JobRef) -> Job:
        """Return the job in the response to one GET."""
        return self._read(root_object(body), ref)

    def parse_error(self, response: HttpResponse) -> ErrorBody:
        """Return what ONTAP's error body says."""
        return parse_error(response)

    def parse_started(self, response: HttpResponse) -> StartedJobs:
        """Return the jobs of a write."""
        return parse_started(response, endpoint=self.endpoint, states=self.states)

    def write_path(self, path: str, inline: float | None) -> tuple[str, float]:
        """Pass ``inline`` on as ``return_timeout``; one that the path's query has already counts as well."""
        return with_return_timeout(path, inline)

    def batch_cost(self, ref: JobRef) -> int:
        """Let only the cluster's jobs, with ids of UUID shape, join a batch request.

        ``*`` or ``a|b`` would be operators there.
        """
        if not UUID_SHAPE.fullmatch(ref.id) or _jobs_of(ref) != JOBS:
            return 0
        return len(ref.id) + len(SEPARATOR)

    def results_path(self, job: Job) -> str | None:
        """Return where the results of a write of many records are, once its job has ended."""
        return results_path(job)

    async def read_results(self, http: DriverHttp, job: Job) -> Job:
        """Return an ended job with what became of each record of its write."""
        return await read_results(http, job)

    async def read_batch(
        self, http: DriverHttp, refs: Sequence[JobRef], last: Mapping[str, Any]
    ) -> BatchReading:
        """Send one request for many jobs, ``uuid=a|b|…``, paged to the end before any counts as absent.

        The reference documents the operator for every field and shows it on ``state``: a server that refuses
        it, or answers with jobs that were not asked for, is asked job by job. Overload is no such refusal.
        """
        wanted = {ref.id.lower() for ref in refs}
        records: dict[str, Any] = {}
        first = f"{JOBS}?fields=*&uuid={SEPARATOR.join(ref.id for ref in refs)}"
        path, date, seen = first, None, set[str]()
        while True:
            seen.add(path)
            try:
                page, sent = await self._read_page(http, path, len(first), last)
            except (SourceError, BatchRefused) as failure:
                return BatchReading(records, date, failure)
            date = date or sent
            if not wanted.issuperset(page.records):
                raise BatchRefused  # the filter was ignored
            records.update(page.records)
            following = page.following
            if following is None or len(records) == len(wanted):
                return BatchReading(records, date)
            try:
                path = next_page_path(following, self.endpoint)
            except DecodeError:
                raise BatchRefused from None
            if path in seen:
                return BatchReading(records, date)
            if len(seen) >= MAX_PAGES:
                raise BatchRefused

    def decode_batch_record(self, ref: JobRef, record: Any) -> Job:
        """Return the job in one record of a batch."""
        text = None
        if isinstance(record, RecordText):
            record, text = record.take_fields(), record.text
        job = self._read(record, ref, text)
        # The server writes uuids in lower case, whatever it was asked for.
        return job if job.ref is ref else attrs.evolve(job, ref=ref.with_hints(job.ref.hints))

    def _read(self, record: Object, ref: JobRef, text: str | None = None) -> Job:
        self._reader.now = datetime.now(UTC)
        job = None if ref.scope else self._reader.read(record, ref, text)
        if job is not None:
            return job
        return parse_job(record, endpoint=ref.endpoint, scope=ref.scope, id=ref.id, states=self.states)

    @without_frames  # what it raises is kept
    async def _read_page(
        self, http: DriverHttp, path: str, size: int, last: Mapping[str, Any]
    ) -> tuple[BatchPage, datetime | None]:
        response = await http.send("GET", path)
        if response.status != 200:
            raise self._batch_failure(http, response, size)
        page = read_page(response.body, last)
        if page is None:
            page = await decode(response, partial(raw_page, response.body), f"GET {JOBS}")
        return page, response.date

    def _batch_failure(self, http: DriverHttp, response: HttpResponse, size: int) -> Exception:
        if response.status in TOO_LONG:
            return BatchRefused(limit=size // 2 if size >= MIN_HALVED else None)
        if response.status == 401 or is_transient(response.status, parse_error(response)):
            return http.failure(response, f"GET {JOBS}")
        return BatchRefused()


def _jobs_of(ref: JobRef) -> str:
    return dict(ref.scope).get(PATH, JOBS) if ref.scope else JOBS
