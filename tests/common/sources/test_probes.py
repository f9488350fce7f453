"""What a resource tells of a job that the server has forgotten: `absent`, `present`, `last_operation`."""

from __future__ import annotations

from typing import Any

import anyio
import httpx
import pytest

from bluexp_jobs import BlueXPJobs
from cfjobs import CFJobs
from common import (
    ApiError,
    Bearer,
    DecodeError,
    Job,
    JobFailed,
    JobGone,
    JobNotFound,
    JobsError,
    JobState,
    PermissionDenied,
    PollPolicy,
    RateLimited,
    ServerError,
    UsageError,
    WaitTimeout,
)
from ontapjobs import OntapJobs
from tests.common.scripted import (
    JOB,
    TOKEN,
    Answer,
    Script,
    about,
    after,
    error,
    gone,
    job,
    raising,
    reply,
    source,
    unavailable,
)

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

AT_ONCE = PollPolicy(start_grace=0, gone_grace=0)
INSTANCE = "/v3/service_instances/si-1"
there = reply(200, {"guid": "si-1"})
no_route = reply(404, text="404 Not Found: Requested route does not exist.", X_Cf_RouterError="unknown_route")


def last_operation(state: str, kind: str = "create", description: str = "") -> Answer:
    operation = {"type": kind, "state": state, "description": description}
    return reply(200, {"guid": "si-1", "last_operation": operation})


async def resolved(
    probe: str, *answers: Answer, operation: str | None = None, **given: Any
) -> Job | JobsError:
    """What a wait makes of a job that is gone, and of a resource that answers like this."""
    seen = [job("PROCESSING", operation=operation), gone] if operation else [gone]
    script = Script(by_id={JOB: seen, "si-1": list(answers)})
    async with source(script, policy=AT_ONCE) as jobs:
        ready = getattr(jobs, probe)(INSTANCE, **given)
        try:
            return await jobs.wait(JOB, timeout=600, check=False, resolve_gone=ready)
        except JobsError as failure:
            return failure


@pytest.mark.parametrize("operation", ["service_instance.delete", None], ids=["seen", "never seen"])
@pytest.mark.parametrize(
    ("probe", "answer", "expected"),
    [
        ("absent", gone, JobState.SUCCEEDED),
        ("absent", there, JobState.FAILED),
        ("present", there, JobState.SUCCEEDED),
        ("present", gone, JobState.FAILED),
    ],
)
async def test_a_resource_that_is_there_or_not_says_how_its_job_ended(
    probe: str, answer: Answer, expected: JobState, operation: str | None
) -> None:
    ended = await resolved(probe, answer, operation=operation)
    assert isinstance(ended, Job)
    assert (ended.state, ended.resolved, ended.native_state) == (expected, True, None)
    assert bool(ended.errors) is (expected is JobState.FAILED)


@pytest.mark.parametrize(
    "trouble",
    [unavailable, no_route, error(429, 10013), raising(httpx.ReadTimeout("slow")), reply(200, text="<html>")],
    ids=["503", "no route", "429", "time-out", "a page"],
)
@pytest.mark.parametrize("probe", ["absent", "present"])
async def test_passing_trouble_says_nothing_of_the_resource(probe: str, trouble: Answer) -> None:
    ended = await resolved(probe, trouble, trouble, trouble, gone)
    assert isinstance(ended, Job)
    assert ended.state is (JobState.SUCCEEDED if probe == "absent" else JobState.FAILED)
    assert type(await resolved(probe, trouble)) is WaitTimeout


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (error(403, 10003), PermissionDenied),
        (error(404, 10000, "CF-NotFound"), ApiError),
        (reply(200, {"resources": [], "pagination": {}}), DecodeError),
    ],
    ids=["may not see it", "no such path", "a list"],
)
@pytest.mark.parametrize("probe", ["absent", "present"])
async def test_what_does_not_answer_the_question_ends_the_wait(
    probe: str, answer: Answer, expected: type[JobsError]
) -> None:
    failure = await resolved(probe, answer, operation="app.delete")
    assert type(failure) is expected
    assert isinstance(failure, JobsError)
    assert (failure.ref is not None, failure.job is not None) == (True, True)


