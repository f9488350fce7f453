"""``deadline=``, ``on_update=`` and a function as ``on_cancel=``, wherever jobs are waited for."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import anyio
import pytest

from common import (
    Action,
    Capability,
    Fleet,
    Job,
    JobFailed,
    JobRef,
    JobsError,
    JobSet,
    JobsFailed,
    JobState,
    PollPolicy,
    Unsupported,
    UsageError,
    WaitTimeout,
    as_completed,
    to_dict,
    wait_all,
)
from common.testing import JobScript, ScriptedSource
from tests.common.lab import Lab
from tests.common.scripted import about

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

EACH_SECOND = PollPolicy(initial=1, maximum=1, start_grace=0)
QUEUED, RUNNING, SUCCEEDED = JobState.QUEUED, JobState.RUNNING, JobState.SUCCEEDED
SCRIPT: JobScript = [("queued", 5), ("running", 10), "succeeded"]
STATES = [QUEUED, RUNNING, SUCCEEDED]


def scripted(*capabilities: Capability) -> tuple[ScriptedSource, JobRef]:
    """A source with one job that runs for fifteen seconds; it can be cancelled by default."""
    source = ScriptedSource(policy=EACH_SECOND, capabilities=capabilities or {Capability.CANCEL})
    return source, source.add_job(SCRIPT)


def in_seconds(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


async def by_wait(source: Any, job: JobRef, **options: Any) -> None:
    await source.wait(job, **options)


async def by_fleet(source: Any, job: JobRef, **options: Any) -> None:
    await Fleet([source]).wait(job, **options)


async def by_wait_all(source: Any, job: JobRef, **options: Any) -> None:
    try:
        await wait_all(source, [job], **options)
    except JobsFailed as failed:
        raise failed.exceptions[0] from None


async def by_as_completed(source: Any, job: JobRef, **options: Any) -> None:
    async with as_completed(source, [job], **options) as done:
        async for outcome in done:
            if not isinstance(outcome, Job):
                raise outcome


async def by_set(source: Any, job: JobRef, **options: Any) -> None:
    async with JobSet(source, [job], **options) as jobs:
        jobs.close()
        async for outcome in jobs:
            if not isinstance(outcome, Job):
                raise outcome


async def by_watch(source: Any, job: JobRef, **options: Any) -> None:
    async for _ in source.watch(job, **options):
        pass


async def by_fleets_watch(source: Any, job: JobRef, **options: Any) -> None:
    await by_watch(Fleet([source]), job, **options)


Wait = Callable[..., Awaitable[None]]
WAITS: list[Wait] = [by_wait, by_fleet, by_wait_all, by_as_completed, by_set]
WATCHES: list[Wait] = [by_watch, by_fleets_watch]
each_wait = pytest.mark.parametrize("wait", WAITS)
each_wait_and_watch = pytest.mark.parametrize("wait", [*WAITS, *WATCHES])


# deadline=


@each_wait_and_watch
async def test_a_deadline_ends_a_wait_at_its_moment_and_is_named_as_it_was_given(wait: Wait) -> None:
    source, job = scripted()
    deadline = in_seconds(8).astimezone(timezone(timedelta(hours=2)))
    with pytest.raises(WaitTimeout) as caught:
        await wait(source, job, deadline=deadline)
    assert anyio.current_time() == pytest.approx(8, abs=1)
    assert f"not ended by {deadline.isoformat()}; last seen RUNNING" in str(caught.value)


@each_wait
async def test_a_deadline_that_comes_later_than_the_end_changes_nothing(wait: Wait) -> None:
    source, job = scripted()
    await wait(source, job, deadline=in_seconds(100))
    assert anyio.current_time() == about(15)


@each_wait_and_watch
@pytest.mark.parametrize("limit", [{"timeout": 0}, {"deadline": datetime(2001, 1, 1, tzinfo=UTC)}])
async def test_a_deadline_that_has_passed_makes_one_read_as_no_time_at_all_does(
    wait: Wait, limit: dict[str, Any]
) -> None:
    source, job = scripted()
    with pytest.raises(WaitTimeout, match="by 2001-01-01" if "deadline" in limit else "within 0 s"):
        await wait(source, job, **limit)
    assert (anyio.current_time(), len(source.journal)) == (0.0, 1)


async def test_a_deadline_is_turned_into_the_loops_time_once_at_the_start() -> None:
    source, job = scripted()
    watch = source.watch(job, deadline=in_seconds(8))
    assert (await anext(watch)).state is QUEUED
    await anyio.sleep(4)  # in virtual time: by the clock on the wall nothing has passed
    with pytest.raises(WaitTimeout):
        async for _ in watch:
            pass
    assert anyio.current_time() == pytest.approx(8, abs=1)


async def test_waits_with_equal_deadlines_in_two_zones_name_each_its_own() -> None:
    source, job = scripted()
    deadline = in_seconds(3)
    for zone in (UTC, timezone(timedelta(hours=5))):
        with pytest.raises(WaitTimeout, match="not ended by") as caught:
            await source.wait(job, deadline=deadline.astimezone(zone))
        assert deadline.astimezone(zone).isoformat() in str(caught.value)


@each_wait_and_watch
@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"deadline": datetime.fromisoformat("2030-01-01")}, "no time zone: pass an aware datetime"),
        ({"deadline": datetime(2030, 1, 1, tzinfo=UTC), "timeout": 5}, "use one of them"),
        ({"deadline": 60}, "seconds from now are timeout="),
        ({"deadline": "2030-01-01T00:00:00Z"}, "must be an aware datetime"),
    ],
)
async def test_a_deadline_that_says_no_moment_is_refused(
    wait: Wait, options: dict[str, Any], match: str
) -> None:
    source, job = scripted()
    with pytest.raises(UsageError, match=match):
        await wait(source, job, **options)
    assert source.journal == []


async def test_a_job_that_is_added_to_a_set_has_a_deadline_of_its_own_or_the_sets() -> None:
    source, job = scripted()
    late, soon = in_seconds(10), in_seconds(4)
    async with JobSet(source, deadline=late) as jobs:
        jobs.add(job)
        jobs.add(job, deadline=soon)
        jobs.add(job, timeout=2)
        with pytest.raises(UsageError, match="use one of them"):
            jobs.add(job, timeout=2, deadline=soon)
        jobs.close()
        texts = [str(outcome).partition(";")[0] async for outcome in jobs]
    assert [text.partition("not ended ")[2] for text in texts] == [
        "within 2 s",
        f"by {soon.isoformat()}",
        f"by {late.isoformat()}",
    ]
    assert anyio.current_time() == pytest.approx(10, abs=1)


async def test_a_set_that_goes_on_from_a_checkpoint_keeps_the_deadline_and_names_it() -> None:
    source, job = scripted()
    deadline = in_seconds(9).astimezone(timezone(timedelta(hours=-3)))
    async with JobSet(source, [job], deadline=deadline) as jobs:
        await anyio.sleep(6)
        data = json.loads(json.dumps(jobs.checkpoint()))
    async with JobSet(source, checkpoint=data) as jobs:
        jobs.close()
        (outcome,) = [outcome async for outcome in jobs]
    assert isinstance(outcome, WaitTimeout)
    assert f"not ended by {deadline.isoformat()}" in str(outcome)
    assert anyio.current_time() == pytest.approx(9, abs=1)


# on_update=


@each_wait
async def test_each_observation_that_a_watch_would_give_is_passed_to_on_update(wait: Wait) -> None:
    source, job = scripted()
    seen: list[tuple[JobState, float]] = []
    await wait(source, job, on_update=lambda job: seen.append((job.state, anyio.current_time())))
    assert seen == [(QUEUED, about(0)), (RUNNING, about(5)), (SUCCEEDED, about(15))]


async def test_on_update_asks_no_more_often_and_the_end_comes_before_the_wait_returns() -> None:
    plain, job = scripted()
    await plain.wait(job)
    asked = len(plain.journal)
    source, job = scripted()
    seen: list[Job] = []
    await source.wait(source.add_job(SCRIPT), on_update=seen.append)
    assert [each.state for each in seen] == STATES
    assert len(source.journal) == asked


async def test_on_update_sees_the_failure_that_the_wait_raises() -> None:
    source, _ = scripted()
    seen: list[Job] = []
    with pytest.raises(JobFailed) as caught:
        await source.wait(source.add_job([("running", 2), "failed"]), on_update=seen.append)
    assert seen[-1] is caught.value.job
    job = source.add_job([("running", 2), "failed"])
    ended = await source.wait(job, check=False, until=[RUNNING], on_update=seen.append)
    assert ended is seen[-1]


@each_wait
async def test_a_job_that_was_seen_to_end_before_is_told_once(wait: Wait) -> None:
    source, job = scripted()
    ended = await source.wait(job)
    asked, seen = len(source.journal), list[Job]()
    await wait(source, ended, on_update=seen.append)
    assert seen == [ended]
    assert len(source.journal) == asked


@each_wait
async def test_what_a_probe_finds_is_told_too(wait: Wait) -> None:
    source, _ = scripted()
    job = source.add_job([("running", 3)])

    async def probe(ref: JobRef, last: Job | None) -> JobState:
        return SUCCEEDED

    seen: list[Job] = []
    await wait(source, job, on_update=seen.append, resolve_gone=probe)
    assert [(each.state, each.resolved) for each in seen] == [(RUNNING, False), (SUCCEEDED, True)]


@each_wait
@pytest.mark.parametrize("limit", [0, 8])
async def test_on_update_is_not_called_after_the_deadline(wait: Wait, limit: float) -> None:
    source, job = scripted()
    seen: list[Job] = []
    with pytest.raises(WaitTimeout):
        await wait(source, job, timeout=limit, on_update=seen.append)
    assert [each.state for each in seen] == ([QUEUED, RUNNING] if limit else [QUEUED])
    before = len(seen)
    await anyio.sleep(100)
    assert len(seen) == before


@each_wait
async def test_on_update_is_not_called_after_a_cancellation(wait: Wait) -> None:
    source, job = scripted()
    seen: list[Job] = []
    with anyio.move_on_after(7):
        await wait(source, job, on_update=seen.append)
    await source.wait(job)
    assert [each.state for each in seen] == [QUEUED, RUNNING]


@each_wait
async def test_what_on_update_raises_is_logged_with_the_ref_and_ends_no_wait(
    wait: Wait, caplog: pytest.LogCaptureFixture
) -> None:
    source, job = scripted()

    def fails(job: Job) -> None:
        raise LookupError(f"no row for {job.state}")

    with caplog.at_level(logging.ERROR, "jobsource"):
        await wait(source, job, on_update=fails)
    assert [record.getMessage() for record in caplog.records] == [f"{job}: on_update failed"] * 3
    assert "no row for running" in caplog.text


@each_wait
async def test_what_on_update_returns_is_not_awaited_which_the_log_says(
    wait: Wait, caplog: pytest.LogCaptureFixture
) -> None:
    source, job = scripted()

    def returns_an_awaitable(job: Job) -> Any:
        return awaited(job)

    with caplog.at_level(logging.ERROR, "jobsource"):
        await wait(source, job, on_update=returns_an_awaitable)
    assert {record.getMessage() for record in caplog.records} == {
        f"{job}: on_update must be a plain function: what it returned would have to be awaited"
    }


class Awaited:
    async def __call__(self, job: Job) -> None: ...


async def awaited(job: Job) -> None: ...


@each_wait
@pytest.mark.parametrize("function", [awaited, functools.partial(awaited), Awaited(), "print", 7])
async def test_on_update_must_be_a_plain_function(wait: Wait, function: Any) -> None:
    source, job = scripted()
    with pytest.raises(UsageError, match="on_update must be a plain function"):
        await wait(source, job, on_update=function)
    assert source.journal == []


async def test_a_set_tells_on_update_while_nobody_iterates_and_for_each_member() -> None:
    source, job = scripted()
    other = source.add_job([("running", 3), "failed"])
    seen: list[tuple[str, JobState]] = []
    async with JobSet(source, [job], on_update=lambda job: seen.append((job.id, job.state))) as jobs:
        await anyio.sleep(1.5)
        jobs.add(other)
        await anyio.sleep(20)
        assert len(jobs) == 2
        assert [state for id, state in seen if id == job.id] == STATES
        assert [state for id, state in seen if id == other.id] == [RUNNING, JobState.FAILED]
        jobs.close()
        assert {outcome.ref async for outcome in jobs} == {job, other}


@pytest.mark.parametrize("state", [QUEUED, SUCCEEDED])
async def test_on_update_may_take_its_own_job_out_of_the_set(state: JobState) -> None:
    source, job = scripted()
    seen: list[tuple[str, JobState]] = []

    def update(job: Job) -> None:
        seen.append((job.id, job.state))
        if (job.id, job.state) == seen_last:
            assert jobs.discard(job.ref)
            jobs.add(other)

    other = source.add_job(["succeeded"])
    seen_last = (job.id, state)
    async with JobSet(source, [job], on_update=update, changes=True) as jobs:
        await anyio.sleep(20)
        jobs.close()
        assert {outcome.ref async for outcome in jobs} == {other}
    assert seen[-2:] == [seen_last, (other.id, SUCCEEDED)]


# on_cancel= as a function


def actions(source: ScriptedSource) -> list[str]:
    return [each.what for each in source.journal if each.what not in ("get", "batch")]


@each_wait_and_watch
@pytest.mark.parametrize("answer", [True, False, None, 1, "yes"])
async def test_a_function_is_asked_when_a_wait_is_cancelled_and_only_true_cancels_the_job(
    wait: Wait, answer: Any
) -> None:
    source, job = scripted()
    asked: list[float] = []

    def wanted() -> Any:
        asked.append(anyio.current_time())
        return answer

    with anyio.move_on_after(7) as scope:
        await wait(source, job, on_cancel=wanted)
    assert scope.cancelled_caught
    assert asked == [about(7)]
    assert actions(source) == ([Action.CANCEL] if answer is True else [])


@each_wait_and_watch
async def test_where_the_function_fails_the_job_is_left_alone_and_the_log_says_so(
    wait: Wait, caplog: pytest.LogCaptureFixture
) -> None:
    source, job = scripted()

    def fails() -> bool:
        raise LookupError("no such task")

    with caplog.at_level(logging.ERROR, "jobsource"), anyio.move_on_after(7) as scope:
        await wait(source, job, on_cancel=fails)
    assert scope.cancelled_caught
    assert actions(source) == []
    assert [record.getMessage() for record in caplog.records] == [f"{job}: on_cancel failed"]
    assert "no such task" in caplog.text


@each_wait_and_watch
async def test_the_function_is_not_asked_where_the_wait_ends_by_itself(wait: Wait) -> None:
    source, job = scripted()

    def never() -> bool:
        raise AssertionError("nothing was cancelled")

    await wait(source, job, on_cancel=never)
    with pytest.raises(WaitTimeout):
        await wait(source, source.add_job(SCRIPT), timeout=3, on_cancel=never)
    assert actions(source) == []


@each_wait_and_watch
async def test_a_function_is_unsupported_where_jobs_cannot_be_cancelled(wait: Wait) -> None:
    source, job = scripted(Capability.LIST)
    with pytest.raises(Unsupported, match="on_cancel=: scripted jobs cannot be cancelled"):
        await wait(source, job, on_cancel=lambda: True)
    assert source.journal == []


@each_wait_and_watch
@pytest.mark.parametrize("function", [awaited, Awaited(), True, 7, None])
async def test_on_cancel_must_be_a_word_or_a_plain_function(wait: Wait, function: Any) -> None:
    source, job = scripted()
    with pytest.raises(UsageError, match="on_cancel= must be 'leave', 'cancel' or a plain function"):
        await wait(source, job, on_cancel=function)
    assert source.journal == []


async def test_a_set_asks_once_for_all_its_jobs() -> None:
    source, job = scripted()
    refs = [job, *(source.add_job(SCRIPT) for _ in range(4)), source.add_job(["succeeded"])]
    asked: list[float] = []

    def wanted() -> bool:
        asked.append(anyio.current_time())
        return True

    with anyio.move_on_after(7):
        await wait_all(source, refs, on_cancel=wanted)
    assert asked == [about(7)]
    assert actions(source) == [Action.CANCEL] * 5


async def test_a_cancelled_step_asks_each_time_and_the_watch_goes_on() -> None:
    source, job = scripted()
    answers = [False, True]
    watch = source.watch(job, on_cancel=lambda: answers.pop(0))
    await anext(watch)
    for written in ([], [Action.CANCEL]):
        with anyio.move_on_after(1):
            await anext(watch)
        assert actions(source) == written
    assert [each.state async for each in watch] == [JobState.CANCELLED]


# An error that nobody was told of


async def test_an_error_that_was_not_told_is_told_by_the_set_that_goes_on_and_nothing_is_asked() -> None:
    lab = Lab(policy=EACH_SECOND)
    lab.end("good", 1)
    lab.end("slow", 1e9)
    async with JobSet(lab, ["absent", "good"]) as jobs:
        jobs.add("slow", timeout=3)
        await anyio.sleep(10)
        data = json.loads(json.dumps(jobs.checkpoint()))
        told = [to_dict(outcome) async for outcome in _closed(jobs)]
    asked = len(lab.asked)
    async with JobSet(lab, checkpoint=data) as jobs:
        assert len(jobs) == 3
        assert [row[0] for row in json.loads(json.dumps(jobs.checkpoint()))["waits"]] == [
            row[0] for row in data["waits"]
        ]
        again = [to_dict(outcome) async for outcome in _closed(jobs)]
    assert sorted(map(str, again)) == sorted(map(str, told))
    assert len(lab.asked) == asked


async def test_an_error_of_a_probe_that_names_no_job_goes_on_with_its_own() -> None:
    async def probe(ref: JobRef, job: Job | None) -> JobState:
        raise JobsError("the vault is sealed")

    lab = Lab(policy=EACH_SECOND)
    async with JobSet(lab, ["absent"], resolve_gone=probe) as jobs:
        await anyio.sleep(10)
        data = json.loads(json.dumps(jobs.checkpoint()))
    async with JobSet(lab, checkpoint=data) as jobs:
        (outcome,) = [outcome async for outcome in _closed(jobs)]
    assert (str(outcome), outcome.ref) == ("the vault is sealed", lab.ref("absent"))


async def test_a_wait_that_ended_with_its_source_goes_on_from_the_checkpoint() -> None:
    def source() -> Lab:
        lab = Lab(policy=EACH_SECOND)
        lab.end("a", 20)
        return lab

    first = source()
    async with JobSet(first, ["a"], timeout=100) as jobs:
        await anyio.sleep(5)
        await first.aclose()
        await anyio.sleep(1)
        data = json.loads(json.dumps(jobs.checkpoint()))
    async with JobSet(source(), checkpoint=data) as jobs:
        (outcome,) = [outcome async for outcome in _closed(jobs)]
    assert isinstance(outcome, Job)
    assert outcome.succeeded


def _closed(jobs: JobSet) -> JobSet:
    jobs.close()
    return jobs
