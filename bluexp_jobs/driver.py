"""The driver of BlueXP backup and recovery: the paths of an account's jobs, and the parsers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import unquote

import attrs

from bluexp_jobs.wire import PROVIDER, NoJob, parse_error, parse_job, parse_started
from common.model.errors import DecodeError, JobNotFound, UsageError
from common.model.job import Job
from common.model.refs import ACCOUNT, JobRef, Scope, encode_segment
from common.model.states import Capability, JobState
from common.response.failures import ErrorBody
from common.response.http_response import HttpResponse
from common.response.writes import StartedJobs
from common.sources.driver import Driver

AGENT = "agent"
AGENT_SUFFIX = "clients"
"""The header carries the agent's id with this behind it."""
RETENTION = 15 * 86_400.0
"""Seconds: the service purges jobs after 15 days (an announcement says 90)."""
AS_A_USER = "job calls are documented for user tokens only: unless a role is missing, use RefreshToken(...)"
"""What to do if a service account is refused."""


def canonical_scope(scope: Scope) -> Scope:
    """Return the same scope, with the agent's id without its suffix."""
    return tuple(
        (name, value.removesuffix(AGENT_SUFFIX) if name == AGENT else value) for name, value in scope
    )


def api_path(account: str) -> str:
    """Return the path that the backup service's API of one account begins with."""
    return f"/account/{encode_segment(account)}/providers/cloudmanager_cbs/api/v1"


def jobs_path(account: str) -> str:
    """Return the path of one account's jobs."""
    return f"{api_path(account)}/job"


class BlueXPDriver(Driver):
    """The jobs of one account, run by one agent. ``by_service``: a service account signs in."""

    provider: ClassVar[str] = PROVIDER
    capabilities: ClassVar[frozenset[Capability]] = frozenset({Capability.LIST})
    has_account: ClassVar[bool] = True
    job_id_header: ClassVar[str | None] = "job-id"
    retention: ClassVar[float] = RETENTION
    lost_write_hint: ClassVar[str] = (
        "look for its job among those of the account, by working environment, type and time"
    )

    def __init__(
        self, endpoint: str, *, account: str, agent: str, states: Mapping[str, JobState], by_service: bool
    ) -> None:
        scope = canonical_scope(((ACCOUNT, account), (AGENT, agent)))
        super().__init__(endpoint, scope=scope, states=states)
        self.headers: Mapping[str, str] = {"x-agent-id": agent.removesuffix(AGENT_SUFFIX) + AGENT_SUFFIX}
        self._account = account
        self._by_service = by_service
        self._api = api_path(account)
        self._jobs = jobs_path(account)

    @classmethod
    def canonical_scope(cls, scope: Scope) -> Scope:
        """Return the same scope, with the agent's id without its suffix."""
        return canonical_scope(scope)

    def job_path(self, ref: JobRef) -> str:
        """Return ``…/job/{jobId}``, which takes no parameters."""
        return f"{self._jobs}/{encode_segment(ref.id)}"

    def parse_job(self, body: bytes, ref: JobRef) -> Job:
        """Return the job in the response to one GET. An empty array or null is the API's "no such job"."""
        try:
            job = parse_job(body, endpoint=self.endpoint, scope=self.scope, id=ref.id, states=self.states)
        except NoJob:
            raise JobNotFound(
                f"{ref}: the server has no such job (its response contains none)", ref=ref
            ) from None
        if not job.record.id:
            raise DecodeError("the job has no id, so it cannot be identified", path="$.job", transient=True)
        return job

    def parse_error(self, response: HttpResponse) -> ErrorBody:
        """Return what the platform's error body says, in any of its shapes.

        For a service account that was refused, with what it may lack.
        """
        body = parse_error(response)
        if response.status == 403 and self._by_service:
            return attrs.evolve(body, hint=f"{body.hint}; or {AS_A_USER}" if body.hint else AS_A_USER)
        return body

    def parse_started(self, response: HttpResponse) -> StartedJobs:
        """Return the job whose id is in the body of a write's response."""
        return parse_started(response)

    def write_path(self, path: str, inline: float | None) -> tuple[str, float]:
        """Take a path that does not begin with ``/account/`` as one below the account's API.

        Refuse another account: its job would be taken for one of this source's.
        """
        path, held = super().write_path(path, inline)
        if not path.startswith("/account/"):
            return f"{self._api}{path}", held
        if unquote(path.split("/")[2].partition("?")[0]) != self._account:
            raise UsageError("path= is for another account than the source: create a source for that account")
        return path, held
