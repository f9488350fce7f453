"""Each way through the operators and the sensor, by ``dag.test()``: triggers run in this process."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import Any

import attrs
import pytest
from airflow.models.xcom import XComModel
from airflow.sdk import DAG
from airflow.utils.session import create_session
from packaging.version import Version

from common import JobNotFound, JobState, UsageError, WaitTimeout, from_dict
from common.simulator import NewJob, faults
from common.simulator.script import Script
from ontapjobs.simulator import OntapSimulator
from tests.integrations.airflow.dags import paths

# dag.test() ends a trigger's loop at once: asyncio then reports the connection that its source keeps idle.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

KEEPS_STATE = Version(version("apache-airflow-core")) >= Version("3.3")
ENDS: Script = [("queued", 0.2), ("running", 0.5), ("success", None)]
FAILS: Script = [("running", 0.3), ("failure", None, {"message": "no space left", "code": 7})]
LASTS: Script = [("running", None)]


@attrs.frozen
class Ended:
    """How the last task of a run ended."""

    state: str
    tries: int
    xcom: Any

    @property
    def outcome(self) -> Any:
        """The stored outcome as an object."""
        return from_dict(self.xcom)


def run(dag: DAG, **conf: str) -> Ended:
    """Run a DAG to its end, and return how its task ended."""
    dag_run = dag.test(run_conf=conf)
    (ti,) = [each for each in dag_run.get_task_instances() if each.task_id == "task"]
    with create_session() as session:
        query = XComModel.get_many(
            run_id=dag_run.run_id, key="return_value", task_ids="task", dag_ids=dag.dag_id
        )
        rows = [
            XComModel.deserialize_value(row)
            for row in session.execute(query.with_only_columns(XComModel)).scalars()
        ]
    return Ended(str(ti.state), ti.try_number, rows[0] if rows else None)


def writes(ontap: OntapSimulator) -> list[str]:
    return [request.method for request in ontap.journal if request.method != "GET"]


def by_id(*dags: DAG) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("dag", dags, ids=lambda dag: dag.dag_id)


@by_id(paths.wait_in_worker, paths.wait_deferred, paths.sense, paths.sense_rescheduled, paths.sense_deferred)
def test_a_job_that_succeeds_is_the_xcom(dag: DAG, ontap: OntapSimulator) -> None:
    ended = run(dag, job=ontap.add_job(ENDS))
    assert (ended.state, ended.tries) == ("success", 1)
    assert ended.outcome.state is JobState.SUCCEEDED
    assert writes(ontap) == []


@by_id(paths.wait_in_worker, paths.wait_deferred, paths.sense, paths.sense_deferred)
def test_a_job_that_fails_fails_the_task_at_once_and_is_the_xcom(dag: DAG, ontap: OntapSimulator) -> None:
    ended = run(dag, job=ontap.add_job(FAILS))
    assert (ended.state, ended.tries) == ("failed", 1)
    assert ended.outcome.errors[0].message == "no space left"


@by_id(paths.wait_in_worker, paths.wait_deferred)
def test_a_job_that_never_was_fails_the_task_at_once(dag: DAG, ontap: OntapSimulator) -> None:
    ended = run(dag, job=ontap.new_id())
    assert (ended.state, ended.tries) == ("failed", 1)
    assert isinstance(ended.outcome, JobNotFound)


@by_id(paths.wait_one_second, paths.wait_one_second_deferred)
def test_a_deadline_fails_the_try_and_the_next_one_waits_again(dag: DAG, ontap: OntapSimulator) -> None:
    ended = run(dag, job=ontap.add_job(LASTS))
    assert (ended.state, ended.tries) == ("failed", 2)
    assert isinstance(ended.outcome, WaitTimeout)
    assert writes(ontap) == []


def test_airflows_own_time_limit_ends_the_wait_and_leaves_the_job(ontap: OntapSimulator) -> None:
    ended = run(paths.wait_in_worker_too_long, job=ontap.add_job(LASTS))
    assert ended.state == "failed"
    assert writes(ontap) == []


def test_an_unknown_connection_fails_the_task_at_once(ontap: OntapSimulator) -> None:
    ended = run(paths.wait_elsewhere, job=ontap.add_job(ENDS))
    assert (ended.state, ended.tries) == ("failed", 1)
    assert isinstance(ended.outcome, UsageError)
    assert "nowhere" in str(ended.outcome)


@by_id(paths.sense_one_second, paths.sense_one_second_deferred)
def test_a_sensor_times_out(dag: DAG, ontap: OntapSimulator) -> None:
    assert run(dag, job=ontap.add_job(LASTS)).state == "failed"


def test_a_sensor_may_skip_what_fails(ontap: OntapSimulator) -> None:
    assert run(paths.sense_and_skip, job=ontap.add_job(FAILS)).state == "skipped"


@by_id(paths.start, paths.start_deferred)
def test_a_write_is_sent_once_and_its_job_is_the_xcom(dag: DAG, ontap: OntapSimulator) -> None:
    ontap.on_write = NewJob(ENDS)
    ended = run(dag, name="vol1")
    assert (ended.state, ended.tries) == ("success", 1)
    assert ended.outcome.state is JobState.SUCCEEDED
    assert writes(ontap) == ["POST"]
    (write,) = [request for request in ontap.journal if request.method == "POST"]
    assert json.loads(write.body) == {"name": "vol1"}


def test_no_try_sends_a_write_again_that_was_sent(ontap: OntapSimulator) -> None:
    """The next one waits for its job; before Airflow 3.3 there is none."""
    ontap.on_write = NewJob([("running", 2.5), ("success", None)])
    ended = run(paths.start_two_seconds, name="vol1")
    assert (ended.state, ended.tries) == (("success", 2) if KEEPS_STATE else ("failed", 1))
    assert writes(ontap) == ["POST"]


def test_started_jobs_can_be_waited_for_by_another_task(ontap: OntapSimulator) -> None:
    ontap.on_write = NewJob(ENDS)
    ended = run(paths.start_then_wait, name="vol1")
    assert ended.state == "success"
    assert [from_dict(each).state for each in ended.xcom] == [JobState.SUCCEEDED]
    assert writes(ontap) == ["POST"]


@by_id(paths.wait_for_outcome, paths.wait_for_outcome_deferred)
def test_the_xcom_of_a_task_that_waited_names_its_job(dag: DAG, ontap: OntapSimulator) -> None:
    ontap.on_write = NewJob(ENDS)
    ended = run(dag, name="vol1")
    assert ended.state == "success"
    assert ended.outcome.ref.id in ontap.jobs


@by_id(paths.wait_for_nothing, paths.wait_for_nothing_deferred, paths.sense_nothing)
def test_what_is_no_job_fails_the_task_at_once(dag: DAG, ontap: OntapSimulator) -> None:
    ended = run(dag)
    assert (ended.state, ended.tries) == ("failed", 1)
    assert "not int" in str(from_dict(ended.xcom[0]))
    assert ontap.journal == []


def test_a_write_that_is_refused_fails_the_task(ontap: OntapSimulator) -> None:
    ontap.inject("POST *", faults.Status(400), times=None)
    ended = run(paths.start, name="vol1")
    assert ended.state == "failed"
