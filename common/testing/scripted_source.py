"""A source without HTTP, for unit tests: jobs that follow a script, waited for like any other job."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import anyio
import attrs

from common.model.endpoints import endpoint_url
from common.model.errors import AlreadyFinished, JobNotFound, Unsupported, UsageError
from common.model.job import Job, JobLike
from common.model.refs import JobRef, Scope
from common.model.states import Action, Capability, JobState
from common.options import read_action
from common.polling.policy import PollPolicy
from common.polling.pollable import BatchReading, Pollable, Reading
from common.polling.throttle import LoopThrottle
from common.providers import Provider, provider_names, register_provider
from common.sources.base import BaseSource
from common.sources.paging import FetchedPage, Pages
from common.sources.ref_resolver import RefResolver
from common.testing.job_script import Failure, JobScript, ScriptedJobState

PROVIDER = "scripted"
ENDPOINT = "https://jobs.example"
BATCH_LIMIT = 6000
"""Bytes of ids in one request for many jobs, at most, as on ONTAP."""
RETRY_AFTER_CAP = 3600.0
"""At most so many seconds of a ``Retry-After`` are kept."""


@attrs.frozen
class Asked:
    """One request that a source would have sent: what for, about which jobs, and when.

    ``what`` is ``"get"`` (one job), ``"batch"`` (many), ``"list"``, or the action. ``at`` is the event loop's
    time, in seconds.
    """

    what: str
    ids: tuple[str, ...]
    at: float


class ScriptedServer(Pollable):
    """The server of the scripted jobs; each request takes ``latency`` seconds."""

    def __init__(self, refs: RefResolver, latency: float, *, batches: bool) -> None:
        self.batch_limit = BATCH_LIMIT if batches else 0
        self.latency: float = latency
        self.journal: list[Asked] = []
        self.lives: dict[str, ScriptedJobState] = {}
        self.closed = False
        self._refs = refs

    async def read(self, ref: JobRef, last: Reading | None = None) -> Reading:
        """Return what one request for one job gives. Raise the error that the script has for it."""
        del last
        await self.request("get", ref.id)
        return Reading(self.observed(ref, self.life(ref)))

    def batch_cost(self, ref: JobRef) -> int:
        """Keep a job with errors out of batches: they are for requests about that job alone."""
        life = self.lives.get(ref.id)
        return len(ref.id) + 1 if self.batch_limit and life is not None and not life.errors else 0

    async def read_batch(self, refs: Sequence[JobRef], last: Mapping[str, Any]) -> BatchReading:
        """Return what one request for many jobs gives."""
        del last
        await self.request("batch", *(ref.id for ref in refs))
        lives = {ref: self.lives[ref.id] for ref in refs if ref.id in self.lives}
        now = anyio.current_time()
        return BatchReading(
            {ref.id.lower(): job for ref, life in lives.items() if (job := life.job(ref, now))}
        )

    def decode_batch_record(self, ref: JobRef, record: Any) -> Job:
        """Return a record as it is: the records of these batches are jobs."""
        job: Job = record
        return job

    async def request(self, what: str, *ids: str) -> None:
        """Receive one request: log it, wait for the latency, and raise the error that its script has."""
        if self.closed:
            raise UsageError("the source is closed")
        now = anyio.current_time()
        self.journal.append(Asked(what, ids, now))
        lives = [self.lives[id] for id in ids if id in self.lives]
        for life in lives:
            life.begin(now)
        failure = lives[0].next_error(self._refs.resolve(ids[0])) if lives and what == "get" else None
        await anyio.sleep(self.latency)
        if failure is not None:
            raise failure

    def life(self, ref: JobRef) -> ScriptedJobState:
        """Return the script of a job. Raise `JobNotFound`."""
        if ref.id not in self.lives:
            raise JobNotFound(f"no job {ref.id!r} is in the script", ref=ref)
        return self.lives[ref.id]

    def observed(self, ref: JobRef, life: ScriptedJobState) -> Job:
        """Return the job as it is now. Raise `JobNotFound` after the end of its script."""
        job = life.job(ref, anyio.current_time())
        if job is None:
            raise JobNotFound(f"the script of job {ref.id!r} has run out", ref=ref)
        return job


class ScriptedSource(BaseSource):
    """A `JobSource` of scripted jobs: waiting, watching, deadlines and errors are those of any source.

    ``jobs`` maps ids to scripts, as `add_job` takes them. With the ``provider``, ``endpoint`` and ``scope``
    of a real source it takes that source's place, and accepts its refs, also in a `Fleet`. ``capabilities``
    is what its server can do; with ``Capability.BATCH`` one request asks about many jobs. ``latency`` is the
    seconds that each request takes. `journal` has every request so far.
    """

    def __init__(
        self,
        jobs: Mapping[str, JobScript] | None = None,
        *,
        provider: str = PROVIDER,
        endpoint: str = ENDPOINT,
        scope: Scope = (),
        capabilities: Iterable[Capability] = frozenset(Capability) - {Capability.BATCH},
        latency: float = 0.0,
        policy: PollPolicy | None = None,
        concurrency: int = 8,
    ) -> None:
        if provider not in provider_names():  # so that JobRef.parse reads its refs
            register_provider(Provider(provider, "Scripted jobs", lambda: ScriptedSource))
        if not 0 <= latency < math.inf:
            raise UsageError(f"latency= is the seconds that a request takes, not {latency!r}")
        checked = _capabilities(capabilities)
        endpoint = endpoint_url(endpoint)
        refs = RefResolver(provider, endpoint, scope=scope)
        self._server = ScriptedServer(refs, latency, batches=Capability.BATCH in checked)
        super().__init__(
            self._server,
            refs,
            throttle=LoopThrottle(concurrency, RETRY_AFTER_CAP),
            capabilities=checked,
            policy=policy,
        )
        for id, script in (jobs or {}).items():
            self.add_job(script, id=id)

    @property
    def journal(self) -> list[Asked]:
        """Every request so far."""
        return self._server.journal

    @property
    def latency(self) -> float:
        """The seconds that each request takes; may be changed at any time."""
        return self._server.latency

    @latency.setter
    def latency(self, seconds: float) -> None:
        self._server.latency = seconds

    def add_job(
        self,
        script: JobScript,
        *,
        id: str | None = None,
        errors: Mapping[int, Failure] | None = None,
        refuses: Mapping[Action, Exception] | None = None,
        **fields: Any,
    ) -> JobRef:
        """Add a job that follows ``script`` from now on, and return its ref.

        A step is ``(state, seconds)`` or ``(state, seconds, {fields that change})``, the state a `JobState`,
        its text, or a whole `Job`. Seconds may be None, for ever, in the last step; a bare state or `Job`
        means the same. After a last step with seconds the server has forgotten the job. Outside an event
        loop, the script begins with the first request. ``fields`` are those of a `Job`: ``message=``,
        ``progress=``.

        ``errors`` maps the number of a request for this job, counted from 1, to what it fails with: an
        exception, or the HTTP status that any source would turn into one (404: `JobNotFound`). ``refuses``
        maps an action to the exception that it raises; others are accepted. Raise `UsageError` for a script
        that makes no sense, for a field that a job does not have, and for an id that is taken.
        """
        lives = self._server.lives
        ref = self.ref(f"job-{len(lives) + 1}" if id is None else id)
        if ref.id in lives:
            raise UsageError(f"there is a job {ref.id!r} already", ref=ref)
        lives[ref.id] = ScriptedJobState.of(script, fields, errors or {}, refuses or {})
        with suppress(RuntimeError):  # no event loop yet
            lives[ref.id].begin(anyio.current_time())
        return ref

    def forget(self, job: JobLike) -> None:
        """Make the server forget a job, as one that ended long ago."""
        self._server.lives.pop(self.ref(job).id, None)

    def polls(self, job: JobLike) -> list[float]:
        """Return when a job was asked for, alone or among others, in seconds on the event loop's clock."""
        id = self.ref(job).id
        return [each.at for each in self.journal if each.what in ("get", "batch") and id in each.ids]

    async def act(self, job: JobLike, action: Action) -> Job:
        """Pause, resume or cancel a job, and return it as read afterwards.

        Raise the exception that ``refuses`` has for it, `AlreadyFinished` where the job has ended,
        `JobNotFound`, and `Unsupported` where the capability is missing.
        """
        ref = self.ref(job)
        action = read_action(action)
        if Capability(action) not in self.capabilities:
            raise Unsupported(f"{self.provider} jobs do not support {action}: add it to capabilities=")
        await self._server.request(str(action), ref.id)
        life = self._server.life(ref)
        if (refusal := life.refuses.get(action)) is not None:
            raise refusal
        seen = self._server.observed(ref, life)
        if seen.done:
            raise AlreadyFinished(f"{action} came too late: the job had ended", ref=ref, job=seen)
        life.act(action, anyio.current_time())
        return await self.get(ref)

    def list(
        self, *args: Any, state: JobState | str | Collection[JobState | str] | None = None, **filters: Any
    ) -> AsyncIterator[Job]:
        """Yield the jobs in these states, all by default; other filters compare a field of the job.

        Raise `Unsupported` without ``Capability.LIST``, and `UsageError` for a state or a field that does
        not exist.
        """
        if Capability.LIST not in self.capabilities:
            return super().list()
        wanted = {"state": _states(state), **filters} if state is not None else filters
        if strange := sorted(set(filters) - set(attrs.fields_dict(Job))):
            raise UsageError(f"a Job has no field {strange[0]!r} that a list could be filtered by")

        async def fetch(_: str) -> FetchedPage:
            await self._server.request("list")
            now = anyio.current_time()
            jobs = [life.job(self.ref(id), now) for id, life in self._server.lives.items()]
            return FetchedPage([job for job in jobs if job is not None and _matches_all(job, wanted)])

        return Pages(fetch, "jobs")

    async def aclose(self) -> None:
        """End all waits with an error, and refuse all later requests."""
        self._server.closed = True
        await super().aclose()


def _capabilities(names: Iterable[Capability]) -> frozenset[Capability]:
    try:
        return frozenset(map(Capability, names))
    except ValueError:
        known = ", ".join(Capability)
        raise UsageError(f"capabilities= is a set of Capability ({known}), not {names!r}") from None


def _states(state: JobState | str | Collection[JobState | str]) -> frozenset[JobState]:
    try:
        return frozenset(map(JobState, [state] if isinstance(state, str) else state))
    except ValueError as error:
        raise UsageError(f"state= names states of a job: {error}") from None


def _matches_all(job: Job, wanted: Mapping[str, Any]) -> bool:
    return all(_matches(getattr(job, name), want) for name, want in wanted.items())


def _matches(value: Any, wanted: Any) -> bool:
    return (
        value in wanted if isinstance(wanted, Collection) and not isinstance(wanted, str) else value == wanted
    )
