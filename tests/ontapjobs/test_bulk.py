"""One action on all jobs that match a filter: what is sent, and that nothing of the reply is lost."""

from __future__ import annotations

from typing import Any

import anyio
import httpx
import pytest

from common.model.job import ErrorDetail
from common.simulator import faults
from ontapjobs import (
    Action,
    ActionRefused,
    ActionUncertain,
    ApiError,
    Bearer,
    BulkResult,
    DecodeError,
    Job,
    JobRef,
    JobState,
    OntapJobs,
    PermissionDenied,
    ServerError,
    TransportError,
    UsageError,
    wait_all,
)
from ontapjobs.simulator import OntapSimulator
from tests.recording import Answer, Recorder, reply

pytestmark = pytest.mark.anyio
virtual = pytest.mark.virtual

JOBS = "/api/cluster/jobs"
OPTIONS = "continue_on_failure=true&return_records=true"
FIRST = f"PATCH {JOBS}?svm.name=vs1&action=cancel&{OPTIONS}"
A, B = "b5145e1d-b53b-11ec-8252-005056bbd1a5", "b5145e1d-b53b-11ec-8252-005056bbd1a6"
ENDED = ErrorDetail("it has ended", code="458762", target=B)


def ontap(*answers: Answer, **options: Any) -> tuple[OntapJobs, Recorder]:
    wire = Recorder(*answers)
    return OntapJobs("cluster1", auth=Bearer("t0ken-of-ours"), transport=wire, **options), wire


def cluster(**options: Any) -> tuple[OntapSimulator, OntapJobs]:
    simulator = OntapSimulator(seed=1, **options)
    return simulator, OntapJobs("cluster1", auth=Bearer("t"), transport=simulator.transport())


def named(*ids: str) -> tuple[JobRef, ...]:
    return tuple(JobRef("ontap", "https://cluster1", id) for id in ids)


def failing(code: str, status: int = 409, **more: Any) -> Answer:
    return reply({"error": {"message": "the server's words", "code": code}, **more}, status)


# --- the request


async def test_the_filters_are_those_of_a_list_and_one_failure_does_not_stop_the_rest() -> None:
    source, wire = ontap(reply({"num_records": 0}))
    await source.cancel_all(svm_name="vs1")
    await source.pause_all(state=["running", JobState.QUEUED], description="POST /api/storage/*")
    await source.resume_all(state=JobState.PAUSED)
    await source.cancel_all(every=True)
    assert wire.lines == [
        FIRST,
        f"PATCH {JOBS}?state=running%7Cqueued&description=POST%20%2Fapi%2Fstorage%2F*&action=pause&{OPTIONS}",
        f"PATCH {JOBS}?state=paused&action=resume&{OPTIONS}",
        f"PATCH {JOBS}?action=cancel&{OPTIONS}",
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "all jobs of the cluster: pass a filter"),
        ({"svm_name": None}, "all jobs of the cluster: pass a filter"),
        ({"every": False}, "all jobs of the cluster: pass a filter"),
        ({"every": True, "svm_name": "vs1"}, "cannot be combined"),
        ({"every": "false"}, "must be True"),
        ({"every": 1}, "must be True"),
        ({"svm_name": ""}, "is empty"),
        ({"uuid": []}, "empty sequence"),
        ({"vserver": "vs1"}, "unknown filter 'vserver'"),
        ({"state": JobState.PARTIAL}, "no such state"),
    ],
)
async def test_what_could_be_about_all_jobs_by_mistake_is_refused_before_any_request(
    arguments: dict[str, Any], words: str
) -> None:
    source, wire = ontap(reply({}))
    for act in (source.cancel_all, source.pause_all, source.resume_all):
        with pytest.raises(UsageError, match=words):
            await act(**arguments)
    assert wire.lines == []


# --- what the server says


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, BulkResult(Action.CANCEL)),
        (b"", BulkResult(Action.CANCEL)),
        ({"num_records": 7}, BulkResult(Action.CANCEL, 7)),
        ({"records": [{"uuid": A}, {"uuid": B}]}, BulkResult(Action.CANCEL, 2, named(A, B))),
        ({"num_records": 2, "records": {"uuid": A}}, BulkResult(Action.CANCEL, 2, named(A))),
        ({"job": {"uuid": A}}, BulkResult(Action.CANCEL, started=named(A))),
        (
            {"num_records": 1, "errors": [{"message": "it has ended", "code": 458762, "target": B}]},
            BulkResult(Action.CANCEL, 1, errors=(ENDED,)),
        ),
        (
            {"records": [{"uuid": A}, {"uuid": B, "error": {"message": "it has ended", "code": "458762"}}]},
            BulkResult(Action.CANCEL, 1, named(A), (ENDED,)),
        ),
        (
            {"errors": ["broken", 5], "rollback_errors": ["not undone"]},
            BulkResult(
                Action.CANCEL, errors=(ErrorDetail("broken"), ErrorDetail("5"), ErrorDetail("not undone"))
            ),
        ),
        (
            {"error": {"code": "458784"}},
            BulkResult(
                Action.CANCEL, errors=(ErrorDetail("this kind of job cannot be cancelled", code="458784"),)
            ),
        ),
    ],
    ids=str,
)
async def test_the_result_is_what_the_server_said(body: Any, expected: BulkResult) -> None:
    source, _ = ontap(reply(body))
    assert await source.cancel_all(svm_name="vs1") == expected