async def test_without_a_deadline_a_look_gives_up_as_a_wait_does() -> None:
    policy = PollPolicy(start_grace=0, outage_limit=100)
    async with source(Script(by_id={JOB: [gone], "si-1": [unavailable]}), policy=policy) as jobs:
        with pytest.raises(ServerError, match=r"could not be read for 1\d\d s, so the outcome is unknown"):
            await jobs.wait(JOB, resolve_gone=jobs.absent(INSTANCE))
        assert 100 <= anyio.current_time() <= 140


async def test_a_look_keeps_to_retry_after() -> None:
    limited = error(429, 10013, Retry_After="50")
    script = Script(by_id={JOB: [gone], "si-1": [limited, gone]})
    async with source(script, policy=AT_ONCE) as jobs:
        assert (await jobs.wait(JOB, resolve_gone=jobs.absent(INSTANCE))).succeeded
    first, second = (sent.at for sent in script.sent if sent.id == "si-1")
    assert second - first >= 50
    failure = await resolved("absent", limited)
    assert isinstance(failure, WaitTimeout | RateLimited)


async def test_a_look_that_hangs_ends_with_the_deadline() -> None:
    script = Script(by_id={JOB: [gone], "si-1": [after(1e6, there)]})
    async with source(script, policy=AT_ONCE, request_timeout=1e6) as jobs:
        with pytest.raises(WaitTimeout):
            await jobs.wait(JOB, timeout=20, resolve_gone=jobs.absent(INSTANCE))
        assert anyio.current_time() == about(20)
    assert script.open == 0


@pytest.mark.parametrize(
    "path", ["v3/apps/a", "https://other.example/v3/apps/a", "/v3/apps?names=a", "/a/../b"]
)
@pytest.mark.parametrize("probe", ["absent", "present", "last_operation"])
async def test_a_path_that_names_no_resource_is_refused_before_any_request(probe: str, path: str) -> None:
    script = Script(gone)
    async with source(script) as jobs:
        with pytest.raises(UsageError, match="path="):
            getattr(jobs, probe)(path)
    assert script.sent == []


# --- Cloud Foundry's last operation


@pytest.mark.parametrize("state", ["succeeded", "failed"])
@pytest.mark.parametrize("kind", ["create", "update", "delete"])
async def test_the_last_operation_says_how_the_job_ended(kind: str, state: str) -> None:
    ended = await resolved(
        "last_operation", last_operation(state, kind, "no quota left"), operation=f"service_instance.{kind}"
    )
    assert isinstance(ended, Job)
    assert ended.state is JobState(state)
    assert [each.message for each in ended.errors] == (["no quota left"] if state == "failed" else [])


async def test_a_failed_last_operation_is_raised_with_the_brokers_text() -> None:
    script = Script(by_id={JOB: [gone], "si-1": [last_operation("failed", description="no quota left")]})
    async with source(script, policy=AT_ONCE) as jobs:
        with pytest.raises(JobFailed, match="no quota left"):
            await jobs.wait(JOB, resolve_gone=jobs.last_operation(INSTANCE))


async def test_a_last_operation_in_progress_is_looked_at_until_it_ends() -> None:
    going = [last_operation("initial", "delete"), *[last_operation("in progress", "delete")] * 5]
    ended = await resolved("last_operation", *going, gone, operation="service_instance.delete")
    assert isinstance(ended, Job)
    assert ended.succeeded
    assert type(await resolved("last_operation", last_operation("in progress"))) is WaitTimeout


@pytest.mark.parametrize(
    ("answer", "given"),
    [
        (gone, {"operation": "service_instance.create"}),
        (gone, {"type": "update"}),
        (gone, {}),
        (last_operation("succeeded", "create"), {"operation": "service_instance.delete"}),
        (last_operation("succeeded", "create"), {"type": "delete"}),
        (last_operation("failed", "update"), {"operation": "managed_service_instance.create"}),
    ],
)
async def test_an_operation_that_is_not_the_jobs_says_nothing_of_it(answer: Answer, given: Any) -> None:
    failure = await resolved("last_operation", answer, **given)
    assert type(failure) is (JobGone if "operation" in given else JobNotFound)
    assert "its outcome is unknown" in str(failure)


