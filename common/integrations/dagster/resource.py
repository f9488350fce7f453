"""The resource: a system, how to sign in to it, and what the steps of a run do with its jobs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, ClassVar, Literal, TypeVar, overload

import dagster as dg
from pydantic import Field, PrivateAttr

from common.config.targets import read_address
from common.hosts.shared import SharedSource, close_shared, shared_source
from common.integrations.dagster.failures import count_states, failure
from common.integrations.outcomes import failure_of
from common.integrations.writes import start_jobs
from common.model.errors import JobsError, UsageError
from common.model.job import Job, JobLike
from common.sources.base import BaseSource
from common.sources.batch_look import Outcome
from common.sources.sets.wait_all import wait_all
from common.telemetry.callbacks import OnUpdate

_T = TypeVar("_T")


def setting(description: str) -> Any:
    """Return a field for a keyword of `connect`."""
    return Field(default=None, description=description)


def secret(description: str) -> Any:
    """Return a field for a keyword of `connect` that no repr shows: ``dg.EnvVar("…")`` is its value."""
    return Field(default=None, repr=False, description=f"{description}: an EnvVar, since Dagster shows text")


class JobsResource(dg.ConfigurableResource[Any]):
    """A system with jobs, for assets, ops and sensors; each provider has its own subclass.

    ``target`` is the system's URL, each other field a keyword of `connect`, and ``extra`` has those that have
    no field. Nothing else is read: no profile, no variable but those that an ``EnvVar`` names. All steps that
    run in one process share one source, and so their requests.

    What goes wrong in the methods is a ``dagster.Failure`` with the outcomes as metadata. It allows retries
    only where another try may end otherwise, and never in a step that starts a job.
    """

    provider: ClassVar[str]
    """The provider's name, as in its refs."""

    target: str = Field(description="The system, such as ontap://cluster1.example.com")
    user: str | None = setting("The user who signs in with a password")
    password: str | None = secret("The user's password")
    token: str | None = secret("A bearer token")
    client_id: str | None = setting("OAuth 2.0: the client")
    client_secret: str | None = secret("OAuth 2.0: the client's secret")
    verify: str | None = setting("true, false, or the path of the authorities' certificates")
    extra: dict[str, str] = Field(default={}, repr=False, description="Other keywords of connect()")

    _context: dg.InitResourceContext | None = PrivateAttr(default=None)
    _loop: asyncio.AbstractEventLoop | None = PrivateAttr(default=None)
    _writers: set[str | None] = PrivateAttr(default_factory=set)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator[Any]:
        """Let steps use the resource; when their run ends, however it does, end their waits."""
        self._context = context
        try:
            yield self
        finally:
            # An interrupt leaves the run's loop in the middle of its tasks. Nobody runs it any more.
            loop = self._loop
            if loop is not None and not (loop.is_running() or loop.is_closed()):
                loop.run_until_complete(_end_tasks())

    def shared(self) -> SharedSource:
        """Return one use of the system's source in this event loop. Raise `UsageError` for a wrong field."""
        target = read_address(self.target)
        if target.provider != self.provider:
            raise UsageError(f"target= must be the URL of a system of {self.provider}, not {target}")
        fields = type(self).model_fields.keys() - {"target", "extra"}
        return shared_source(
            self.target, settings={**self.extra, **{name: getattr(self, name) for name in fields}}
        )

    @asynccontextmanager
    async def source(self) -> AsyncGenerator[BaseSource]:
        """Give the system's source to an async step. Its errors are the SDK's own."""
        self._loop = asyncio.get_running_loop()
        async with self.shared() as source:
            yield source

    async def start_job(self, method: str, path: str, body: Any = None) -> list[str]:
        """Send a write, whose body is JSON, and return the refs of the jobs that it started.

        It belongs into a step of its own, whose output Dagster keeps: a step that runs again sends it again.
        """
        self._writers.add(_current_step())
        return await self._mapped(partial(start_jobs, method=method, path=path, body=body, warn=_log))

    async def wait_for_job(
        self, job: JobLike, *, timeout: float | None = None, cancel_job: bool = False
    ) -> Job:
        """Return a job once it has succeeded. The run's log has each of its changes.

        ``timeout`` is in seconds from now. With ``cancel_job`` the job is cancelled where the run is
        terminated; if its process is killed or stopped, it runs on in any case.
        """
        ended: list[Job] = await self._wait([job], timeout, cancel_job, on_update=_log)
        self._check(ended)
        return ended[0]

    @overload
    async def wait_for_jobs(
        self,
        jobs: Iterable[JobLike],
        *,
        timeout: float | None = None,
        check: Literal[True] = True,
        cancel_jobs: bool = False,
    ) -> list[Job]: ...
    @overload
    async def wait_for_jobs(
        self,
        jobs: Iterable[JobLike],
        *,
        timeout: float | None = None,
        check: Literal[False],
        cancel_jobs: bool = False,
    ) -> list[Outcome]: ...
    async def wait_for_jobs(
        self,
        jobs: Iterable[JobLike],
        *,
        timeout: float | None = None,
        check: bool = True,
        cancel_jobs: bool = False,
    ) -> list[Job] | list[Outcome]:
        """Return jobs in the order given, once all have ended: the way to wait for thousands in one step.

        With ``check=False`` nothing is raised for a job that failed, and a `JobsError` is in the place of one
        whose end is not known. The other keywords are those of `wait_for_job`, for all jobs.
        """
        outcomes = await self._wait(jobs, timeout, cancel_jobs)
        states = ", ".join(f"{count} {state}" for state, count in count_states(outcomes).items())
        _log(f"{len(outcomes)} jobs: {states or 'none'}")
        if check:
            self._check(outcomes)
        return outcomes

    async def _wait(
        self,
        jobs: Iterable[JobLike],
        timeout: float | None,
        cancel_jobs: bool,
        on_update: OnUpdate | None = None,
    ) -> list[Any]:
        async def wait(source: BaseSource) -> list[Any]:
            return await wait_all(
                source,
                jobs,
                timeout=timeout,
                check=False,
                on_update=on_update,
                on_cancel=self._is_terminated if cancel_jobs else "leave",
            )

        return await self._mapped(wait)

    async def _mapped(self, work: Callable[[BaseSource], Awaitable[_T]]) -> _T:
        try:
            async with self.source() as source:
                return await work(source)
        except JobsError as error:
            raise self._failure([error]) from None

    def _check(self, outcomes: Sequence[Outcome]) -> None:
        if any(failure_of(outcome) is not None for outcome in outcomes):
            raise self._failure(outcomes)

    def _failure(self, outcomes: Sequence[Outcome]) -> dg.Failure:
        return failure(outcomes, retryable=_current_step() not in self._writers)

    def _is_terminated(self) -> bool:
        """Whether somebody ended the run: a process that is stopped or replaced interrupts it too."""
        context = self._context
        if context is None or context.run is None or context.instance is None:
            return False
        run = context.instance.get_run_by_id(context.run.run_id)
        return run is not None and run.status is dg.DagsterRunStatus.CANCELING


async def _end_tasks() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await close_shared()


def _current_step() -> str | None:
    try:
        return str(dg.OpExecutionContext.get().op_handle)
    except dg.DagsterInvariantViolationError:
        return None  # called as a function, in a test


def _log(what: object) -> None:
    dg.get_dagster_logger().info(str(what))
