"""What every source has in common, whatever it talks to: reading, watching, waiting."""

from __future__ import annotations

import abc
from collections.abc import AsyncIterator, Collection, Sequence
from random import Random
from types import TracebackType
from typing import Any, ClassVar, Self

import anyio
import anyio.lowlevel
from anyio.lowlevel import current_token

from common.model.errors import DecodeError, JobNotFound, RateLimited, SourceError, Unsupported, UsageError
from common.model.job import Job, JobLike
from common.model.refs import JobRef, Scope
from common.model.states import Action, Capability, JobState
from common.options import read_timeout, read_until
from common.polling.policy import PollPolicy, healthy_delay
from common.polling.pollable import BatchReading, BatchRefused, Reading
from common.polling.poller import Poller
from common.polling.throttle import Throttle
from common.polling.wait import OnCancel, Probe, Wait, WaitSpec, Watch
from common.sources.ref_resolver import Owner
from common.telemetry.events import Observer


class BaseSource(Owner, abc.ABC):
    """A `JobSource` for one endpoint. A provider adds how to read a job, and what else its server can do."""

    capabilities: frozenset[Capability] = frozenset()
    room: int = 0
    """Bytes of ids that one request for many jobs can hold; 0 where the server has no such request."""
    retry_after_cap: ClassVar[float] = 3600.0
    """At most so many seconds of a ``Retry-After`` are kept."""

    def __init__(
        self,
        endpoint: str,
        *,
        scope: Scope = (),
        aliases: Collection[str] = (),
        policy: PollPolicy | None = None,
        observer: Observer | None = None,
        concurrency: int = 8,
    ) -> None:
        super().__init__(endpoint, scope=scope, aliases=aliases)
        self.policy: PollPolicy = self.check_policy(policy or self.default_policy())
        self.observer = observer
        self.concurrency = concurrency
        self._loop: object = None
        self._closed = False
        self._poller: Poller | None = None
        self._shared_for: tuple[object, ...] = ()
        self._shared_spec: WaitSpec | None = None
        self.pacer: Throttle = Throttle(concurrency)
        self._random = Random()

    @abc.abstractmethod
    async def read_once(self, ref: JobRef) -> Reading:
        """One request for one job. Raises `JobNotFound` or `SourceError`."""

    @classmethod
    def default_policy(cls) -> PollPolicy:
        """How often to ask where the caller does not say."""
        return PollPolicy()

    def check_policy(self, policy: PollPolicy) -> PollPolicy:
        """The policy, if this provider can live with it. Raises `UsageError` otherwise."""
        return policy

    def delay(self, policy: PollPolicy, job: Job, ran: float) -> float:
        """Seconds until the next poll of a job that has been running for ``ran`` seconds."""
        del job
        return healthy_delay(policy, ran)

    async def get(self, job: JobLike) -> Job:
        """One observation of one job, in one request.

        Raises `JobNotFound` where the API says that it has no such job, `SourceError` for all that went
        wrong on the way, `WrongSource` for another source's job. A failed job is no error here.
        """
        ref = self.ref(job)
        try:
            return (await self.read(ref)).job
        except SourceError as error:
            error.ref = ref
            raise

    async def act(self, job: JobLike, action: Action) -> Job:
        """Pause, resume or cancel a job, and read it again. Raises `Unsupported` where the server can't."""
        del job
        raise Unsupported(f"{self.provider} jobs cannot be acted on: their API has no {action}")

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
        """The first observation of a job, then each change, until it ends: ``async for job in …``.

        The arguments are those of `wait`. A failed job is the last observation, not an exception.
        """
        spec = self._spec(timeout, until, on_cancel, resolve_gone, policy)
        return Watch(self, self.ref(job), job if isinstance(job, Job) else None, spec)

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
        """The job once it has ended, or has reached one of the states in ``until``.

        ``timeout`` is in seconds from now, requests included; 0 makes one read. ``check`` raises for a job
        that failed. ``until`` names states that end the wait without raising. ``on_cancel="cancel"`` asks
        the server to cancel the job when this wait is cancelled. ``resolve_gone`` is asked for the outcome
        where the server has forgotten the job. ``policy`` replaces the source's.

        Raises `JobFailed` or `JobPartiallyFailed`, `WaitTimeout`, `JobNotFound`, `JobGone`,
        `UnexpectedState`, and `SourceError` for trouble that does not pass; before any request `UsageError`,
        `WrongSource`, and `Unsupported` where ``on_cancel`` asks for what the server can't do. A cancelled
        wait leaves nothing behind.
        """
        spec = self._spec(timeout, until, on_cancel, resolve_gone, policy)
        seen = job if isinstance(job, Job) else None
        async with Wait.begin(self, self.ref(job), seen, spec, terminal_only=True) as wait:
            while (pending := wait.next_step()) is not None:
                await pending
        return wait.result(check=check)

    def list(self, *args: Any, **filters: Any) -> AsyncIterator[Job]:
        """The jobs that match. Raises `Unsupported` where the server has no list."""
        del args, filters
        raise Unsupported(f"{self.provider} jobs cannot be listed: their API has no list")

    async def read_again(self, ref: JobRef, last: Reading) -> Reading:
        """`read_once` for a job that was read before: what did not change need not be decoded again."""
        del last
        return await self.read_once(ref)

    async def read(self, ref: JobRef, last: Reading | None = None) -> Reading:
        """One poll, and the floor under all later ones where the server asks for it (``Retry-After``)."""
        try:
            reading = await (self.read_once(ref) if last is None else self.read_again(ref, last))
        except SourceError as error:
            self.heed(error)
            raise
        except JobNotFound:
            self.answered()
            raise
        self.answered()
        return reading

    def answered(self) -> None:
        """A request brought the server's own word."""
        self.pacer.request_answered(anyio.current_time)

    def heed(self, error: SourceError) -> None:
        """Keep to what the server asks for when it fails: fewer requests, or none for a while."""
        self._settle()
        if error.transient:
            self.pacer.request_failed()
        if isinstance(error, RateLimited):
            self.pacer.rate_limited()
        if error.retry_after is not None:
            error.retry_after = min(error.retry_after, self.retry_after_cap)
            self.pacer.delay_until(anyio.current_time() + error.retry_after)

    @property
    def poller(self) -> Poller:
        """The poller of the running event loop: nothing of it can be carried to another."""
        self._settle()
        if self._poller is None:
            self._poller = Poller(self)
            if self._closed:
                self._poller.close()
        return self._poller

    def _settle(self) -> None:
        loop = current_token().native_token
        if self._loop is not loop:
            if self._loop is not None:
                self._poller = None
                self.pacer = Throttle(self.concurrency)  # loops do not share a clock
            self._loop = loop

    def open_at(self, now: float, flying: int) -> float:
        """The earliest time for one more poll: ``Retry-After`` and the number in flight are the limits."""
        return self.pacer.next_send_at(now, flying)

    @property
    def resumed(self) -> float:
        """When the server was to be had again, after a ``Retry-After`` or an outage."""
        return self.pacer.recovered_at

    def departing(self, now: float) -> None:
        """A poll leaves."""
        self.pacer.request_sent(now)

    def seat(self, ref: JobRef) -> int:
        """How many bytes of a request for many jobs this one takes; 0 where it must be asked for alone."""
        del ref
        return 0

    async def sweep(self, refs: Sequence[JobRef]) -> BatchReading:
        """One request, and its pages, for many jobs, where the server has such a one."""
        raise BatchRefused

    def decode_record(self, ref: JobRef, record: Any) -> Job:
        """The job in one raw record of a sweep."""
        raise DecodeError(f"no sweep of {self.provider} jobs gives records", ref=ref)

    def held_until(self) -> float:
        """The loop's time before which nothing but a direct request of the caller goes out."""
        return self.pacer.retry_after_until

    def draw(self) -> float:
        """The jitter of one request, 0.0 to 1.0."""
        return self._random.random()

    def _spec(
        self,
        timeout: float | None,
        until: Collection[JobState] | None,
        on_cancel: OnCancel,
        resolve_gone: Probe | None,
        policy: PollPolicy | None,
    ) -> WaitSpec:
        # Thousands of waits that ask for the same share what says so.
        plain = until is None and resolve_gone is None and not isinstance(timeout, bool)
        given = (timeout, on_cancel, self.policy if policy is None else policy)
        if plain and given == self._shared_for and self._shared_spec is not None:
            return self._shared_spec
        if on_cancel not in ("leave", "cancel"):
            raise UsageError("on_cancel= must be 'leave' or 'cancel'")
        if on_cancel == "cancel" and Capability.CANCEL not in self.capabilities:
            raise Unsupported(
                f"on_cancel='cancel': {self.provider} jobs cannot be cancelled through their API"
            )
        if resolve_gone is not None and not callable(resolve_gone):
            raise UsageError(
                "resolve_gone= must be an async function of the ref and the last job, or left out"
            )
        if policy is not None and not isinstance(policy, PollPolicy):
            raise UsageError("policy= must be a PollPolicy, such as PollPolicy(initial=1.0, maximum=30.0)")
        spec = WaitSpec(
            policy=self.policy if policy is None else self.check_policy(policy),
            delay=self.delay,
            timeout=read_timeout(timeout),
            until=read_until(until),
            on_cancel=on_cancel,
            resolve_gone=resolve_gone,
        )
        if plain:
            self._shared_for, self._shared_spec = given, spec
        return spec

    async def aclose(self) -> None:
        """End all waits with an error, and give back what the source holds. Safe to call twice."""
        self._closed = True
        if self._poller is not None and self._loop is current_token().native_token:
            self._poller.close()
            await anyio.lowlevel.checkpoint()  # requests in flight are cut before their client goes

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()
