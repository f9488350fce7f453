"""The simulated ONTAP: its response to each request."""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Unpack, get_args
from uuid import UUID

import attrs

from common.simulator.messages import Response
from common.simulator.script import NewJob
from common.simulator.simulator import Simulator
from common.simulator.system import Feature, SimulatorOptions
from common.simulator.tokens import TokenIssuer, basic_pair
from ontapjobs.paths.gateway import replaced_root
from ontapjobs.simulator.actions import BULK_OPTIONS, act, act_on_all, check_action
from ontapjobs.simulator.errors import (
    INVALID_VALUE,
    TERMINAL,
    OntapError,
    gone,
    malformed_id,
    not_authorized,
    reply,
)
from ontapjobs.simulator.fields import ALL, parse_version, pick
from ontapjobs.simulator.job_record import JOBS, has_ended, is_gone, jobs_path, link, render
from ontapjobs.simulator.list_query import ListQuery, next_href, parse_fields, parse_query, parse_timeout
from ontapjobs.simulator.pages import after, cut_page, short_page, whole_page
from ontapjobs.simulator.results import PARAMETER, fields_of_write, render_results, results_link

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from common.simulator.messages import Request
    from common.simulator.script import Script, ScriptedJob

Batch = Literal["accept", "refuse", "ignore"]

VOCABULARY = (
    *("queued", "initial"),
    *("running", "dormant", "pausing", "quitting", "reschedule", "restart", "waiting"),
    *("paused", "success"),
    *("failure", "dead", "error", "quit", "expired", "cancelled"),
)
"""The five words of the reference ("Cluster jobs", 9.6 to 9.19), and those of the older API, which private
CLI calls hand through: NetApp's ONTAPI-to-REST mapping of job states, and the loop of its Python client."""
RECHECK = 0.25
"""Seconds after which a write that waits for its job looks again, since a cancel may have ended it."""
ENDED_STATUS: Mapping[str, int] = MappingProxyType({"POST": 201, "PATCH": 200, "DELETE": 200})


