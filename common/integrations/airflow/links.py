"""The operator link: a button in Airflow's web interface that leads to the job on its system."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


@attrs.define
class JobLink(BaseOperatorLink):
    """Leads to the first job of a task, once the task has ended."""

    name: str = "Job"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the job's URL, "" where the task has none."""
        del ti_key
        return str(getattr(operator, "job_url", ""))
