"""Start a job with a write, and wait for it. Marking the task failed cancels the job."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from ontapjobs.airflow import StartJobOperator

with DAG("make_a_volume", schedule=None) as dag:
    StartJobOperator(
        task_id="make",
        method="POST",
        path="/api/storage/volumes",
        body={
            "name": "{{ dag_run.conf['name'] }}",
            "svm": {"name": "vs1"},
            "aggregates": [{"name": "aggr1"}],
        },
        timeout=timedelta(hours=1),
        deferrable=True,
        retries=3,  # a retry waits for the job of the first try: no second volume
    )
