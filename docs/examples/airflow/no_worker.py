"""Wait for many jobs without a worker: the scheduler hands each task to the triggerer (Airflow 3.3)."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from ontapjobs.airflow import WaitForJobOperator

with DAG("no_worker", schedule=None, max_active_tasks=50) as dag:
    for number in range(3):
        WaitForJobOperator(
            task_id=f"wait{number}",
            job=f"{{{{ dag_run.conf['jobs'][{number}] }}}}",
            start_from_trigger=True,
            execution_timeout=timedelta(hours=1),
        )
