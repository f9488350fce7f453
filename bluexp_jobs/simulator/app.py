"""The simulated BlueXP backup and recovery: its response to each request."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Unpack, get_args
from urllib.parse import quote

from bluexp_jobs.auth import AUDIENCE
from bluexp_jobs.simulator.tokens import BlueXPTokenDesk
from common.simulator.messages import Request, Response, json_response, text_response
from common.simulator.script import NewJob, Script
from common.simulator.simulator import Simulator
from common.simulator.system import Feature, SimulatorOptions
from common.simulator.tokens import bearer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from common.simulator.script import ScriptedJob

Missing = Literal["empty", "null", "404"]

ANY_ACCOUNT = "account-sim"
ANY_AGENT = "agent-sim"
AGENT_SUFFIX = "clients"
TOKEN_PATHS = frozenset({("oauth", "token"), ("auth", "oauth", "token")})
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})

WRONG_AGENT = text_response(403, "User is not allowed to do operation")
WRONG_ACCOUNT = text_response(403, "Action not allowed for user")
UNAUTHORIZED = json_response(
    401,
    {
        "detail": "The request is missing the required bearer token.",
        "status": "401",
        "title": "Missing bearer token",
        "type": "https://bluexp.netapp.io/problems/1",
    },
    content_type="application/problem+json",
)
TOKEN_REFUSED = json_response(
    401,
    {
        "detail": "The bearer token has expired, or was not issued for this service.",
        "status": "401",
        "title": "Invalid bearer token",
        "type": "about:blank",
    },
    content_type="application/problem+json",
)
FORBIDDEN = json_response(403, {"statusCode": 403, "error": "Forbidden", "message": "Forbidden"})
UNKNOWN_ROUTE = json_response(
    404, {"statusCode": 404, "error": "Not Found", "message": "Cannot find this path"}
)
NO_JOB_ID = json_response(
    400, {"statusCode": 400, "error": "Bad Request", "message": "The header job-id must be a new id"}
)
NO_SUCH_JOB: Mapping[Missing, Response] = MappingProxyType(
    {
        "empty": json_response(200, {"job": []}),
        "null": json_response(200, {"job": None}),
        "404": json_response(404, {"statusCode": 404, "error": "Not Found", "message": "Job not found"}),
    }
)

VOCABULARY = (
    *("PENDING", "QUEUED", "IN_PROGRESS", "RUNNING", "CANCELING", "PAUSED"),
    *("COMPLETED", "SUCCESS", "SUCCEEDED", "WARNING", "FAILED", "TIMED_OUT", "CANCELLED", "CANCELED"),
)
"""The words of the BlueXP backup and recovery reference ("job"), of its sister API, and of the platform's
job-monitor APIs; their letter case varies."""
NAMED_BY_CALLER = ["object-storage"]
"""The path of the write whose caller names the job, in the header ``job-id``."""
DEFAULT_TYPE = "backup-working-environment"
SPECIAL_FIELDS = frozenset({"volumes", "batches", "restore", "data"})
"""Fields that a record has below ``data``."""


class BlueXPSimulator(Simulator):
    """The jobs of BlueXP backup and recovery, as an ASGI application.

    Calls need a bearer token and the header ``x-agent-id: <agent>clients``. Any account and any agent will
    do, unless ``account`` or ``agent`` names the one that there is. A write to ``/object-storage`` names its
    job itself, in the header ``job-id``, and its response does not. ``missing`` is how the response for a job
    that does not exist reads. Jobs are kept for ``retention`` seconds. Tokens come from ``POST /oauth/token``
    (also below ``/auth``) and live for ``token_lifetime`` seconds.

    By default whoever asks gets a token, and any token is accepted. ``users``, ``clients``,
    ``refresh_tokens``, ``rotate``, ``audience`` and ``strict`` are those of `BlueXPTokenDesk`, which is
    `tokens`. With ``users_only``, service accounts are refused where they ask for jobs. The other options
    are those of `System`.
    """

    vocabulary: ClassVar[tuple[str, ...]] = VOCABULARY
    default_job: ClassVar[NewJob] = NewJob([("PENDING", 0.1), ("IN_PROGRESS", 0.5), ("COMPLETED", None)])
    features: ClassVar[frozenset[Feature]] = frozenset({"filters", "tokens"})
    option_help: ClassVar[MappingProxyType[str, str]] = MappingProxyType(
        {
            "account": "the one account that there is; null: any",
            "agent": "the one agent that there is; null: any",
            "missing": "empty, null or 404: how the response for a job that does not exist reads",
            "retention": "seconds for which a job is kept",
            "token_lifetime": "seconds for which a token is good",
            "users": "passwords by user name; null: whoever asks gets a token",
            "clients": "secrets or public keys of service accounts by client id; null: as above",
            "refresh_tokens": "the refresh tokens that are good; null: all",
            "rotate": "whether a refresh token can be used once, and the response has the next one",
            "strict": "whether tokens that were not issued here, and whoever is not given, are refused",
            "audience": "the audience that a sign-in asks for",
            "users_only": "whether service accounts are refused where they ask for jobs",
        }
    )

    def __init__(
        self,
        *,
        account: str | None = None,
        agent: str | None = None,
        missing: Missing = "empty",
        retention: float = 15 * 86_400.0,
        token_lifetime: float = 86_400.0,
        users: Mapping[str, str] | None = None,
        clients: Mapping[str, str] | None = None,
        refresh_tokens: Iterable[str] | None = None,
        rotate: bool = False,
        strict: bool = False,
        audience: str = AUDIENCE,
        users_only: bool = False,
        **options: Unpack[SimulatorOptions],
    ) -> None:
        super().__init__(**options)
        if missing not in get_args(Missing):
            raise ValueError(f"missing is one of {', '.join(get_args(Missing))}, not {missing!r}")
        self._account = account
        self._agent = agent
        self.missing: Missing = missing
        self.retention = retention
        self.users_only = users_only
        self.tokens: BlueXPTokenDesk = BlueXPTokenDesk(
            self.clock,
            token_lifetime,
            users=users,
            clients=clients,
            refresh_tokens=refresh_tokens,
            rotate=rotate,
            strict=strict,
            audience=audience,
        )

    @property
    def client_settings(self) -> Mapping[str, str]:
        """The keys beside the endpoint by which `common.connect` reaches it: any token, account and agent."""
        return {**super().client_settings, "account": self.account, "agent": self.agent}

    @property
    def account(self) -> str:
        """The one account that there is, once it is set; until then an example, since any will do."""
        return self._account or ANY_ACCOUNT

    @account.setter
    def account(self, account: str) -> None:
        self._account = account

    @property
    def agent(self) -> str:
        """The one agent that there is, once it is set; until then an example, since any will do."""
        return self._agent or ANY_AGENT

    @agent.setter
    def agent(self, agent: str) -> None:
        self._agent = agent

    @property
    def prefix(self) -> str:
        """The path that the calls of `account` begin with."""
        return f"/account/{quote(self.account, safe='')}/providers/cloudmanager_cbs/api/v1"

    def add_job(
        self,
        script: Script,
        *,
        id: str | None = None,
        **fields: Any,
    ) -> str:
        """Add a job, as `Simulator.add_job` says, and return its id.

        Fields are those of the record with underscores (``type``, ``error``, ``time``,
        ``working_environment_id``; None leaves one out), and: ``volumes`` (becomes
        ``data.multi-volume-backup.volume``), ``restore`` (a mapping of ``type``, ``source`` and
        ``target``; ``data.restore``), ``batches`` (``data.restore.batch``), or ``data`` as it is.
        """
        return super().add_job(script, id=id, **fields)

    def is_list(self, request: Request) -> bool:
        """Whether this request asks for a list of jobs."""
        return request.method == "GET" and request.segments[6:] == ("job",)

    def expire_tokens(self, *authorizations: str) -> None:
        """Let all tokens issued so far expire, and those in these ``Authorization`` headers."""
        self.tokens.expire_all(*authorizations)

    def restore_tokens(self) -> None:
        """Accept again the tokens that `expire_tokens` made expire."""
        self.tokens.restore()

    async def respond(self, request: Request) -> Response:
        """Return the response that BlueXP would give."""
        response = self._route(request)
        return response.adding({"OnCloud-Request-Id": self.new_id()})

    def _route(self, request: Request) -> Response:
        if request.segments in TOKEN_PATHS and request.method == "POST":
            return self.tokens.answer(request)
        authorization = request.headers.get("authorization", "")
        if not self.tokens.accepts(authorization):
            return TOKEN_REFUSED if bearer(authorization) else UNAUTHORIZED
        match request.segments:
            case ("account", account, "providers", "cloudmanager_cbs", "api", "v1", *path):
                return self._guard(request, account) or self._call(request, path)
            case _:
                return UNKNOWN_ROUTE

    def _guard(self, request: Request, account: str) -> Response | None:
        if account != (self._account or account):
            return WRONG_ACCOUNT
        agent, suffix, rest = request.headers.get("x-agent-id", "").rpartition(AGENT_SUFFIX)
        if not (agent and suffix) or rest or agent != (self._agent or agent).removesuffix(AGENT_SUFFIX):
            return WRONG_AGENT
        about_jobs = request.segments[6:7] == ("job",)
        service = self.tokens.is_service(request.headers.get("authorization", ""))
        return FORBIDDEN if self.users_only and about_jobs and service else None

    def _call(self, request: Request, path: list[str]) -> Response:
        match request.method, path:
            case "GET", ["job"]:
                return self._list(request)
            case "GET", ["job", job_id]:
                job = self.jobs.get(job_id)
                record = job and self._render(job, request.at)
                return json_response(200, {"job": [record]}) if record else NO_SUCH_JOB[self.missing]
            case method, [first, *_] if method in WRITES and first != "job":
                return self._write(request, path)
            case _:
                return UNKNOWN_ROUTE

    def _list(self, request: Request) -> Response:
        filters = {"type", "status"} - request.quirks.ignores
        wanted = {name: text for name, text in request.parameters if name in filters}
        rendered = (self._render(job, request.at) for job in self.jobs.values())
        records = [
            record
            for record in rendered
            if record and all(record.get(name) == text for name, text in wanted.items())
        ]
        return json_response(200, {"job": records})

    def _write(self, request: Request, path: list[str]) -> Response:
        new = self.job_for_write(request)
        if isinstance(new, Response):
            return new
        fields: dict[str, Any] = {**_fields_of_path(path), **new.fields}
        if path != NAMED_BY_CALLER:
            return json_response(202, {"job-id": self.add_job(new.script, id=new.id, **fields)})
        named = request.headers.get("job-id", "")
        if not named or named in self.jobs:
            return NO_JOB_ID
        self.add_job(new.script, id=named, **fields)
        return json_response(202, {})

    def _render(self, job: ScriptedJob, now: float) -> dict[str, Any] | None:
        """Return a job's record; None once it is gone."""
        moment = job.at(now)
        start = now if job.life.start is None else job.life.start
        if moment is None or now >= start + self.retention:
            return None
        record: dict[str, Any] = {
            "id": job.id,
            "type": DEFAULT_TYPE,
            "status": moment.state,
            "error": "",
            "time": int(self.wall(start).timestamp() * 1000),
        }
        for name, value in moment.fields.items():
            if name not in SPECIAL_FIELDS:
                record[name.replace("_", "-")] = value
        record["data"] = _data(moment.fields) or None
        return {name: value for name, value in record.items() if value is not None}


def _data(fields: Mapping[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = {**(fields.get("data") or {})}
    if "volumes" in fields:
        data["multi-volume-backup"] = {"volume": fields["volumes"]}
    if "restore" in fields or "batches" in fields:
        data["restore"] = {**(fields.get("restore") or {})}
    if "batches" in fields:
        data["restore"]["batch"] = fields["batches"]
    return data


def _fields_of_path(path: list[str]) -> dict[str, str]:
    """Return the job's type and system, read from the path of the write that started it."""
    fields = {"type": "restore" if path[0] == "restore" else DEFAULT_TYPE}
    if "working-environment" in path[:-1]:
        fields["working_environment_id"] = path[path.index("working-environment") + 1]
    return fields
