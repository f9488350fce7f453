"""Pausing, resuming, cancelling: what is refused, what gets lost, and that nothing goes out twice."""

from __future__ import annotations

from typing import Any

import anyio
import httpx
import pytest

from common import (
    Action,
    ActionRefused,
    ActionUncertain,
    AlreadyFinished,
    AuthenticationError,
    Bearer,
    Capability,
    DecodeError,
    JobNotFound,
    JobRef,
    JobsError,
    JobState,
    PermissionDenied,
    RateLimited,
    ServerError,
    TransportError,
    Unsupported,
    UsageError,
    WrongSource,
)
from ontapjobs import OntapJobs
from tests.common.scripted import Answer, Script, after, raising, reply
from tests.contract.systems import NEVER_SEEN, PAGE, SYSTEMS, System, name_of

pytestmark = pytest.mark.anyio

RUNNING, SUCCEEDED = JobState.RUNNING, JobState.SUCCEEDED
ABLE = [system for system in SYSTEMS if system.provider == "ontap"]
UNABLE = [system for system in SYSTEMS if system not in ABLE]
on_the_able = pytest.mark.parametrize("system", ABLE, ids=name_of)


def refusal(code: str, status: int = 409) -> Answer:
    return reply(status, {"error": {"message": "no", "code": code}})


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("system", UNABLE, ids=name_of)
async def test_without_the_operation_nothing_is_sent(system: System, action: Action) -> None:
    async with system.rig() as rig:
        with pytest.raises(Unsupported):
            await rig.source.act(rig.job((RUNNING, None)), action)
        with pytest.raises(Unsupported, match=str(action)):
            await getattr(rig.source, str(action))(rig.job((RUNNING, None)))
        with pytest.raises(Unsupported):
            await rig.source.wait(rig.job((RUNNING, None)), on_cancel="cancel")
        assert not rig.member.capabilities & {Capability.PAUSE, Capability.RESUME, Capability.CANCEL}
        assert rig.wire.sent == []


@on_the_able
async def test_a_job_can_be_paused_resumed_and_cancelled(system: System) -> None:
    async with system.rig() as rig:
        job = rig.job((RUNNING, 600), (SUCCEEDED, None))
        assert (await rig.source.act(job, Action.PAUSE)).state is RUNNING  # the server takes its time
        assert (await rig.source.wait(job, until={JobState.PAUSED})).state is JobState.PAUSED
        assert (await rig.source.act(job, Action.RESUME)).state is RUNNING
        assert (await rig.source.act(job, Action.CANCEL)).ref == rig.member.ref(job)
        assert (await rig.source.wait(job, check=False)).state is JobState.FAILED
        assert rig.wire.sent.count("PATCH") == 3


@on_the_able
async def test_an_action_on_a_job_that_has_ended_comes_too_late(system: System) -> None:
    async with system.rig() as rig:
        job = rig.job((SUCCEEDED, None))
        for action in Action:
            with pytest.raises(AlreadyFinished) as caught:
                await rig.source.act(job, action)
            assert (caught.value.code, caught.value.ref) == ("458762", rig.member.ref(job))
        assert rig.wire.sent == ["PATCH"] * 3


@on_the_able
@pytest.mark.parametrize(
    ("state", "fields", "action", "code"),
    [
        (RUNNING, {}, Action.RESUME, "458771"),
        (JobState.QUEUED, {}, Action.PAUSE, "458776"),
        (RUNNING, {"pausable": False}, Action.PAUSE, "458783"),
        (RUNNING, {"cancellable": False}, Action.CANCEL, "458784"),
    ],
)
async def test_a_refusal_has_the_servers_code_and_a_sentence_of_ours(
    system: System, state: JobState, fields: dict[str, Any], action: Action, code: str
) -> None:
    async with system.rig() as rig:
        job = rig.job((state, None), **fields)
        with pytest.raises(ActionRefused, match=f"cannot {action}: .*job") as caught:
            await rig.source.act(job, action)
        assert type(caught.value) is ActionRefused
        assert (caught.value.code, caught.value.retryable) == (code, False)
        assert caught.value.ref == rig.member.ref(job)
        assert rig.wire.sent == ["PATCH"]


