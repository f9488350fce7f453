"""What operators and sensors share: how a worker runs a wait, what a kill does to it, how a task ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from common.hosts.portal import portal
from common.integrations.airflow.jobs import JobArgument, is_list, named_jobs
from common.integrations.airflow.on_kill import ended_by_person
from common.integrations.airflow.trigger import JobTrigger
from common.integrations.airflow.waiting import cancel_jobs, wait_for
from common.integrations.outcomes import failures_of
from common.model.errors import JobsError, UsageError
from common.model.serialize import from_dict, to_dict
from common.sources.batch_look import Outcome

if TYPE_CHECKING:
    from airflow.sdk import Context

    from common.integrations.systems import System

Seconds = float | timedelta
Work = Callable[[Any], Awaitable[Any]]
"""An async function of the source."""


class JobTask:
    """A task that waits for jobs of one system: in its worker, or deferred to a `JobTrigger`."""

    trigger_class: ClassVar[type[JobTrigger]]
    """The provider's own."""
    log: Any
    defer: Any
    execution_timeout: timedelta | None
    job: JobArgument = ""
    conn_id: str
    cancel_on_kill: bool
    job_url: str = ""
    """Where the first job is, once the task has ended: for the link."""
    _waiting: Future[Any] | None = None
    _killed: bool = False

    def system(self) -> System:
        """Return the system of the connection. Raise `UsageError`."""
        return self.trigger_class.hook_class(self.conn_id).system()

    def wait_deferred(self, context: Context, job: JobArgument, *, deadline: datetime | None) -> Any:
        """Let a trigger wait in this task's place: `execute_complete` goes on."""
        try:
            jobs = named_jobs(job)
        except UsageError as error:
            return self.finish(context, [error])
        trigger = self.trigger_class(
            job=jobs if is_list(job) else jobs[0],
            conn_id=self.conn_id,
            deadline=None if deadline is None else deadline.isoformat(),
            cancel_on_kill=self.cancel_on_kill,
        )
        # Airflow itself keeps to the limit of a task only while it runs.
        limit = self.execution_timeout
        return self.defer(trigger=trigger, method_name="execute_complete", timeout=limit)

    def wait_in_worker(self, context: Context, job: JobArgument, *, deadline: datetime | None) -> Any:
        """Wait here, as a trigger would, and `finish`."""
        jobs: list[str] = []
        try:
            jobs = named_jobs(job)
            outcomes = self.run(partial(wait_for, jobs=jobs, deadline=deadline, log=self.log.info))
        except CancelledError:
            self._cancel_if_ended(context, jobs)
            raise AirflowException("the task was killed while it waited for its jobs") from None
        except JobsError as error:
            outcomes = [error]
        return self.finish(context, outcomes)

    def run(self, work: Work, *, killable: bool = True) -> Any:
        """Run a coroutine on the system's source, in the loop of a thread.

        A kill, which arrives in this thread, cancels it.
        """
        system = self.system()
        with portal() as loop:
            running = loop.start(_with_source, system, work)
            try:
                if killable:
                    self._waiting = running
                    if self._killed:  # before there was anything to cancel
                        running.cancel()
                return running.result()
            finally:
                self._waiting = None
                running.cancel()

    def on_kill(self) -> None:
        """End the wait. This runs in a signal handler: what there is to ask is asked by `wait_in_worker`."""
        self._killed = True
        if self._waiting is not None:
            self._waiting.cancel()

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> Any:
        """Go on from the trigger's event: return the outcome, or raise for jobs that did not succeed."""
        return self.finish(context, [from_dict(each) for each in event["outcomes"]])

    def finish(self, context: Context, outcomes: Sequence[Outcome]) -> Any:
        """Return the outcomes as XCom: the job's as plain data, or a list of them for a list of jobs.

        Where jobs did not succeed, the same is pushed as ``return_value``, and the task fails: without
        another try where that would end in the same way.
        """
        data = [to_dict(outcome) for outcome in outcomes]
        value = data if len(data) != 1 or is_list(self.job) else data[0]
        self.job_url = self.trigger_class.hook_class.first_url(outcomes)
        text, retryable = failures_of(outcomes)
        if text:
            context["ti"].xcom_push(key="return_value", value=value)
            fail(text, retry=retryable and self.may_try_again(context))
        return value

    def may_try_again(self, context: Context) -> bool:
        """Return whether another try does no harm."""
        del context
        return True

    def fail_for(self, error: JobsError) -> NoReturn:
        """Fail the task for an error that is about no job."""
        fail(*failures_of([error]))

    def _cancel_if_ended(self, context: Context, jobs: Sequence[str]) -> None:
        if not self.cancel_on_kill:
            return
        try:
            if ended_by_person(context["ti"]):
                self.run(partial(cancel_jobs, jobs=jobs, log=self.log.info), killable=False)
        except Exception:  # whatever it is: it is not known that a person ended the task
            self.log.exception("the jobs of a killed task are left alone")


def seconds(timeout: Seconds | None) -> float | None:
    """Return a timeout in seconds, which may be given as a ``timedelta``."""
    return timeout.total_seconds() if isinstance(timeout, timedelta) else timeout


def deadline_in(timeout: float | None) -> datetime | None:
    """Return the moment that is so many seconds from now: what is stored must not begin anew elsewhere."""
    return None if timeout is None else datetime.now(UTC) + timedelta(seconds=timeout)


def fail(text: str, retry: bool) -> NoReturn:
    """Fail the task, with further tries or without."""
    raise (AirflowException if retry else AirflowFailException)(text)


async def _with_source(system: System, work: Work) -> Any:
    async with system.source() as source:
        return await work(source)
