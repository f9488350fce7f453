"""NetApp's own Python client, as released, on the simulated ONTAP: what it sees is what we see."""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest

from common import AlreadyFinished, JobFailed, JobGone, JobNotFound, JobState, WaitTimeout
from common.simulator import NewJob, Script
from ontapjobs import OntapJobs
from ontapjobs.simulator import OntapSimulator
from tests.clients.beside import OFTEN, POLICY, alone, beside

netapp_ontap: Any = pytest.importorskip("netapp_ontap")
resources: Any = pytest.importorskip("netapp_ontap.resources")
utils: Any = pytest.importorskip("netapp_ontap.utils")
NetAppRestError: type[Any] = pytest.importorskip("netapp_ontap.error").NetAppRestError

pytestmark = pytest.mark.anyio

USERS = {"admin": "secret"}
SUCCESS: Script = [("queued", 0.2), ("running", 0.2, {"message": "cloning"}), ("success", None)]
FULL = {"message": "the aggregate is full", "code": 917927}
FAILURE: Script = [("running", 0.2), ("failure", None, FULL)]
PATIENCE = 0.5


def connect(url: str) -> Any:
    """Their connection: https by default, and ``scheme`` says otherwise."""
    parts = urlsplit(url)
    return netapp_ontap.HostConnection(
        parts.hostname,
        username="admin",
        password="secret",
        verify=False,
        port=parts.port,
        scheme="http",
        poll_interval=OFTEN,
        poll_timeout=10,
    )


@contextmanager
def signed_in(url: str) -> Generator[None]:
    """Their connection for all calls within, which is how their documentation has it."""
    with connect(url):
        yield


def ours(url: str) -> OntapJobs:
    return OntapJobs(url, auth=("admin", "secret"), policy=POLICY)


def watch(url: str, uuid: str, **options: Any) -> Any:
    """The loop that all their polling ends in."""
    return utils.watch_job(f"/api/cluster/jobs/{uuid}", connection=connect(url), **options)


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(SUCCESS, id="through queued and running"),
        pytest.param([("success", None, {"message": None})], id="without a message"),
        pytest.param(
            [("running", 0.3, {"code": 2432845, "message": "complete"}), ("success", None, {"code": 0})],
            id="running with a code, and saying complete",
        ),
        pytest.param([("paused", 0.3), ("running", 0.2), ("success", None)], id="paused for a while"),
        pytest.param([("success", None, {"code": 262254})], id="a success with a code"),
    ],
)
async def test_a_success_is_one_for_both(script: Script) -> None:
    simulator = OntapSimulator(users=USERS)
    async with simulator.serve() as url, ours(url) as jobs:
        uuid = simulator.add_job(script)
        theirs, job = await beside(lambda: watch(url, uuid), lambda: jobs.wait(uuid))
    record = theirs.http_response.json()
    assert job.state is JobState.SUCCEEDED
    assert (record["state"], record.get("message")) == (job.native_state, job.message)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        pytest.param(FAILURE, "the aggregate is full", id="with a message"),
        pytest.param([("failure", None, {"message": "", "code": 0})], "", id="with an empty message"),
        pytest.param(
            [("failure", None, {**FULL, "error": {"code": "4", "message": "entry doesn't exist"}})],
            "the aggregate is full",
            id="with an error of its own, whose code is that of a job that is gone",
        ),
    ],
)
async def test_a_failure_is_one_for_both_and_for_the_same_reason(script: Script, reason: str) -> None:
    simulator = OntapSimulator(users=USERS)
    async with simulator.serve() as url, ours(url) as jobs:
        uuid = simulator.add_job(script)
        theirs, failed = await beside(lambda: watch(url, uuid), lambda: jobs.wait(uuid))
    assert isinstance(theirs, NetAppRestError)
    assert isinstance(failed, JobFailed)
    assert str(theirs) == f"Job failed: {reason}".strip()
    assert failed.job.message == reason


async def test_a_failure_without_a_message_is_one_for_us_and_a_key_error_for_them() -> None:
    simulator = OntapSimulator(users=USERS)
    async with simulator.serve() as url, ours(url) as jobs:
        uuid = simulator.add_job([("failure", None)])
        theirs, failed = await beside(lambda: watch(url, uuid), lambda: jobs.wait(uuid))
    assert isinstance(theirs, KeyError)
    assert isinstance(failed, JobFailed)


