"""Waiting for many jobs: until all have ended, or for each as it ends."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from types import TracebackType
from typing import Literal, Self, overload

import anyio
import anyio.abc
import anyio.lowlevel

from common.model.async_only import AsyncContext, AsyncIteration
from common.model.errors import JobsError, JobsFailed, UsageError, job_failure
from common.model.job import Job, JobLike
from common.model.refs import JobRef
from common.polling.policy import PollPolicy
from common.polling.wait import OnCancel, Probe, cancel_remote, is_cancellation
from common.sources.batch_look import Outcome
from common.sources.fleet import Member, Routed, route_all

ReturnWhen = Literal["all", "first", "first_failure"]
"""When `wait_all` returns: once all have ended, or one has, or one has ended without success."""


@overload
async def wait_all(
    source: Member,
    jobs: Iterable[JobLike],
    *,
    timeout: float | None = None,
    check: Literal[True] = True,
    return_when: Literal["all"] = "all",
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
    check: bool,
    return_when: Literal["all"] = "all",
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
    check: bool = True,
    return_when: Literal["first", "first_failure"],
    on_cancel: OnCancel = "leave",
    resolve_gone: Probe | None = None,
    policy: PollPolicy | None = None,
) -> list[Outcome | None]: ...
async def wait_all(
    source: Member,
    jobs: Iterable[JobLike],
    *,
    timeout: float | None = None,
    check: bool = True,
    return_when: ReturnWhen = "all",
    on_cancel: OnCancel = "leave",
    resolve_gone: Probe | None = None,
    policy: PollPolicy | None = None,
) -> list[Job] | list[Outcome] | list[Outcome | None]:
    """Return the outcomes of many waits, in the order of ``jobs``.

    ``timeout`` is in seconds, one deadline for all. ``check=True`` raises `JobsFailed` if any wait failed,
    once all have ended: it holds every outcome by ref. ``check=False`` puts the exception of a wait in its
    job's place, and a job that failed as it is. With ``return_when="first"`` (one has ended) or
    ``"first_failure"`` (one has ended without success) the others are waited for no longer, and their jobs
    run on; theirs is None.
    The other keywords are those of ``wait``. Raise `UsageError` or `WrongSource` for any of the jobs before
    the first request.
    """
    if return_when not in ("all", "first", "first_failure"):
        raise UsageError("return_when= must be 'all', 'first' or 'first_failure'")
    done = as_completed(
        source, jobs, timeout=timeout, on_cancel=on_cancel, resolve_gone=resolve_gone, policy=policy
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
    on_cancel: OnCancel = "leave",
    resolve_gone: Probe | None = None,
    policy: PollPolicy | None = None,
) -> Completed:
    """Wait for many jobs, and return each outcome as it comes.

    Enter it, then iterate: ``async with as_completed(source, jobs) as done:`` and within that
    ``async for outcome in done:``. An outcome is the `Job`, failed or not, or the `JobsError` that its wait
    ended with; both have ``ref``. Leaving the block ends the waits that are left, and leaves their jobs
    alone; only if the caller's own task is cancelled, ``on_cancel="cancel"`` asks their servers to cancel
    them. The other keywords are those of ``wait``. Raise `UsageError` or `WrongSource` for any of the jobs
    before the first request.
    """
    wanted = route_all(source, jobs)
    # Made and dropped: whatever is wrong with the call is raised now, by the source itself.
    refs = [
        owner.watch(job, timeout=timeout, on_cancel=on_cancel, resolve_gone=resolve_gone, policy=policy).ref
        for owner, job in wanted
    ]

    async def wait(routed: Routed) -> Outcome:
        owner, job = routed
        try:
            return await owner.wait(
                job, timeout=timeout, check=False, resolve_gone=resolve_gone, policy=policy
            )
        except JobsError as error:
            return error

    async def cancel(ref: JobRef) -> None:
        await cancel_remote(source.cancel, ref)

    return Completed(refs, wanted, wait, cancel if on_cancel == "cancel" else None)


class Completed(AsyncIteration, AsyncContext, AsyncIterator[Outcome]):
    """The outcomes of many waits as they come; made by `as_completed`, entered with ``async with``.

    ``outcomes`` are those so far, in the order of the jobs, None for a wait that has not ended.
    """

    def __init__(
        self,
        refs: list[JobRef],
        jobs: list[Routed],
        wait: Callable[[Routed], Awaitable[Outcome]],
        cancel: Callable[[JobRef], Awaitable[None]] | None = None,
    ) -> None:
        self.refs = refs
        self.outcomes: list[Outcome | None] = [None] * len(jobs)
        self._jobs = jobs
        self._wait = wait
        self._cancel = cancel
        self._left = len(jobs)
        self._group: anyio.abc.TaskGroup | None = None
        self._ended: deque[Outcome] = deque()
        self._news = anyio.Event()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Outcome:
        if self._group is None:
            raise UsageError(
                "as_completed() holds waits: iterate within 'async with as_completed(…) as done:'"
            )
        if not self._left:
            raise StopAsyncIteration
        self._left -= 1  # before the wait: several may iterate, and each outcome is for one of them
        try:
            await anyio.lowlevel.checkpoint()
            while not self._ended:
                self._news = anyio.Event() if self._news.is_set() else self._news
                await self._news.wait()
            return self._ended.popleft()
        except BaseException:
            self._left += 1
            raise

    async def __aenter__(self) -> Self:
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        for index, job in enumerate(self._jobs):
            self._group.start_soon(self._follow, index, job)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        group, self._left = self._group, 0
        if group is None:
            return
        if error is None or not is_cancellation(error):
            self._cancel = None  # waits that nobody needs any more are ended here, and not by their caller
        group.cancel_scope.cancel()
        # The group gets no exception of the block to wrap: it comes out as it is.
        await group.__aexit__(None, None, None)

    async def _follow(self, index: int, job: Routed) -> None:
        try:
            self.outcomes[index] = outcome = await self._wait(job)
        except BaseException as error:
            ended = isinstance(job[1], Job) and job[1].done
            if not is_cancellation(error):
                self._cancel = None  # the other waits end because of this one
            elif self._cancel is not None and not ended:
                await self._cancel(self.refs[index])
            raise
        self._ended.append(outcome)
        self._news.set()


def _succeeded(outcome: Outcome) -> bool:
    return isinstance(outcome, Job) and outcome.succeeded


def _checked(outcome: Outcome | None) -> Outcome | None:
    if isinstance(outcome, Job) and not outcome.succeeded:
        return job_failure(outcome)
    return outcome
