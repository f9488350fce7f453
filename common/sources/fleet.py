"""Several sources behind one: a ref is routed to the source that it belongs to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator
from datetime import datetime
from functools import partial
from itertools import islice
from types import TracebackType
from typing import Any, Self, TypeVar
from weakref import WeakSet

import anyio
import anyio.lowlevel

from common.concurrency import finish
from common.model.async_only import AsyncContext
from common.model.errors import Unsupported, UsageError, WrongSource
from common.model.job import Job, JobLike
from common.model.refs import JobRef
from common.model.states import Action, Capability, JobState
from common.polling.policy import OnCancel, PollPolicy, Probe
from common.polling.watch import Watch
from common.sources.base import BaseSource, replace_observers
from common.sources.paging import Chain
from common.sources.ref_resolver import ref_or_id, shortened
from common.sources.routing import Router
from common.telemetry.callbacks import OnUpdate
from common.telemetry.events import Observer, logger

_T = TypeVar("_T")
_R = TypeVar("_R")

MAX_SHOWN = 5
"""How many members the repr of a fleet names at most: an error that quotes it must stay short."""


class BaseFleet(AsyncContext):
    """The base of `common.Fleet`: it routes each call to the source that a job belongs to."""

    def __init__(self, sources: Iterable[Member], *, observer: Observer | None = None) -> None:
        if not isinstance(sources, Iterable):
            raise UsageError("a Fleet takes a list of sources: Fleet([ontap, foundation])")
        self._members: dict[Member, None] = {}
        self._router = Router()  # of all sources, also of those in fleets that are members
        self._outer: WeakSet[BaseFleet] = WeakSet()
        self._observer: Observer | None = None
        self._closed = False
        for source in sources:
            self.add(source)
        if not self._members:
            raise UsageError("a Fleet needs at least one source")
        self.observer = observer

    @property
    def sources(self) -> tuple[Member, ...]:
        """The sources, in the order in which they were added."""
        return tuple(self._members)

    @property
    def observer(self) -> Observer | None:
        """The function that is called with each event of each source, also of sources added later.

        Raise `UsageError` if it is set while a source has waits.
        """
        return self._observer

    @observer.setter
    def observer(self, observer: Observer | None) -> None:
        if observer is not None and not callable(observer):
            raise UsageError("observer= must be a function that takes one Event")
        if observer == self._observer:
            return
        former, new = ([] if each is None else [each] for each in (self._observer, observer))
        replace_observers(_leaves(self), former, new)
        self._observer = observer

    def add(self, source: Member) -> None:
        """Add a source or another fleet.

        Raise `UsageError` if the fleet, or one of which it is a member, has a source for the same system, and
        if it is closed.
        """
        if not isinstance(source, BaseSource | BaseFleet):
            raise UsageError(
                f"{type(source).__name__} is not a source for a Fleet: pass one such as OntapJobs"
            )
        if self._closed:
            raise UsageError("the fleet is closed: make a new one")
        enclosing = self._enclosing()
        if source in enclosing:
            raise UsageError("a Fleet cannot be a member of itself")
        leaves = _leaves(source)
        for each in leaves:
            for fleet in enclosing:
                other = fleet._router.clashing(each)
                if other is not None:
                    raise UsageError(
                        "a Fleet with two sources of one system: a job's ref would belong to both "
                        f"{other!r} and {each!r}"
                    )
        replace_observers(leaves, (), [fleet._observer for fleet in enclosing if fleet._observer is not None])
        if isinstance(source, BaseFleet):
            source._outer.add(self)
        for fleet in enclosing:
            for each in leaves:
                fleet._router.add(each)
        self._members[source] = None

    async def remove(self, source: Member) -> None:
        """Remove and close a source: its waits end with `SourceClosed`, other waits continue.

        Raise `UsageError` if it is not a source of this fleet.
        """
        if not isinstance(source, BaseSource | BaseFleet):
            raise UsageError(
                f"{type(source).__name__} is not a source of this fleet: pass one of fleet.sources"
            )
        if source not in self._members:
            raise UsageError(f"{source!r} is not a source of this fleet")
        del self._members[source]
        if isinstance(source, BaseFleet):
            source._outer.discard(self)
        for fleet in self._enclosing():
            for each in _leaves(source):
                fleet._router.remove(each)
        await source.aclose()

    @property
    def capabilities(self) -> frozenset[Capability]:
        """The capabilities of at least one source; for a single job, see ``fleet.of(job).capabilities``."""
        return frozenset[Capability]().union(*(source.capabilities for source in self._members))

    def of(self, job: JobLike) -> BaseSource:
        """Return the source that a job belongs to. Raise `WrongSource` if there is none."""
        return self.route(job)[0]

    def ref(self, job: JobLike) -> JobRef:
        """Return the complete ref of a job. No I/O."""
        source, named = self.route(job)
        return source.ref(named)

    def route(self, job: JobLike) -> Routed:
        """Return the source of a job, and the job's complete ref (or the `Job` that was passed).

        Raise `WrongSource` if it belongs to no source, `UsageError` if it could belong to several.
        """
        if len(self._members) == 1:
            return route(next(iter(self._members)), job)
        ref = ref_or_id(job)
        if isinstance(ref, str):
            raise UsageError(
                f"a bare id could be any of {len(self._members)} sources' job: pass its ref instead"
            )
        owners = list(self._router.owners(ref))
        if not owners:
            raise WrongSource(
                f"{shortened(ref)}: this job belongs to none of the fleet's {len(self._members)} sources",
                ref=ref,
            )
        if len(owners) > 1:
            raise UsageError(
                f"{shortened(ref)}: it could be a job of several sources, such as {owners[0]!r} and "
                f"{owners[1]!r}: pass a full ref, with endpoint and scope"
            )
        return route(owners[0], job if isinstance(job, Job) else ref)

    def _enclosing(self) -> dict[BaseFleet, None]:
        """Return this fleet, and those in which it is a member, directly or not."""
        enclosing: dict[BaseFleet, None] = {self: None}
        for fleet in self._outer:
            enclosing |= fleet._enclosing()
        return enclosing

    async def get(self, job: JobLike) -> Job:
        """Poll a job once, and return it."""
        source, job = self.route(job)
        return await source.get(job)

    async def act(self, job: JobLike, action: Action) -> Job:
        """Pause, resume or cancel a job, then read and return it. Raise `Unsupported` if its API cannot."""
        source, job = self.route(job)
        return await source.act(job, action)

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
        deadline: datetime | None = None,
        until: Collection[JobState] | None = None,
        check: bool = True,
        on_update: OnUpdate | None = None,
        on_cancel: OnCancel = "leave",
        resolve_gone: Probe | None = None,
        policy: PollPolicy | None = None,
    ) -> Job:
        """Wait for a job with the ``wait`` of its source."""
        source, job = self.route(job)
        return await source.wait(
            job,
            timeout=timeout,
            deadline=deadline,
            until=until,
            check=check,
            on_update=on_update,
            on_cancel=on_cancel,
            resolve_gone=resolve_gone,
            policy=policy,
        )

    def watch(
        self,
        job: JobLike,
        *,
        timeout: float | None = None,
        deadline: datetime | None = None,
        until: Collection[JobState] | None = None,
        on_cancel: OnCancel = "leave",
        resolve_gone: Probe | None = None,
        policy: PollPolicy | None = None,
    ) -> Watch:
        """Iterate over the observations of a job: the first one, then each change."""
        source, job = self.route(job)
        return source.watch(
            job,
            timeout=timeout,
            deadline=deadline,
            until=until,
            on_cancel=on_cancel,
            resolve_gone=resolve_gone,
            policy=policy,
        )

    def list(self, *args: Any, **filters: Any) -> AsyncIterator[Job]:
        """Return the jobs of every member that can list, one member after another.

        Raise `Unsupported` if no member can list, and `UsageError` for a filter that one does not know.
        """
        able = [source for source in self._members if Capability.LIST in source.capabilities]
        if not able:
            raise Unsupported("none of the fleet's sources can list jobs: their APIs have no list")
        return Chain([source.list(*args, **filters) for source in able])

    async def aclose(self) -> None:
        """Close all members at once, also if closing one of them fails.

        This takes as long as the slowest of them, at most its ``request_timeout`` in seconds.
        """
        self._closed = True
        # In a task of its own: a cancellation of the caller's task could leave some members open.
        await finish(self._close)

    async def _close(self) -> None:
        errors: list[Exception] = []

        async def close(source: Member) -> None:
            try:
                await source.aclose()
            except Exception as error:
                if errors:
                    logger.exception("closing the source %r failed", source)
                errors.append(error)

        async with anyio.create_task_group() as group:
            for source in self.sources:
                group.start_soon(close, source)
                await anyio.lowlevel.checkpoint()  # each may end thousands of waits: others run in between
        if errors:
            raise errors[0]

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
        shown = [repr(source) for source in islice(self._members, MAX_SHOWN)]
        if len(self._members) > MAX_SHOWN:
            shown.append(f"and {len(self._members) - MAX_SHOWN} more")
        return f"<{type(self).__name__} [{', '.join(shown)}]>"


Member = BaseSource | BaseFleet
"""A source or a fleet: a member of a fleet, and the first argument of `wait_all` and its like."""


Routed = tuple[BaseSource, JobRef | Job]
"""A job's source, and the job's complete ref, or the `Job` that was passed."""


def route(source: Member, job: JobLike) -> Routed:
    """Return the source that a job belongs to, and the job's complete ref (or the `Job` that was passed).

    Raise `WrongSource` and `UsageError` as ``ref`` does.
    """
    if isinstance(source, BaseFleet):
        return source.route(job)
    ref = source.ref(job)
    return source, job if isinstance(job, Job) else ref


def route_all(source: Member, jobs: Iterable[JobLike]) -> list[Routed]:
    """Return `route` of each of many jobs. Raise `UsageError` for anything but a list."""
    if isinstance(jobs, str) or not isinstance(jobs, Iterable):
        raise UsageError("jobs must be a list of refs, ids or jobs: pass [job] for one")
    return list(each_of(partial(route, source), jobs, "jobs"))


def each_of(read: Callable[[_T], _R], items: Iterable[_T], name: str) -> Iterator[_R]:
    """Call ``read`` for each item, and yield the results. A note to an error says which item: ``jobs[5]``."""
    for number, item in enumerate(items):
        try:
            result = read(item)
        except (UsageError, WrongSource) as error:
            error.add_note(f"it was {name}[{number}]")
            raise
        yield result


def _leaves(source: Member) -> list[BaseSource]:
    """Return the sources of a member: itself, or those of a fleet, and of the fleets in it."""
    if isinstance(source, BaseSource):
        return [source]
    return [each for member in source.sources for each in _leaves(member)]