async def test_a_paused_job_keeps_both_waiting_until_their_time_is_up() -> None:
    simulator = OntapSimulator(users=USERS)
    async with simulator.serve() as url, ours(url) as jobs:
        uuid = simulator.add_job([("paused", None, {"message": "waiting for space"})])
        theirs, late = await beside(
            lambda: watch(url, uuid, timeout=PATIENCE), lambda: jobs.wait(uuid, timeout=PATIENCE)
        )
    assert isinstance(theirs, NetAppRestError)
    assert str(theirs) == "Job (paused): waiting for space. Polling timed out after 0.5 seconds."
    assert isinstance(late, WaitTimeout)
    assert late.job is not None
    assert (late.job.native_state, late.job.message) == ("paused", "waiting for space")


@pytest.mark.parametrize("seen", [True, False], ids=["forgotten while waited for", "never known"])
async def test_a_job_that_is_gone_is_a_404_for_them_and_never_an_outcome(seen: bool) -> None:
    simulator = OntapSimulator(users=USERS)
    async with simulator.serve() as url, ours(url) as jobs:
        uuid = simulator.add_job([("running", 0.4)]) if seen else simulator.new_id()
        theirs, gone = await beside(lambda: watch(url, uuid), lambda: jobs.wait(uuid))
    assert isinstance(theirs, NetAppRestError)
    assert theirs.status_code == 404
    assert theirs.response_body["error"]["code"] == "4"
    assert type(gone) is (JobGone if seen else JobNotFound)


async def test_wrong_credentials_end_both_at_once() -> None:
    simulator = OntapSimulator(users={"admin": "another"})
    async with simulator.serve() as url, ours(url) as jobs:
        uuid = simulator.add_job(SUCCESS)
        theirs, refused = await beside(lambda: watch(url, uuid), lambda: jobs.wait(uuid))
    assert theirs.status_code == refused.status == 401
    assert theirs.response_body["error"] == {"code": refused.code, "message": refused.message}


@pytest.mark.parametrize("script", [pytest.param(SUCCESS, id="success"), pytest.param(FAILURE, id="failure")])
async def test_the_job_of_their_write_is_adopted_from_their_response(script: Script) -> None:
    simulator = OntapSimulator(users=USERS, on_write=NewJob(script))

    def delete() -> Any:
        with signed_in(url):
            return resources.Volume(uuid="a6fd1eb5-9cc6-4b0d-9d1c-3f6e4b2a1c33").delete(poll=False)

    async with simulator.serve() as url, ours(url) as jobs:
        response = await alone(delete)
        adopted = jobs.adopt(response.http_response)
        (ref,) = adopted.refs
        theirs, job = await beside(response.poll, lambda: jobs.wait(ref, check=False))
    if job.succeeded:
        assert theirs.http_response.json()["state"] == job.native_state
    else:
        assert str(theirs) == f"Job failed: {job.message}"
    assert job.operation == "DELETE /api/storage/volumes/a6fd1eb5-9cc6-4b0d-9d1c-3f6e4b2a1c33"


@pytest.mark.parametrize("inline", [0, 15])
async def test_a_write_of_theirs_waits_for_its_job_and_a_failure_is_raised(inline: int) -> None:
    simulator = OntapSimulator(users=USERS, on_write=NewJob(FAILURE))

    def create() -> Any:
        with signed_in(url):
            return resources.Volume(name="v1", svm={"name": "s1"}).post(return_timeout=inline)

    async with simulator.serve() as url, ours(url) as jobs:
        theirs, started = await beside(
            create, lambda: jobs.start("POST", "/api/storage/volumes", json={"name": "v1"}, inline=inline)
        )
        failed = await jobs.wait(started.waitable[0], check=False)
    assert str(theirs) == f"Job failed: {failed.message}" == "Job failed: the aggregate is full"


@pytest.mark.parametrize("errors", [(), ("duplicate entry",)])
@pytest.mark.parametrize("end", ["success", "failure"])
async def test_what_became_of_each_record_of_a_write_of_many_is_the_same_for_both(
    errors: tuple[str, ...], end: str
) -> None:
    results = {"errors": [{"message": text, "code": "1", "target": "records[1]"} for text in errors]}
    life: Script = [("running", 0.2), (end, None, FULL if end == "failure" else {})]
    simulator = OntapSimulator(users=USERS, on_write=NewJob(life, {"results": results}))
    names = ["lun1", "lun2"]

    def create() -> Any:
        with signed_in(url):
            return resources.Lun.post_collection([resources.Lun(name=name) for name in names])

    async def wait() -> Any:
        body = {"records": [{"name": name} for name in names]}
        started = await jobs.start("POST", "/api/storage/luns", json=body)
        return await jobs.wait(started.refs[0], check=False)

    async with simulator.serve() as url, ours(url) as jobs:
        theirs, job = await beside(create, wait)
    told = {"success": errors, "failure": errors or (str(FULL["message"]),)}[end]
    assert [error.message for error in job.errors][-len(told) or 9 :] == list(told)
    assert ("One or more jobs failed" in str(theirs)) == bool(told)
    assert all(str(text) in str(theirs) for text in told)


