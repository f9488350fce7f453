"""The operators: one waits for jobs that something else has started, one starts jobs and waits for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import conf
from airflow.sdk import BaseOperator
from airflow.triggers.base import StartTriggerArgs

from common.integrations.airflow.jobs import JobArgument
from common.integrations.airflow.links import JobLink
from common.integrations.airflow.task import JobTask, Seconds, deadline_in, seconds
from common.integrations.outcomes import is_settled
from common.integrations.writes import start_jobs
from common.model.errors import JobsError
from common.sources.base import BaseSource
from common.sources.batch_look import Outcome

if TYPE_CHECKING:
    from airflow.sdk import Context

STARTED = "started_jobs"
"""The key under which the refs of started jobs are kept for the next try (Airflow 3.3)."""


class WaitForJobOperator(JobTask, BaseOperator):
    """Wait until a job has ended. The XCom is its outcome, as `from_dict` reads it.

    ``job`` is a ref, an id, the XCom of a task that waited for a job, or a list of them; for a list, also of
    one, the XCom is a list. ``timeout`` is in seconds, or a ``timedelta``, from when the try begins.
    ``deferrable`` frees the worker; its default is Airflow's ``[operators] default_deferrable``.
    ``cancel_on_kill`` asks the server to cancel the job if a person ends the task. With
    ``start_from_trigger`` (Airflow 3.3) the task needs no worker at all, unless its job fails; ``job`` must
    then be text or a template without XComs, and ``execution_timeout`` takes the place of ``timeout``.
    """

    template_fields: Sequence[str] = ("job", "conn_id")
    operator_extra_links = (JobLink(),)

    def __init__(
        self,
        *,
        job: JobArgument,
        conn_id: str,
        timeout: Seconds | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        cancel_on_kill: bool = False,
        start_from_trigger: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.job = job
        self.conn_id = conn_id
        self.timeout = seconds(timeout)
        self.deferrable = deferrable
        self.cancel_on_kill = cancel_on_kill
        self.start_from_trigger = start_from_trigger
        if start_from_trigger:
            if timeout is not None:
                raise ValueError("start_from_trigger=True does not support timeout=: pass execution_timeout=")
            jobs = job if isinstance(job, list) else [str(job)]
            if any("xcom_pull" in str(each) for each in jobs):
                # The triggerer of Airflow 3.3.2 would block, with all of its triggers, while it renders one.
                raise ValueError(
                    "start_from_trigger=True cannot read the XCom of another task: pass deferrable=True"
                )
            self.start_trigger_args = StartTriggerArgs(
                trigger_cls=self.trigger_class.classpath(),
                trigger_kwargs={
                    "job": jobs if isinstance(job, list) else jobs[0],
                    "conn_id": conn_id,
                    "cancel_on_kill": cancel_on_kill,
                    "end_task": True,
                },
                next_method="execute_complete",
            )

    def execute(self, context: Context) -> Any:
        """Wait here, or defer the task."""
        deadline = deadline_in(self.timeout)
        if self.deferrable or self.start_from_trigger:
            return self.wait_deferred(context, self.job, deadline=deadline)
        return self.wait_in_worker(context, self.job, deadline=deadline)


class StartJobOperator(JobTask, BaseOperator):
    """Send a write, and wait until the jobs that it started have ended.

    ``method``, ``path`` and ``body`` (JSON) are those of ``source.start``. The XCom is the jobs' outcome: one
    as plain data, or a list; with ``wait=False`` it is the list of their refs, for a `WaitForJobOperator`.
    ``cancel_on_kill`` is True here: who ends the task also ends what it started, where the system can.

    A write is never sent twice. From Airflow 3.3 on, the next try of a task that has sent its write waits for
    the jobs of that one, until they have ended; before, whatever goes wrong after the write fails the task
    without another try. A reply to the write that was lost always does.
    """

    template_fields: Sequence[str] = ("method", "path", "body", "conn_id")
    template_fields_renderers: ClassVar[dict[str, str]] = {"body": "json"}
    operator_extra_links = (JobLink(),)

    def __init__(
        self,
        *,
        method: str,
        path: str,
        body: Any = None,
        conn_id: str,
        wait: bool = True,
        timeout: Seconds | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        cancel_on_kill: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.method = method
        self.path = path
        self.body = body
        self.conn_id = conn_id
        self.wait = wait
        self.timeout = seconds(timeout)
        self.deferrable = deferrable
        self.cancel_on_kill = cancel_on_kill

    def execute(self, context: Context) -> Any:
        """Send the write, unless an earlier try did; then wait here, or defer the task."""
        store = context.get("task_state_store")
        refs: Any = store.get(STARTED) if store is not None else None
        if refs is None:
            refs = self._start()
            if store is not None and refs and self.wait:
                store.set(STARTED, refs)
        if not self.wait or not refs:
            return refs
        deadline = deadline_in(self.timeout)
        if self.deferrable:
            return self.wait_deferred(context, refs, deadline=deadline)
        return self.wait_in_worker(context, refs, deadline=deadline)

    def finish(self, context: Context, outcomes: Sequence[Outcome]) -> Any:
        """Forget the jobs once they have ended, so that a task that is cleared starts others."""
        store = context.get("task_state_store")
        if store is not None and all(map(is_settled, outcomes)):
            store.delete(STARTED)
        return super().finish(context, outcomes)

    def may_try_again(self, context: Context) -> bool:
        """Return whether the next try knows the jobs of this one, and sends no second write."""
        return "task_state_store" in context

    def _start(self) -> list[str]:
        try:
            refs: list[str] = self.run(self._send, killable=False)
        except JobsError as error:
            self.fail_for(error)
        return refs

    async def _send(self, source: BaseSource) -> list[str]:
        return await start_jobs(source, self.method, self.path, self.body, warn=self.log.warning)
