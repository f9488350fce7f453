"""ONTAP's jobs over HTTP: list, get, count, pause, resume, cancel, and the jobs of other writes."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, ClassVar, Unpack
from urllib.parse import urlsplit

import attrs

from common.auth.argument import AuthLike
from common.http.client import user_agent
from common.model.endpoints import origin
from common.model.errors import DecodeError, SourceError, UsageError
from common.model.job import Job
from common.model.refs import JobRef, encode_segment
from common.model.states import Capability
from common.options import SourceOptions
from common.polling.policy import PollPolicy
from common.polling.pollable import BatchReading, BatchRefused
from common.response.decoding import Fields, root_object
from common.response.failures import ErrorBody, is_transient
from common.response.http_response import HttpResponse
from common.response.writes import StartedJobs
from common.sources.paging import Pages
from ontapjobs.actions import Acting
from ontapjobs.query import Filters, encode, filter_query, inlined, option_query
from ontapjobs.wire import JOBS, PROVIDER, Page, parse_error, parse_job, parse_page, parse_started, raw_page

FORGOTTEN_AFTER = 300.0
"""Seconds after its end that ONTAP deletes a job, by default."""
LONGEST_GAP = 240.0
"""A policy may not leave more seconds than this between two polls: the job could end and vanish in there."""
MAX_PAGES = 10_000
"""A list with more pages than this is taken for one without an end."""
NEXT = "$._links.next.href"
"""Where a page names the next one, for errors about that."""
ROOM = 6_000
"""Bytes of ids in one request: gateways stop at 7 to 8 kB of URL."""
MIN_ROOM = 100
"""Bytes of ids below which a request that is too long is made no shorter."""
SEPARATOR = "%7C"
"""``|`` between the ids of one request, percent-encoded."""
UUID_SHAPE = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
TOO_LONG = frozenset({413, 414, 431})
"""Statuses by which servers and gateways refuse a URL for its length."""


class OntapJobs(Acting):
    """The jobs of one ONTAP cluster.

    ``endpoint`` is the cluster's management address; a bare host name gets ``https://``. ``auth`` is
    (user, password), ``Bearer(token)`` or `ClientCredentials` (OAuth: 9.14 and later), or an ``httpx.Auth``;
    with ``cert=`` it may be left out. The other keywords are those of `common.options.SourceOptions`. Raises
    `UsageError`.
    """

    provider: ClassVar[str] = PROVIDER
    capabilities: frozenset[Capability] = frozenset(Capability)
    # The server closes idle connections after 5 s ("Keep-Alive: timeout=5, max=100").
    keepalive: ClassVar[float] = 3.0
    # A floor above this would come too near the 300 s after which finished jobs are gone.
    retry_after_cap: ClassVar[float] = 120.0
    room: int = ROOM
    to_look_for: ClassVar[str] = (
        "look for its job, as in list(description='DELETE /api/storage/volumes/*'), and at the resource"
    )

    def __init__(
        self, endpoint: str, *, auth: AuthLike | None = None, **options: Unpack[SourceOptions]
    ) -> None:
        app = user_agent(options.get("user_agent"))
        super().__init__(
            endpoint,
            auth=auth,
            given=options,
            # The server keeps statistics by this header.
            headers={"X-Dot-Client-App": app, "Accept": "application/hal+json, application/json"},
        )

    @classmethod
    def default_policy(cls) -> PollPolicy:
        """At most 60 s between two polls."""
        return PollPolicy(maximum=60.0)

    def check_policy(self, policy: PollPolicy) -> PollPolicy:
        """Refuses a policy under which a job could end and be forgotten between two polls."""
        if policy.maximum > LONGEST_GAP:
            raise UsageError(
                f"PollPolicy.maximum of {policy.maximum:g} s: ONTAP forgets a finished job after "
                f"{FORGOTTEN_AFTER:g} s, so at most {LONGEST_GAP:g} s may pass between two polls"
            )
        return policy

    def list(
        self,
        *,
        fields: str | Iterable[str] = "*",
        max_records: int | None = None,
        return_timeout: int | None = None,
        order_by: str | Iterable[str] | None = None,
        **filters: Unpack[Filters],
    ) -> AsyncIterator[Job]:
        """The jobs that match every filter, page after page as they are asked for.

        A filter takes a value, a sequence (any of its members) or text with ONTAP's operators:
        ``state=["queued", "running"]``, ``svm_name="prod*"``, ``code="!0"``, ``end_time=">2026-01-01"``.
        ``max_records`` is the size of a page, ``return_timeout`` the seconds (0 to 120) after which one
        ends early, ``order_by`` such as ``"start_time desc"``. Raises `UsageError` before any request;
        `SourceError` while iterating, `DecodeError` for a list that goes round in circles.
        """
        query = encode(
            filter_query(filters)
            + option_query(
                fields=fields,
                max_records=max_records,
                return_timeout=return_timeout,
                order_by=order_by,
            )
        )
        return self._pages(f"{JOBS}?{query}")

    async def count(self, **filters: Unpack[Filters]) -> int:
        """How many jobs match, without reading them. Takes the filters of `list`."""
        pairs = filter_query(filters)
        reply = await self._get(f"{JOBS}?{encode([*pairs, ('return_records', 'false')])}")
        counted = Fields(root_object(reply.body)).integer("num_records")
        if counted is not None:
            return counted
        total = 0
        async for _ in self._pages(f"{JOBS}?{encode([*pairs, ('fields', 'uuid')])}"):
            total += 1
        return total

    def write_target(self, path: str, inline: float | None) -> tuple[str, float]:
        """``inline`` becomes ``return_timeout``; one that is in the path's query already counts as well."""
        return inlined(path, inline)

    def seat(self, ref: JobRef) -> int:
        """Only ids of UUID shape join a request for many: ``*`` or ``a|b`` would be operators there."""
        return len(ref.id) + len(SEPARATOR) if UUID_SHAPE.fullmatch(ref.id) else 0

    async def sweep(self, refs: Sequence[JobRef]) -> BatchReading:
        """One request for many jobs, ``uuid=a|b|…``, paged to the end before any of them counts as absent.

        The reference documents the operator for every field and shows it on ``state``: a server that refuses
        it, or answers with jobs that were not asked for, is asked job by job. Overload is no such refusal.
        """
        wanted = {ref.id.lower() for ref in refs}
        found: dict[str, Any] = {}
        first = f"{JOBS}?fields=*&uuid={SEPARATOR.join(ref.id for ref in refs)}"
        target, date, seen = first, None, set[str]()
        while True:
            seen.add(target)
            try:
                reply = await self._client.send("GET", target)
                if reply.status != 200:
                    raise self._sweep_refused(reply, len(first))
                records, following = raw_page(reply.body)
            except (SourceError, BatchRefused) as failure:
                if not found:
                    raise
                return BatchReading(found, date, failure)
            date = date or reply.date
            for record in records:
                uuid = str(record.get("uuid") or "").lower()
                if uuid in wanted:
                    found[uuid] = record
                elif uuid:
                    raise BatchRefused  # the filter was ignored
            if following is None or len(found) == len(wanted):
                return BatchReading(found, date)
            try:
                target = self._next_target(following)
            except DecodeError:
                raise BatchRefused from None
            if target in seen:
                return BatchReading(found, date)
            if len(seen) >= MAX_PAGES:
                raise BatchRefused

    def decode_record(self, ref: JobRef, record: Any) -> Job:
        """The job in one record of a sweep."""
        job = parse_job(record, endpoint=self.endpoint, id=ref.id, states=self.states, own=True)
        # The server writes uuids in lower case, whatever it was asked for.
        return job if job.ref == ref else attrs.evolve(job, ref=ref)

    def _sweep_refused(self, reply: HttpResponse, size: int) -> Exception:
        if reply.status in TOO_LONG:
            # Of this request's size: others of the same size may be refused at the same time.
            self.room = min(self.room, max(size // 2, MIN_ROOM))
            return BatchRefused(smaller=size > 2 * MIN_ROOM)
        fault = parse_error(reply)
        if reply.status == 401 or is_transient(reply.status, fault):
            return self.failure(reply, f"GET {JOBS}")
        return BatchRefused()

    def job_target(self, ref: JobRef) -> str:
        """All common fields: the names of later releases would be an error on earlier ones."""
        return f"{JOBS}/{encode_segment(ref.id)}?fields=*"

    def decode(self, body: bytes, ref: JobRef) -> Job:
        """The job in the reply to one GET."""
        return parse_job(body, endpoint=self.endpoint, id=ref.id, states=self.states)

    def fault(self, reply: HttpResponse) -> ErrorBody:
        """ONTAP's error body."""
        return parse_error(reply)

    def handover(self, reply: HttpResponse) -> StartedJobs:
        """The jobs of a write."""
        return parse_started(reply, endpoint=self.endpoint, states=self.states)

    def _pages(self, first: str) -> Pages:
        seen: list[str] = []

        async def fetch(href: str) -> tuple[Iterable[Job], str | None]:
            target = self._next_target(href)
            if seen and target == seen[-1]:
                return (), None  # the last page of some releases names itself
            if target in seen:
                raise DecodeError("the list goes round in circles: a page came twice", path=NEXT)
            if len(seen) >= MAX_PAGES:
                raise DecodeError(f"the list has more than {MAX_PAGES} pages", path=NEXT)
            page = await self._page(target)
            seen.append(target)  # now, for one that failed may be asked for again
            return page.jobs, page.next

        return Pages(fetch, first)

    async def _page(self, target: str) -> Page:
        reply = await self._get(target)
        return parse_page(reply.body, endpoint=self.endpoint, states=self.states)

    async def _get(self, target: str) -> HttpResponse:
        reply = await self._client.send("GET", target)
        if reply.status != 200:
            raise self.heeded(reply, f"GET {JOBS}")
        return reply

    def _next_target(self, href: str) -> str:
        try:
            parts = urlsplit(href)
            foreign = (
                bool(parts.netloc or parts.scheme)
                and origin(f"{parts.scheme}://{parts.netloc}") != self.endpoint
            )
        except (ValueError, UsageError):
            foreign, parts = True, urlsplit("")
        if foreign or not parts.path.startswith("/"):
            raise DecodeError("the next page is on another server; it is not followed", path=NEXT)
        return f"{parts.path}?{parts.query}" if parts.query else parts.path