@pytest.mark.parametrize("code", ["458762", "458784", "459753", "4"])
@pytest.mark.parametrize("status", [400, 404, 409, 500])
async def test_an_error_about_one_job_says_nothing_about_the_others(code: str, status: int) -> None:
    source, _ = ontap(failing(code, status))
    result = await source.cancel_all(svm_name="vs1")
    assert result == BulkResult(Action.CANCEL, errors=(ErrorDetail("the server's words", code=code),))


async def test_an_error_beside_what_was_done_hides_neither() -> None:
    source, _ = ontap(failing("1", 409, num_records=2, records=[{"uuid": A}, {"uuid": B}]))
    result = await source.cancel_all(svm_name="vs1")
    assert result == BulkResult(Action.CANCEL, 2, named(A, B), (ErrorDetail("the server's words", code="1"),))
    assert str(result) == "cancel of 2 jobs, 1 errors: the server's words [code 1]"


@pytest.mark.parametrize(
    "told",
    [
        {"records": [{"uuid": A}]},
        {"records": [{"uuid": A, "error": {"message": "no"}}]},
        {"num_records": 1},
        {"job": {"uuid": A}},
    ],
    ids=str,
)
async def test_an_error_reply_that_tells_of_any_job_is_a_result(told: dict[str, Any]) -> None:
    source, _ = ontap(failing("1", 409, **told))
    result = await source.cancel_all(svm_name="vs1")
    assert result.errors[0] == ErrorDetail("the server's words", code="1")


@pytest.mark.parametrize(
    ("answer", "expected", "attributes"),
    [
        (failing("262197", 400), ActionRefused, {"code": "262197", "retryable": False}),
        (failing("458773", 500), ActionRefused, {"code": "458773", "retryable": True}),
        (failing("2621573", 409), ActionRefused, {"retryable": True}),
        (failing("6", 403), PermissionDenied, {"code": "6"}),
        (failing("65562", 503), ServerError, {"transient": True}),
        (reply(b"<html>not here</html>", 404), ApiError, {"transient": True}),
    ],
)
async def test_a_request_that_is_refused_as_such_raises(
    answer: Answer, expected: type[Exception], attributes: dict[str, Any]
) -> None:
    source, wire = ontap(answer)
    with pytest.raises(expected) as caught:
        await source.cancel_all(svm_name="vs1")
    assert {name: getattr(caught.value, name) for name in attributes} == attributes
    assert wire.lines == [FIRST]


@pytest.mark.parametrize(
    "answer",
    [
        httpx.ReadError("reset"),
        reply(b"<html>a page</html>"),
        reply([]),
        reply(b"<html>gateway time-out</html>", 504),
        failing("1", 502),
        reply(b"down", 503),
    ],
)
async def test_a_lost_reply_is_uncertain_and_nothing_is_sent_again(answer: Answer) -> None:
    source, wire = ontap(answer)
    with pytest.raises(ActionUncertain, match="may have been carried out: list the jobs"):
        await source.cancel_all(svm_name="vs1")
    assert wire.lines == [FIRST]


async def test_what_was_not_sent_is_certain() -> None:
    source, _ = ontap(httpx.ConnectError("refused"))
    with pytest.raises(TransportError) as caught:
        await source.cancel_all(svm_name="vs1")
    assert not caught.value.sent


async def test_no_secret_is_in_what_the_server_said() -> None:
    source, _ = ontap(reply({"errors": [{"message": "bad t0ken-of-ours"}, {"odd": "t0ken-of-ours"}]}))
    assert "t0ken" not in str(await source.cancel_all(svm_name="vs1"))


# --- further pages


NEXT = {"next": {"href": f"{JOBS}?p=2"}}


def part(*ids: str, following: str | None = None) -> Answer:
    links = {"next": {"href": following}} if following else {}
    return reply({"num_records": len(ids), "records": [{"uuid": id} for id in ids], "_links": links})


