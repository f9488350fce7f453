"""What a write's response says beside the ids of its jobs: its status, errors, and where the jobs are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import httpx
import pytest

from common import (
    ApiError,
    AuthenticationError,
    Bearer,
    DecodeError,
    ErrorDetail,
    Job,
    JobFailed,
    JobGone,
    JobNotFound,
    JobRef,
    JobState,
    PermissionDenied,
    PollPolicy,
    Unsupported,
    UsageError,
    WaitTimeout,
    from_dict,
    to_dict,
    wait_all,
)
from ontapjobs import OntapJobs, parse_job
from ontapjobs.simulator import NewJob, OntapSimulator
from tests.recording import Recorder, in_turn, reply

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

Answer = Callable[[httpx.Request], httpx.Response]

UUID = "b5145e1d-b53b-11ec-8252-005056bbd1a5"
LINK = {"uuid": UUID, "_links": {"self": {"href": f"/api/cluster/jobs/{UUID}"}}}
POLICY = PollPolicy(initial=1, maximum=4)
RUNNING = reply({"uuid": UUID, "state": "running"})
FAILED = reply({"uuid": UUID, "state": "failure", "message": "the aggregate is full"})
BUSY = reply(b"<html>busy</html>", 503)
ERROR = {"message": "the Snapshot copy is busy", "code": "1638555", "target": "name"}


def failing(status: int, code: str) -> Answer:
    return reply({"error": {"message": "so says ONTAP", "code": code}}, status)


UNREADABLE: dict[str, Answer] = {
    "forbidden": failing(403, "6"),
    "gone": failing(404, "4"),
    "malformed": failing(404, "2"),
}


def ontap(*answers: Answer) -> tuple[OntapJobs, Recorder]:
    wire = Recorder(*answers)
    return OntapJobs("cluster1", auth=Bearer("t0ken"), transport=wire, policy=POLICY), wire


# --- a write whose status says that it is done


@pytest.mark.parametrize("answer", UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.parametrize("status", [200, 201])
async def test_a_job_that_cannot_be_read_has_succeeded_where_its_write_says_so(
    status: int, answer: Answer
) -> None:
    source, _ = ontap(reply({"job": LINK}, status), answer)
    started = await source.start("PATCH", "/api/storage/volumes/1", json={}, inline=30)
    assert started.status == status
    assert str(started.refs[0]) == f"ontap://cluster1/{UUID}?done={status}"
    [job] = await wait_all(source, started.waitable)
    assert (job.state, job.native_state, job.resolved) == (JobState.SUCCEEDED, None, False)
    assert job.warnings[0].startswith(f"the write was answered {status}, so its work is done, but ")
    assert await source.get(str(started.refs[0])) == job
    assert anyio.current_time() == 0


async def test_what_the_job_says_counts() -> None:
    source, _ = ontap(FAILED)
    [ref] = source.adopt(status=200, body={"job": LINK}).refs
    with pytest.raises(JobFailed, match="the aggregate is full"):
        await source.wait(ref)


async def test_passing_trouble_is_waited_out_before_the_write_is_believed() -> None:
    source, wire = ontap(in_turn(BUSY, BUSY, failing(404, "3"), failing(403, "6")))
    [ref] = source.adopt(status=200, body={"job": LINK}).refs
    assert (await source.wait(ref)).succeeded
    assert len(wire.requests) == 4
    source, _ = ontap(BUSY)
    with pytest.raises(WaitTimeout):
        await source.wait(ref, timeout=30)


@pytest.mark.parametrize("status", [401, 400])
async def test_other_refusals_are_what_they_always_are(status: int) -> None:
    source, _ = ontap(failing(status, "1"))
    [ref] = source.adopt(status=200, body={"job": LINK}).refs
    with pytest.raises(AuthenticationError if status == 401 else ApiError):
        await source.wait(ref)


async def test_a_job_that_was_seen_to_go_on_was_not_done() -> None:
    [ref] = ontap()[0].adopt(status=200, body={"job": LINK}).refs
    source, _ = ontap(RUNNING, failing(403, "6"))
    with pytest.raises(PermissionDenied):
        await source.wait(ref)
    source, _ = ontap(RUNNING, failing(404, "4"))
    with pytest.raises(JobGone):
        await source.wait(ref)
    source, _ = ontap(RUNNING, failing(404, "4"))
    stored = to_dict(await source.get(ref))
    with pytest.raises(JobGone):
        await source.wait(from_dict(stored))
    elsewhere, _ = ontap(failing(403, "6"))
    seen = Job(ref, JobState.RUNNING)
    with pytest.raises(PermissionDenied):
        await elsewhere.wait(seen)


TOLD: dict[str, tuple[int, dict[str, Any], bool]] = {
    "accepted": (202, {"job": LINK}, False),
    "a success": (200, {"job": {**LINK, "state": "success"}}, True),
    "goes on": (200, {"job": {**LINK, "state": "running"}}, False),
    "a failure": (200, {"job": {**LINK, "state": "failure"}}, False),
    "a state that is none": (200, {"job": {**LINK, "state": 7}}, False),
    "an error beside it": (200, {"job": LINK, "error": ERROR}, False),
    "refused": (400, {"job": LINK, "error": ERROR}, False),
}


@pytest.mark.parametrize(("status", "body", "done"), TOLD.values(), ids=TOLD)
async def test_a_response_says_that_all_is_done_by_its_status_and_nothing_against_it(
    status: int, body: dict[str, Any], done: bool
) -> None:
    source, _ = ontap(failing(404, "4"))
    [ref] = source.adopt(status=status, body=body).refs
    assert ref.hints == ((("done", str(status)),) if done else ())
    if not done:
        with pytest.raises(JobNotFound):
            await source.wait(ref)


async def test_jobs_of_one_batch_are_done_each_by_its_own_write() -> None:
    simulator = OntapSimulator()
    source = OntapJobs("cluster1", auth=Bearer("t0ken"), transport=simulator.transport(), policy=POLICY)
    body = {"jobs": [{"uuid": f"{number}5145e1d-b53b-11ec-8252-005056bbd1a5"} for number in range(5)]}
    refs = source.adopt(status=200, body=body).refs
    outcomes = await wait_all(source, [*refs, UUID], check=False)
    assert [type(outcome) for outcome in outcomes] == [Job] * 5 + [JobNotFound]
    assert all(outcome.succeeded for outcome in outcomes if isinstance(outcome, Job))


async def test_a_link_to_results_names_the_job_too() -> None:
    links = {"results": {"href": f"/api/storage/luns?job_results_uuid={UUID}"}}
    [ref] = ontap()[0].adopt(status=202, body={"job": {"_links": links}}).refs
    assert (ref.id, ref.hints) == (UUID, (("results", "/api/storage/luns"),))


async def test_a_write_of_many_records_that_is_done_has_results_all_the_same() -> None:
    results = {"records": [], "errors": [{"message": "duplicate entry"}]}
    source, wire = ontap(failing(403, "6"), reply(results))
    links = {"results": {"href": f"/api/storage/luns?job_results_uuid={UUID}"}}
    [ref] = source.adopt(status=201, body={"job": {"uuid": UUID, "_links": links}}).refs
    assert str(ref) == f"ontap://cluster1/{UUID}?done=201&results=/api/storage/luns"
    job = await source.wait(str(ref), check=False)
    assert (job.state, job.errors) == (JobState.PARTIAL, (ErrorDetail("duplicate entry"),))
    assert wire.lines[1] == f"GET /api/storage/luns?job_results_uuid={UUID}"


# --- a write that was accepted, without a job that is known

NAMELESS: dict[str, Any] = {
    "a command's output": {"cli_output": '[Job 2379] Job is queued: Move "v1".'},
    "a link elsewhere": {"job_link": f"/api/cluster/jobs/{UUID}"},
    "nothing": {},
    "no body": b"",
    "a page": b"<html>accepted</html>",
    "an array": [1],
    "a job without an id": {"job": {"name": "move"}},
    "one of two": {"jobs": [LINK, {"name": "move"}]},
}


@pytest.mark.parametrize("body", NAMELESS.values(), ids=NAMELESS)
async def test_accepted_work_without_a_known_job_cannot_be_waited_for(body: Any) -> None:
    source, _ = ontap()
    adopted = source.adopt(status=202, body=body)
    with pytest.raises(DecodeError, match="names no job to wait for") as caught:
        await wait_all(source, adopted.waitable)
    quoted = "had no body" if body == b"" else "move" if "move" in str(body) else ""
    assert quoted in str(caught.value)


async def test_what_came_is_quoted_without_what_was_sent_in_secret() -> None:
    source, _ = ontap(reply({"cli_output": "[Job 2379] Job is queued for t0ken"}, 202))
    started = await source.start("POST", "/api/private/cli/volume/move/start", json={})
    with pytest.raises(DecodeError, match=r"\[Job 2379\]") as caught:
        _ = started.waitable
    assert "t0ken" not in f"{caught.value}{started!r}"


async def test_an_id_with_an_odd_byte_is_none_and_an_error_with_one_is_kept() -> None:
    job = b'{"_links": {"self": {"href": "/api/cluster/jobs/p\xe9re"}}}'
    body = b'{"job": %s, "error": {"message": "p\xe9re"}}' % job
    adopted = ontap()[0].adopt(status=202, body=body)
    assert (adopted.refs, adopted.errors) == ((), (ErrorDetail("p\ufffdre"),))
    assert "U+FFFD" in adopted.warnings[0]
    with pytest.raises(DecodeError):
        _ = adopted.waitable


@pytest.mark.parametrize("status", [200, 201, 204])
async def test_any_other_status_without_a_job_is_the_end_of_the_work(status: int) -> None:
    source, _ = ontap()
    assert source.adopt(status=status, body={"num_records": 1}).waitable == ()


# --- an error beside a job


@pytest.mark.parametrize("status", [200, 202, 400, 500])
async def test_an_error_beside_a_job_is_kept(status: int) -> None:
    source, _ = ontap(reply({"error": ERROR, "job": LINK}, status))
    started = await source.start("DELETE", "/api/storage/volumes/1/snapshots/2", inline=30)
    assert started.errors == (ErrorDetail(ERROR["message"], code="1638555", target="name"),)
    assert (started.status, started.waitable) == (status, started.refs)


async def test_a_failure_without_a_word_is_kept_by_its_status() -> None:
    source, _ = ontap()
    adopted = source.adopt(status=409, body={"job": LINK})
    assert adopted.errors == (ErrorDetail("the write was answered 409"),)


async def test_an_error_beside_a_job_does_not_repeat_a_secret() -> None:
    source, _ = ontap(reply({"error": {"message": "no: Bearer t0ken"}, "job": LINK}, 400))
    started = await source.start("DELETE", "/api/x")
    assert "t0ken" not in repr(started)


# --- jobs of other kinds

ENGINE = "/api/data-engine/jobs"
PREVIEW = "/api/data-engine/governance/file-preview/jobs"
RECORD = {
    "uuid": UUID,
    "name": "workspace create",
    "description": "Workspace Create Job",
    "state": "running",
    "percent_complete": 5,
    "create_time": "2026-06-04T19:00:00.000+0000",
    "update_time": "2026-06-04T19:00:05.000+0000",
    "parent_job": {"uuid": "1", "_links": {"self": {"href": f"{ENGINE}/1"}}},
    "sub_jobs": [
        {"uuid": "2", "state": "success"},
        {"uuid": "3", "state": "failure", "error": {"message": "no space", "code": "9"}},
        {"name": "index"},
    ],
}


@pytest.mark.slow
async def test_a_job_is_polled_where_its_link_says_by_any_process_that_has_its_ref() -> None:
    simulator = OntapSimulator(
        on_write=NewJob([("running", 10), ("success", None)], {"path": ENGINE, "percent_complete": 5})
    )
    source = OntapJobs("cluster1", auth=Bearer("t0ken"), transport=simulator.transport(), policy=POLICY)
    [ref] = (await source.start("POST", "/api/data-engine/workspaces", json={})).refs
    assert str(ref) == f"ontap://cluster1/{ref.id}?path={ENGINE.replace('/', '%2F')}"
    assert (await source.wait(str(ref))).succeeded
    assert (await source.wait(JobRef("ontap", "", ref.id, ref.scope))).ref == ref
    assert {request.path for request in simulator.journal[1:]} == {f"{ENGINE}/{ref.id}"}
    assert [job.id async for job in source.list()] == []


async def test_jobs_of_two_kinds_may_have_one_id() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        state = "success" if "data-engine" in request.url.path else "failure"
        return httpx.Response(200, json={"uuid": UUID, "state": state})

    source, wire = ontap(answer)
    other = JobRef("ontap", "", UUID, (("path", ENGINE),))
    outcomes = await wait_all(source, [UUID, other, UUID, other], check=False)
    states = [outcome.state.name for outcome in outcomes if isinstance(outcome, Job)]
    assert states == ["FAILED", "SUCCEEDED", "FAILED", "SUCCEEDED"]
    assert len(wire.requests) == 2


async def test_a_job_elsewhere_is_read_by_the_words_of_its_own_kind() -> None:
    source, _ = ontap(lambda _: httpx.Response(200, json={"uuid": UUID, "state": "canceled"}))
    assert (await source.get(UUID)).state is JobState.UNKNOWN
    assert (await source.get(JobRef("ontap", "", UUID, (("path", ENGINE),)))).state is JobState.CANCELLED


def test_progress_children_and_parent_are_those_of_the_data_engine() -> None:
    for data in (RECORD, httpx.Response(200, json=RECORD).content):
        job = parse_job(data, scope=(("path", ENGINE),))
        assert (job.state, job.progress, job.operation) == (JobState.RUNNING, 0.05, "Workspace Create Job")
        assert [(item.id, item.kind, item.state.name) for item in job.items] == [
            ("2", "job", "SUCCEEDED"),
            ("3", "job", "FAILED"),
            ("index", "job", "UNKNOWN"),
        ]
        assert job.errors == (ErrorDetail("no space", code="9", target="3"),)
        assert job.links == {"parent_job": f"{ENGINE}/1"}
        assert job.created_at is not None
        assert job.updated_at is not None
        assert job.created_at < job.updated_at


@pytest.mark.parametrize("percent", [-1, 101, "5%", True, None, float("1e400")])
def test_what_is_no_percentage_is_no_progress(percent: object) -> None:
    assert parse_job({**RECORD, "percent_complete": percent}).progress is None


def test_a_success_with_a_failed_child_is_partial_and_one_that_goes_on_is_a_warning() -> None:
    job = parse_job({**RECORD, "state": "success"})
    assert (job.state, job.warnings) == (JobState.PARTIAL, ())
    job = parse_job({**RECORD, "state": "success", "sub_jobs": [{"uuid": "2", "state": "running"}]})
    assert (job.state, len(job.warnings)) == (JobState.SUCCEEDED, 1)


@pytest.mark.parametrize(
    ("word", "state"),
    [("canceled", JobState.CANCELLED), ("canceling", JobState.RUNNING), ("timed_out", JobState.FAILED)],
)
def test_words_that_only_other_kinds_have(word: str, state: JobState) -> None:
    data = httpx.Response(200, json={"uuid": UUID, "state": word}).content
    assert parse_job(data, scope=(("path", PREVIEW),)).state is state
    assert parse_job(data).state is JobState.UNKNOWN


@pytest.mark.parametrize(
    ("href", "path"),
    [
        (f"{PREVIEW}/{UUID}", PREVIEW),
        (f"https://proxy.example/x{ENGINE}/{UUID}?fields=*", ENGINE),
        (f"/api/gateways/1cd8a442/api/data-engine/jobs/{UUID}", ENGINE),
        (f"/api/gateways/1cd8a442/api/cluster/jobs/{UUID}", None),
        (f"https://proxy.example/x/api/cluster/jobs/{UUID}/", None),
        (f"/somewhere/jobs/{UUID}", None),
        (f"/api/../jobs/{UUID}", None),
        (f"/api/x/%2e%2e/jobs/{UUID}", None),
    ],
)
async def test_a_link_tells_the_place_below_the_endpoint(href: str, path: str | None) -> None:
    source, _ = ontap()
    [ref] = source.adopt(status=202, body={"job": {"_links": {"self": {"href": href}}}}).refs
    assert ref == JobRef("ontap", "https://cluster1", UUID, (("path", path),) if path else ())


async def test_the_path_of_the_clusters_jobs_is_none() -> None:
    source, _ = ontap()
    assert source.ref(f"ontap://cluster1/{UUID}?path=/api/cluster/jobs") == source.ref(UUID)


@pytest.mark.parametrize("path", ["/api/../x/jobs", "/api/storage/volumes", "jobs", "", "//evil/api/x/jobs"])
async def test_a_path_that_no_link_gave_is_refused(path: str) -> None:
    source, wire = ontap()
    with pytest.raises(UsageError, match="not one of jobs"):
        await source.get(JobRef("ontap", "", UUID, (("path", path),)))
    assert wire.requests == []


async def test_other_kinds_of_jobs_can_be_read_alone() -> None:
    source, wire = ontap()
    ref = JobRef("ontap", "", UUID, (("path", ENGINE),))
    with pytest.raises(Unsupported):
        await source.cancel(ref)
    with pytest.raises(Unsupported):
        await source.wait(ref, on_cancel="cancel")
    with pytest.raises(Unsupported):
        source.watch(ref, on_cancel="cancel")
    assert wire.requests == []
