"""The jobs of BlueXP backup and recovery over HTTP: get, list, wait, and the jobs of its writes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import ClassVar, NoReturn, Unpack
from urllib.parse import unquote

import attrs

from bluexp_jobs.auth import ServiceAccount
from bluexp_jobs.provider import ENDPOINT
from bluexp_jobs.wire import PROVIDER, NoJob, parse_error, parse_job, parse_jobs, parse_started
from common.auth.argument import AuthLike
from common.model.errors import JobNotFound, UsageError
from common.model.job import Job, JobLike
from common.model.refs import ACCOUNT, JobRef, Scope, encode_segment
from common.model.states import Action, Capability, JobState
from common.options import SourceOptions
from common.response.failures import ErrorBody
from common.response.http_response import HttpResponse
from common.response.writes import StartedJobs
from common.sources.http import HttpSource
from common.sources.paging import Pages
from common.sources.ref_resolver import MAX_ID

AGENT = "agent"
AGENT_SUFFIX = "clients"
"""The header carries the agent's id with this behind it."""
AS_A_USER = "the reference of job calls names a user's token: if a role is not missing, use RefreshToken(...)"
"""What to do where a service account is refused."""


class BlueXPJobs(HttpSource):
    """The backup and recovery jobs of one BlueXP account, run by one agent (once called connector).

    ``account`` is an account or organisation id (not its name), ``agent`` the agent's id, with or without
    "clients" behind it. ``auth`` is `RefreshToken`, `ServiceAccount`, in private mode `AgentPassword`, or
    ``Bearer(token)`` or an ``httpx.Auth``. ``endpoint`` is another host, as in private mode the agent's. The
    other keywords are those of `common.options.SourceOptions`. Raises `UsageError`.
    """

    provider: ClassVar[str] = PROVIDER
    capabilities: frozenset[Capability] = frozenset({Capability.LIST})
    to_look_for: ClassVar[str] = (
        "look for its job: list() has those of the account, by working environment, type and time"
    )

    def __init__(
        self,
        *,
        account: str = "",
        agent: str = "",
        auth: AuthLike | None = None,
        endpoint: str = ENDPOINT,
        **options: Unpack[SourceOptions],
    ) -> None:
        account, agent = _name("account", account), _name("agent", agent)
        super().__init__(
            endpoint,
            auth=auth,
            given=options,
            scope=((ACCOUNT, account), (AGENT, agent.removesuffix(AGENT_SUFFIX))),
            headers={"x-agent-id": agent.removesuffix(AGENT_SUFFIX) + AGENT_SUFFIX},
        )
        self._by_service = isinstance(auth, ServiceAccount)
        self._prefix = f"/account/{encode_segment(account)}/providers/cloudmanager_cbs/api/v1"
        self._jobs = f"{self._prefix}/job"

    def write_target(self, path: str, inline: float | None) -> tuple[str, float]:
        """A path that does not begin with ``/account/`` is below the account's API.

        Another account is refused: its job would be taken for one of this source's.
        """
        target, kept = super().write_target(path, inline)
        if not path.startswith("/account/"):
            return f"{self._prefix}{target}", kept
        if unquote(path.split("/")[2].partition("?")[0]) != dict(self.scope)[ACCOUNT]:
            raise UsageError("path= names another account than the source's: make a source for that one")
        return target, kept

    @classmethod
    def canonical_scope(cls, scope: Scope) -> Scope:
        """The same scope, the agent's id without its suffix."""
        return tuple(
            (name, part.removesuffix(AGENT_SUFFIX) if name == AGENT else part) for name, part in scope
        )

    def list(
        self, *, type: str | None = None, status: str | JobState | None = None, **unknown: object
    ) -> AsyncIterator[Job]:
        """The account's jobs, all of them in one reply: the API has no pages.

        ``type`` and ``status`` are passed to the server as they are. A `JobState` as ``status`` is compared
        here instead, since several words mean one state and PARTIAL has none. Raises `UsageError` before
        any request, `SourceError` while iterating.
        """
        if unknown:
            raise UsageError(
                f"unknown filter {next(iter(unknown))!r}: BlueXP jobs are filtered by type and status"
            )
        for name, value in (("type", type), ("status", status)):
            if value is not None and (not isinstance(value, str) or not value):
                raise UsageError(f"{name}= must be text that is not empty, or left out")
        wanted = status if isinstance(status, JobState) else None
        pairs = {"type": type, "status": None if wanted else status}
        query = "&".join(f"{name}={encode_segment(value)}" for name, value in pairs.items() if value)

        async def fetch(target: str) -> tuple[Iterable[Job], None]:
            reply = await self._client.send("GET", target)
            if reply.status != 200:
                raise self.heeded(reply, "GET jobs")
            jobs = parse_jobs(reply.body, endpoint=self.endpoint, scope=self.scope, states=self.states)
            return [job for job in jobs if wanted is None or job.state is wanted], None

        return Pages(fetch, f"{self._jobs}?{query}" if query else self._jobs)

    async def act(self, job: JobLike, action: Action) -> NoReturn:
        """Raises `Unsupported` before any request: the API has no cancel, pause or resume."""
        await super().act(job, action)
        raise AssertionError("unreachable")

    def job_target(self, ref: JobRef) -> str:
        """``…/job/{jobId}``, which takes no parameters."""
        return f"{self._jobs}/{encode_segment(ref.id)}"

    def decode(self, body: bytes, ref: JobRef) -> Job:
        """The job in the reply to one GET. An empty array or null is the API's word for a job it lacks."""
        try:
            return parse_job(body, endpoint=self.endpoint, scope=self.scope, id=ref.id, states=self.states)
        except NoJob:
            raise JobNotFound(
                f"{ref}: the server knows no such job (it answered without one)", ref=ref
            ) from None

    def fault(self, reply: HttpResponse) -> ErrorBody:
        """The platform's error body, in any of its shapes; of a service account, with what it may lack."""
        fault = parse_error(reply)
        if reply.status == 403 and self._by_service:
            return attrs.evolve(fault, hint=f"{fault.hint}; or {AS_A_USER}" if fault.hint else AS_A_USER)
        return fault

    def handover(self, reply: HttpResponse) -> StartedJobs:
        """The job id in the body of a write's reply."""
        return parse_started(reply)


def _name(keyword: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{keyword}= is missing: pass the id of the BlueXP {keyword}, as text")
    if not (value.isascii() and value.isprintable()) or " " in value:
        raise UsageError(f"{keyword}= must be an id without spaces or control characters")
    if len(value) > MAX_ID:
        raise UsageError(f"{keyword}= is {len(value)} characters long: pass the id of the BlueXP {keyword}")
    if value in (".", "..", AGENT_SUFFIX):
        raise UsageError(f"{keyword}={value!r} is no id: pass the id of the BlueXP {keyword}")
    return value