class OntapSimulator(Simulator):
    """ONTAP's jobs, as an ASGI application.

    ``retention`` is the seconds for which a job that ended is kept; ``page_size`` the most records
    on a page; with ``short_pages`` the first page is empty, others are half full, and the last is
    empty. ``batch`` is what the server does with a ``uuid`` filter: accepts it, refuses one that
    lists several ids with 262197, or ignores it. ``settle`` is the seconds for which a job still reads
    ``running`` after a pause or a cancel. ``version`` decides which fields exist. A path and query
    of more than ``url_limit`` bytes get a 414. The other options are those of `System`.

    Anybody may call, unless ``users`` (passwords by user name, for HTTP Basic) or ``tokens`` are given:
    bearer tokens, or the `TokenIssuer` that issues them at any path outside ``/api`` that ends in ``token``,
    as an identity provider does. Only then can tokens expire (`ExpireTokens`): after those of an issuer it
    issues good ones again, while listed ones must be replaced by hand. Passwords never expire.
    """

    vocabulary: ClassVar[tuple[str, ...]] = VOCABULARY
    default_job: ClassVar[NewJob] = NewJob([("queued", 0.1), ("running", 0.5), ("success", None)])
    features: ClassVar[frozenset[Feature]] = frozenset({"filters", "pages"})
    id_filter: ClassVar[str | None] = "uuid"
    option_help: ClassVar[MappingProxyType[str, str]] = MappingProxyType(
        {
            "retention": "seconds for which a job that ended is kept",
            "page_size": "the most records on a page",
            "short_pages": "whether pages end early, as they do at return_timeout",
            "batch": "accept, refuse or ignore: what becomes of a uuid filter",
            "settle": "seconds for which a job still reads running after a pause or a cancel",
            "version": "the release, which decides which fields exist",
            "url_limit": "bytes of path and query beyond which a request gets a 414; null: none",
            "users": "passwords by user name, for HTTP Basic; null: anybody may call",
            "tokens": "the bearer tokens that are good; null: anybody may call",
        }
    )

    def __init__(
        self,
        *,
        retention: float = 300.0,
        page_size: int = 10_000,
        short_pages: bool = False,
        batch: Batch = "accept",
        settle: float = 0.2,
        version: str = "9.15",
        url_limit: int | None = None,
        users: Mapping[str, str] | None = None,
        tokens: Collection[str] | TokenIssuer | None = None,
        **options: Unpack[SimulatorOptions],
    ) -> None:
        super().__init__(**options)
        if page_size < 1 or batch not in get_args(Batch):
            raise ValueError(f"page_size is 1 or more, and batch one of {', '.join(get_args(Batch))}")
        self.retention = retention
        self.page_size = page_size
        self.short_pages = short_pages
        self.batch: Batch = batch
        self.settle = settle
        self.version: tuple[int, ...] = parse_version(version)
        self.url_limit = url_limit
        self.users: dict[str, str] | None = None if users is None else dict(users)
        self.tokens: Collection[str] | TokenIssuer | None = [tokens] if isinstance(tokens, str) else tokens
        self._expired: set[str] = set()

    @classmethod
    def replaced_root(cls, prefix: str) -> str:
        """Return ``/api`` for the path of a gateway, ``/api/gateways/{uuid}``, which takes its place."""
        return replaced_root(prefix)

    def add_job(
        self,
        script: Script,
        *,
        id: str | None = None,
        pausable: bool = True,
        cancellable: bool = True,
        **fields: Any,
    ) -> str:
        """Add a job, as `Simulator.add_job` says, and return its uuid.

        Fields are those of the record (``description``, ``message``, ``code``, ``svm``, ``node``,
        ``error``, …; None leaves one out). By default, a failure with a message has an ``error``
        made from it, and the times follow the script. With ``path`` the job is in another collection than the
        cluster's jobs, such as ``/api/data-engine/jobs``. ``results`` (``records``, ``errors``,
        ``rollback_errors``) are those of a write that starts it; a POST of many records has some without.
        """
        refuses = {"pause": not pausable, "cancel": not cancellable}
        refused = frozenset(action for action, refuse in refuses.items() if refuse)
        return self._put(script, id, fields, refuses=refused).id

    def require(self, feature: Feature) -> None:
        """Raise `ValueError` where this system lacks a feature; tokens, where none are given."""
        if feature != "tokens":
            super().require(feature)
        elif self.tokens is None:
            accepted = "anybody" if self.users is None else "passwords alone"
            raise ValueError(
                f"{type(self).__name__} has no tokens that could expire, since it accepts {accepted}: "
                "pass tokens="
            )

    def expire_tokens(self, *authorizations: str) -> None:
        """Let all tokens issued or listed expire, and those in these ``Authorization`` headers."""
        self.require("tokens")
        if isinstance(self.tokens, TokenIssuer):
            self.tokens.expire_all(*authorizations)
        else:
            self._expired.update(self.tokens or ())

    def restore_tokens(self) -> None:
        """Accept again the tokens that `expire_tokens` made expire."""
        self._expired.clear()
        if isinstance(self.tokens, TokenIssuer):
            self.tokens.restore()

    def is_list(self, request: Request) -> bool:
        """Whether this request asks for a list of jobs."""
        return request.method == "GET" and request.segments == ("api", "cluster", "jobs")

    async def respond(self, request: Request) -> Response:
        """Return the response that ONTAP would give."""
        try:
            return await self._route(request)
        except OntapError as error:
            return error.response()

    async def _route(self, request: Request) -> Response:
        if self.url_limit is not None and len(request.target) > self.url_limit:
            return Response(414, {"Content-Type": "text/html"}, b"<h1>Request-URI Too Long</h1>")
        first, last = request.segments[0], request.segments[-1]
        if (
            isinstance(self.tokens, TokenIssuer)
            and request.method == "POST"
            and first != "api"
            and last == "token"
        ):
            return self.tokens.answer(request)
        if not self._admits(request.headers.get("authorization", "")):
            raise not_authorized()
        match request.method, request.segments:
            case "GET", ("api", "cluster", "jobs"):
                return self._collection(request)
            case "GET", ("api", *_, "jobs", uuid):
                return self._single(request, uuid)
            case "PATCH", ("api", "cluster", "jobs"):
                return self._act_on_all(request)
            case "GET", ("api", _, *_) if PARAMETER in request.query:
                return reply(200, render_results(self.jobs, request, self.retention))
            case "PATCH", ("api", "cluster", "jobs", uuid):
                return self._act(request, uuid)
            case _, ("api", "cluster", "jobs", *_):
                raise OntapError(405, "3", "The method is not allowed for this resource")
            case (("POST" | "PATCH" | "DELETE"), ("api", _, *_)):
                return await self._write(request)
            case _:
                raise OntapError(404, "3", "API not found")

    def _admits(self, authorization: str) -> bool:
        if self.users is None and self.tokens is None:
            return True
        pair = basic_pair(authorization)
        if pair is not None:
            return (self.users or {}).get(pair[0]) == pair[1]
        if isinstance(self.tokens, TokenIssuer):
            return self.tokens.accepts(authorization)
        scheme, _, token = authorization.partition(" ")
        good = set(self.tokens or ()) - self._expired
        return scheme.lower() == "bearer" and token.strip() in good

    def _find(self, uuid: str, now: float, path: str = JOBS) -> ScriptedJob:
        job = self.jobs.get(uuid)
        if job is not None and jobs_path(job) != path:
            job = None
        if job is None and not _is_uuid(uuid):
            raise malformed_id(uuid)
        if job is None or is_gone(job, now, self.retention):
            raise gone()
        return job

    def _render(self, job: ScriptedJob, now: float) -> dict[str, Any]:
        return render(job, now, self.version, self.wall)

    def _single(self, request: Request, uuid: str) -> Response:
        path = f"/{'/'.join(request.segments[:-1])}"
        record = self._render(self._find(uuid, request.at, path), request.at)
        fields = parse_fields(request.query.get("fields", ""), self.version)
        return reply(200, record if not fields or fields & ALL else pick(record, fields))

    def _act(self, request: Request, uuid: str) -> Response:
        action = request.query.get("action", "")
        check_action(action)
        act(self._find(uuid, request.at), action, request.at, self.settle)
        return reply(200, {})

    def _act_on_all(self, request: Request) -> Response:
        texts = request.query
        check_action(texts.get("action", ""))
        query, records = self._matching(request, without=BULK_OPTIONS)
        page, links = self._page(request, attrs.evolve(query, return_records=True), records)
        jobs = [self.jobs[str(record["uuid"])] for record in page]
        status, body = act_on_all(jobs, texts, request.at, self.settle)
        return reply(status, {**body, "_links": links} if status == 200 else body)

    async def _write(self, request: Request) -> Response:
        timeout = parse_timeout(request.query)
        new = self.job_for_write(request)
        if isinstance(new, Response):
            return new
        fields = fields_of_write(request, {"description": f"{request.method} {request.path}", **new.fields})
        job = self.jobs[self.add_job(new.script, id=new.id, **fields)]
        if timeout and await self._ended(job, request.at + timeout):
            named = self._render(job, self.clock.now())
            status = ENDED_STATUS[request.method]
        else:
            named, status = link(job), 202
        return reply(status, {"job": {**named, "_links": {**named["_links"], **results_link(job)}}})

    async def _ended(self, job: ScriptedJob, deadline: float) -> bool:
        """Wait for a job's end, or until the deadline; return whether it has ended and is still kept."""
        while not has_ended(job, now := self.clock.now()) and now < deadline:
            ending = job.life.entered(TERMINAL)
            due = min(deadline, now + RECHECK, math.inf if ending is None else ending)
            await self.clock.sleep(max(0.0, due - now))
        now = self.clock.now()
        return has_ended(job, now) and not is_gone(job, now, self.retention)

    def _matching(
        self, request: Request, *, without: Collection[str] = ()
    ) -> tuple[ListQuery, list[Mapping[str, Any]]]:
        """Return the query of a request about many jobs, and the records that match, from its start on."""
        parameters = request.parameters
        if self.batch == "refuse" and any("|" in text for name, text in parameters if name == "uuid"):
            raise OntapError(400, INVALID_VALUE, "The filter takes one value only", "uuid")
        ignored = request.quirks.ignores | ({"uuid"} if self.batch == "ignore" else set())
        query = parse_query(
            tuple(pair for pair in parameters if pair[0] not in ignored and pair[0] not in without),
            self.version,
        )
        return query, self._records(query, request.at)

    def _page(
        self, request: Request, query: ListQuery, records: list[Mapping[str, Any]]
    ) -> tuple[Sequence[Mapping[str, Any]], dict[str, Any]]:
        """Return the records on one page, and its links."""
        size = min(query.max_records or self.page_size, self.page_size)
        if request.quirks.page is not None:
            page, last = cut_page(records, min(size, request.quirks.page), query.start)
        elif self.short_pages:
            page, last = short_page(records, size, query.start)
        elif not query.return_records:
            page, last = records, None  # only their number is asked for, which no page limits
        else:
            page, last = whole_page(records, size)
        links = {"self": {"href": request.target}}
        if last is not None:
            links["next"] = {"href": next_href(JOBS, request.parameters, last)}
        return page, links

    def _collection(self, request: Request) -> Response:
        query, records = self._matching(request)
        page, links = self._page(request, query, records)
        if not query.return_records:
            return reply(200, {"num_records": len(page), **({"_links": links} if "next" in links else {})})
        cut = [query.cut(record) for record in page]
        return reply(200, {"records": cut, "num_records": len(cut), "_links": links})

    def _records(self, query: ListQuery, now: float) -> list[Mapping[str, Any]]:
        """Return the records that match, in order, from the start of the page on."""
        ids = self.jobs if query.ids is None else self.jobs.keys() & query.ids
        jobs = [self.jobs[uuid] for uuid in ids]
        alive = [job for job in jobs if jobs_path(job) == JOBS and not is_gone(job, now, self.retention)]
        records = query.sorted([self._render(job, now) for job in alive])
        rest = after(records, query.start, by_uuid=not query.order)
        return [record for record in rest if query.matches(record)]


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