async def test_the_rest_that_the_server_links_is_asked_for_and_no_page_twice() -> None:
    following = f"{JOBS}?start.uuid={A}&svm.name=vs1&action=cancel"
    source, wire = ontap(part(A, following=following), part(B, following=following))
    assert await source.cancel_all(svm_name="vs1") == BulkResult(Action.CANCEL, 2, named(A, B))
    assert wire.lines == [FIRST, f"PATCH {following}"]


async def test_a_number_that_one_page_does_not_tell_is_not_known() -> None:
    for pages in (part(A, following=f"{JOBS}?p=2"), reply({})), (reply({"_links": NEXT}), part(A)):
        source, _ = ontap(*pages)
        assert (await source.cancel_all(svm_name="vs1")).count is None


@virtual
async def test_the_server_may_hold_the_request_for_its_own_15_seconds_as_well() -> None:
    simulator, source = cluster()
    simulator.inject("PATCH", faults.Hang())
    begun = anyio.current_time()
    with pytest.raises(ActionUncertain):
        await source.cancel_all(every=True)
    assert anyio.current_time() - begun == 45


@pytest.mark.parametrize(
    ("rest", "answer", "expected"),
    [
        (f"{JOBS}?start.uuid={A}", httpx.ReadError("reset"), ActionUncertain),
        (f"{JOBS}?start.uuid={A}", failing("6", 403), PermissionDenied),
        ("https://elsewhere.example.com/", reply({}), DecodeError),
    ],
)
async def test_what_was_done_before_a_page_that_fails_is_told(
    rest: str, answer: Answer, expected: type[Exception]
) -> None:
    source, _ = ontap(part(A, following=rest), answer)
    with pytest.raises(expected) as caught:
        await source.cancel_all(svm_name="vs1")
    assert caught.value.__notes__ == ["before that, the server answered: cancel of 1 jobs, 0 errors"]


# --- the simulator


@virtual
@pytest.mark.parametrize("pages", [{}, {"page_size": 2}, {"short_pages": True, "page_size": 3}])
async def test_all_that_match_are_cancelled_and_those_that_refuse_are_named(pages: dict[str, Any]) -> None:
    simulator, source = cluster(**pages)
    running = {simulator.add_job([("running", 60), ("success", None)], description="mine") for _ in range(5)}
    ended = simulator.add_job([("success", None)], description="mine")
    stubborn = simulator.add_job([("running", None)], description="mine", cancellable=False)
    other = simulator.add_job([("running", None)], description="other")
    result = await source.cancel_all(description="mine")
    assert (result.count, {ref.id for ref in result.refs}) == (5, running)
    assert {(error.target, error.code) for error in result.errors} == {
        (ended, "458762"),
        (stubborn, "458784"),
    }
    outcomes = await wait_all(source, result.refs, timeout=60, check=False)
    assert {job.state for job in outcomes if isinstance(job, Job)} == {JobState.FAILED}
    assert len(outcomes) == 5
    assert (await source.get(other)).state is JobState.RUNNING


@virtual
async def test_jobs_are_paused_and_resumed_together() -> None:
    simulator, source = cluster(settle=0)
    ids = [simulator.add_job([("running", 60), ("success", None)]) for _ in range(3)]
    assert (await source.pause_all(every=True)).count == 3
    assert {job.state async for job in source.list()} == {JobState.PAUSED}
    assert (await source.resume_all(state="paused")).refs == tuple(map(source.ref, sorted(ids)))
    assert {job.state async for job in source.list()} == {JobState.RUNNING}


@virtual
async def test_without_continue_on_failure_the_first_that_refuses_ends_it() -> None:
    simulator, source = cluster()
    simulator.add_job([("success", None)], id=A)
    simulator.add_job([("running", None)], id=B)
    async with httpx.AsyncClient(transport=simulator.transport(), base_url="http://cluster1") as client:
        answer = await client.patch(JOBS, params={"action": "cancel", "uuid": f"{A}|{B}"})
        odd = await client.patch(JOBS, params={"action": "cancel", "uuid": A, "continue_on_failure": "yes"})
    assert (answer.status_code, answer.json()["num_records"]) == (409, 0)
    assert odd.status_code == 400
    assert (await source.get(B)).state is JobState.RUNNING


@virtual
async def test_an_action_that_was_carried_out_before_its_reply_was_lost_is_uncertain() -> None:
    simulator, source = cluster(settle=0)
    id = simulator.add_job([("running", 60), ("success", None)])
    simulator.inject("PATCH", faults.Html(504, acts=True))
    with pytest.raises(ActionUncertain):
        await source.cancel_all(every=True)
    assert (await source.get(id)).state is JobState.FAILED


@virtual
async def test_count_adds_up_the_pages_that_end_early() -> None:
    simulator, source = cluster(short_pages=True, page_size=4)
    for _ in range(7):
        simulator.add_job([("running", None)])
    assert await source.count(state="running") == 7
    assert len(simulator.journal) > 2
