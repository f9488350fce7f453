"""Crashes, restarts and people, on real processes: what waits goes on, and only people cancel jobs."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from common import wait_all
from common.simulator.script import Script
from common.testing import run as virtual
from ontapjobs import OntapJobs
from ontapjobs.simulator import OntapSimulator
from tests.integrations.airflow_e2e.deployment import Deployment, until

LASTS: Script = [("running", None)]


def lasting(seconds: float) -> Script:
    return [("running", seconds), ("success", None)]


@pytest.fixture(autouse=True)
def fresh(ontap: OntapSimulator) -> Iterator[None]:
    """Let each test begin with an empty journal, and end with jobs of its own alone."""
    yield
    ontap.reset()


def writes(ontap: OntapSimulator) -> list[str]:
    return [request.method for request in ontap.journal if request.method != "GET"]


def reads(ontap: OntapSimulator) -> tuple[int, int]:
    """Return how many lists and how many single jobs were asked for."""
    lists = sum(ontap.is_list(request) for request in ontap.journal)
    return lists, len(ontap.journal) - lists


def reads_of_one_wait(seconds: float) -> int:
    """Return how many requests one wait for fifty such jobs takes, on a loop in virtual time."""
    simulator = OntapSimulator(journal_limit=None)

    async def wait() -> None:
        async with OntapJobs("cluster1", auth=("admin", "x"), transport=simulator.transport()) as source:
            await wait_all(source, [simulator.add_job(lasting(seconds)) for _ in range(50)])

    virtual(wait)
    return len(simulator.journal)


def is_polled(ontap: OntapSimulator) -> bool:
    return bool(ontap.journal)


def test_fifty_tasks_share_the_requests_of_one_wait(airflow: Deployment, ontap: OntapSimulator) -> None:
    run = airflow.run("fifty", jobs=[ontap.add_job(lasting(40)) for _ in range(50)])
    run.wait_for("success")
    lists, singles = reads(ontap)
    assert lists <= 1.5 * reads_of_one_wait(40)
    assert singles <= 5
    assert writes(ontap) == []


def test_fifty_tasks_survive_a_triggerer_that_is_killed(airflow: Deployment, ontap: OntapSimulator) -> None:
    run = airflow.run("fifty", jobs=[ontap.add_job(lasting(60)) for _ in range(50)])
    until(lambda: is_polled(ontap), seconds=120)
    airflow.kill("triggerer")
    time.sleep(2)
    airflow.start("triggerer")
    run.wait_for("success", seconds=300)
    assert writes(ontap) == []


def test_a_person_who_fails_a_task_cancels_its_job_by_choice(
    airflow: Deployment, ontap: OntapSimulator
) -> None:
    """With a deferred task, and with one that waits in its worker: all four at the same time."""
    dags = ("deferred", "deferred_and_left", "in_worker", "in_worker_and_left")
    jobs = {dag: ontap.add_job(LASTS) for dag in dags}
    runs = [airflow.run(dag, job=job) for dag, job in jobs.items()]

    def asked_about(job: str) -> bool:
        return any(job in request.path or job in request.raw_query for request in ontap.journal)

    until(lambda: all(map(asked_about, jobs.values())), seconds=180)
    for run in runs:
        run.mark("failed")
    until(lambda: len(writes(ontap)) >= 2, seconds=60)
    time.sleep(5)  # in which nothing more is written
    cancelled = [request.path.rpartition("/")[2] for request in ontap.journal if request.method == "PATCH"]
    assert sorted(cancelled) == sorted([jobs["deferred"], jobs["in_worker"]])
    assert writes(ontap) == ["PATCH"] * 2


def test_a_sensor_that_a_person_fails_between_two_looks_looks_no_more(
    airflow: Deployment, ontap: OntapSimulator
) -> None:
    run = airflow.run("rescheduled", job=ontap.add_job(LASTS))
    until(lambda: is_polled(ontap) and run.states() == {"up_for_reschedule"}, seconds=180)
    run.mark("failed")
    looks = len(ontap.journal)
    time.sleep(15)  # three times its interval
    assert len(ontap.journal) == looks
    assert run.states() == {"failed"}
    assert writes(ontap) == []


def test_a_cleared_task_waits_for_the_same_job_again(airflow: Deployment, ontap: OntapSimulator) -> None:
    run = airflow.run("deferred", job=ontap.add_job(lasting(45)))
    run.wait_for("deferred")
    until(lambda: is_polled(ontap), seconds=60)
    run.clear()
    run.wait_for("success")
    assert [task["try_number"] for task in run.tasks] == [2]
    assert writes(ontap) == []


def test_triggers_that_move_to_another_triggerer_cancel_nothing(
    airflow: Deployment, ontap: OntapSimulator
) -> None:
    run = airflow.run("deferred", job=ontap.add_job(lasting(60)))
    run.wait_for("deferred")
    until(lambda: is_polled(ontap), seconds=60)
    airflow.signal("triggerer", signal.SIGSTOP)
    airflow.start("second triggerer")
    asked = len(ontap.journal)
    until(lambda: len(ontap.journal) > asked, seconds=120)
    airflow.signal("triggerer", signal.SIGCONT)
    run.wait_for("success")
    airflow.kill("second triggerer")
    assert writes(ontap) == []
