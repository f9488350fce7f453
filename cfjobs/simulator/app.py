"""The simulated Cloud Foundry: its response to each request."""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Unpack, get_args
from urllib.parse import quote, quote_plus

from cfjobs.simulator.rate_limit import RateLimit
from cfjobs.simulator.records import TIME, job_path, render, resource_body, root_document
from cfjobs.simulator.writes import COLLECTIONS, UPLOADS, read_write
from common.simulator.messages import Request, Response, json_response
from common.simulator.script import NewJob
from common.simulator.simulator import Simulator
from common.simulator.system import Feature, SimulatorOptions
from common.simulator.tokens import UAATokenIssuer

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


Location = Literal["absolute", "relative"]

CONTENT_TYPE = "application/json; charset=utf-8"
VERBS = frozenset({"POST", "PATCH", "PUT", "DELETE"})

Error = tuple[int, int, str, str]
"""Status, code, title and detail."""
NOT_AUTHENTICATED: Error = (401, 10002, "CF-NotAuthenticated", "Authentication error")
INVALID_TOKEN: Error = (401, 1000, "CF-InvalidAuthToken", "Invalid Auth Token")
UNKNOWN_ROUTE: Error = (404, 10000, "CF-NotFound", "Unknown request")
NO_SUCH_JOB: Error = (404, 10010, "CF-ResourceNotFound", "Job not found")
KORIFI_NO_SUCH_JOB: Error = (
    *NO_SUCH_JOB[:3],
    "Job not found. Ensure it exists and you have access to it.",
)
RATE_LIMITED: Error = (429, 10013, "CF-RateLimitExceeded", "Rate Limit Exceeded")


def error_response(error: Error, *, content_type: str = CONTENT_TYPE) -> Response:
    """Return the response for an error."""
    status, code, title, detail = error
    data = {"errors": [{"code": code, "title": title, "detail": detail}]}
    return json_response(status, data, content_type=content_type)