@on_the_able
@pytest.mark.parametrize(
    ("answer", "code", "retryable"),
    [
        (refusal("458773", 500), "458773", True),
        (refusal("459753"), "459753", False),
        (refusal("1", 405), "1", False),
    ],
)
async def test_a_refusal_says_whether_later_may_be_better(
    system: System, answer: Answer, code: str, retryable: bool
) -> None:
    async with system.rig() as rig:
        rig.wire.writes += [answer]
        with pytest.raises(ActionRefused) as caught:
            await rig.source.act(rig.job((RUNNING, None)), Action.CANCEL)
        assert (caught.value.code, caught.value.retryable) == (code, retryable)
        assert rig.wire.sent == ["PATCH"]


LOST: dict[str, Answer] = {
    "dropped": raising(httpx.RemoteProtocolError("server disconnected without a response")),
    "reset": raising(httpx.ReadError("connection reset")),
    "write broke off": raising(httpx.WriteError("broken pipe")),
    "timed out": raising(httpx.ReadTimeout("read timed out")),
    "hangs": after(1e9, reply(200)),
    "502": reply(502, text=PAGE),
    "504": reply(504, {"error": {"message": "gateway timeout", "code": "1"}}),
    "500 of a gateway": reply(500, text=PAGE),
    "503 of a gateway": reply(503),
}


@on_the_able
@pytest.mark.parametrize("answer", LOST.values(), ids=LOST)
async def test_a_reply_that_got_lost_leaves_it_open_and_nothing_is_sent_again(
    system: System, answer: Answer
) -> None:
    async with system.rig(request_timeout=10) as rig:
        job = rig.job((RUNNING, None))
        rig.wire.writes += [answer]
        with pytest.raises(ActionUncertain, match="may have been carried out") as caught:
            await rig.source.act(job, Action.CANCEL)
        await anyio.sleep(100)
        assert caught.value.ref == rig.member.ref(job)
        assert rig.wire.sent.count("PATCH") == 1


@on_the_able
@pytest.mark.parametrize(
    "failure", [httpx.ConnectError("refused"), httpx.ConnectTimeout("slow"), httpx.PoolTimeout("full")]
)
async def test_what_never_left_is_a_failure_and_no_doubt(system: System, failure: Exception) -> None:
    async with system.rig() as rig:
        job = rig.job((RUNNING, None))
        rig.wire.writes += [raising(failure)]
        with pytest.raises(TransportError) as caught:
            await rig.source.act(job, Action.CANCEL)
        assert caught.value.ref == rig.member.ref(job)
        assert rig.wire.sent == ["PATCH"]


@pytest.mark.parametrize("trouble", [TransportError("the login server hung up"), DecodeError("no token")])
async def test_an_action_without_its_credentials_is_a_failure_and_no_doubt(trouble: JobsError) -> None:
    async def token() -> str:
        await anyio.lowlevel.checkpoint()
        raise trouble

    async with OntapJobs("cluster1", auth=Bearer(token), transport=Script(reply(200))) as jobs:
        with pytest.raises(type(trouble)) as caught:
            await jobs.act(NEVER_SEEN, Action.CANCEL)
        assert caught.value.ref == jobs.ref(NEVER_SEEN)


@on_the_able
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (reply(401, {"error": {"message": "no", "code": "6691623"}}), AuthenticationError),
        (reply(403, {"error": {"message": "no", "code": "6"}}), PermissionDenied),
        (reply(429, {"error": {"message": "no", "code": "1"}}), RateLimited),
        (reply(500, {"error": {"message": "no", "code": "65541"}}), ServerError),
    ],
    ids=["401", "403", "429", "500"],
)
async def test_another_no_of_the_server_is_what_it_always_is(
    system: System, answer: Answer, expected: type[Exception]
) -> None:
    async with system.rig() as rig:
        rig.wire.writes += [answer]
        with pytest.raises(expected):
            await rig.source.act(rig.job((RUNNING, None)), Action.CANCEL)
        assert rig.wire.sent == ["PATCH"]


@on_the_able
async def test_an_action_on_a_job_that_there_is_not_is_not_found(system: System) -> None:
    async with system.rig() as rig:
        with pytest.raises(JobNotFound) as caught:
            await rig.source.act(rig.named(NEVER_SEEN), Action.CANCEL)
        assert caught.value.ref == rig.member.ref(NEVER_SEEN)


