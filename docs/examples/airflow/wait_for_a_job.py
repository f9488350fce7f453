"""Wait for a job that something else has started, and that the run's conf names."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from common import Job, from_dict
from ontapjobs.airflow import WaitForJobOperator

with DAG("wait_for_a_job", schedule=None) as dag:
    wait = WaitForJobOperator(
        task_id="wait",
        job="{{ dag_run.conf['job'] }}",  # a ref, ontap://cluster1/b5145e1d-…, or the id alone
        timeout=3600,
        deferrable=True,
    )

    @task
    def report(outcome: Any) -> str:
        """Return how the job ended."""
        job: Job = from_dict(outcome)
        return f"{job.operation}: {job.state}"

    report(wait.output)
