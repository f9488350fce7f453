"""The simulated Cloud Foundry: its response to each request."""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Unpack, get_args
from urllib.parse import quote, quote_plus

from cfjobs.simulator.rate_limit import RateLimit
from common.simulator.messages import Request, Response, json_response
from common.simulator.script import NewJob
from common.simulator.simulator import Simulator
from common.simulator.system import Feature, SimulatorOptions
from common.simulator.tokens import UAATokenIssuer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from common.simulator.script import Moment, ScriptedJob

Location = Literal["absolute", "relative"]

CONTENT_TYPE = "application/json; charset=utf-8"
VERBS: Mapping[str, str] = MappingProxyType(
    {"POST": "create", "PATCH": "update", "PUT": "update", "DELETE": "delete"}
)
PLURAL_LINKS = frozenset(
    {"service_instance.create", "service_instance.update", "service_broker.create"}
    | {"service_broker.update", "service_broker.catalog.synchronize"}
)
"""The operations whose job links to its resource under a name in the plural."""

Error = tuple[int, int, str, str]
"""Status, code, title and detail."""
NOT_AUTHENTICATED: Error = (401, 10002, "CF-NotAuthenticated", "Authentication error")
INVALID_TOKEN: Error = (401, 1000, "CF-InvalidAuthToken", "Invalid Auth Token")
UNKNOWN_ROUTE: Error = (404, 10000, "CF-NotFound", "Unknown request")
NO_SUCH_JOB: Error = (404, 10010, "CF-ResourceNotFound", "Job not found")
RATE_LIMITED: Error = (429, 10013, "CF-RateLimitExceeded", "Rate Limit Exceeded")


def error_response(error: Error, *, content_type: str = CONTENT_TYPE) -> Response:
    """Return the response for an error."""
    status, code, title, detail = error
    data = {"errors": [{"code": code, "title": title, "detail": detail}]}
    return json_response(status, data, content_type=content_type)


