"""Several sources behind one: a ref is routed to the source that it belongs to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

from common.model.async_only import AsyncContext
from common.model.errors import JobsError, Unsupported, UsageError, WrongSource
from common.model.job import Job, JobLike
from common.model.refs import JobRef
from common.model.states import Action, Capability, JobState
from common.polling.policy import PollPolicy
from common.polling.wait import OnCancel, Probe
from common.polling.watch import Watch
from common.providers import is_ref
from common.sources.base import BaseSource
from common.sources.paging import Chain


class Fleet(AsyncContext):
    """A `JobSource` over several: ``Fleet([ontap, foundation, backup])``.

    Jobs are named by a ref, its text or a `Job`; a bare id will do where there is one source only. As a
    context manager it closes its members. Raise `UsageError` for no member, or two of the same system.
    """

    def __init__(self, sources: Iterable[Member]) -> None:
        if not isinstance(sources, Iterable):
            raise UsageError("a Fleet takes a list of sources: Fleet([ontap, foundation])")
        self.sources: tuple[Member, ...] = tuple(sources)
        if not self.sources:
            raise UsageError("a Fleet needs at least one source")
        for source in self.sources:
            if not hasattr(source, "ref"):
                raise UsageError(
                    f"{type(source).__name__} is no source that a Fleet can route to: it has no ref()"
                )
        for source in self.sources:
            if any(_claims(other, source) for other in self.sources if other is not source):
                raise UsageError("a Fleet with two sources of one system: a job's ref would belong to both")

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What at least one member can do; for one job see ``fleet.of(job).capabilities``."""
        return frozenset[Capability]().union(*(source.capabilities for source in self.sources))

    def of(self, job: JobLike) -> Member:
        """Return the member that a job belongs to. Raise `WrongSource` if there is none."""
        if isinstance(job, str) and not is_ref(job) and len(self.sources) > 1:
            raise UsageError(
                f"a bare id could be any of {len(self.sources)} sources' job: pass its ref instead"
            )
        owners: list[Member] = []
        refusals: list[WrongSource] = []
        for source in self.sources:
            try:
                source.ref(job)
            except WrongSource as error:
                refusals.append(error)
            else:
                owners.append(source)
        if not owners:
            ref = refusals[0].ref
            if len(refusals) == 1:
                raise refusals[0]
            raise WrongSource(
                f"{ref}: a job of none of the {len(self.sources)} sources of this fleet", ref=ref
            )
        if len(owners) > 1:
            raise UsageError(
                "the ref names no endpoint or scope, and several sources could be meant: pass a full ref"
            )
        return owners[0]

    def ref(self, job: JobLike) -> JobRef:
        """Return the complete ref of a job of one of the members."""
        return self.of(job).ref(job)

    async def get(self, job: JobLike) -> Job:
        """Return one observation of one job."""
        return await self.of(job).get(job)

    async def act(self, job: JobLike, action: Action) -> Job:
        """Pause, resume or cancel a job, and return it. Raise `Unsupported` where its system can't."""
        return await self.of(job).act(job, action)

    async def pause(self, job: JobLike) -> Job:
        """`act` with PAUSE."""
        return await self.act(job, Action.PAUSE)

    async def resume(self, job: JobLike) -> Job:
        """`act` with RESUME."""
        return await self.act(job, Action.RESUME)

    async def cancel(self, job: JobLike) -> Job:
        """`act` with CANCEL."""
        return await self.act(job, Action.CANCEL)

    async def wait(
        self,
        job: JobLike,
        *,
        timeout: float | None = None,  # the name that users know; None is no deadline
        until: Collection[JobState] | None = None,
        check: bool = True,
        on_cancel: OnCancel = "leave",
        resolve_gone: Probe | None = None,
        policy: PollPolicy | None = None,
    ) -> Job:
        """Return the job once it has ended, as its own source's ``wait`` does."""
        return await self.of(job).wait(
            job,
            timeout=timeout,
            until=until,
            check=check,
            on_cancel=on_cancel,
            resolve_gone=resolve_gone,
            policy=policy,
        )

    def watch(
        self,
        job: JobLike,
        *,
        timeout: float | None = None,
        until: Collection[JobState] | None = None,
        on_cancel: OnCancel = "leave",
        resolve_gone: Probe | None = None,
        policy: PollPolicy | None = None,
    ) -> Watch:
        """Return the first observation of a job, then each change."""
        return self.of(job).watch(
            job,
            timeout=timeout,
            until=until,
            on_cancel=on_cancel,
            resolve_gone=resolve_gone,
            policy=policy,
        )

    def list(self, *args: Any, **filters: Any) -> AsyncIterator[Job]:
        """Return the jobs of every member that can list, one member after another.

        Raise `Unsupported` if no member can list, and `UsageError` for a filter that one does not know.
        """
        able = [source for source in self.sources if Capability.LIST in source.capabilities]
        if not able:
            raise Unsupported("none of the fleet's sources can list jobs: their APIs have no list")
        return Chain([source.list(*args, **filters) for source in able])

    async def aclose(self) -> None:
        """Close every member, also if closing one of them fails."""
        async with AsyncExitStack() as stack:
            for source in self.sources:
                stack.push_async_callback(source.aclose)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<Fleet {list(self.sources)!r}>"


Member = BaseSource | Fleet
"""What a fleet can be made of, and what many jobs can be waited for with."""


def _claims(source: Member, other: Member) -> bool:
    """Whether a source takes the jobs of another one as its own."""
    if not isinstance(other, BaseSource):
        return False
    try:
        source.ref(JobRef(other.provider, other.endpoint, "any", other.scope))
    except JobsError:
        return False
    return True
