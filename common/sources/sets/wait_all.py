"""Waiting for many jobs: until all have ended, or for each as it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Iterable
from datetime import datetime
from types import TracebackType
from typing import Any, Literal, Self, overload

from common.model.async_only import AsyncContext, AsyncIteration
from common.model.errors import JobsError, JobsFailed, UsageError, job_failure
from common.model.job import Job, JobLike
from common.model.refs import JobRef
from common.polling.policy import OnCancel, PollPolicy, Probe
from common.polling.wait import Wait
from common.polling.watch import Watch
from common.sources.batch_look import Outcome
from common.sources.fleet import Member
from common.sources.sets.checkpoint import Resumed
from common.sources.sets.job_set import JobSet
from common.telemetry.callbacks import OnUpdate

ReturnWhen = Literal["all", "first", "first_failure"]
"""When `wait_all` returns: once all have ended, or one has, or one has ended without success."""


@overload
async def wait_all(
    source: Member,
    jobs: Iterable[JobLike],
    *,
    timeout: float | None = None,
    deadline: datetime | None = None,
    check: Literal[True] = True,
    return_when: Literal["all"] = "all",
    on_update: OnUpdate | None = None,
    on_cancel: OnCancel = "leave",
    resolve_gone: Probe | None = None,
    policy: PollPolicy | None = None,
) -> list[Job]: ...
@overload
async def wait_all(
    source: Member,
    jobs: Iterable[JobLike],
    *,
    timeout: float | None = None,
    deadline: datetime | None = None,
    check: Literal[False],
    return_when: Literal["all"] = "all",
    on_update: OnUpdate | None = None,
    on_cancel: OnCancel = "leave",
    resolve_gone: Probe | None = None,
    policy: PollPolicy | None = None,
) -> list[Outcome]: ...
@overload
async def wait_all(
    source: Member,
    jobs: Iterable[JobLike],
    *,
    timeout: float | None = None,
    deadline: datetime | None = None,
    check: bool,
    return_when: Literal["all"] = "all",
    on_update: OnUpdate | None = None,
    on_cancel: OnCancel = "leave",
    resolve_gone: Probe | None = None,
    policy: PollPolicy | None = None,
) -> list[Job] | list[Outcome]: ...
@overload
async def wait_all(
    source: Member,
    jobs: Iterable[JobLike],
    *,
    timeout: float | None = None,
    deadline: datetime | None = None,
    check: bool = True,
    return_when: Literal["first", "first_failure"],
    on_update: OnUpdate | None = None,
    on_cancel: OnCancel = "leave",
    resolve_gone: Probe | None = None,
    policy: PollPolicy | None = None,
) -> list[Outcome | None]: ...
async def wait_all(
    source: Member,
    jobs: Iterable[JobLike],
    *,
    timeout: float | None = None,
    deadline: datetime | None = None,
    check: bool = True,
    return_when: ReturnWhen = "all",
    on_update: OnUpdate | None = None,
    on_cancel: OnCancel = "leave",
    resolve_gone: Probe | None = None,
    policy: PollPolicy | None = None,
) -> list[Job] | list[Outcome] | list[Outcome | None]:
    """Wait for many jobs, and return their outcomes in the order of ``jobs``.

    ``timeout`` (seconds) or ``deadline`` applies to all jobs together. With ``check=True``, `JobsFailed` is
    raised if any wait failed, after all have ended; it has every outcome by ref. With ``check=False``, a
    failed job is returned like any other, and an exception of a wait is returned in place of its job. With
    ``return_when="first"`` (one job has ended) or ``"first_failure"`` (one has ended without success), the
    other waits stop, their jobs keep running, and their outcomes are None.

    The other keywords are those of ``wait``. Raise `UsageError` or `WrongSource` for any of the jobs before
    the first request.
    """
    if return_when not in ("all", "first", "first_failure"):
        raise UsageError("return_when= must be 'all', 'first' or 'first_failure'")
    done = as_completed(
        source,
        jobs,
        timeout=timeout,
        deadline=deadline,
        on_update=on_update,
        on_cancel=on_cancel,
        resolve_gone=resolve_gone,
        policy=policy,
    )
    async with done:
        async for outcome in done:
            if return_when == "first" or (return_when == "first_failure" and not _succeeded(outcome)):
                break
    outcomes = done.outcomes
    if check:
        # Every failed job becomes an exception of its own, so that `except* JobFailed` finds it.
        outcomes = [_checked(outcome) for outcome in outcomes]
        if any(isinstance(outcome, JobsError) for outcome in outcomes):
            raise JobsFailed.of(zip(done.refs, outcomes, strict=True))
    return outcomes


def as_completed(
    source: Member,
    jobs: Iterable[JobLike],
    *,
    timeout: float | None = None,
    deadline: datetime | None = None,
    on_update: OnUpdate | None = None,
    on_cancel: OnCancel = "leave",
    resolve_gone: Probe | None = None,
    policy: PollPolicy | None = None,
) -> Completed:
    """Wait for many jobs, and iterate over their outcomes as they come.

    Use ``async with as_completed(source, jobs) as done:``, and inside it ``async for outcome in done:``. An
    outcome is the `Job`, failed or not, or the `JobsError` that its wait raised; both have ``ref``. Leaving
    the block ends the remaining waits; their jobs keep running, unless the caller's task is cancelled and
    ``on_cancel`` is "cancel" or a function that returns True. The other keywords are those of ``wait``. Raise
    `UsageError` or `WrongSource` for any of the jobs before the first request.
    """
    return Completed(
        source,
        jobs,
        timeout=timeout,
        deadline=deadline,
        on_update=on_update,
        on_cancel=on_cancel,
        resolve_gone=resolve_gone,
        policy=policy,
    )


class Completed(AsyncIteration, AsyncContext, AsyncIterator[Outcome]):
    """The outcomes of many waits as they come; made by `as_completed`, entered with ``async with``.

    ``outcomes`` are those so far, in the order of the jobs, None for a wait that has not ended.
    """

    def __init__(self, source: Member, jobs: Iterable[JobLike], **options: Any) -> None:
        self._waits = _NumberedSet(source, jobs, **options)
        self.refs: list[JobRef] = self._waits.refs
        self.outcomes: list[Outcome | None] = self._waits.outcomes

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Awaitable[Outcome]:
        return anext(self._waits)

    async def __aenter__(self) -> Self:
        await self._waits.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._waits.__aexit__(kind, error, trace)


class _NumberedSet(JobSet):
    """A set that is closed from the start, and keeps the outcomes in the order of their jobs."""

    _expression = "as_completed(…)"

    def __init__(self, source: Member, jobs: Iterable[JobLike], **options: Any) -> None:
        super().__init__(source, jobs, **options)
        self.refs: list[JobRef] = [watch.ref for watch in self._to_begin]
        self.outcomes: list[Outcome | None] = [None] * len(self._to_begin)
        self._numbers: dict[Wait, int] = {}
        self.close()

    def _new(self, watch: Watch, now: float, resumed: Resumed | None = None) -> Wait:
        wait = super()._new(watch, now, resumed)
        self._numbers[wait] = len(self._numbers)
        return wait

    def _tell(self, wait: Wait, outcome: Outcome | None) -> None:
        self.outcomes[self._numbers[wait]] = outcome
        super()._tell(wait, outcome)


def _succeeded(outcome: Outcome) -> bool:
    return isinstance(outcome, Job) and outcome.succeeded


def _checked(outcome: Outcome | None) -> Outcome | None:
    if isinstance(outcome, Job) and not outcome.succeeded:
        return job_failure(outcome)
    return outcome
