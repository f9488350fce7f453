"""The methods that every source has: get, watch, wait, act. It reads jobs through a `Pollable`."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import anyio.lowlevel
import attrs

from common.model.async_only import AsyncContext
from common.model.errors import JobNotFound, SourceError, Unsupported, UsageError
from common.model.job import UNREAD_RESULTS, Job, JobLike, with_warning
from common.model.refs import JobRef
from common.model.states import Action, Capability, JobState
from common.options import check_on_cancel, check_on_update, read_deadline, read_timeout, read_until
from common.polling.policy import DelayRule, OnCancel, PollPolicy, Probe, WaitSpec, plain_delay
from common.polling.pollable import Pollable, Reading
from common.polling.throttle import LoopThrottle
from common.polling.wait_errors import source_closed
from common.polling.watch import UpdatingWait, Watch
from common.sources.batch_look import BatchLook, Outcome
from common.sources.ref_resolver import RefResolver
from common.telemetry.callbacks import OnUpdate
from common.telemetry.events import Observer, combined
from common.telemetry.reporter import Reporter, logger_of

if TYPE_CHECKING:
    from common.polling.poller import Poller


def _any_policy(policy: PollPolicy) -> PollPolicy:
    return policy


class BaseSource(AsyncContext):
    """A `JobSource` for one endpoint, whose jobs ``pollable`` reads.

    ``check_policy`` returns the policy, or raises `UsageError` if the source cannot work with it.
    ``poll_delay`` computes the seconds between two polls; ``retention`` is for how many seconds the server
    keeps a job that has ended.
    """

    def __init__(
        self,
        pollable: Pollable,
        refs: RefResolver,
        *,
        throttle: LoopThrottle,
        capabilities: frozenset[Capability] = frozenset(),
        policy: PollPolicy | None = None,
        check_policy: Callable[[PollPolicy], PollPolicy] = _any_policy,
        poll_delay: DelayRule = plain_delay,
        retention: float = math.inf,
        observer: Observer | None = None,
    ) -> None:
        self.provider: str = refs.provider
        self.endpoint: str = refs.endpoint
        self.capabilities: frozenset[Capability] = capabilities
        self.policy: PollPolicy = check_policy(policy or PollPolicy())
        self.resolver: RefResolver = refs
        """Completes refs, and refuses those of other systems."""
        self._observers: list[Observer] = [] if observer is None else [observer]
        self._reporter = Reporter(observer, logger_of(refs.provider))
        self._pollable = pollable
        self._throttle = throttle
        self._check_policy = check_policy
        self._poll_delay = poll_delay
        self._retention = retention
        self._poller: Poller | None = None
        self._closed = False
        self._last_spec: tuple[tuple[object, ...], WaitSpec] | None = None

    def ref(self, job: JobLike) -> JobRef:
        """Return the complete ref of a job of this source. No I/O.

        Raise `WrongSource` if it belongs to another provider, endpoint or scope, `UsageError` if it names no
        job.
        """
        return self.resolver.resolve(job)

    async def get(self, job: JobLike) -> Job:
        """Poll a job once, and return it.

        This takes one request, and one more for the results of an ended write of many records (ONTAP). Raise
        `JobNotFound` if the API has no such job, `SourceError` if the request fails, and `WrongSource` for a
        job of another source. A failed job does not raise.
        """
        ref = self.resolver.resolve(job)
        try:
            return (await self._read(ref)).job
        except SourceError as error:
            error.ref = ref
            raise

    def _check_open(self) -> None:
        if self._closed:
            raise UsageError("the source is closed: make a new one, or close it later")

    async def _look_at(self, jobs: Sequence[JobLike]) -> list[Outcome]:
        refs = [self.resolver.resolve(job) for job in jobs]
        self._check_open()
        outcomes = await BatchLook(self._pollable, self._throttle, self._read, self._read_results).run(refs)
        if self._closed:  # during the requests, so it is no mistake of the caller
            for place, outcome in enumerate(outcomes):
                if isinstance(outcome, UsageError):
                    outcomes[place] = source_closed(refs[place], None)
        return outcomes

    def _replace_observers(self, former: Iterable[Observer], new: Iterable[Observer]) -> None:
        observers = list(self._observers)  # one function may be in it twice: the source's own, and a fleet's
        for each in former:
            observers.remove(each)
        observers += new
        both = combined(observers)
        if both != self._reporter.observer:
            if self._poller is not None and not self._poller.idle:
                raise UsageError(
                    "an observer must be set before the first wait: this source has waits already"
                )
            self._reporter, self._poller = Reporter(both, self._reporter.log), None
        self._observers = observers

    async def act(self, job: JobLike, action: Action) -> Job:
        """Pause, resume or cancel a job, then read and return it. Raise `Unsupported` if the API cannot."""
        del job
        raise Unsupported(f"{self.provider} jobs do not support {action}: their API has no such operation")

    async def pause(self, job: JobLike) -> Job:
        """`act` with PAUSE."""
        return await self.act(job, Action.PAUSE)

    async def resume(self, job: JobLike) -> Job:
        """`act` with RESUME."""
        return await self.act(job, Action.RESUME)

    async def cancel(self, job: JobLike) -> Job:
        """`act` with CANCEL."""
        return await self.act(job, Action.CANCEL)

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
        """Iterate over the observations of a job: the first one, then each change, until the job ends.

        Use ``async for job in source.watch(…)``. The arguments are those of `wait`. A failed job is the last
        observation; it does not raise.
        """
        spec = self._spec(timeout, deadline, until, on_cancel, resolve_gone, policy)
        ref = self.resolver.resolve(job)
        if spec.cancel is not None:
            self._check_action(ref)
        return Watch(self._current_poller, ref, job if isinstance(job, Job) else None, spec)

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
        """Return the job once it has ended, or has reached one of the states in ``until``.

        ``timeout`` is in seconds from now and includes requests; 0 polls once. ``deadline`` is an aware
        datetime instead, read once when the wait begins. ``until`` names states that end the wait without
        raising. With ``check``, a failed job raises. ``on_update`` is a plain function, called with the first
        observation and each change; its exceptions are logged. With ``on_cancel="cancel"``, the server is
        asked to cancel the job if this wait is cancelled; a plain function is called then, and returns
        whether to do so. ``resolve_gone`` is called for the outcome of a job that the server no longer has,
        after ``policy.gone_grace`` seconds if the job was seen recently. ``policy`` replaces the source's.

        Raise `JobFailed` or `JobPartiallyFailed`, `WaitTimeout`, `JobNotFound`, `JobGone`, `UnexpectedState`,
        and `SourceError` for an error that is not transient; before any request `UsageError`, `WrongSource`,
        and `Unsupported` if ``on_cancel`` is not possible.
        """
        spec = self._spec(timeout, deadline, until, on_cancel, resolve_gone, policy)
        ref, seen = self.resolver.resolve(job), job if isinstance(job, Job) else None
        if spec.cancel is not None:
            self._check_action(ref)
        if on_update is not None:
            check_on_update(on_update)
            return await UpdatingWait(self._current_poller, ref, seen, spec).result(on_update, check=check)
        from common.polling.wait import Wait  # lazily: see `_current_poller`

        async with Wait.begin(self._current_poller(), ref, seen, spec, terminal_only=True) as wait:
            while (pending := wait.next_step()) is not None:
                await pending
        return wait.result(check=check)

    def list(self, *args: Any, **filters: Any) -> AsyncIterator[Job]:
        """Return the jobs that match. Raise `Unsupported` where the server has no list."""
        del args, filters
        raise Unsupported(f"{self.provider} jobs cannot be listed: their API has no list")

    @property
    def is_closed(self) -> bool:
        """Whether the source was closed, so no wait can begin."""
        return self._closed

    async def aclose(self) -> None:
        """End all waits with `SourceClosed`, and release all resources. Safe to call twice."""
        self._closed = True
        if self._poller is not None and self._poller.throttle is self._throttle.current():
            self._poller.close()
            # Lets the requests in flight be cancelled before their client is closed.
            await anyio.lowlevel.checkpoint()

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
        scope = "".join(f", {name}={value!r}" for name, value in self.resolver.scope)
        return f"<{type(self).__name__} {self.endpoint!r}{scope}>"

    def _check_action(self, ref: JobRef) -> None:
        """Raise `Unsupported` for a job that cannot be acted on, where others of the source can."""

    async def _read(self, ref: JobRef) -> Reading:
        """Send one request for one job, outside the poller, and report its outcome to the throttle.

        A second request reads the results of a job that has ended, if it has any; its failure is a warning.
        """
        try:
            reading = await self._pollable.read(ref)
            if self._pollable.has_unread_results(reading.job):
                reading = attrs.evolve(reading, job=await self._read_results(reading.job))
        except SourceError as error:
            self._throttle.on_failure(error)
            raise
        except JobNotFound:
            self._throttle.on_success()
            raise
        self._throttle.on_success()
        return reading

    async def _read_results(self, job: Job) -> Job:
        try:
            return await self._pollable.read_results(job)
        except SourceError as error:
            self._throttle.on_failure(error)
            return with_warning(job, f"{UNREAD_RESULTS}: {error}")

    def _current_poller(self) -> Poller:
        """Return the poller of the running event loop; another loop gets a new one."""
        throttle = self._throttle.current()
        poller = self._poller
        if poller is None or poller.throttle is not throttle:
            # Imported here: a source that only reads jobs needs none, and starts in less time.
            from common.polling.poller import Poller

            self._poller = poller = Poller(self._pollable, throttle, self._reporter)
            if self._closed:
                poller.close()
        return poller

    def _spec(
        self,
        timeout: float | None,
        deadline: datetime | None,
        until: Collection[JobState] | None,
        on_cancel: OnCancel,
        resolve_gone: Probe | None,
        policy: PollPolicy | None,
    ) -> WaitSpec:
        # Thousands of waits with the same arguments share one `WaitSpec`. The deadline's zone is compared
        # too, since messages show it and ``==`` ignores it; ``timeout=True`` equals 1, but is an error.
        sharable = until is None and resolve_gone is None and not isinstance(timeout, bool)
        zone = None if deadline is None else getattr(deadline, "tzinfo", None)
        arguments = (timeout, deadline, zone, on_cancel, self.policy if policy is None else policy)
        last = self._last_spec  # one attribute, so that another thread's loop cannot set half of it
        if sharable and last is not None and arguments == last[0]:
            return last[1]
        cancel_if = on_cancel if callable(on_cancel) else None
        if on_cancel not in ("leave", "cancel"):
            check_on_cancel(on_cancel)
        if on_cancel != "leave" and Capability.CANCEL not in self.capabilities:
            raise Unsupported(f"on_cancel=: {self.provider} jobs cannot be cancelled through their API")
        if resolve_gone is not None and not callable(resolve_gone):
            raise UsageError(
                "resolve_gone= must be an async function of the ref and the last job, or left out"
            )
        if policy is not None and not isinstance(policy, PollPolicy):
            raise UsageError("policy= must be a PollPolicy, such as PollPolicy(initial=1.0, maximum=30.0)")
        spec = WaitSpec(
            policy=self.policy if policy is None else self._check_policy(policy),
            delay=self._poll_delay,
            timeout=None if timeout is None else read_timeout(timeout),
            deadline=None if deadline is None else read_deadline(deadline, timeout),
            until=None if until is None else read_until(until),
            cancel=self.cancel if on_cancel != "leave" else None,
            cancel_if=cancel_if,
            resolve_gone=resolve_gone,
            retention=self._retention,
        )
        if sharable:
            self._last_spec = arguments, spec
        return spec


# For fleets and `get_all`. Functions, so that they are not among the methods that users see.


async def look_at(source: BaseSource, jobs: Sequence[JobLike]) -> list[Outcome]:
    """Return one observation of each job, or what went wrong with it, as `common.get_all` does."""
    return await source._look_at(jobs)  # pyright: ignore[reportPrivateUsage]


def replace_observers(
    sources: Iterable[BaseSource], former: Sequence[Observer], new: Sequence[Observer]
) -> None:
    """Let other observers see the events of sources in place of the former ones, which were added so.

    Raise `UsageError`, and change nothing, while jobs of one of the sources are waited for.
    """
    changed: list[BaseSource] = []
    try:
        for source in sources:
            source._replace_observers(former, new)  # pyright: ignore[reportPrivateUsage]
            changed.append(source)
    except UsageError:
        replace_observers(changed, new, former)
        raise
