"""The triggers by themselves: what they fire, what a kill does, and that they share their requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from airflow.sdk import DAG
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from airflow.triggers.base import TaskSuccessEvent, TriggerEvent

from common import Job, UsageError, close_shared, from_dict
from common.integrations.airflow.links import JobLink
from common.simulator.script import Script
from ontapjobs.airflow import (
    JobsEndedTrigger,
    JobTrigger,
    StartJobOperator,
    WaitForJobOperator,
    WaitForJobSensor,
)
from ontapjobs.simulator import OntapSimulator

ENDS: Script = [("running", 1), ("success", None)]
LASTS: Script = [("running", None)]


async def first(events: AsyncIterator[TriggerEvent]) -> TriggerEvent:
    """Return the first event, and leave nothing open."""
    try:
        return await asyncio.wait_for(anext(events), 10)
    finally:
        await close_shared()


def requests(ontap: OntapSimulator, method: str) -> int:
    return sum(request.method == method for request in ontap.journal)


@pytest.fixture
def task_state(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the API server says of a task; ``{}`` makes it an error."""
    states: dict[str, Any] = {}

    def get_task_states(dag_id: str, task_ids: list[str], run_ids: list[str]) -> dict[str, Any]:
        assert (dag_id, task_ids, run_ids) == ("dag", ["task"], ["run"])
        if not states:
            raise RuntimeError("the API server does not answer")
        return {"run": states}

    monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", staticmethod(get_task_states))
    return states


def killed(job: str, *, map_index: int = -1, cancel_on_kill: bool = True) -> JobTrigger:
    """Return the trigger of a deferred task that is killed."""
    trigger = JobTrigger(job=job, conn_id="ontap_default", cancel_on_kill=cancel_on_kill)
    ti: Any = SimpleNamespace(dag_id="dag", task_id="task", run_id="run", map_index=map_index, task=None)
    trigger.task_instance = ti
    return trigger


async def kill(trigger: JobTrigger) -> None:
    try:
        await trigger.on_kill()
    finally:
        await close_shared()


def test_what_is_stored_makes_the_same_trigger_again() -> None:
    stored: dict[str, Any] = {
        "job": ["1", "2"],
        "conn_id": "one",
        "deadline": None,
        "cancel_on_kill": True,
        "end_task": True,
    }
    path, kwargs = JobTrigger(**stored).serialize()
    assert (path, kwargs) == ("ontapjobs.airflow.JobTrigger", stored)
    events: dict[str, Any] = {"conn_id": "one", "filters": {"svm_name": "vs1"}, "interval": 5.0}
    assert JobsEndedTrigger(**events).serialize() == ("ontapjobs.airflow.JobsEndedTrigger", events)


def test_a_deferred_task_keeps_to_its_own_time_limit() -> None:
    limit = timedelta(minutes=5)
    for task in (
        WaitForJobOperator(task_id="task", job="1", deferrable=True, execution_timeout=limit),
        WaitForJobSensor(task_id="task", job="1", deferrable=True, execution_timeout=limit),
    ):
        context: Any = {}
        with pytest.raises(TaskDeferred) as caught:
            task.execute(context)
        assert caught.value.timeout == limit


@pytest.mark.parametrize("listed", [False, True])
def test_a_task_without_a_worker_waits_for_no_xcom(listed: bool) -> None:
    """Airflow's triggerer would stand still."""
    with DAG("dag", schedule=None):
        start = StartJobOperator(task_id="start", method="POST", path="/api/x", wait=False)
        job: Any = [start.output] if listed else start.output
        with pytest.raises(ValueError, match="cannot read the XCom of another task"):
            WaitForJobOperator(task_id="task", job=job, start_from_trigger=True)


def test_a_success_ends_the_task_of_a_trigger_that_may(ontap: OntapSimulator) -> None:
    job = ontap.add_job(ENDS)
    trigger = JobTrigger(job=job, conn_id="ontap_default", end_task=True)
    event = asyncio.run(first(trigger.run()))
    assert isinstance(event, TaskSuccessEvent)
    xcoms: Any = event.xcoms
    assert from_dict(xcoms["return_value"]).succeeded
    assert xcoms[JobLink().xcom_key].endswith(f"/api/cluster/jobs/{job}")


def test_a_failure_goes_on_in_the_task(ontap: OntapSimulator) -> None:
    trigger = JobTrigger(job=ontap.add_job([("failure", None)]), conn_id="ontap_default", end_task=True)
    event = asyncio.run(first(trigger.run()))
    assert type(event) is TriggerEvent
    assert not from_dict(event.payload["outcomes"][0]).succeeded


def test_jobs_are_told_in_the_order_given_also_twice(ontap: OntapSimulator) -> None:
    one, two = ontap.add_job(ENDS), ontap.add_job([("success", None)])
    trigger = JobTrigger(job=[one, two, one], conn_id="ontap_default")
    event = asyncio.run(first(trigger.run()))
    assert [from_dict(each).id for each in event.payload["outcomes"]] == [one, two, one]


