"""DAGs of one task each; ``dag.test(run_conf={"job": …})`` says which job."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, BaseOperator

from ontapjobs.airflow import StartJobOperator, WaitForJobOperator, WaitForJobSensor

JOB = "{{ dag_run.conf['job'] }}"
NOTHING: Any = 7
RETRIES: dict[str, Any] = {"retries": 1, "retry_delay": timedelta(0)}


def dag(name: str, kind: type[BaseOperator], **arguments: Any) -> DAG:
    """Return a DAG with one task."""
    with DAG(name, schedule=None, default_args=RETRIES) as made:
        kind(task_id="task", **arguments)
    return made


wait_in_worker = dag("wait_in_worker", WaitForJobOperator, job=JOB, deferrable=False)
wait_deferred = dag("wait_deferred", WaitForJobOperator, job=JOB, deferrable=True)
wait_one_second = dag("wait_one_second", WaitForJobOperator, job=JOB, deferrable=False, timeout=1)
wait_one_second_deferred = dag(
    "wait_one_second_deferred", WaitForJobOperator, job=JOB, deferrable=True, timeout=timedelta(seconds=1)
)
wait_elsewhere = dag("wait_elsewhere", WaitForJobOperator, job=JOB, deferrable=True, ontap_conn_id="nowhere")
wait_in_worker_too_long = dag(
    "wait_in_worker_too_long",
    WaitForJobOperator,
    job=JOB,
    deferrable=False,
    cancel_on_kill=True,
    execution_timeout=timedelta(seconds=2),
)
sense = dag("sense", WaitForJobSensor, job=JOB, poke_interval=0.2, deferrable=False)
sense_rescheduled = dag(
    "sense_rescheduled", WaitForJobSensor, job=JOB, poke_interval=0.5, mode="reschedule", deferrable=False
)
sense_one_second = dag(
    "sense_one_second", WaitForJobSensor, job=JOB, poke_interval=0.2, timeout=1, deferrable=False
)
sense_and_skip = dag(
    "sense_and_skip", WaitForJobSensor, job=JOB, poke_interval=0.2, soft_fail=True, deferrable=False
)
sense_deferred = dag("sense_deferred", WaitForJobSensor, job=JOB, timeout=30, deferrable=True)
sense_one_second_deferred = dag(
    "sense_one_second_deferred", WaitForJobSensor, job=JOB, timeout=1, deferrable=True
)
VOLUME: dict[str, Any] = {
    "method": "POST",
    "path": "/api/storage/volumes",
    "body": {"name": "{{ dag_run.conf['name'] }}"},
}
start = dag("start", StartJobOperator, **VOLUME, deferrable=False)
start_deferred = dag("start_deferred", StartJobOperator, **VOLUME, deferrable=True)
start_only = dag("start_only", StartJobOperator, **VOLUME, wait=False)
start_two_seconds = dag("start_two_seconds", StartJobOperator, **VOLUME, deferrable=False, timeout=2)

with DAG("wait_for_outcome", schedule=None) as wait_for_outcome:
    ended = StartJobOperator(task_id="start", **VOLUME)
    WaitForJobOperator(task_id="task", job=ended.output, deferrable=False)

with DAG("wait_for_outcome_deferred", schedule=None) as wait_for_outcome_deferred:
    ended = StartJobOperator(task_id="start", **VOLUME)
    WaitForJobOperator(task_id="task", job=ended.output, deferrable=True)

wait_for_nothing = dag("wait_for_nothing", WaitForJobOperator, job=NOTHING, deferrable=False)
wait_for_nothing_deferred = dag("wait_for_nothing_deferred", WaitForJobOperator, job=NOTHING, deferrable=True)
sense_nothing = dag("sense_nothing", WaitForJobSensor, job=NOTHING, deferrable=False)

with DAG("start_then_wait", schedule=None) as start_then_wait:
    started = StartJobOperator(task_id="start", **VOLUME, wait=False)
    WaitForJobOperator(task_id="task", job=started.output, deferrable=True)
