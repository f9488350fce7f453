"""Watching and waiting, to the second: one source, a scripted server, virtual time."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from typing import Any

import anyio
import httpx
import pytest

from cfjobs import CFJobs
from common import (
    AuthenticationError,
    Bearer,
    DecodeError,
    Event,
    EventKind,
    Job,
    JobFailed,
    JobGone,
    JobNotFound,
    JobRef,
    JobsError,
    JobState,
    PermissionDenied,
    PollPolicy,
    RateLimited,
    ServerError,
    SourceClosed,
    TransportError,
    UnexpectedState,
    UsageError,
    WaitTimeout,
    WrongSource,
    from_dict,
    to_dict,
)
from common.model.errors import ApiError, SourceError
from tests.common.scripted import (
    ENDPOINT,
    JOB,
    OTHER,
    TOKEN,
    Answer,
    Script,
    about,
    after,
    done,
    error,
    failed,
    gone,
    job,
    never,
    outcome,
    outcomes,
    raising,
    reply,
    running,
    source,
    unavailable,
    undecodable,
)
from tests.common.virtual import Backend, Footprint, VirtualLoop, virtual_asyncio, virtual_trio

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

REF = JobRef("cf", ENDPOINT, JOB)
RUNNING = Job(REF, JobState.RUNNING, native_state="PROCESSING", operation="app.delete")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def states_of(watch: Any) -> list[tuple[JobState, str | None]]:
    return [(job.state, job.native_state) async for job in watch]


# --- get


@pytest.mark.parametrize("answer", [running, done, failed, job("FLORBING")])
async def test_get_is_one_request_and_raises_for_no_state(answer: Answer) -> None:
    script = Script(answer)
    async with source(script) as jobs:
        assert (await jobs.get(JOB)).ref == REF
    assert len(script.sent) == 1


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (unavailable, ServerError),
        (error(429, 10013), RateLimited),
        (gone, JobNotFound),
        (undecodable, DecodeError),
        (raising(httpx.ConnectError("refused")), TransportError),
    ],
)
async def test_get_raises_what_a_wait_would_absorb(answer: Answer, expected: type[JobsError]) -> None:
    script = Script(answer)
    async with source(script) as jobs:
        with pytest.raises(expected) as caught:
            await jobs.get(JOB)
    assert caught.value.ref == REF
    assert len(script.sent) == 1


# --- watch


async def test_a_watch_gives_the_first_observation_then_each_change() -> None:
    script = Script(running, running, job("POLLING"), job("POLLING", warnings=[{"detail": "slow"}]), done)
    async with source(script) as jobs:
        seen = [(job.native_state, job.warnings) async for job in jobs.watch(JOB)]
    assert seen == [("PROCESSING", ()), ("POLLING", ()), ("POLLING", ("slow",)), ("COMPLETE", ())]


async def test_a_failed_job_is_the_last_observation_of_a_watch_and_no_exception() -> None:
    async with source(Script(running, failed)) as jobs:
        seen = await states_of(jobs.watch(JOB))
    assert seen == [(JobState.RUNNING, "PROCESSING"), (JobState.FAILED, "FAILED")]


async def test_a_watch_that_has_ended_stays_at_its_end_and_asks_no_more() -> None:
    script = Script(done)
    async with source(script) as jobs:
        watch = jobs.watch(JOB)
        assert await states_of(watch) == [(JobState.SUCCEEDED, "COMPLETE")]
        assert await states_of(watch) == []
    assert len(script.sent) == 1


async def test_a_watch_begins_with_its_first_step() -> None:
    script = Script(running)
    async with source(script) as jobs:
        watch = jobs.watch(JOB, timeout=2.5)
        await anyio.sleep(100)
        assert script.sent == []
        with pytest.raises(WaitTimeout):
            await states_of(watch)
    assert script.times == [about(100), about(101), about(102)]


async def test_a_watch_holds_nothing_between_its_steps() -> None:
    script = Script(running, unavailable, job("POLLING"), done)
    async with source(script) as jobs:
        before = Footprint.now()
        async for _ in jobs.watch(JOB, timeout=100):
            assert Footprint.now() == before
            assert script.open == 0


async def test_a_watch_can_be_left_at_any_step() -> None:
    script = Script(running, job("POLLING"), done)
    async with source(script) as jobs:
        before = Footprint.now()
        async with jobs.watch(JOB) as watch:
            async for _ in watch:
                break
        assert await states_of(watch) == []
        assert Footprint.now() == before
    assert len(script.sent) == 1


# --- wait, and check


async def test_wait_gives_the_job_as_it_ended() -> None:
    async with source(Script(running, running, done)) as jobs:
        ended = await jobs.wait(JOB)
    assert (ended.ref, ended.state, ended.native_state) == (REF, JobState.SUCCEEDED, "COMPLETE")


async def test_wait_raises_for_a_failed_job_with_all_of_its_errors() -> None:
    errors = [{"code": 1, "title": "CF-One", "detail": "first"}, {"code": 2, "detail": "second"}]
    async with source(Script(running, job("FAILED", errors=errors))) as jobs:
        with pytest.raises(JobFailed, match=r"first.*code 1.*second.*code 2") as caught:
            await jobs.wait(JOB)
    assert caught.value.ref == REF
    assert [error.message for error in caught.value.job.errors] == ["first", "second"]


async def test_without_check_a_failed_job_is_returned() -> None:
    async with source(Script(running, failed)) as jobs:
        assert (await jobs.wait(JOB, check=False)).state is JobState.FAILED


async def test_polls_get_rarer_with_the_run_time_of_the_job() -> None:
    script = Script(running)
    async with source(script) as jobs:
        with pytest.raises(WaitTimeout):
            await jobs.wait(JOB, timeout=3600)
    gaps = [later - earlier for earlier, later in pairwise(script.times)]
    assert gaps[0] == about(1)
    assert gaps[-1] == about(30)
    assert all(earlier <= later + 0.1 for earlier, later in pairwise(gaps))


async def test_the_policy_of_a_wait_replaces_that_of_its_source() -> None:
    script = Script(running)
    async with source(script, policy=PollPolicy(initial=50, maximum=50)) as jobs:
        with pytest.raises(WaitTimeout):
            await jobs.wait(JOB, timeout=25, policy=PollPolicy(initial=10, maximum=10))
    assert script.times == [about(0), about(10), about(20)]


async def test_due_times_count_from_the_dispatch_of_a_request() -> None:
    script = Script(after(4, running))
    async with source(script) as jobs:
        with pytest.raises(WaitTimeout):
            await jobs.wait(JOB, timeout=25, policy=PollPolicy(initial=10, maximum=10))
    assert script.times == [about(0), about(10), about(20)]


# --- until


@pytest.mark.parametrize("check", [True, False])
async def test_a_state_that_was_asked_for_ends_the_wait_without_raising(check: bool) -> None:
    script = Script(job("POLLING"), failed)
    async with source(script) as jobs:
        first = await jobs.wait(JOB, until={JobState.RUNNING}, check=check)
        second = await jobs.wait(JOB, until={JobState.FAILED}, check=check)
    assert (first.native_state, second.native_state) == ("POLLING", "FAILED")


@pytest.mark.parametrize(("answer", "expected"), [(done, UnexpectedState), (failed, JobFailed)])
async def test_an_end_that_was_not_asked_for_raises_whatever_check_says(
    answer: Answer, expected: type[UnexpectedState | JobFailed]
) -> None:
    async with source(Script(running, answer)) as jobs:
        with pytest.raises(expected) as caught:
            await jobs.wait(JOB, until={JobState.PAUSED}, check=False)
    assert caught.value.job is not None
    assert caught.value.job.done


async def test_what_the_caller_saw_before_does_not_count_as_the_state_that_was_asked_for() -> None:
    script = Script(done)
    async with source(script) as jobs:
        with pytest.raises(UnexpectedState):
            await jobs.wait(RUNNING, until={JobState.RUNNING})
    assert len(script.sent) == 1


async def test_an_answer_to_an_earlier_request_does_not_count_as_the_state_that_was_asked_for() -> None:
    script = Script(after(5, running), after(5, running), done)

    async def later(jobs: CFJobs) -> Job:
        await anyio.sleep(2)
        await jobs.wait(JOB, until={JobState.RUNNING})
        assert anyio.current_time() >= 7
        return RUNNING

    async with source(script) as jobs:
        assert [isinstance(each, Job) for each in await outcomes(jobs.wait(JOB), later(jobs))] == [True] * 2


@pytest.mark.parametrize("until", [(), "running somewhere", [None], 5])
async def test_until_takes_states_only(until: Any) -> None:
    script = Script(done)
    async with source(script) as jobs:
        with pytest.raises(UsageError, match="until="):
            await jobs.wait(JOB, until=until)
    assert script.sent == []


# --- The deadline


async def test_a_timeout_of_zero_makes_one_read() -> None:
    script = Script(running)
    async with source(script) as jobs:
        with pytest.raises(WaitTimeout, match="within 0 s; last seen RUNNING") as caught:
            await jobs.wait(JOB, timeout=0)
    assert caught.value.job == RUNNING
    assert len(script.sent) == 1


async def test_the_one_read_of_a_timeout_of_zero_is_not_cut() -> None:
    async with source(Script(after(5, done))) as jobs:
        assert (await jobs.wait(JOB, timeout=0)).succeeded


async def test_trouble_in_the_one_read_of_a_timeout_of_zero_is_told() -> None:
    script = Script(unavailable)
    async with source(script) as jobs:
        with pytest.raises(WaitTimeout, match="503") as caught:
            await jobs.wait(JOB, timeout=0)
    assert isinstance(caught.value.__cause__, ServerError)
    assert len(script.sent) == 1


async def test_a_timeout_of_zero_does_not_sit_out_a_floor() -> None:
    script = Script(by_id={JOB: [error(429, 10013, Retry_After="3000")], OTHER: [running]})
    async with source(script) as jobs:
        for name, timeout in ((JOB, 1), (OTHER, 0)):
            with pytest.raises(WaitTimeout):
                await jobs.wait(name, timeout=timeout)
        assert anyio.current_time() == about(1)


async def test_a_read_in_flight_is_cut_at_the_deadline() -> None:
    script = Script(running, never)
    async with source(script) as jobs:
        with pytest.raises(WaitTimeout) as caught:
            await jobs.wait(JOB, timeout=3)
        assert anyio.current_time() == about(3)
        assert script.open == 0
    assert caught.value.job == RUNNING


@pytest.mark.parametrize(("timeout", "times"), [(2.5, [0, 1, 2]), (2.0, [0, 1]), (0.001, [0])])
async def test_no_read_starts_at_or_after_the_deadline(timeout: float, times: list[float]) -> None:
    script = Script(running)
    async with source(script) as jobs:
        with pytest.raises(WaitTimeout):
            await jobs.wait(JOB, timeout=timeout)
        assert anyio.current_time() == about(timeout)
        await anyio.sleep(100)
    assert script.times == [about(time) for time in times]


async def test_the_deadline_also_ends_a_wait_for_a_turn() -> None:
    script = Script(never)
    async with source(script, concurrency=1) as jobs, anyio.create_task_group() as group:
        group.start_soon(jobs.get, OTHER)
        await anyio.sleep(1)
        with pytest.raises(WaitTimeout):
            await jobs.wait(JOB, timeout=3)
        assert anyio.current_time() == about(4)
        group.cancel_scope.cancel()
    assert [sent.id for sent in script.sent] == [OTHER]


@pytest.mark.parametrize("extra", range(12))
def test_a_deadline_holds_also_when_a_reply_comes_in_at_that_very_moment(extra: int) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        late: asyncio.Future[None] = loop.create_future()

        async def answer(request: httpx.Request) -> httpx.Response:
            if request.url.path.endswith(JOB):
                await late
            return await running(request)

        async with source(httpx.MockTransport(answer)) as jobs:
            other = asyncio.create_task(jobs.wait(OTHER, policy=PollPolicy(initial=0.5)))
            await asyncio.sleep(0.1)
            # Another job falls due, the reply comes, the deadline passes: all in one turn of the loop, in an
            # order that depends on how many timers there are.
            for _ in range(extra):
                loop.call_at(0.5, str)
            loop.call_at(0.5, late.set_result, None)
            ended = await outcome(jobs.wait(JOB, timeout=0.4, policy=PollPolicy(initial=20)))
            at = loop.time()
            other.cancel()
            await asyncio.gather(other, return_exceptions=True)
        assert isinstance(ended, WaitTimeout)
        assert at == about(0.5)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())


async def test_a_wait_goes_on_when_another_gives_its_turn_back() -> None:
    script = Script(by_id={JOB: [running, done], OTHER: [after(2, done)]})
    async with source(script, concurrency=1) as jobs:
        slow = PollPolicy(initial=5)
        ended = await outcomes(jobs.wait(JOB, policy=slow), jobs.wait(OTHER, policy=slow))
    assert [isinstance(each, Job) for each in ended] == [True, True], ended


@pytest.mark.slow
@pytest.mark.parametrize("timeout", [None, math.inf])
async def test_without_a_deadline_a_wait_goes_on_for_hours(timeout: float | None) -> None:
    script = Script(running)
    async with source(script) as jobs:
        with anyio.move_on_after(8 * 3600) as scope:
            await jobs.wait(JOB, timeout=timeout)
    assert scope.cancelled_caught
    assert script.times[-1] > 8 * 3600 - 31


@pytest.mark.parametrize("timeout", [-1, -0.001, -math.inf, math.nan, True, "5"])
async def test_a_timeout_that_is_none_is_refused_before_any_request(timeout: Any) -> None:
    script = Script(done)
    async with source(script) as jobs:
        with pytest.raises(UsageError, match="timeout="):
            await jobs.wait(JOB, timeout=timeout)
    assert script.sent == []


async def test_a_wait_that_times_out_never_says_that_the_job_failed() -> None:
    async with source(Script(running)) as jobs:
        with pytest.raises(WaitTimeout) as caught:
            await jobs.wait(JOB, timeout=5)
    assert isinstance(caught.value, TimeoutError)
    assert not isinstance(caught.value, JobFailed)
    assert caught.value.ref == REF
    assert "fail" not in str(caught.value).lower()
    assert "may still be running" in str(caught.value)


# --- Gone, or not found


async def test_a_server_may_lag_behind_its_own_word_that_it_took_the_job() -> None:
    async with source(Script(gone, gone, done)) as jobs:
        assert (await jobs.wait(JOB)).succeeded


async def test_a_job_that_never_shows_is_not_found_after_the_grace() -> None:
    script = Script(gone)
    async with source(script) as jobs:
        with pytest.raises(JobNotFound) as caught:
            await jobs.wait(JOB)
    assert script.times == [about(0), about(1), about(2)]
    assert (caught.value.ref, caught.value.job) == (REF, None)


async def test_a_deadline_within_the_grace_is_a_timeout() -> None:
    async with source(Script(gone)) as jobs:
        with pytest.raises(WaitTimeout, match="last seen never"):
            await jobs.wait(JOB, timeout=1.5)


async def test_a_job_that_was_seen_is_gone_once_it_has_been_missing_for_the_grace() -> None:
    script = Script(running, gone)
    async with source(script) as jobs:
        with pytest.raises(JobGone, match="last seen RUNNING 'PROCESSING' 16 s ago") as caught:
            await jobs.wait(JOB)
    assert [at - script.times[1] for at in script.times[1:]] == [about(at) for at in (0, 1, 2, 4, 8, 15)]
    assert (caught.value.ref, caught.value.job) == (REF, RUNNING)


@pytest.mark.parametrize("words", [1, 2, 5])
async def test_a_job_that_is_there_again_within_the_grace_was_never_gone(words: int) -> None:
    async with source(Script(running, *[gone] * words, running, *[gone] * words, done)) as jobs:
        assert (await jobs.wait(JOB)).succeeded


async def test_time_without_any_word_confirms_nothing() -> None:
    script = Script(running, gone, *[unavailable] * 9, gone, gone, running, done)
    async with source(script) as jobs:
        assert (await jobs.wait(JOB)).succeeded
    assert script.times[-4] - script.times[1] > 15


async def test_without_a_grace_the_first_word_is_believed() -> None:
    script = Script(running, gone)
    async with source(script, policy=PollPolicy(gone_grace=0)) as jobs:
        with pytest.raises(JobGone):
            await jobs.wait(JOB)
    assert len(script.sent) == 2


async def test_a_probe_is_asked_after_the_grace() -> None:
    async def probe(ref: JobRef, last: Job | None) -> JobState:
        del ref, last
        assert anyio.current_time() == about(1 + 15)
        return JobState.SUCCEEDED

    async with source(Script(running, gone)) as jobs:
        assert (await jobs.wait(JOB, resolve_gone=probe)).resolved


@pytest.mark.parametrize(
    "other",
    [
        error(404, 10000, "CF-NotFound"),
        error(404, 10010, "CF-ResourceNotFound", X_Cf_RouterError="unknown_route"),
        reply(404, text="404 page not found"),
        reply(404, {"error": "no such page"}),
        reply(404),
    ],
    ids=["another code", "router", "text", "other JSON", "nothing"],
)
async def test_a_404_that_is_not_the_apis_word_says_nothing_of_the_job(other: Answer) -> None:
    async with source(Script(other, running, other, done)) as jobs:
        assert (await jobs.wait(JOB)).succeeded
    async with source(Script(running, other)) as jobs:
        with pytest.raises(WaitTimeout):
            await jobs.wait(JOB, timeout=60)


# --- What the caller's probe says of a job that is gone


@pytest.mark.parametrize("seen", [RUNNING, None], ids=["gone", "not found"])
async def test_a_probe_decides_once_the_server_has_no_such_job(seen: Job | None) -> None:
    script = Script(*([running, gone] if seen else [gone]))
    asked: list[tuple[JobRef, Job | None]] = []

    async def probe(ref: JobRef, last: Job | None) -> JobState:
        await anyio.sleep(1)
        asked.append((ref, last))
        return JobState.SUCCEEDED

    async with source(script) as jobs:
        ended = await jobs.wait(JOB, resolve_gone=probe)
    assert asked == [(REF, seen)]
    assert (ended.state, ended.resolved, ended.native_state) == (JobState.SUCCEEDED, True, None)


async def probe_failed(ref: JobRef, last: Job | None) -> JobState:
    del ref, last
    return JobState.FAILED


async def test_check_and_until_apply_to_what_a_probe_says() -> None:
    async with source(Script(running, gone)) as jobs:
        with pytest.raises(JobFailed, match="according to resolve_gone"):
            await jobs.wait(RUNNING, resolve_gone=probe_failed)
        assert (await jobs.wait(RUNNING, resolve_gone=probe_failed, check=False)).resolved
        assert (await jobs.wait(RUNNING, resolve_gone=probe_failed, until={JobState.FAILED})).resolved
        assert await states_of(jobs.watch(RUNNING, resolve_gone=probe_failed)) == [(JobState.FAILED, None)]


@pytest.mark.parametrize("failure", [RuntimeError("the database is down"), KeyError("x"), JobNotFound("no")])
async def test_what_a_probe_raises_comes_through(failure: Exception) -> None:
    async def probe(ref: JobRef, last: Job | None) -> JobState:
        raise failure

    async with source(Script(running, gone)) as jobs:
        assert await outcome(jobs.wait(JOB, resolve_gone=probe)) is failure


async def test_an_iteration_that_ends_within_a_probe_does_not_pass_for_the_end_of_the_watch() -> None:
    async def probe(ref: JobRef, last: Job | None) -> JobState:
        raise StopAsyncIteration  # as anext() does for a list that is empty

    async with source(Script(running, gone)) as jobs:
        ended = await outcome(jobs.wait(JOB, resolve_gone=probe))
    assert isinstance(ended, StopAsyncIteration | RuntimeError)


@pytest.mark.parametrize("nonsense", [None, "COMPLETE", JobState.RUNNING, JobState.UNKNOWN])
async def test_a_probe_must_return_a_terminal_state(nonsense: Any) -> None:
    async def probe(ref: JobRef, last: Job | None) -> JobState:
        del ref, last
        state: JobState = nonsense
        return state

    async with source(Script(running, gone)) as jobs:
        with pytest.raises(UsageError, match="terminal JobState") as caught:
            await jobs.wait(JOB, resolve_gone=probe)
    assert (caught.value.ref, caught.value.job) == (REF, RUNNING)


async def test_a_probe_is_cut_at_the_deadline() -> None:
    left: list[float] = []

    async def probe(ref: JobRef, last: Job | None) -> JobState:
        try:
            await anyio.sleep_forever()
        finally:
            left.append(anyio.current_time())
        raise AssertionError

    async with source(Script(running, gone)) as jobs:
        before = Footprint.now()
        with pytest.raises(WaitTimeout) as caught:
            await jobs.wait(JOB, timeout=30, resolve_gone=probe)
        assert Footprint.now() == before
    assert left == [about(30)]
    assert caught.value.job == RUNNING


async def test_without_a_deadline_a_probe_may_take_its_time() -> None:
    async def probe(ref: JobRef, last: Job | None) -> JobState:
        del ref, last
        await anyio.sleep(86_400)
        return JobState.SUCCEEDED

    async with source(Script(running, gone)) as jobs:
        assert (await jobs.wait(JOB, resolve_gone=probe)).resolved


async def test_a_probe_is_not_asked_while_the_server_knows_the_job() -> None:
    async def probe(ref: JobRef, last: Job | None) -> JobState:
        raise AssertionError

    async with source(Script(gone, unavailable, running, reply(404), done)) as jobs:
        assert not (await jobs.wait(JOB, resolve_gone=probe)).resolved


# --- Trouble that passes, and trouble that does not

PASSING: dict[str, Answer] = {
    "408": error(408, 1),
    "425": error(425, 1),
    "429": error(429, 10013),
    "500": error(500, 10001),
    "502": reply(502, {"code": 10001, "title": "CF-Bad", "detail": "flat"}),
    "503": error(503, 10015),
    "504": reply(504, text="<html>gateway timeout</html>"),
    "599": reply(599),
    "a code of the platform's": error(400, 20004),
    "400 of a proxy": reply(400, text="<html>bad request</html>"),
    "200 of a proxy": reply(200, text="<html>please sign in</html>"),
    "200 without a body": reply(200),
    "200 cut short": reply(200, text='{"guid": "7f2c'),
    "200 with an array": reply(200, [1, 2]),
    "200 about another job": reply(200, {"guid": OTHER, "state": "COMPLETE"}),
    "200 with an error": reply(200, {"errors": [{"code": 1, "detail": "x"}]}),
    "204": reply(204),
    "302": reply(302, Location="/login"),
    "refused": raising(httpx.ConnectError("refused")),
    "no route": raising(OSError(113, "No route to host")),
    "connect timeout": raising(httpx.ConnectTimeout("slow")),
    "read timeout": raising(httpx.ReadTimeout("slow")),
    "proxy": raising(httpx.ProxyError("no")),
}


@pytest.mark.parametrize("trouble", PASSING.values(), ids=PASSING)
async def test_passing_trouble_is_absorbed(trouble: Answer) -> None:
    script = Script(trouble, running, trouble, trouble, done)
    async with source(script) as jobs:
        assert (await jobs.wait(JOB)).succeeded
    assert len(script.sent) == 5


FATAL: dict[str, tuple[Answer, type[SourceError]]] = {
    "400": (error(400, 10005), ApiError),
    "401": (error(401, 1000), AuthenticationError),
    "401 of a proxy": (reply(401, text="<html>who?</html>"), AuthenticationError),
    "403": (error(403, 10003), PermissionDenied),
    "403 of a proxy": (reply(403, text="<html>no</html>"), PermissionDenied),
    "403 that passes elsewhere": (error(403, 20004), PermissionDenied),
    "422": (error(422, 10008), ApiError),
}


@pytest.mark.parametrize(("answer", "expected"), FATAL.values(), ids=FATAL)
async def test_other_trouble_ends_the_wait_at_once(answer: Answer, expected: type[SourceError]) -> None:
    script = Script(running, answer)
    async with source(script) as jobs:
        with pytest.raises(expected) as caught:
            await jobs.wait(JOB, timeout=100)
    assert len(script.sent) == 2
    assert (caught.value.ref, caught.value.job) == (REF, RUNNING)


@pytest.mark.parametrize("failure", [httpx.ReadError("reset"), httpx.RemoteProtocolError("closed")])
async def test_a_read_that_met_a_dropped_connection_is_sent_again_and_is_no_trouble(
    failure: Exception,
) -> None:
    events: list[EventKind] = []
    script = Script(running, raising(failure), done)
    async with source(script, observer=lambda event: events.append(event.kind)) as jobs:
        assert (await jobs.wait(JOB)).succeeded
    assert script.times == [about(0), about(1), about(1)]
    assert EventKind.TROUBLE not in events


async def test_a_server_that_does_not_answer_in_time_is_passing_trouble() -> None:
    script = Script(never, done)
    async with source(script, request_timeout=7) as jobs:
        assert (await jobs.wait(JOB)).succeeded
        assert script.open == 0
    assert script.times == [about(0), about(7)]


async def test_retries_back_off_with_jitter() -> None:
    script = Script(unavailable)
    async with source(script) as jobs:
        with pytest.raises(WaitTimeout):
            await jobs.wait(JOB, timeout=600)
    for earlier, later in pairwise(script.times):
        longest = min(30, max(1, earlier))
        assert longest / 2 - 0.1 <= later - earlier <= longest + 0.1


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry_After": "50"},
        {
            "Retry_After": format_datetime(NOON + timedelta(seconds=50), usegmt=True),
            "Date": format_datetime(NOON, usegmt=True),
        },
    ],
    ids=["seconds", "date"],
)
@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_a_floor_under_the_next_read(status: int, headers: dict[str, str]) -> None:
    script = Script(error(status, 10013, **headers), done)
    async with source(script) as jobs:
        await jobs.wait(JOB)
    assert script.times == [about(0), about(50)]


async def test_retry_after_is_a_floor_for_every_wait_of_the_source() -> None:
    limited = error(429, 10013, Retry_After="50")
    script = Script(done, by_id={JOB: [running, limited, done], OTHER: [running, done]})

    async def later(jobs: CFJobs) -> Job:
        await anyio.sleep(20)
        return await jobs.wait("later")

    async with source(script) as jobs:
        other = jobs.wait(OTHER, policy=PollPolicy(initial=5, maximum=5))
        ended = await outcomes(jobs.wait(JOB), other, later(jobs))
    assert [isinstance(each, Job) for each in ended] == [True] * 3
    before, after = script.sent[:3], script.sent[3:]
    assert sorted(sent.id for sent in before) == sorted([JOB, JOB, OTHER])
    assert sorted(sent.id for sent in after) == sorted([JOB, OTHER, "later"])
    # The server asked to be left alone: they do not come back in the same moment, but within their delays.
    assert [51 <= sent.at < 52 for sent in after] == [True] * 3


async def test_the_floor_that_a_single_read_met_holds_for_later_waits() -> None:
    script = Script(error(429, 10013, Retry_After="50"), done)
    async with source(script) as jobs:
        assert isinstance(await outcome(jobs.get(JOB)), RateLimited)
        assert (await jobs.wait(JOB)).succeeded
    assert script.times == [about(0), about(50)]


async def test_a_wait_whose_deadline_is_before_the_floor_ends_at_its_deadline() -> None:
    script = Script(error(503, 10015, Retry_After="3000"))
    async with source(script) as jobs:
        with pytest.raises(WaitTimeout, match="503"):
            await jobs.wait(JOB, timeout=60)
        assert anyio.current_time() == about(60)
    assert len(script.sent) == 1


async def test_retry_after_has_a_cap() -> None:
    script = Script(error(429, 10013, Retry_After="99999999"), done)
    async with source(script) as jobs:
        await jobs.wait(JOB)
    assert script.times == [about(0), about(3600)]


@pytest.mark.parametrize("virtual", [virtual_asyncio, virtual_trio])
def test_a_floor_does_not_outlive_its_event_loop(virtual: Callable[[float], Backend]) -> None:
    # Loops do not share a clock: trio's begins at a random time.
    jobs = source(Script(error(429, 10013, Retry_After="50"), done))

    async def wait() -> Job | Exception:
        return await outcome(jobs.wait(JOB, timeout=60))

    for start in (1e6, 0.0):
        backend, options = virtual(start)
        assert isinstance(anyio.run(wait, backend=backend, backend_options=options), Job)


async def test_an_outage_without_a_deadline_ends_after_its_limit() -> None:
    script = Script(running, unavailable)
    async with source(script, policy=PollPolicy(outage_limit=100)) as jobs:
        with pytest.raises(ServerError) as caught:
            await jobs.wait(JOB)
        assert 100 <= anyio.current_time() <= 100 + 31
    assert (caught.value.ref, caught.value.job) == (REF, RUNNING)


async def test_an_outage_that_ends_in_time_is_forgotten() -> None:
    script = Script(*[unavailable] * 6, running, *[unavailable] * 6, done)
    async with source(script, policy=PollPolicy(outage_limit=60)) as jobs:
        assert (await jobs.wait(JOB)).succeeded


async def test_an_outage_with_a_deadline_is_borne_until_then() -> None:
    async with source(Script(unavailable), policy=PollPolicy(outage_limit=10)) as jobs:
        with pytest.raises(WaitTimeout, match="503"):
            await jobs.wait(JOB, timeout=1000)
        assert anyio.current_time() == about(1000)


@pytest.mark.parametrize("times", [1, 2])
async def test_a_record_that_cannot_be_decoded_is_read_again(times: int) -> None:
    async with source(Script(*[undecodable] * times, running, *[undecodable] * times, done)) as jobs:
        assert (await jobs.wait(JOB)).succeeded


async def test_a_record_that_cannot_be_decoded_three_times_in_a_row_ends_the_wait() -> None:
    script = Script(running, undecodable)
    async with source(script) as jobs:
        with pytest.raises(DecodeError) as caught:
            await jobs.wait(JOB, timeout=100)
    assert len(script.sent) == 4
    assert (caught.value.path, caught.value.ref, caught.value.job) == ("$.state", REF, RUNNING)


# --- Signing in


class Vault:
    """A source of tokens; ``asked`` says how often."""

    def __init__(self, token: str = "first") -> None:
        self.token = token
        self.asked = 0

    async def __call__(self) -> str:
        self.asked += 1
        return self.token


def only(token: str, answer: Answer) -> Answer:
    """The answer for who has this token, 401 for all others."""

    async def guarded(request: httpx.Request) -> httpx.Response:
        allowed = request.headers["authorization"] == f"Bearer {token}"
        return await (answer if allowed else error(401, 1000))(request)

    return guarded


async def test_after_a_401_a_fresh_token_gets_one_more_try_and_does_so_each_time() -> None:
    vault = Vault()

    async def rotating(request: httpx.Request) -> httpx.Response:
        if request.headers["authorization"] == f"Bearer {vault.token}":
            vault.token = f"token-{vault.asked}"  # the next request finds its token expired again
            return await running(request)
        return await error(401, 1000)(request)

    script = Script(rotating)
    async with CFJobs(ENDPOINT, auth=Bearer(vault), transport=script) as jobs:
        with pytest.raises(WaitTimeout):
            await jobs.wait(JOB, timeout=13)
    assert len(script.sent) >= 10


async def test_a_token_that_stays_refused_ends_the_wait() -> None:
    script = Script(only("another", done))
    async with CFJobs(ENDPOINT, auth=Bearer(Vault()), transport=script) as jobs:
        with pytest.raises(AuthenticationError):
            await jobs.wait(JOB)
    assert len(script.sent) == 1


async def test_a_401_that_was_overtaken_by_a_fresh_token_gets_its_one_more_try() -> None:
    vault = Vault()
    script = Script(by_id={JOB: [after(5, only("second", done))], OTHER: [only("second", done)]})

    async def rotate(jobs: CFJobs) -> Job:
        await anyio.sleep(1)
        vault.token = "second"
        return await jobs.get(OTHER)

    async with CFJobs(ENDPOINT, auth=Bearer(vault), transport=script) as jobs:
        ended = await outcomes(jobs.wait(JOB), rotate(jobs))
    assert [isinstance(each, Job) for each in ended] == [True, True], ended


# --- States that nobody knows


async def test_an_unknown_state_is_reported_once_and_polled_on() -> None:
    odd = job("FLORBING")
    async with source(Script(running, odd, odd, odd, done)) as jobs:
        seen = await states_of(jobs.watch(JOB))
    assert [state for state, _ in seen] == [JobState.RUNNING, JobState.UNKNOWN, JobState.SUCCEEDED]
    assert seen[1] == (JobState.UNKNOWN, "FLORBING")


@pytest.mark.parametrize("answer", [job("FLORBING"), job(None)])
async def test_an_unknown_state_is_bounded(answer: Answer) -> None:
    async with source(Script(answer), policy=PollPolicy(unknown_limit=100)) as jobs:
        with pytest.raises(UnexpectedState) as caught:
            await jobs.wait(JOB)
        assert anyio.current_time() == about(100)
    assert caught.value.ref == REF
    assert caught.value.job is not None
    assert caught.value.job.state is JobState.UNKNOWN


async def test_a_caller_can_say_what_a_word_means() -> None:
    words = {"Florbing": JobState.RUNNING, "florbed": JobState.PARTIAL}
    async with source(Script(job("FLORBING"), job("FLORBED")), states=words) as jobs:
        seen = await states_of(jobs.watch(JOB))
    assert seen == [(JobState.RUNNING, "FLORBING"), (JobState.PARTIAL, "FLORBED")]


# --- What a job may be named by


@pytest.mark.parametrize("name", [JOB, REF, str(REF), RUNNING, JobRef("cf", "", JOB)])
async def test_a_job_is_named_by_its_id_its_ref_the_refs_text_or_itself(name: Any) -> None:
    async with source(Script(done)) as jobs:
        assert (await jobs.wait(name)).ref == REF
        assert (await jobs.get(name)).ref == REF


@pytest.mark.parametrize(
    "name",
    [
        JobRef("ontap", "https://cluster1", JOB),
        JobRef("cf", "https://elsewhere.example.org", JOB),
        Job(JobRef("cf", "https://elsewhere.example.org", JOB), JobState.SUCCEEDED),
    ],
)
async def test_another_sources_job_is_refused_before_any_request(name: Any) -> None:
    script = Script(done)
    async with source(script) as jobs:
        for ask in (jobs.wait, jobs.get):
            with pytest.raises(WrongSource):
                await ask(name)
    assert script.sent == []


@pytest.mark.parametrize("name", ["", 5, None, "x" * 2000, ".."])
async def test_what_names_no_job_is_refused_before_any_request(name: Any) -> None:
    script = Script(done)
    async with source(script) as jobs:
        with pytest.raises(UsageError):
            await jobs.wait(name)
    assert script.sent == []


async def test_a_job_that_had_ended_costs_no_request() -> None:
    script = Script(running)
    good, bad = Job(REF, JobState.SUCCEEDED), Job(REF, JobState.FAILED)
    async with source(script) as jobs:
        assert await jobs.wait(good, timeout=0) == good
        assert await jobs.wait(bad, check=False) == bad
        assert await states_of(jobs.watch(bad)) == [(JobState.FAILED, None)]
        with pytest.raises(JobFailed):
            await jobs.wait(bad)
        with pytest.raises(UnexpectedState):
            await jobs.wait(good, until={JobState.RUNNING})
    assert script.sent == []


async def test_a_running_job_counts_as_seen() -> None:
    script = Script(gone)
    async with source(script) as jobs:
        with pytest.raises(JobGone) as caught:
            await jobs.wait(RUNNING)
    assert caught.value.job is RUNNING


async def test_a_wait_that_is_stored_goes_on_in_another_process_at_its_own_pace() -> None:
    began = job("PROCESSING", created_at="2026-03-01T12:00:00Z")
    late = reply(
        200,
        {"guid": JOB, "state": "PROCESSING", "created_at": "2026-03-01T12:00:00Z"},
        Date=format_datetime(NOON + timedelta(seconds=100), usegmt=True),
    )
    async with source(Script(began)) as jobs:
        stored = json.dumps(to_dict(await jobs.get(JOB)))

    script = Script(late, gone)
    async with source(script) as jobs:
        with pytest.raises(JobGone):
            await jobs.wait(from_dict(json.loads(stored)))
    assert [later - script.times[0] for later in script.times[:2]] == [0, about(10)]


async def test_a_stored_job_that_had_ended_needs_no_server() -> None:
    async with source(Script(done)) as jobs:
        stored = json.dumps(to_dict(await jobs.wait(JOB)))
    script = Script(never)
    async with source(script) as jobs:
        ended = await jobs.wait(from_dict(json.loads(stored)))
    assert (ended.ref, ended.state) == (REF, JobState.SUCCEEDED)
    assert script.sent == []


# --- Several waits


@pytest.mark.parametrize(
    "answer", [failed, error(403, 10003), gone, undecodable, job("FLORBING")], ids=lambda answer: ""
)
async def test_each_wait_gets_an_exception_of_its_own(answer: Answer) -> None:
    async with source(Script(answer)) as jobs:
        ended = await outcomes(*(jobs.wait(JOB) for _ in range(3)))
    assert all(isinstance(each, Exception) for each in ended)
    assert len({type(each) for each in ended}) == 1
    assert len({id(each) for each in ended}) == 3


async def test_waits_of_one_job_have_deadlines_of_their_own() -> None:
    script = Script(running)
    ended: dict[float, float] = {}

    async def wait(jobs: CFJobs, timeout: float) -> None:
        with pytest.raises(WaitTimeout, match=f"within {timeout:g} s"):
            await jobs.wait(JOB, timeout=timeout)
        ended[timeout] = anyio.current_time()

    async with source(script) as jobs, anyio.create_task_group() as group:
        for timeout in (7.5, 0, 2.5, 60):
            group.start_soon(wait, jobs, timeout)
    assert ended == {timeout: about(timeout) for timeout in (0, 2.5, 7.5, 60)}


async def test_more_waits_than_may_ask_at_once_all_end() -> None:
    script = Script(after(0.2, running), *[after(0.2, done)] * 50)
    async with source(script, concurrency=2) as jobs:
        ended = await outcomes(*(jobs.wait(f"job-{number}") for number in range(20)))
    assert [isinstance(each, Job) and each.succeeded for each in ended] == [True] * 20


@pytest.mark.parametrize("at", [0.5, 5.0, 5.5])
@pytest.mark.parametrize("answer", [running, after(0.7, running)], ids=["quick", "slow"])
async def test_closing_the_source_ends_its_waits_with_a_clear_error(answer: Answer, at: float) -> None:
    jobs = source(Script(answer), concurrency=1)

    async def close() -> Job:
        await anyio.sleep(at)
        await jobs.aclose()
        return RUNNING

    *ended, _ = await outcomes(jobs.wait(JOB), jobs.wait(OTHER), close())
    assert [type(each) for each in ended] == [SourceClosed, SourceClosed]
    assert all("closed" in str(each) for each in ended)


async def test_a_client_of_the_callers_that_is_closed_ends_a_wait_with_an_error_of_ours() -> None:
    client = httpx.AsyncClient(transport=Script(running))
    async with CFJobs(ENDPOINT, auth=Bearer(TOKEN), http=client) as jobs:
        await client.aclose()
        assert isinstance(await outcome(jobs.wait(JOB, timeout=60)), JobsError)


# --- What an observer is told


async def test_an_observer_is_told_what_happened_in_order() -> None:
    events: list[Event] = []
    async with source(Script(unavailable, running, running, done), observer=events.append) as jobs:
        await jobs.wait(JOB)
    kinds = [event.kind for event in events]
    changes = [kind for kind in kinds if kind is not EventKind.SEEN]
    assert changes == [
        EventKind.BEGAN,
        EventKind.TROUBLE,
        EventKind.CHANGED,
        EventKind.CHANGED,
        EventKind.ENDED,
    ]
    assert EventKind.SEEN in kinds[kinds.index(EventKind.CHANGED) + 1 :]
    assert {event.ref for event in events} == {REF}
    assert isinstance(events[1].error, ServerError)
    assert events[-1].job is not None
    assert events[-1].job.succeeded


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([running, error(403, 10003)], PermissionDenied),
        ([running, gone], JobGone),
        ([running], WaitTimeout),
    ],
)
async def test_an_observer_is_told_with_what_error_a_wait_ended(
    answers: list[Answer], expected: type[Exception]
) -> None:
    events: list[Event] = []
    async with source(Script(*answers), observer=events.append) as jobs:
        with pytest.raises(expected) as caught:
            await jobs.wait(JOB, timeout=20)
    assert [event.kind for event in events if event.kind is EventKind.ENDED] == [EventKind.ENDED]
    assert events[-1].kind is EventKind.ENDED
    assert events[-1].error is caught.value


async def test_an_observer_is_told_of_a_wait_that_was_cancelled() -> None:
    events: list[Event] = []
    async with source(Script(running), observer=events.append) as jobs:
        with anyio.move_on_after(5):
            await jobs.wait(JOB)
    assert [event.kind for event in events if event.kind not in (EventKind.SEEN, EventKind.CHANGED)] == [
        EventKind.BEGAN,
        EventKind.ABANDONED,
    ]
    assert events[-1].job is not None
    assert events[-1].error is None


async def test_a_probe_that_hangs_is_cut_also_where_no_time_is_allowed() -> None:
    async def probe(ref: JobRef, last: Job | None) -> JobState:
        await anyio.sleep_forever()
        raise AssertionError("unreachable")

    async with source(Script(gone)) as jobs:
        began = anyio.current_time()
        with pytest.raises(WaitTimeout):
            await jobs.wait(JOB, timeout=0, resolve_gone=probe, policy=PollPolicy(start_grace=0))
        assert anyio.current_time() - began <= 31


async def test_an_observer_that_fails_does_no_harm_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def observer(event: Event) -> None:
        raise RuntimeError(f"the dashboard is down at {event.kind}")

    policy = PollPolicy(gone_grace=0)
    async with source(Script(unavailable, running, gone, done), observer=observer, policy=policy) as jobs:
        with pytest.raises(JobGone):
            await jobs.wait(JOB)
        assert (await jobs.wait(JOB)).succeeded
    logged = [record for record in caplog.records if record.name == "jobsource.cf" and record.exc_info]
    assert len(logged) >= 5
    assert "the dashboard is down" in caplog.text


async def test_each_retry_tells_which_attempt_it_is_for_how_long_and_when_it_goes_on() -> None:
    events: list[Event] = []
    limited = error(429, 10013, Retry_After="30")
    async with source(Script(running, unavailable, unavailable, limited), observer=events.append) as jobs:
        with pytest.raises(WaitTimeout):
            await jobs.wait(JOB, timeout=60)
    told = [each for each in events if each.kind is EventKind.TROUBLE]
    assert [each.attempt for each in told] == [1, 2, 3, 4]
    assert [each.failing_for for each in told] == sorted(each.failing_for for each in told)
    assert (told[2].next_in, told[3].next_in) == (about(30), None)


async def test_a_missing_job_is_told_as_trouble(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "jobsource.cf")
    async with source(Script(running, gone, gone, done)) as jobs:
        await jobs.wait(JOB)
    lines = [record.getMessage() for record in caplog.records if "; attempt" in record.getMessage()]
    assert [line[line.index("; attempt") :] for line in lines] == [
        "; attempt 1, for 0 s; next attempt in 1.0 s",
        "; attempt 2, for 1 s; next attempt in 1.0 s",
    ]
    assert [line.count(str(REF)) for line in lines] == [1, 1]


async def test_trouble_is_logged_as_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "jobsource.cf")
    async with source(Script(running, unavailable, done)) as jobs:
        await jobs.wait(JOB)
    (warned,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warned.startswith("https://api.example.org: polls fail: ")
    assert "503" in warned
    (detail,) = [record.getMessage() for record in caplog.records if "; attempt" in record.getMessage()]
    assert str(REF) in detail
    assert re.search(r"; attempt 1, for 0 s; next attempt in (0\.[5-9]|1\.0) s$", detail)
    assert TOKEN not in caplog.text
