"""The activities by themselves, in virtual time: Temporal's `ActivityEnvironment`, and no server."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise

import anyio
import pytest
from temporalio.activity import ActivityCancellationDetails
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from bluexp_jobs.simulator import BlueXPSimulator
from common import Job, JobFailed, JobState, close_shared, from_dict, shared_source
from common.integrations.temporal import systems
from common.integrations.temporal.activities import JobActivities, StartRequest, WaitRequest
from common.integrations.temporal.errors import jobs_error
from common.simulator import NewJob, Simulator
from common.simulator.faults import RetryAfter
from ontapjobs.simulator import OntapSimulator
from tests.integrations.temporal.attempts import CLUSTER, HOUR, PASSWORD, REF, UUID, Environment, Way

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]


async def cancelled_after(
    seconds: float, activities: JobActivities, request: WaitRequest, details: ActivityCancellationDetails
) -> None:
    environment = Environment()
    task = asyncio.create_task(environment.run(activities.wait_for_job, request))
    await anyio.sleep(seconds)
    environment.cancel(details)
    with pytest.raises(asyncio.CancelledError):
        await task


def writes(simulator: Simulator) -> list[str]:
    return [request.method for request in simulator.journal if request.method not in ("GET", "HEAD")]


async def test_a_wait_of_six_hours_heartbeats_all_the_time(
    activities: JobActivities, ontap: OntapSimulator
) -> None:
    ontap.add_job([("running", 6 * HOUR), ("success", None)], id=UUID)
    environment = Environment()
    began = time.process_time()
    job = from_dict(await environment.run(activities.wait_for_job, WaitRequest(REF)))
    print(f"6 virtual hours: {time.process_time() - began:.2f} s CPU")
    assert job.succeeded
    assert str(job.ref) == REF
    times = [when for when, _ in environment.beats]
    assert max(after - before for before, after in pairwise(times)) <= 10
    assert len(times) >= 6 * HOUR / 10


async def test_a_failed_job_is_a_benign_failure_that_is_not_tried_again(
    activities: JobActivities, ontap: OntapSimulator
) -> None:
    ontap.add_job([("failure", None)], id=UUID)
    with pytest.raises(ApplicationError) as caught:
        await Environment().run(activities.wait_for_job, WaitRequest(REF))
    assert caught.value.non_retryable
    assert caught.value.category is ApplicationErrorCategory.BENIGN
    error = jobs_error(caught.value)
    assert isinstance(error, JobFailed)
    assert error.job.state is JobState.FAILED


async def test_a_deadline_that_passed_is_not_tried_again(
    activities: JobActivities, ontap: OntapSimulator
) -> None:
    ontap.add_job([("running", HOUR), ("success", None)], id=UUID)
    deadline = (datetime.now(UTC) + timedelta(seconds=20)).isoformat()
    with pytest.raises(ApplicationError) as caught:
        await Environment().run(activities.wait_for_job, WaitRequest(REF, deadline=deadline))
    assert caught.value.type == "WaitTimeout"
    assert caught.value.non_retryable


@pytest.mark.parametrize(
    ("target", "deadline"),
    [("ontap://elsewhere/1", None), ("no ref", None), (REF, "tomorrow"), (REF, "2030-01-01")],
)
@pytest.mark.usefixtures("ontap")
async def test_a_wrong_request_is_not_tried_again(
    activities: JobActivities, target: str, deadline: str | None
) -> None:
    with pytest.raises(ApplicationError) as caught:
        await Environment().run(activities.wait_for_job, WaitRequest(target, deadline))
    assert caught.value.type == "UsageError"
    assert caught.value.non_retryable
    assert PASSWORD not in repr(caught.value.details)


async def test_a_worker_with_a_wrong_password_fails_at_once(ontap: OntapSimulator) -> None:
    wrong = JobActivities({CLUSTER: {"user": "jobs", "password": "an-old-password"}})
    with pytest.raises(ApplicationError) as caught:
        await Environment().run(wrong.wait_for_job, WaitRequest(REF))
    assert caught.value.type == "AuthenticationError"
    assert caught.value.non_retryable
    assert "an-old-password" not in str(caught.value.details)


async def test_a_server_that_asks_to_wait_sets_the_delay_of_the_next_try(
    activities: JobActivities, ontap: OntapSimulator
) -> None:
    ontap.add_job([("running", 100 * HOUR)], id=UUID)
    ontap.inject("GET *", RetryAfter(90), times=10_000)
    with pytest.raises(ApplicationError) as caught:
        await Environment().run(activities.wait_for_job, WaitRequest(REF))
    assert not caught.value.non_retryable
    assert caught.value.next_retry_delay == timedelta(seconds=90)


async def test_a_person_who_cancels_the_workflow_cancels_the_job_by_choice(
    activities: JobActivities, ontap: OntapSimulator
) -> None:
    ontap.add_job([("running", HOUR), ("success", None)], id=UUID)
    person = ActivityCancellationDetails(cancel_requested=True)
    await cancelled_after(60, activities, WaitRequest(REF), person)
    assert writes(ontap) == []
    await cancelled_after(60, activities, WaitRequest(REF, cancel_job=True), person)
    assert writes(ontap) == ["PATCH"]


@pytest.mark.parametrize("reason", ["worker_shutdown", "not_found", "timed_out", "paused", "reset"])
async def test_no_other_cancellation_cancels_the_job(
    activities: JobActivities, ontap: OntapSimulator, reason: str
) -> None:
    ontap.add_job([("running", HOUR), ("success", None)], id=UUID)
    details = ActivityCancellationDetails(**{reason: True})
    await cancelled_after(60, activities, WaitRequest(REF, cancel_job=True), details)
    assert writes(ontap) == []


async def test_to_cancel_what_cannot_be_cancelled_is_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    simulator = BlueXPSimulator(account="account-x1", agent="a1")
    monkeypatch.setattr(systems, "shared_source", partial(shared_source, transport=Way(simulator)))
    target = "bluexp://api.bluexp.netapp.com/account-x1"
    activities = JobActivities({f"{target}?agent=a1": {"token": "t0ken"}})
    with pytest.raises(ApplicationError) as caught:
        await Environment().run(activities.wait_for_job, WaitRequest(f"{target}/1?agent=a1", cancel_job=True))
    assert caught.value.type == "Unsupported"
    assert caught.value.non_retryable
    await close_shared()


async def test_a_write_gives_the_refs_of_its_jobs(activities: JobActivities, ontap: OntapSimulator) -> None:
    ontap.on_write = NewJob([("running", 5), ("success", None)])
    request = StartRequest(CLUSTER, "POST", "/api/storage/volumes", {"name": "vol1"})
    [ref] = await Environment().run(activities.start_job, request)
    job: Job = from_dict(await Environment().run(activities.wait_for_job, WaitRequest(ref)))
    assert job.succeeded
    assert writes(ontap) == ["POST"]


async def test_a_worker_that_stops_finishes_its_write(
    activities: JobActivities, ontap: OntapSimulator
) -> None:
    environment = Environment()

    def stop(_: object) -> NewJob:
        environment.cancel(ActivityCancellationDetails(worker_shutdown=True))
        return NewJob([("success", None)])

    ontap.on_write = stop
    request = StartRequest(CLUSTER, "POST", "/api/storage/volumes", {"name": "vol1"})
    assert len(await environment.run(activities.start_job, request)) == 1
    assert writes(ontap) == ["POST"]
