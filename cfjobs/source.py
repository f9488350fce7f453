"""Cloud Foundry's jobs over HTTP: get, wait, and the jobs of its writes. There is no list and no cancel."""

from __future__ import annotations

import os
from typing import Any, ClassVar, NoReturn, Self, Unpack

import anyio

from cfjobs.delay import cf_delay
from cfjobs.wire import PROVIDER, parse_budget, parse_error, parse_job, parse_started
from common.auth.argument import AuthLike
from common.model.errors import Unsupported
from common.model.job import Job, JobLike
from common.model.refs import JobRef, encode_segment
from common.model.states import Action, Capability
from common.options import SourceOptions
from common.polling.policy import PollPolicy
from common.response.failures import ErrorBody
from common.response.http_response import HttpResponse
from common.response.writes import StartedJobs
from common.sources.http import HttpSource

JOBS = "/v3/jobs"


class CFJobs(HttpSource):
    """The jobs of one Cloud Foundry foundation, or of a Korifi.

    ``endpoint`` is the API's address, such as ``https://api.example.org``. ``auth`` is ``UAAPassword``,
    ``UAAClientCredentials``, ``UAARefreshToken``, ``Bearer(token)`` or an ``httpx.Auth``; with ``cert=``
    (Korifi) it may be left out. The other keywords are those of `common.options.SourceOptions`. Raises
    `UsageError`.
    """

    provider: ClassVar[str] = PROVIDER
    capabilities: frozenset[Capability] = frozenset()
    to_look_for: ClassVar[str] = (
        "look at the resource, or at its events (/v3/audit_events?target_guids=…): jobs cannot be listed"
    )

    def __init__(
        self, endpoint: str, *, auth: AuthLike | None = None, **options: Unpack[SourceOptions]
    ) -> None:
        super().__init__(endpoint, auth=auth, given=options)

    @classmethod
    def from_cf_config(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        write: bool = False,
        **options: Unpack[SourceOptions],
    ) -> Self:
        """The foundation that the ``cf`` command is logged in to, with that login.

        ``path`` is the command's ``config.json`` or a folder that it is in; left out, it is
        ``$CF_HOME/.cf/config.json`` or ``~/.cf/config.json``. The file is read again before each renewal, for
        the command may have renewed the login; only with ``write`` are renewed tokens written back. A login
        with ``--skip-ssl-validation`` means ``verify=False``, unless ``verify`` is given. Raises `UsageError`
        where there is no login to go on with.
        """
        from cfjobs.cf_cli import (
            CfCliLogin,  # lazily: few need what it needs
            config_file,
            read_config,
        )

        file = config_file(path)
        login = read_config(file)
        if login.insecure and all(options.get(name) is None for name in ("verify", "http", "transport")):
            options["verify"] = False
        return cls(login.target, auth=CfCliLogin(file, login, write=write), **options)

    def delay(self, policy: PollPolicy, job: Job, ran: float) -> float:
        """In step with the broker that the server itself waits for; see `cfjobs.delay`."""
        return cf_delay(policy, job, ran)

    def list(self, *args: Any, **filters: Any) -> NoReturn:
        """Raises `Unsupported` before any request: only who starts a Cloud Foundry job learns its guid."""
        del args, filters
        raise Unsupported(
            "Cloud Foundry jobs cannot be listed: their API has no list; keep the refs that adopt() gives"
        )

    async def act(self, job: JobLike, action: Action) -> NoReturn:
        """Raises `Unsupported` before any request: the API has no cancel, pause or resume."""
        await super().act(job, action)
        raise AssertionError("unreachable")

    def job_target(self, ref: JobRef) -> str:
        """``/v3/jobs/{guid}``, the guid as one segment: Korifi's hold ``~`` and ``.``."""
        return f"{JOBS}/{encode_segment(ref.id)}"

    def decode(self, body: bytes, ref: JobRef) -> Job:
        """The job in the reply to one GET."""
        return parse_job(body, endpoint=self.endpoint, id=ref.id, states=self.states)

    def noticed(self, reply: HttpResponse) -> None:
        """``X-RateLimit-*``: a foundation may count the requests of an hour."""
        budget = parse_budget(reply)
        if budget is not None:
            self.pacer.budget(budget, anyio.current_time())

    def fault(self, reply: HttpResponse) -> ErrorBody:
        """The Cloud Controller's error body."""
        return parse_error(reply)

    def handover(self, reply: HttpResponse) -> StartedJobs:
        """The job in a write's Location, and the write's warnings."""
        return parse_started(reply)