@on_the_able
@pytest.mark.parametrize(
    "answer",
    [reply(503, text=PAGE), reply(200, text=PAGE), raising(httpx.ReadTimeout("slow")), refusal("4", 404)],
    ids=["503", "page", "timeout", "gone"],
)
async def test_a_read_that_fails_afterwards_does_not_make_the_action_a_failure(
    system: System, answer: Answer
) -> None:
    async with system.rig() as rig:
        job = rig.job((RUNNING, None))
        rig.wire.reads += [answer] * 20
        after_it = await rig.source.act(job, Action.CANCEL)
        assert after_it.state is JobState.UNKNOWN
        assert after_it.ref == rig.member.ref(job)
        assert "accepted the cancel" in after_it.warnings[0]
        assert rig.wire.sent.count("PATCH") == 1


@on_the_able
async def test_a_read_that_fails_once_afterwards_is_made_again(system: System) -> None:
    async with system.rig() as rig:
        rig.wire.reads += [reply(503, text=PAGE)]
        assert (await rig.source.act(rig.job((RUNNING, None)), Action.PAUSE)).state is not JobState.UNKNOWN


@on_the_able
async def test_the_read_afterwards_keeps_to_retry_after(system: System) -> None:
    async with system.rig() as rig:
        job = rig.job((RUNNING, None))
        rig.wire.reads += [reply(429, Retry_After="60")]
        await rig.source.act(job, Action.PAUSE)
        reads = [request.at for request in rig.simulator.journal if request.method == "GET"]
        assert all(at >= 60 for at in reads)


@on_the_able
@pytest.mark.parametrize("kind", ["unauthorized", "forbidden"])
async def test_credentials_that_are_refused_afterwards_are_not_tried_again(system: System, kind: str) -> None:
    async with system.rig() as rig:
        rig.wire.reads += [getattr(system, kind)] * 5
        assert (await rig.source.act(rig.job((RUNNING, None)), Action.PAUSE)).state is JobState.UNKNOWN
        assert rig.wire.sent == ["PATCH", "GET"]


@on_the_able
async def test_what_cannot_be_asked_is_refused_before_any_request(system: System) -> None:
    action: Any = "explode"
    async with system.rig() as rig:
        with pytest.raises(UsageError, match="explode"):
            await rig.source.act(rig.job((RUNNING, None)), action)
        with pytest.raises(WrongSource):
            await rig.source.act(JobRef("ontap", "https://elsewhere", NEVER_SEEN), Action.CANCEL)
        on_cancel: Any = "explode"
        with pytest.raises(UsageError, match="on_cancel"):
            await rig.source.wait(rig.job((RUNNING, None)), on_cancel=on_cancel)
        assert rig.wire.sent == []


@on_the_able
async def test_a_wait_that_was_cancelled_leaves_the_job_alone_or_cancels_it_as_it_was_told(
    system: System,
) -> None:
    async with system.rig() as rig:
        left, cancelled = (rig.job((RUNNING, 600), (SUCCEEDED, None)) for _ in range(2))
        with anyio.move_on_after(5) as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(rig.source.wait, left)
                group.start_soon(lambda: rig.source.wait(cancelled, on_cancel="cancel"))
        assert scope.cancelled_caught
        assert (await rig.source.wait(cancelled, check=False)).state is JobState.FAILED
        assert (await rig.source.wait(left)).succeeded
        assert rig.wire.sent.count("PATCH") == 1


@on_the_able
@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (after(1e9, reply(200)), 10),
        (raising(httpx.ReadError("reset")), 0),
        (refusal("458784"), 0),
        (reply(403, text=PAGE), 0),
    ],
    ids=["hangs", "lost", "refused", "forbidden"],
)
async def test_cancelling_the_job_with_its_wait_is_bounded_and_its_failure_is_logged_and_swallowed(
    system: System, answer: Answer, seconds: float, caplog: pytest.LogCaptureFixture
) -> None:
    async with system.rig() as rig:
        job = rig.job((RUNNING, None))
        rig.wire.writes += [answer]
        with anyio.move_on_after(5) as scope:
            await rig.source.wait(job, on_cancel="cancel")
        assert scope.cancelled_caught
        assert anyio.current_time() == pytest.approx(5 + seconds, abs=0.1)
        assert rig.wire.sent.count("PATCH") == 1
    assert str(rig.member.ref(job)) in caplog.text


@on_the_able
async def test_a_deadline_does_not_cancel_the_job(system: System) -> None:
    async with system.rig() as rig:
        with pytest.raises(TimeoutError):
            await rig.source.wait(rig.job((RUNNING, None)), timeout=5, on_cancel="cancel")
        assert set(rig.wire.sent) == {"GET"}
