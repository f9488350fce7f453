"""`OntapJobs`: list, count, get, pause, resume, cancel, wait, and the jobs of other writes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from functools import partial
from typing import Unpack

import anyio

from common.auth.argument import AuthLike
from common.http.user_agent import user_agent
from common.model.errors import DecodeError, JobNotFound, SourceError, Unsupported
from common.model.job import Job, JobLike
from common.model.refs import JobRef
from common.model.states import Action, JobState
from common.model.tracebacks import without_frames
from common.options import SourceOptions, read_action, shows_keywords
from common.set_module import set_module
from common.sources.http import HttpSource
from ontapjobs.actions.bulk import HELD, BulkResult, act_on_all, bulk_path
from ontapjobs.actions.single import send_action
from ontapjobs.driver import OntapDriver
from ontapjobs.lists.paging import count_records, list_jobs
from ontapjobs.lists.query import Filters, encode, filter_query, option_query
from ontapjobs.paths.links import JOBS
from ontapjobs.wire import PROVIDER

REREADS = 3
"""How often a job is read again after an action, before it is returned as UNKNOWN."""


class OntapJobs(HttpSource):
    """The jobs of one ONTAP cluster.

    ``endpoint`` is the cluster's management address; ``https://`` is added to a bare host name. It may have a
    path, such as ``/api/gateways/{uuid}`` of Active IQ Unified Manager. ``auth`` is (user, password),
    ``Bearer(token)`` or `ClientCredentials` (OAuth: 9.14 and later), or an ``httpx.Auth``; it may be left out
    with ``cert=``. The other keywords are those of `common.options.SourceOptions`. Raise `UsageError` for an
    invalid argument.
    """

    provider: str = PROVIDER

    @without_frames
    @shows_keywords(SourceOptions)
    def __init__(
        self, endpoint: str, *, auth: AuthLike | None = None, **options: Unpack[SourceOptions]
    ) -> None:
        app = user_agent(options.get("user_agent"))
        super().__init__(partial(OntapDriver, app=app), endpoint, auth=auth, options=options)

    @shows_keywords(Filters)
    def list(
        self,
        *,
        fields: str | Iterable[str] = "*",
        max_records: int | None = None,
        return_timeout: int | None = None,
        order_by: str | Iterable[str] | None = None,
        **filters: Unpack[Filters],
    ) -> AsyncIterator[Job]:
        """Iterate over the jobs that match all filters. Pages are requested as needed.

        A filter is a value, a sequence of alternatives, or text with ONTAP's operators:
        ``state=["queued", "running"]``, ``svm_name="prod*"``, ``code="!0"``, ``end_time=">2026-01-01"``.
        ``max_records`` is the size of a page, ``return_timeout`` the seconds (0 to 120) after which ONTAP
        ends a page early, and ``order_by`` an order such as ``"start_time desc"``. Raise `UsageError` before
        any request, and while iterating `SourceError`; `DecodeError` for a list without end and, after the
        last job, for records that cannot be read.
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
        return self._list(query)

    @shows_keywords(Filters)
    async def count(self, **filters: Unpack[Filters]) -> int:
        """Return the number of jobs that match the filters (those of `list`), without reading the jobs."""
        pairs = filter_query(filters)
        for option, has_records in ((("return_records", "false"), False), (("fields", "uuid"), True)):
            path = f"{JOBS}?{encode([*pairs, option])}"
            count = await count_records(self._reader, path, endpoint=self.endpoint, has_records=has_records)
            if count is not None:
                return count
        raise DecodeError("not a list of jobs: it has neither records nor num_records", transient=True)

    async def act(self, job: JobLike, action: Action) -> Job:
        """Pause, resume or cancel a job, then read it again.

        An action takes a while: the job may still be RUNNING. If the server accepted the action but the job
        cannot be read afterwards, its state is UNKNOWN, with a warning.

        Raise `AlreadyFinished` if the job has ended, `ActionRefused` with the server's ``code``
        (``retryable`` if the action may succeed later), `ActionUncertain` if the response was lost,
        `JobNotFound`, `SourceError`; before any request `UsageError` for an unknown action, and `Unsupported`
        for a job that is not of ``/api/cluster/jobs``. The request is never sent twice.
        """
        ref = self.ref(job)
        action = read_action(action)
        self._check_action(ref)
        await send_action(self._reader, ref, action)
        return await self._read_after(ref, action)

    async def cancel(self, job: JobLike) -> Job:
        """`act` with CANCEL. ONTAP reports a cancelled job as a success or failure."""
        return await super().cancel(job)

    def _check_action(self, ref: JobRef) -> None:
        if ref.scope:
            raise Unsupported(f"{ref}: only jobs of /api/cluster/jobs can be paused, resumed or cancelled")

    @shows_keywords(Filters)
    async def cancel_all(self, *, every: bool = False, **filters: Unpack[Filters]) -> BulkResult:
        """Cancel all jobs that match all filters with one request, and return the server's response.

        The filters are those of `list`. Include the states (``state=["queued", "running", "paused"]``),
        because ended jobs are refused. Without filters, pass ``every=True`` for all jobs of the cluster. A
        job that is refused does not stop the others, and is in the result's ``errors``.

        Raise `UsageError` before any request if there is no filter, `ActionUncertain` if the response was
        lost, `ActionRefused` or `SourceError` if the server refused the request. It is never sent twice.
        """
        return await self._act_on_all(Action.CANCEL, filters, every)

    @shows_keywords(Filters)
    async def pause_all(self, *, every: bool = False, **filters: Unpack[Filters]) -> BulkResult:
        """Pause all jobs that match every filter, as `cancel_all` cancels them."""
        return await self._act_on_all(Action.PAUSE, filters, every)

    @shows_keywords(Filters)
    async def resume_all(self, *, every: bool = False, **filters: Unpack[Filters]) -> BulkResult:
        """Resume all jobs that match every filter, as `cancel_all` cancels them."""
        return await self._act_on_all(Action.RESUME, filters, every)

    async def _act_on_all(self, action: Action, filters: Filters, every: bool) -> BulkResult:
        return await act_on_all(
            self._reader,
            bulk_path(action, filters, every=every),
            action,
            endpoint=self.endpoint,
            states=self._states,
            timeout=self._request_timeout + HELD,
        )

    def _list(self, query: str) -> AsyncIterator[Job]:
        return list_jobs(self._reader, f"{JOBS}?{query}", endpoint=self.endpoint, states=self._states)

    async def _read_after(self, ref: JobRef, action: Action) -> Job:
        reason = ""
        for attempt in range(REREADS):
            retry_after = self._throttle.current().retry_after_until - anyio.current_time()
            pause = max(retry_after, attempt * self.policy.initial)
            if pause > 0:
                await anyio.sleep(pause)
            try:
                return (await self._read(ref)).job
            except (SourceError, JobNotFound) as error:
                reason = str(error)
                if not getattr(error, "transient", False):
                    break
        warning = f"the server accepted the {action}, but the job could not be read afterwards: {reason}"
        return Job(ref, JobState.UNKNOWN, warnings=(warning,))


set_module(OntapJobs)