class CFSimulator(Simulator):
    """Cloud Foundry's v3 jobs, as an ASGI application.

    ``rate_limit`` is the requests allowed in an hour (None: any number, and no headers about it). The
    headers tell what is left in tenths of it; ``rate_limit_processes`` processes take the requests in turn,
    and each counts its own. With ``korifi``, jobs have no times and few links, operations have Korifi's
    names, ids read ``<operation>~<resource>``, warnings in headers are not encoded, and there is no UAA: the
    root document says ``cf_on_k8s`` and names the API itself as the login server. ``location`` is how a
    write's response names its job. Writes that start no job at the real one start none here: they are
    answered 200, 201 or 204 (tasks and scaling 202, without a Location), unless ``on_write`` returns a
    `Response`.

    Tokens come from ``POST /oauth/token`` and live for ``token_lifetime`` seconds. By default anybody gets
    one, and a token that was not issued here is accepted. ``users`` (passwords by user name), ``clients``
    (secrets by client id: ``{"cf": ""}`` is the ``cf`` command's), ``assertions``, ``passcodes``, ``strict``,
    ``rotate`` and ``refresh_lifetime`` are those of `UAATokenIssuer`, which is `tokens`. The other options
    are those of `System`.

    Fields of a job: ``operation``, ``errors`` (mappings; None sends null), ``warnings`` (texts or mappings;
    None sends null), ``resource`` (the path of what the job works on), ``links`` (in place of those made
    from it), and any other key of the record.
    """

    vocabulary: ClassVar[tuple[str, ...]] = ("PROCESSING", "POLLING", "COMPLETE", "FAILED")
    default_job: ClassVar[NewJob] = NewJob([("PROCESSING", 0.5), ("COMPLETE", None)])
    features: ClassVar[frozenset[Feature]] = frozenset({"tokens"})
    option_help: ClassVar[MappingProxyType[str, str]] = MappingProxyType(
        {
            "rate_limit": "requests allowed in an hour; null: any number",
            "rate_limit_processes": "processes that take the requests in turn, each with a share of it",
            "korifi": "whether to play a Korifi",
            "location": "absolute or relative: how a write's response names its job",
            "token_lifetime": "seconds for which a token is good",
            "users": "passwords by user name; null: whoever asks gets a token",
            "clients": "secrets by client id; null: as above",
            "assertions": "the JWTs that are trusted; null: any",
            "passcodes": "the one-time codes of users; null: any",
            "rotate": "whether a refresh token can be used once, and the response has the next one",
            "refresh_lifetime": "seconds for which a refresh token is good; null: for ever",
            "strict": "whether access and refresh tokens that were not issued here are refused",
        }
    )

    def __init__(
        self,
        *,
        rate_limit: int | None = None,
        rate_limit_processes: int = 1,
        korifi: bool = False,
        location: Location = "absolute",
        token_lifetime: float = 600.0,
        users: Mapping[str, str] | None = None,
        clients: Mapping[str, str] | None = None,
        assertions: Collection[str] | None = None,
        passcodes: Collection[str] | None = None,
        rotate: bool = False,
        refresh_lifetime: float | None = None,
        strict: bool = False,
        **options: Unpack[SimulatorOptions],
    ) -> None:
        super().__init__(**options)
        self.rate_limit: RateLimit | None = (
            None if rate_limit is None else RateLimit(rate_limit, processes=rate_limit_processes)
        )
        if location not in get_args(Location):
            raise ValueError(f"location is one of {', '.join(get_args(Location))}, not {location!r}")
        self.korifi = korifi
        self.location: Location = location
        self.tokens: UAATokenIssuer = UAATokenIssuer(
            self.clock,
            token_lifetime,
            users=users,
            clients=clients,
            assertions=assertions,
            passcodes=passcodes,
            rotate=rotate,
            refresh_lifetime=refresh_lifetime,
            strict=strict,
        )

    def expire_tokens(self, *authorizations: str) -> None:
        """Let all tokens issued so far expire, and those in these ``Authorization`` headers."""
        self.tokens.expire_all(*authorizations)

    def restore_tokens(self) -> None:
        """Accept again the tokens that `expire_tokens` made expire."""
        self.tokens.restore()

    async def respond(self, request: Request) -> Response:
        """Return the response that the Cloud Controller would give."""
        request_id = request.headers.get("x-vcap-request-id") or self.new_id()
        ids = {"X-VCAP-Request-ID": f"{request_id}::{self.new_id()}"}
        if request.segments[0] != "v3":
            return self._outside(request).adding(ids)
        limits = self._limits(request.at)
        refusal = self._refusal(request, limits)
        return (refusal or self._call(request)).adding({**ids, **limits})

    def _outside(self, request: Request) -> Response:
        match request.method, request.segments:
            case "GET", ("",):
                return json_response(200, root_document(request.origin, korifi=self.korifi))
            case "POST", ("oauth", "token") if not self.korifi:
                return self.tokens.answer(request)
            case _:
                return error_response(UNKNOWN_ROUTE)

    def _limits(self, now: float) -> dict[str, str]:
        """Count a request, and return the headers about the rate limit."""
        if self.rate_limit is None:
            return {}
        left = self.rate_limit.spend(now)
        headers = {
            "X-RateLimit-Limit": str(self.rate_limit.limit),
            "X-RateLimit-Remaining": str(left.remaining),
            "X-RateLimit-Reset": str(math.ceil(self.wall(left.reset).timestamp())),
        }
        if left.exceeded:
            headers["Retry-After"] = str(math.ceil(left.reset - now))
        return headers

    def _refusal(self, request: Request, limits: Mapping[str, str]) -> Response | None:
        authorization = request.headers.get("authorization")
        if "Retry-After" in limits:
            return error_response(RATE_LIMITED, content_type="text/plain; charset=utf-8")
        if authorization is None:
            return error_response(NOT_AUTHENTICATED)
        return None if self.tokens.accepts(authorization) else error_response(INVALID_TOKEN)

    def _call(self, request: Request) -> Response:
        match request.method, request.segments:
            case "GET", ("v3", "jobs", guid):
                return self._single(request, guid)
            case method, ("v3", _, *_) if method in VERBS:
                return self._write(request)
            case _:
                return error_response(UNKNOWN_ROUTE)

    def _single(self, request: Request, guid: str) -> Response:
        job = self.jobs.get(guid)
        moment = None if job is None else job.at(request.at)
        if job is None or moment is None:
            return error_response(KORIFI_NO_SUCH_JOB if self.korifi else NO_SUCH_JOB)
        record = render(job, moment, request.origin, self.wall, korifi=self.korifi)
        return json_response(200, record, content_type=CONTENT_TYPE)

    def _write(self, request: Request) -> Response:
        new = self.job_for_write(request)
        if isinstance(new, Response):
            return new
        write = read_write(request, korifi=self.korifi)
        if write is None:
            return error_response(UNKNOWN_ROUTE)
        _, collection, *rest = request.segments
        guid = rest[0] if rest else ""
        if request.method == "POST" and request.segments[-1] in COLLECTIONS and "relationships" not in rest:
            collection, guid = request.segments[-1], self.new_id()
        path = f"/v3/{collection}/{quote(guid, safe='')}"
        headers: dict[str, str] = {}
        if new.warnings:
            encode = str if self.korifi else quote_plus
            headers["X-Cf-Warnings"] = ",".join(encode(warning) for warning in new.warnings)
        if write.operation is not None:
            job = self._start_job(new, write.operation, guid, path)
            headers["Location"] = (request.origin if self.location == "absolute" else "") + job_path(job)
        if write.status == 204 or (write.operation is not None and write.operation not in UPLOADS):
            return Response(write.status, headers)
        body = resource_body(request, path, f"{self.wall(request.at):{TIME}}")
        return json_response(write.status, body, headers, content_type=CONTENT_TYPE)

    def _start_job(self, new: NewJob, operation: str, guid: str, path: str) -> str:
        """Start the job of a write that works on the resource with this guid and path; return its id."""
        if operation == "service_bindings.delete" and any(
            job.fields.get("operation") == "service_keys.create" and job.fields.get("resource") == path
            for job in self.jobs.values()
        ):
            operation = "service_keys.delete"
        fields: dict[str, Any] = {"operation": operation, **new.fields}
        if not operation.startswith("admin."):
            fields.setdefault("resource", path)
        return self.add_job(new.script, id=new.id or self._korifi_id(fields["operation"], guid), **fields)

    def _korifi_id(self, operation: str, resource: str) -> str | None:
        """Return the id that Korifi computes, or None.

        The same write again is the same job, which begins anew.
        """
        if not self.korifi:
            return None
        guid = f"{operation}~{resource}"
        self.jobs.pop(guid, None)
        return guid