def test_whatever_goes_wrong_is_an_outcome(ontap: OntapSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_BROKEN", '{"conn_type": "ontap", "host": "cluster1", "extra": "[]"}')
    for conn_id in ("broken", "nowhere"):
        event = asyncio.run(first(JobTrigger(job="1", conn_id=conn_id).run()))
        (outcome,) = event.payload["outcomes"]
        assert isinstance(from_dict(outcome), UsageError)


def test_fifty_triggers_cost_the_requests_of_one(ontap: OntapSimulator) -> None:
    jobs = [ontap.add_job(ENDS) for _ in range(50)]

    async def wait(*jobs_of_triggers: Any) -> int:
        ontap.journal.clear()
        triggers = [JobTrigger(job=job, conn_id="ontap_default").run() for job in jobs_of_triggers]
        await asyncio.gather(*map(anext, triggers))
        await close_shared()
        return len(ontap.journal)

    alone = asyncio.run(wait(jobs))
    ontap.reset()
    jobs = [ontap.add_job(ENDS) for _ in range(50)]
    assert asyncio.run(wait(*jobs)) <= 1.5 * alone


@pytest.mark.parametrize("state", ["failed", "success", "skipped", "removed"])
def test_a_task_that_a_person_ended_cancels_its_job(
    state: str, ontap: OntapSimulator, task_state: dict[str, Any]
) -> None:
    task_state["task"] = state
    asyncio.run(kill(killed(ontap.add_job(LASTS))))
    assert requests(ontap, "PATCH") == 1


@pytest.mark.parametrize("state", ["deferred", "queued", "scheduled", "running", "up_for_retry", None])
def test_a_task_that_goes_on_cancels_nothing(
    state: str | None, ontap: OntapSimulator, task_state: dict[str, Any]
) -> None:
    task_state["task"] = state
    asyncio.run(kill(killed(ontap.add_job(LASTS))))
    assert requests(ontap, "PATCH") == 0


def test_where_the_state_cannot_be_told_nothing_is_cancelled(
    ontap: OntapSimulator, task_state: dict[str, Any]
) -> None:
    asyncio.run(kill(killed(ontap.add_job(LASTS))))
    assert requests(ontap, "PATCH") == 0


def test_a_mapped_task_is_found_by_its_index(ontap: OntapSimulator, task_state: dict[str, Any]) -> None:
    task_state |= {"task_0": "success", "task_1": "deferred"}
    asyncio.run(kill(killed(ontap.add_job(LASTS), map_index=1)))
    assert requests(ontap, "PATCH") == 0
    task_state["task_1"] = "failed"
    asyncio.run(kill(killed(ontap.add_job(LASTS), map_index=1)))
    assert requests(ontap, "PATCH") == 1


def test_without_the_wish_to_cancel_nothing_is_cancelled(
    ontap: OntapSimulator, task_state: dict[str, Any]
) -> None:
    task_state["task"] = "failed"
    asyncio.run(kill(killed(ontap.add_job(LASTS), cancel_on_kill=False)))
    assert requests(ontap, "PATCH") == 0


@pytest.mark.parametrize("seconds", [0.3, 1.0, 1.2])
def test_a_cancellation_keeps_the_message_by_which_airflow_knows_it(
    seconds: float, ontap: OntapSimulator
) -> None:
    trigger = JobTrigger(job=ontap.add_job(LASTS), conn_id="ontap_default")

    async def cancelled() -> None:
        task = asyncio.ensure_future(anext(trigger.run()))
        await asyncio.sleep(seconds + 1)
        task.cancel("a person did it")
        with pytest.raises(asyncio.CancelledError, match="a person did it"):
            await task
        await close_shared()

    asyncio.run(cancelled())


def test_cancelling_outlives_the_trigger(ontap: OntapSimulator, task_state: dict[str, Any]) -> None:
    task_state["task"] = "failed"
    trigger = killed(ontap.add_job(LASTS))

    async def killed_soon() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(trigger.on_kill(), 0.001)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.wait_for(asyncio.gather(*left), 10)
        await close_shared()

    asyncio.run(killed_soon())
    assert requests(ontap, "PATCH") == 1


def test_each_job_that_ends_is_an_event(ontap: OntapSimulator) -> None:
    ontap.add_job([("success", None)], description="before")
    ontap.add_job([("running", 0.5), ("failure", None)], description="meanwhile")
    ontap.add_job(LASTS)
    trigger = JobsEndedTrigger(interval=0.1)
    job = from_dict(asyncio.run(first(trigger.run())).payload)
    assert isinstance(job, Job)
    assert (job.operation, job.state) == ("meanwhile", "failed")


def test_what_ended_while_no_triggerer_ran_is_an_event(
    ontap: OntapSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Store:
        """The part of Airflow's state store that is used."""

        kept: Any = None

        async def aget(self, key: str) -> Any:
            return self.kept

        async def aset(self, key: str, value: Any) -> None:
            self.kept = value

    store = Store()
    store.kept = [ontap.add_job([("success", None)])]
    later = ontap.add_job([("success", None)])
    trigger = JobsEndedTrigger()
    monkeypatch.setattr(trigger, "asset_state_store", store, raising=False)  # of Airflow 3.3
    assert from_dict(asyncio.run(first(trigger.run())).payload).id == later