class CFSimulator(Simulator):
    """Cloud Foundry's v3 jobs, as an ASGI application.

    ``rate_limit`` is the requests allowed in an hour (None: any number, and no headers about it). The headers
    tell what is left in tenths of it, and each of the ``rate_limit_processes`` counts for itself, by turns.
    With ``korifi``, jobs have no times, ids read ``<operation>~<resource>``, warnings in headers are
    not encoded, and discovery names no login. ``location`` is how a write's response names its job. Tokens
    come from ``POST /oauth/token`` and live for ``token_lifetime`` seconds. By default anybody gets one, and
    a token that was not issued here is accepted. ``users`` (passwords by user name), ``clients`` (secrets by
    client id: ``{"cf": ""}`` is the ``cf`` command's), ``strict``, ``rotate`` and ``refresh_lifetime`` are
    those of `UAATokenIssuer`, which is `tokens`. The other options are those of `System`.

    Fields of a job: ``operation``, ``errors`` (mappings, or None), ``warnings`` (texts or mappings,
    or None), ``resource`` (the path of what the job works on), ``links`` (in place of those made
    from it), and any other key of the record.
    """

    vocabulary: ClassVar[tuple[str, ...]] = ("PROCESSING", "POLLING", "COMPLETE", "FAILED")
    default_job: ClassVar[NewJob] = NewJob([("PROCESSING", 0.5), ("COMPLETE", None)])
    features: ClassVar[frozenset[Feature]] = frozenset({"tokens"})
    option_help: ClassVar[MappingProxyType[str, str]] = MappingProxyType(
        {
            "rate_limit": "requests allowed in an hour; null: any number",
            "rate_limit_processes": "processes that count them, each for itself, by turns",
            "korifi": "whether to play a Korifi",
            "location": "absolute or relative: how a write's response names its job",
            "token_lifetime": "seconds for which a token is good",
            "users": "passwords by user name; null: whoever asks gets a token",
            "clients": "secrets by client id; null: as above",
            "rotate": "whether a refresh token is good once, and another comes with the reply",
            "refresh_lifetime": "seconds for which a refresh token is good; null: for ever",
            "strict": "whether tokens from elsewhere, and whoever is not known, are refused",
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
                return json_response(200, {"links": self._discovery(request.origin)})
            case "POST", ("oauth", "token"):
                return self.tokens.answer(request)
            case _:
                return error_response(UNKNOWN_ROUTE)

    def _discovery(self, origin: str) -> dict[str, Any]:
        uaa = None if self.korifi else {"href": origin}
        return {
            "self": {"href": origin},
            "cloud_controller_v2": None,
            "cloud_controller_v3": {"href": f"{origin}/v3", "meta": {"version": "3.228.0"}},
            "login": uaa,
            "uaa": uaa,
        }

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
            case method, ("v3", collection, *_) if method in VERBS and collection != "jobs":
                return self._write(request)
            case _:
                return error_response(UNKNOWN_ROUTE)

    def _single(self, request: Request, guid: str) -> Response:
        job = self.jobs.get(guid)
        moment = None if job is None else job.at(request.at)
        if job is None or moment is None:
            return error_response(NO_SUCH_JOB)
        record = render(job, moment, request.origin, self.wall, korifi=self.korifi)
        return json_response(200, record, content_type=CONTENT_TYPE)

    def _write(self, request: Request) -> Response:
        new = self.job_for_write(request)
        if isinstance(new, Response):
            return new
        _, collection, *rest = request.segments
        resource = rest[0] if rest else self.new_id()
        fields: dict[str, Any] = {
            "operation": operation_of(request.method, collection, rest),
            "resource": f"/v3/{collection}/{quote(resource, safe='')}",
            **new.fields,
        }
        guid = self.add_job(new.script, id=new.id or self._korifi_id(fields["operation"], resource), **fields)
        base = request.origin if self.location == "absolute" else ""
        headers = {"Location": base + job_path(guid)}
        if new.warnings:
            encode = str if self.korifi else quote_plus
            headers["X-Cf-Warnings"] = ",".join(encode(warning) for warning in new.warnings)
        return Response(202, headers)

    def _korifi_id(self, operation: str, resource: str) -> str | None:
        """Return the id that Korifi computes, or None.

        The same write again is the same job, which begins anew.
        """
        if not self.korifi:
            return None
        guid = f"{operation}~{resource}"
        self.jobs.pop(guid, None)
        return guid


def operation_of(method: str, collection: str, rest: Sequence[str]) -> str:
    """Return the operation of a write, such as ``app.delete`` or ``space.apply_manifest``."""
    verb = rest[-1] if len(rest) > 1 else VERBS[method]
    return f"{collection.removesuffix('s')}.{verb}"


def job_path(guid: str) -> str:
    """Return the path of a job; its guid is one segment, whatever characters it has."""
    return f"/v3/jobs/{quote(guid, safe='')}"


def render(
    job: ScriptedJob,
    moment: Moment,
    origin: str,
    wall: Callable[[float], datetime],
    *,
    korifi: bool,
) -> dict[str, Any]:
    """Return a job's record.

    A job that completes has no errors, unless its script gives it some in that very step.
    """
    fields: dict[str, Any] = {"operation": "app.delete", **moment.fields}
    errors = fields.pop("errors", [] if korifi else None)
    if errors and moment.state == "COMPLETE" and "errors" not in moment.step.changes:
        errors = []
    warnings = fields.pop("warnings", None if korifi else [])
    resource = fields.pop("resource", None)
    record: dict[str, Any] = {"guid": job.id}
    if not korifi and job.life.start is not None and moment.since is not None:
        times = {"created_at": job.life.start, "updated_at": moment.since}
        record |= {name: f"{wall(at):%Y-%m-%dT%H:%M:%SZ}" for name, at in times.items()}
    if moment.state is not None:
        record["state"] = moment.state
    record["errors"] = errors
    if not (korifi and warnings is None):
        record["warnings"] = warnings and [_detail(warning) for warning in warnings]
    record["links"] = _links(job.id, fields["operation"], resource, moment.state, origin)
    return record | fields


def _detail(warning: str | Mapping[str, Any]) -> Mapping[str, Any]:
    return {"detail": warning} if isinstance(warning, str) else warning


def _links(guid: str, operation: str, resource: str | None, state: str | None, origin: str) -> dict[str, Any]:
    """Return the links: the job's own, and its resource's while that exists."""
    links = {"self": {"href": origin + job_path(guid)}}
    deleted = operation.endswith(".delete") and state == "COMPLETE"
    if resource is not None and not deleted:
        subject = operation.partition(".")[0]
        links[subject + "s" if operation in PLURAL_LINKS else subject] = {"href": origin + resource}
    return links