@pytest.mark.parametrize("answer", [there, last_operation("florbing"), last_operation("")])
async def test_a_last_operation_that_is_missing_or_unknown_is_no_success(answer: Answer) -> None:
    assert type(await resolved("last_operation", answer)) is DecodeError


async def test_a_type_of_operation_that_does_not_exist_is_refused() -> None:
    unknown: Any = "purge"
    async with source(Script(gone)) as jobs:
        with pytest.raises(UsageError, match="type="):
            jobs.last_operation(INSTANCE, type=unknown)


async def test_a_korifi_id_says_what_its_job_was_to_do() -> None:
    id = "managed_service_instance.delete~cf-si-1"
    script = Script(by_id={id: [gone], "si-1": [last_operation("succeeded", "create")]})
    async with source(script, policy=AT_ONCE) as jobs:
        with pytest.raises(JobNotFound, match=r"create succeeded"):
            await jobs.wait(id, resolve_gone=jobs.last_operation(INSTANCE))


# --- The other systems


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (
            404,
            {"error": {"message": "entry doesn't exist", "code": "4", "target": "uuid"}},
            JobState.SUCCEEDED,
        ),
        (404, {"error": {"message": "API not found", "code": "3"}}, ApiError),
        (404, {"error": {"message": "invalid uuid", "code": "2"}}, ApiError),
        (200, {"records": [], "num_records": 0}, DecodeError),
        (200, {"uuid": "v", "name": "vol1"}, JobState.FAILED),
    ],
)
async def test_ontap_says_that_a_resource_is_gone_by_code_4(status: int, body: Any, expected: Any) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if "/cluster/jobs" in request.url.path:
            return httpx.Response(404, json={"error": {"message": "entry doesn't exist", "code": "4"}})
        assert request.url.path == "/api/storage/volumes/v"
        return httpx.Response(status, json=body)

    ontap = OntapJobs(
        "https://cluster1", auth=("u", "p"), policy=AT_ONCE, transport=httpx.MockTransport(answer)
    )
    async with ontap:
        probe = ontap.absent("/api/storage/volumes/v")
        ended: Any
        try:
            ended = (await ontap.wait(JOB, check=False, resolve_gone=probe)).state
        except JobsError as failure:
            ended = type(failure)
    assert ended is expected


async def test_bluexp_looks_below_its_accounts_api() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(404, json={"message": "not found"})

    backup = BlueXPJobs(
        account="account-x1",
        agent="a1",
        auth=Bearer(TOKEN),
        policy=AT_ONCE,
        transport=httpx.MockTransport(answer),
    )
    async with backup:
        probe = backup.absent("/backup/working-environment/we-1")
        assert (await backup.wait("j1", resolve_gone=probe)).succeeded
        with pytest.raises(UsageError, match="another account"):
            backup.absent("/account/account-x2/providers/cloudmanager_cbs/api/v1/backup")
    assert (
        asked[-1] == "/account/account-x1/providers/cloudmanager_cbs/api/v1/backup/working-environment/we-1"
    )


async def test_a_failure_without_a_reason_says_where_to_look() -> None:
    links = {
        "self": {"href": "/v3/jobs/j"},
        "service_instances": {"href": "https://api/v3/service_instances/si-1"},
    }
    async with source(Script(job("FAILED", errors=[], links=links))) as jobs:
        with pytest.raises(JobFailed) as caught:
            await jobs.wait(JOB)
    assert "last_operation of https://api/v3/service_instances/si-1" in str(caught.value)
    assert "/v3/audit_events?target_guids=si-1" in str(caught.value)
    assert caught.value.job.errors == ()


async def test_a_probe_shows_no_secret() -> None:
    jobs: CFJobs
    async with source(Script(gone)) as jobs:
        assert repr(jobs.absent(INSTANCE)) == f"ResourceProbe(path='{INSTANCE}')"
