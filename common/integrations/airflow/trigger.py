"""The trigger: a wait that is parked in the triggerer, where all waits of one system share one source."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, ClassVar

from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

from common.integrations.airflow.hook import JobsHook
from common.integrations.airflow.jobs import is_list, named_jobs
from common.integrations.airflow.links import JobLink
from common.integrations.airflow.on_kill import ended_by_person, outlive
from common.integrations.airflow.waiting import cancel_jobs, wait_for
from common.integrations.outcomes import failures_of
from common.integrations.systems import start_together
from common.model.errors import JobsError
from common.model.serialize import to_dict
from common.sources.batch_look import Outcome


class JobTrigger(BaseTrigger):
    """Wait until jobs have ended, and fire one event with their outcomes as plain data, whatever happens.

    ``job`` is a job's ref or id, or a list of them; ``deadline`` a moment in ISO 8601, with its offset, or
    None; with ``cancel_on_kill`` the jobs are cancelled if a person ends the deferred task (Airflow 3.3);
    with ``end_task`` the task of jobs that all succeeded ends here, and needs no worker. Nothing of this is
    secret.
    """

    hook_class: ClassVar[type[JobsHook]]

    def __init__(
        self,
        *,
        job: str | Sequence[str],
        conn_id: str,
        deadline: str | None = None,
        cancel_on_kill: bool = False,
        end_task: bool = False,
    ) -> None:
        super().__init__()
        self.job = job
        self.conn_id = conn_id
        self.deadline = deadline
        self.cancel_on_kill = cancel_on_kill
        self.end_task = end_task

    @classmethod
    def classpath(cls) -> str:
        """Return the path by which Airflow's database names the class, which is in a provider's package."""
        return f"{cls.__module__}.{cls.__qualname__}"

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what Airflow stores."""
        return self.classpath(), {
            "job": self.job,
            "conn_id": self.conn_id,
            "deadline": self.deadline,
            "cancel_on_kill": self.cancel_on_kill,
            "end_task": self.end_task,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield the one event. The task's log gets each change."""
        outcomes = await self._outcomes()
        data = [to_dict(outcome) for outcome in outcomes]
        if self.end_task and not failures_of(outcomes)[0]:
            value: Any = data if is_list(self.job) else data[0]
            link = self.hook_class.first_url(outcomes)
            yield TaskSuccessEvent(xcoms={"return_value": value, JobLink().xcom_key: link})
        else:
            yield TriggerEvent({"outcomes": data})

    async def on_kill(self) -> None:
        """Cancel the jobs if that was asked for, and if it was a person who ended the task."""
        if self.cancel_on_kill:
            await outlive(self._cancel())

    async def _outcomes(self) -> list[Outcome]:
        try:
            deadline = datetime.fromisoformat(self.deadline) if self.deadline else None
            async with self.hook_class(self.conn_id).source() as source:
                await start_together()
                return await wait_for(source, named_jobs(self.job), deadline=deadline, log=self.log.info)
        except JobsError as error:
            return [error]
        except Exception as error:  # else the task would only be told that its trigger failed
            self.log.exception("the wait failed")
            return [JobsError(f"{type(error).__name__}: {error}")]

    async def _cancel(self) -> None:
        ti = self.task_instance
        try:
            if ti is None or not await asyncio.to_thread(ended_by_person, ti):
                self.log.info("no person ended the task: its jobs keep running")
                return
            async with self.hook_class(self.conn_id).source() as source:
                await cancel_jobs(source, named_jobs(self.job), log=self.log.info)
        except Exception:  # whatever it is: it is not known that a person ended the task
            self.log.exception("the jobs of a killed task are left alone")
