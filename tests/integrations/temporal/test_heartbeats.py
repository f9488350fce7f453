"""What one attempt of a wait leaves to the next one: its last heartbeat."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import Any

import anyio
import pytest
from temporalio.exceptions import ApplicationError

from bluexp_jobs.simulator import BlueXPSimulator
from common import (
    ErrorDetail,
    Job,
    JobFailed,
    JobGone,
    JobItem,
    JobRef,
    JobState,
    close_shared,
    from_dict,
    shared_source,
    to_dict,
)
from common.integrations.temporal import systems
from common.integrations.temporal.activities import JobActivities, StartRequest, WaitRequest
from common.integrations.temporal.errors import jobs_error
from common.integrations.temporal.heartbeat import DETAILS_LIMIT, small_enough
from common.simulator import NewJob, Request
from common.simulator.faults import Status
from ontapjobs.simulator import OntapSimulator
from tests.integrations.temporal.attempts import CLUSTER, HOUR, REF, UUID, Environment, Way

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]


async def lost_after(seconds: float, activities: JobActivities, request: WaitRequest) -> tuple[Any, ...]:
    """Return the last heartbeat of an attempt whose worker is lost."""
    environment = Environment()
    with anyio.move_on_after(seconds):
        await environment.run(activities.wait_for_job, request)
    return environment.beats[-1][1]


async def test_another_attempt_goes_on_at_the_pace_of_the_job(
    activities: JobActivities, ontap: OntapSimulator
) -> None:
    ontap.add_job([("running", 2 * HOUR), ("success", None)], id=UUID)
    heartbeat = await lost_after(HOUR, activities, WaitRequest(REF))
    del ontap.journal[:]
    with anyio.move_on_after(120):
        await Environment(*heartbeat).run(activities.wait_for_job, WaitRequest(REF))
    assert 1 <= len(ontap.journal) <= 4


async def test_a_job_that_was_forgotten_between_attempts_is_gone(
    activities: JobActivities, ontap: OntapSimulator
) -> None:
    ontap.add_job([("running", 60), ("success", None)], id=UUID)
    heartbeat = await lost_after(30, activities, WaitRequest(REF))
    await anyio.sleep(HOUR)
    with pytest.raises(ApplicationError) as caught:
        await Environment(*heartbeat).run(activities.wait_for_job, WaitRequest(REF))
    assert caught.value.type == "JobGone"
    assert caught.value.non_retryable
    assert isinstance(jobs_error(caught.value), JobGone)


async def test_a_heartbeat_that_cannot_be_read_begins_the_wait_anew(
    activities: JobActivities, ontap: OntapSimulator
) -> None:
    ontap.add_job([("success", None)], id=UUID)
    environment = Environment({"version": 99})
    assert from_dict(await environment.run(activities.wait_for_job, WaitRequest(REF))).succeeded


async def test_a_heartbeat_holds_nothing_that_is_too_large(
    activities: JobActivities, ontap: OntapSimulator
) -> None:
    ontap.add_job([("running", 60), ("success", None)], id=UUID, message="x" * DETAILS_LIMIT)
    environment = Environment()
    await environment.run(activities.wait_for_job, WaitRequest(REF))
    assert any(details for _, details in environment.beats)
    assert all(len(str(details)) < 1000 for _, details in environment.beats)


@pytest.mark.parametrize(("count", "kept"), [(10, 10), (100, 100), (1000, 500)])
def test_of_a_large_job_a_heartbeat_keeps_what_fits_and_says_what_it_leaves_out(
    count: int, kept: int
) -> None:
    errors = [ErrorDetail("x" * 300, target=str(number)) for number in range(count)]
    items = [
        JobItem(str(number), "volume", JobState.FAILED, errors=(error,))
        for number, error in enumerate(errors)
    ]
    job = Job(
        JobRef.parse(REF), JobState.RUNNING, message="running", errors=tuple(errors), items=tuple(items)
    )
    found = small_enough(job)
    assert len(json.dumps(to_dict(found))) < 256 * 1024
    assert found.errors == job.errors[:kept]
    assert (found is job) == (found.items == job.items) == (found.warnings == ())
    assert (found.message, found.observed_at) == (job.message, job.observed_at)


@pytest.mark.parametrize("lost", [False, True], ids=["one worker", "two"])
async def test_who_asks_is_told_what_was_seen_of_a_job_that_was_forgotten_whoever_saw_it(
    monkeypatch: pytest.MonkeyPatch, lost: bool
) -> None:
    """BlueXP tells of the volumes whose backup failed while the job runs: nobody can ask for them later."""
    simulator = BlueXPSimulator(account="account-x1", agent="a1")
    monkeypatch.setattr(systems, "shared_source", partial(shared_source, transport=Way(simulator)))
    target = "bluexp://api.bluexp.netapp.com/account-x1"
    activities = JobActivities({f"{target}?agent=a1": {"token": "t0ken"}})
    volumes = [{"id": "v1", "status": "FAILED", "error": "no space"}]
    job = simulator.add_job([("IN_PROGRESS", None)], volumes=volumes)
    request = WaitRequest(f"{target}/{job}?agent=a1")
    if lost:
        heartbeat = await lost_after(60, activities, request)
        simulator.jobs.clear()
    else:
        heartbeat = ()
        asyncio.get_running_loop().call_later(60, simulator.jobs.clear)
    with pytest.raises(ApplicationError) as caught:
        await Environment(*heartbeat).run(activities.wait_for_job, request)
    error = jobs_error(caught.value)
    assert isinstance(error, JobGone)
    assert error.job is not None
    assert [str(each) for each in error.job.errors] == ["no space [target v1]"]
    assert [item.state for item in error.job.items] == [JobState.FAILED]
    await close_shared()


@pytest.mark.parametrize("lost", [False, True], ids=["one worker", "two"])
async def test_an_end_that_was_seen_before_its_results_could_be_read_is_not_lost(
    activities: JobActivities, ontap: OntapSimulator, lost: bool
) -> None:
    ontap.on_write = NewJob([("running", 5), ("failure", None)], {"message": "no space"})
    body = {"records": [{"name": "lun1"}, {"name": "lun2"}]}
    [ref] = await Environment().run(
        activities.start_job, StartRequest(CLUSTER, "POST", "/api/storage/luns", body)
    )
    until = anyio.current_time() + 40

    def has_no_results_yet(request: Request) -> bool:
        return "luns" in request.path and anyio.current_time() < until

    ontap.inject(has_no_results_yet, Status(503), times=None)
    heartbeat = await lost_after(25, activities, WaitRequest(ref)) if lost else ()
    forgotten = Status(404, body={"error": {"code": "4", "message": "entry doesn't exist"}})
    if lost:
        ontap.inject("GET /api/cluster/jobs*", forgotten, times=1000)
    with pytest.raises(ApplicationError) as caught:
        await Environment(*heartbeat).run(activities.wait_for_job, WaitRequest(ref))
    error = jobs_error(caught.value)
    assert isinstance(error, JobFailed)
    assert error.job.message == "no space"
    assert [str(each) for each in error.job.errors] == ["no space [code 0]", "no space"]


async def test_a_heartbeat_says_when_the_job_was_seen_last(
    activities: JobActivities, ontap: OntapSimulator
) -> None:
    """An hour without news is none without replies: a server that denies the job then is asked again."""
    ontap.add_job([("running", HOUR), ("success", None)], id=UUID)
    environment = Environment()
    await environment.run(activities.wait_for_job, WaitRequest(REF))
    seen = [from_dict(details[0]).observed_at for _, details in environment.beats if details]
    assert seen == sorted(seen)
    assert len(set(seen)) > 50
