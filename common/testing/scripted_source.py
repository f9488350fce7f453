"""A source without HTTP, for unit tests: jobs that live by a script, waited for as any other job."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar

import anyio
import attrs

from common.model.errors import AlreadyFinished, JobNotFound, Unsupported, UsageError
from common.model.job import Job, JobLike
from common.model.refs import JobRef, Scope
from common.model.states import Action, Capability, JobState
from common.options import read_action
from common.polling.policy import PollPolicy
from common.polling.pollable import BatchReading, Reading
from common.providers import Provider, provider_names, register_provider
from common.sources.base import BaseSource
from common.testing.job_script import Failure, JobScript, ScriptedJobState

PROVIDER = "scripted"
ENDPOINT = "https://jobs.example"
_ROOM = 6000
"""Bytes of ids in one request for many jobs, as on ONTAP."""


@attrs.frozen
class Asked:
    """One request that a source would have sent: what for, about which jobs, and when.

    ``what`` is ``"get"`` (one job), ``"batch"`` (many), ``"list"``, or the action. ``at`` is the event loop's
    time, in seconds.
    """

    what: str
    ids: tuple[str, ...]
    at: float


class ScriptedSource(BaseSource):
    """A `JobSource` that invents its jobs: waiting, watching, deadlines and errors are those of any source.

    ``jobs`` maps ids to scripts, as `add_job` takes them. ``provider``, ``endpoint`` and ``scope`` say whose
    place it takes: with those of a real source it answers for that one's refs, also in a `Fleet`.
    ``capabilities`` is what its server can do; with ``Capability.BATCH`` one request asks about many jobs.
    ``latency`` is the seconds that each request takes. `journal` has every request so far.
    """

    provider: ClassVar[str] = PROVIDER

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
        vars(self)["provider"] = provider  # a constant of every other source
        super().__init__(endpoint, scope=scope, policy=policy, concurrency=concurrency)
        if provider not in provider_names():  # its refs are to be read as refs
            register_provider(Provider(provider, "Scripted jobs", lambda: ScriptedSource))
        self.capabilities: frozenset[Capability] = _capabilities(capabilities)
        self.room: int = _ROOM if Capability.BATCH in self.capabilities else 0
        if not 0 <= latency < math.inf:
            raise UsageError(f"latency= is the seconds that a request takes, not {latency!r}")
        self.latency: float = latency
        self.journal: list[Asked] = []
        self._lives: dict[str, ScriptedJobState] = {}
        for id, script in (jobs or {}).items():
            self.add_job(script, id=id)

    def add_job(
        self,
        script: JobScript,
        *,
        id: str | None = None,
        errors: Mapping[int, Failure] | None = None,
        refuses: Mapping[Action, Exception] | None = None,
        **fields: Any,
    ) -> JobRef:
        """Add a job that lives by ``script`` from now on, and return its ref.

        A step is ``(state, seconds)`` or ``(state, seconds, {fields that change})``, the state a `JobState`,
        its text, or a whole `Job`. Seconds may be None, for ever, in the last step, and a bare state or `Job`
        says the same; after a last step with seconds the server has forgotten the job. Outside an event loop,
        the life begins with the first request. ``fields`` are those of a `Job`: ``message=``, ``progress=``.

        ``errors`` has what the n-th request for this job fails with, counted from 1: an exception, or the
        HTTP status of which any source would make one (404: `JobNotFound`). ``refuses`` has what an action
        raises; those not named are taken. Raises `UsageError` for a script that makes no sense, for a field
        that a job does not have, and for an id that is taken.
        """
        ref = self.ref(f"job-{len(self._lives) + 1}" if id is None else id)
        if ref.id in self._lives:
            raise UsageError(f"there is a job {ref.id!r} already", ref=ref)
        self._lives[ref.id] = ScriptedJobState.of(script, fields, errors or {}, refuses or {})
        with suppress(RuntimeError):  # no event loop yet
            self._lives[ref.id].begin(anyio.current_time())
        return ref

    def forget(self, job: JobLike) -> None:
        """Make the server forget a job, as after its end."""
        self._lives.pop(self.ref(job).id, None)

    def polls(self, job: JobLike) -> list[float]:
        """When a job was asked for, alone or among others: the event loop's times, in seconds."""
        id = self.ref(job).id
        return [asked.at for asked in self.journal if asked.what in ("get", "batch") and id in asked.ids]

    async def read_once(self, ref: JobRef) -> Reading:
        """One request for one job, as the script wants it."""
        await self._travel("get", ref.id)
        return Reading(self._observed(ref, self._life(ref)))

    def seat(self, ref: JobRef) -> int:
        """Who is to fail must be asked for alone."""
        life = self._lives.get(ref.id)
        return len(ref.id) + 1 if self.room and life is not None and not life.errors else 0

    async def sweep(self, refs: Sequence[JobRef]) -> BatchReading:
        """One request for many jobs."""
        await self._travel("batch", *(ref.id for ref in refs))
        lives = {ref: self._lives[ref.id] for ref in refs if ref.id in self._lives}
        now = anyio.current_time()
        return BatchReading(
            {ref.id.lower(): job for ref, life in lives.items() if (job := life.job(ref, now))}
        )

    def decode_record(self, ref: JobRef, record: Any) -> Job:
        """What a sweep brings are jobs already."""
        job: Job = record
        return job

    async def act(self, job: JobLike, action: Action) -> Job:
        """Pause, resume or cancel a job, and read it again.

        Raises what ``refuses`` has for it, `AlreadyFinished` where the job has ended, `JobNotFound`, and
        `Unsupported` where the capability is missing.
        """
        ref = self.ref(job)
        action = read_action(action)
        if Capability(action) not in self.capabilities:
            raise Unsupported(
                f"{self.provider} jobs cannot be acted on: no {action} is among the capabilities"
            )
        await self._travel(str(action), ref.id)
        life = self._life(ref)
        if (refusal := life.refuses.get(action)) is not None:
            raise refusal
        seen = self._observed(ref, life)
        if seen.done:
            raise AlreadyFinished(f"{action} came too late: the job had ended", ref=ref, job=seen)
        life.act(action, anyio.current_time())
        return await self.get(ref)

    def list(
        self, *args: Any, state: JobState | str | Collection[JobState | str] | None = None, **filters: Any
    ) -> AsyncIterator[Job]:
        """The jobs in these states, all by default. Other filters compare with a job's fields.

        Raises `Unsupported` without ``Capability.LIST``.
        """
        if Capability.LIST not in self.capabilities:
            return super().list()
        wanted = {"state": _states(state), **filters} if state is not None else filters
        if strange := sorted(set(filters) - set(attrs.fields_dict(Job))):
            raise UsageError(f"a Job has no field {strange[0]!r} that a list could be filtered by")
        return self._list(wanted)

    async def _list(self, wanted: Mapping[str, Any]) -> AsyncIterator[Job]:
        await self._travel("list")
        now = anyio.current_time()
        for id, life in list(self._lives.items()):
            job = life.job(self.ref(id), now)
            if job is not None and all(_fits(getattr(job, name), want) for name, want in wanted.items()):
                yield job

    async def _travel(self, what: str, *ids: str) -> None:
        if self._closed:
            raise UsageError("the source is closed")
        now = anyio.current_time()
        self.journal.append(Asked(what, ids, now))
        lives = [self._lives[id] for id in ids if id in self._lives]
        for life in lives:
            life.begin(now)
        failure = lives[0].next_error(self.ref(ids[0])) if lives and what == "get" else None
        await anyio.sleep(self.latency)
        if failure is not None:
            raise failure

    def _life(self, ref: JobRef) -> ScriptedJobState:
        if ref.id not in self._lives:
            raise JobNotFound(f"no job {ref.id!r} is in the script", ref=ref)
        return self._lives[ref.id]

    def _observed(self, ref: JobRef, life: ScriptedJobState) -> Job:
        job = life.job(ref, anyio.current_time())
        if job is None:
            raise JobNotFound(f"the script of job {ref.id!r} has run out", ref=ref)
        return job


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


def _fits(value: Any, wanted: Any) -> bool:
    return (
        value in wanted if isinstance(wanted, Collection) and not isinstance(wanted, str) else value == wanted
    )