async def test_the_record_that_they_read_has_what_ours_has() -> None:
    simulator = OntapSimulator(users=USERS, version="9.15")
    fields: dict[str, Any] = {
        "description": "DELETE /api/storage/volumes/1",
        "svm": {"name": "s1", "uuid": "1cd8a442-86d1-11e0-ae1c-123478563412"},
        "node": {"name": "n1"},
        "error": {
            "message": "the aggregate is full",
            "code": "917927",
            "arguments": [{"code": "aggr", "message": "aggr1"}],
        },
    }

    def read() -> Any:
        job = resources.Job(uuid=uuid)
        job.set_connection(connect(url))
        job.get()
        return job

    async with simulator.serve() as url, ours(url) as jobs:
        uuid = simulator.add_job([("failure", None, FULL)], **fields)
        theirs, job = await beside(read, lambda: jobs.get(uuid))
    (detail,) = job.errors
    assert (theirs.uuid, theirs.state, theirs.description) == (job.id, job.native_state, job.operation)
    assert (theirs.message, theirs.code) == (job.message, job.record.code)
    assert (theirs.start_time, theirs.end_time) == (job.started_at, job.finished_at)
    assert (theirs.error.message, theirs.error.code) == (detail.message, detail.code)
    assert [(each.code, each.message) for each in theirs.error.arguments] == [
        (each.code, each.message) for each in detail.arguments
    ]
    assert (theirs.svm.name, theirs.svm.uuid, theirs.node.name) == (
        job.record.svm.name,
        job.record.svm.uuid,
        job.record.node.name,
    )


@pytest.mark.parametrize("short_pages", [False, True])
async def test_they_list_and_count_the_jobs_that_we_do(short_pages: bool) -> None:
    simulator = OntapSimulator(users=USERS, short_pages=short_pages)

    def read() -> tuple[list[str], int]:
        connection = connect(url)
        found = resources.Job.get_collection(
            connection=connection, max_records=3, state="running|queued", fields="*"
        )
        return [job.uuid for job in found], resources.Job.count_collection(
            connection=connection, state="running|queued"
        )

    async def look() -> tuple[list[str], int]:
        states = [JobState.RUNNING, JobState.QUEUED]
        return [job.id async for job in jobs.list(state=states)], await jobs.count(state=states)

    async with simulator.serve() as url, ours(url) as jobs:
        for number in range(24):
            simulator.add_job([(("queued", "running", "paused", "success")[number % 4], None)])
        theirs, mine = await beside(read, look)
    assert sorted(theirs[0]) == sorted(mine[0])
    assert mine[1] == 12
    assert theirs[1] == (0 if short_pages else 12)  # they do not follow the link to the rest of a count


async def test_what_they_pause_resume_and_cancel_is_so_for_us() -> None:
    simulator = OntapSimulator(users=USERS, settle=0.0)

    def act(action: str) -> Any:
        job = resources.Job(uuid=uuid)
        job.set_connection(connect(url))
        return job.patch(action=action)

    async with simulator.serve() as url, ours(url) as jobs:
        uuid = simulator.add_job([("running", None)])
        seen: list[JobState] = []
        for action in ("pause", "resume", "cancel"):
            assert not (await alone(partial(act, action))).is_err
            seen.append((await jobs.get(uuid)).state)
        theirs, refused = await beside(lambda: act("cancel"), lambda: jobs.cancel(uuid))
    assert seen == [JobState.PAUSED, JobState.RUNNING, JobState.FAILED]
    assert isinstance(refused, AlreadyFinished)
    assert theirs.response_body["error"]["code"] == refused.code


async def test_they_say_who_they_are_where_we_do() -> None:
    simulator = OntapSimulator(users=USERS)
    async with simulator.serve() as url, ours(url) as jobs:
        uuid = simulator.add_job([("success", None)])
        await beside(lambda: watch(url, uuid), lambda: jobs.wait(uuid))
    names = {request.headers.get("x-dot-client-app", "") for request in simulator.journal}
    assert sorted(re.sub(r"[\d.].*", "", name) for name in names) == ["jobsource/", "netapp-ontap-python-"]
