"""`BlueXPJobs`: get, list, wait, and the jobs of writes of BlueXP backup and recovery."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Unpack

from bluexp_jobs.auth import ServiceAccount
from bluexp_jobs.driver import AGENT_SUFFIX, BlueXPDriver, jobs_path
from bluexp_jobs.provider import ENDPOINT
from bluexp_jobs.wire import PROVIDER, parse_list
from common.auth.argument import AuthLike
from common.model.errors import UsageError
from common.model.job import Job
from common.model.refs import encode_segment
from common.model.states import JobState
from common.model.tracebacks import without_frames
from common.options import SourceOptions, shows_keywords
from common.set_module import set_module
from common.sources.large_responses import decode
from common.sources.no_actions import SourceWithoutActions
from common.sources.paging import FetchedPage, Pages
from common.sources.ref_resolver import MAX_ID


class BlueXPJobs(SourceWithoutActions):
    """The backup and recovery jobs of one BlueXP account, run by one agent (once called connector).

    ``account`` is an account or organisation id (not its name), ``agent`` the agent's id, with or without
    "clients" behind it. ``auth`` is `RefreshToken`, `ServiceAccount`, `UserPassword`, in private mode
    `AgentPassword`, or ``Bearer(token)`` or an ``httpx.Auth``. ``endpoint`` is another host, in private mode
    the agent's. The other keywords are those of `common.options.SourceOptions`. Raise `UsageError` for an
    invalid argument.
    """

    provider: str = PROVIDER

    @without_frames
    @shows_keywords(SourceOptions)
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
        make_driver = partial(
            BlueXPDriver, account=account, agent=agent, by_service=isinstance(auth, ServiceAccount)
        )
        super().__init__(make_driver, endpoint, auth=auth, options=options)
        self._jobs_path = jobs_path(account)

    def list(
        self, *, type: str | None = None, status: str | JobState | None = None, **unknown: object
    ) -> AsyncIterator[Job]:
        """Return the account's jobs, all of them in one response: the API has no pages.

        ``type`` and ``status`` are passed to the server as they are. A `JobState` as ``status`` is compared
        here instead, since several words mean one state and PARTIAL has none. Raise `UsageError` before
        any request, `SourceError` while iterating, `DecodeError` behind the last job for records that cannot
        be read.
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

        path = f"{self._jobs_path}?{query}" if query else self._jobs_path

        async def fetch(path: str) -> FetchedPage:
            response = await self._reader.send("GET", path)
            if response.status != 200:
                raise self._reader.request_failure(response, "GET jobs")
            read = partial(
                parse_list,
                response.body,
                endpoint=self.endpoint,
                scope=self.resolver.scope,
                states=self._states,
            )
            jobs, failures = await decode(response, read, "GET jobs")
            return FetchedPage([job for job in jobs if wanted is None or job.state is wanted], failures)

        return Pages(fetch, path)


def _name(keyword: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{keyword}= is missing: pass the id of the BlueXP {keyword}, as text")
    if not (value.isascii() and value.isprintable()) or " " in value:
        raise UsageError(f"{keyword}= must be an id without spaces or control characters")
    if len(value) > MAX_ID:
        raise UsageError(f"{keyword}= is {len(value)} characters long: use the id of the BlueXP {keyword}")
    if value in (".", "..", AGENT_SUFFIX):
        raise UsageError(f"{keyword}={value!r} is no id: use the id of the BlueXP {keyword}")
    return value


set_module(BlueXPJobs)
