"""The sensor: a task that looks at jobs from time to time, or waits in the triggerer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowSensorTimeout, conf
from airflow.sdk import BaseSensorOperator, PokeReturnValue

from common.integrations.airflow.jobs import JobArgument, named_jobs
from common.integrations.airflow.links import JobLink
from common.integrations.airflow.task import JobTask, deadline_in
from common.integrations.airflow.waiting import look_at
from common.integrations.outcomes import is_settled
from common.model.errors import JobsError, SourceError, WaitTimeout
from common.sources.batch_look import Outcome

if TYPE_CHECKING:
    from airflow.sdk import Context


class WaitForJobSensor(JobTask, BaseSensorOperator):
    """Succeed once a job has, as a sensor: ``mode="poke"``, ``mode="reschedule"`` or ``deferrable=True``.

    ``job`` is that of `WaitForJobOperator`. ``poke_interval``, ``timeout``, ``soft_fail`` and so on are
    those of every sensor. The XCom is the job's outcome. A sensor never cancels a job.
    """

    template_fields: Sequence[str] = ("job", "conn_id")
    operator_extra_links = (JobLink(),)
    cancel_on_kill = False

    def __init__(
        self,
        *,
        job: JobArgument,
        conn_id: str,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.job = job
        self.conn_id = conn_id
        self.deferrable = deferrable

    def execute(self, context: Context) -> Any:
        """Poke until the job has ended, or defer the task."""
        if self.deferrable:
            return self.wait_deferred(context, self.job, deadline=deadline_in(self.timeout))
        return super().execute(context)

    def poke(self, context: Context) -> PokeReturnValue:
        """Look at the jobs once, in one request if the system can. A transient failure ends nothing."""
        try:
            outcomes = self.run(partial(look_at, jobs=named_jobs(self.job)))
        except JobsError as error:
            outcomes = [error]
        for outcome in outcomes:
            self.log.info(str(outcome))
        if all(map(_is_end, outcomes)):
            return PokeReturnValue(True, self.finish(context, outcomes))
        return PokeReturnValue(False)

    def finish(self, context: Context, outcomes: Sequence[Outcome]) -> Any:
        """Return the outcome, or raise as an operator does; a deadline is a sensor's timeout."""
        for outcome in outcomes:
            if isinstance(outcome, WaitTimeout):
                raise AirflowSensorTimeout(str(outcome))
        return super().finish(context, outcomes)


def _is_end(outcome: Outcome) -> bool:
    if is_settled(outcome):
        return True
    passing = isinstance(outcome, WaitTimeout) or (isinstance(outcome, SourceError) and outcome.transient)
    return isinstance(outcome, JobsError) and not passing
