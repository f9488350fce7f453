"""DAGs for real processes; the run's ``conf`` names the jobs."""

from __future__ import annotations

from airflow.sdk import DAG

from ontapjobs.airflow import WaitForJobOperator, WaitForJobSensor

JOB = "{{ dag_run.conf['job'] }}"

with DAG("fifty", schedule=None, max_active_tasks=50) as fifty:
    for number in range(50):
        job = f"{{{{ dag_run.conf['jobs'][{number}] }}}}"
        WaitForJobOperator(task_id=f"task{number}", job=job, start_from_trigger=True)

with DAG("deferred", schedule=None) as deferred:
    WaitForJobOperator(task_id="task", job=JOB, deferrable=True, cancel_on_kill=True)

with DAG("deferred_and_left", schedule=None) as deferred_and_left:
    WaitForJobOperator(task_id="task", job=JOB, deferrable=True)

with DAG("in_worker", schedule=None) as in_worker:
    WaitForJobOperator(task_id="task", job=JOB, deferrable=False, cancel_on_kill=True)

with DAG("in_worker_and_left", schedule=None) as in_worker_and_left:
    WaitForJobOperator(task_id="task", job=JOB, deferrable=False)

with DAG("rescheduled", schedule=None) as rescheduled:
    WaitForJobSensor(task_id="task", job=JOB, mode="reschedule", poke_interval=5)
