"""Waiting for many jobs at once: what comes back, in which order, and how it fails."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from common import (
    Action,
    Capability,
    Fleet,
    Job,
    JobFailed,
    JobLike,
    JobNotFound,
    JobRef,
    JobsError,
    JobsFailed,
    JobState,
    PollPolicy,
    SourceClosed,
    Unsupported,
    UsageError,
    WaitTimeout,
    WrongSource,
    as_completed,
    wait_all,
)
from tests.common.lab import Lab
from tests.common.scripted import about, outcomes
from tests.common.virtual import HANGS, Footprint
from tests.pickled import pickled

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

SUCCEEDED, FAILED, PARTIAL = JobState.SUCCEEDED, JobState.FAILED, JobState.PARTIAL


def lab_of(*ends: tuple[str, float, JobState], room: int = 100, **options: Any) -> Lab:
    lab = Lab(room=room, **options)
    for id, at, state in ends:
        lab.end(id, at, state)
    return lab


def mixed() -> Lab:
    """One job of each kind of end; "unknown" is not even there."""
    return lab_of(
        ("good", 5, SUCCEEDED), ("bad", 3, FAILED), ("partly", 1, PARTIAL), ("endless", 1e9, SUCCEEDED)
    )


def ids(found: Any) -> list[str]:
    return [each.ref.id for each in found]


class OtherLab(Lab):
    name = "otherlab"


# Results


async def test_the_results_stand_in_the_order_of_the_jobs_whatever_the_order_of_the_ends() -> None:
    lab = lab_of(*((f"job-{n}", 20 - n, SUCCEEDED) for n in range(20)))
    found = await wait_all(lab, lab.ends)
    assert ids(found) == list(lab.ends)
    assert all(job.succeeded for job in found)


async def test_waits_that_are_made_together_share_their_requests() -> None:
    lab = lab_of(*((f"job-{n}", 2.5, SUCCEEDED) for n in range(50)))
    await wait_all(lab, lab.ends)
    assert [len(asked.ids) for asked in lab.asked] == [50] * 4


async def test_jobs_can_be_any_iterable_of_anything_that_names_a_job() -> None:
    lab = lab_of(("a", 0, SUCCEEDED), ("b", 0, SUCCEEDED), ("c", 0, SUCCEEDED))
    seen = await lab.get("b")
    jobs: list[JobLike] = ["a", seen, lab.ref("c")]
    assert ids(await wait_all(lab, (each for each in jobs))) == ["a", "b", "c"]


async def test_no_jobs_are_no_results_and_no_request() -> None:
    lab = Lab()
    assert await wait_all(lab, []) == []
    assert await wait_all(lab, [], check=False, return_when="first") == []
    async with as_completed(lab, []) as done:
        assert [each async for each in done] == []
    assert lab.asked == []


async def test_one_failure_raises_once_all_have_ended_and_tells_every_outcome_by_ref() -> None:
    lab = mixed()
    with pytest.raises(JobsFailed) as caught:
        await wait_all(lab, ["good", "bad", "partly"])
    assert anyio.current_time() == about(5)
    outcome = {ref.id: type(each) for ref, each in caught.value.outcomes.items()}
    assert outcome.pop("good") is Job
    assert ids(caught.value.exceptions) == ["bad", "partly"]
    assert all(issubclass(cls, JobFailed) for cls in outcome.values())
    assert all(isinstance(ref, JobRef) for ref in caught.value.outcomes)
    assert "2 of 3" in str(caught.value)


async def test_without_check_exceptions_stand_in_their_jobs_place_and_failed_jobs_as_they_are() -> None:
    lab = mixed()
    found = await wait_all(lab, ["unknown", "bad", "good", "endless"], check=False, timeout=10)
    assert [type(each) for each in found] == [JobNotFound, Job, Job, WaitTimeout]
    assert ids(found) == ["unknown", "bad", "good", "endless"]
    assert anyio.current_time() == about(10)


async def test_each_kind_of_failure_can_be_taken_out_of_the_group() -> None:
    lab = mixed()
    taken: dict[str, list[str]] = {}
    told: dict[JobRef, Any] = {}
    try:
        await wait_all(lab, ["good", "bad", "partly", "endless", "unknown"], timeout=10)
    except* JobFailed as group:
        taken["failed"] = ids(group.exceptions)
        told = getattr(group, "outcomes", {})
    except* TimeoutError as group:
        taken["timeout"] = ids(group.exceptions)
    except* JobsError as group:
        taken["other"] = ids(group.exceptions)
    assert taken == {"failed": ["bad", "partly"], "timeout": ["endless"], "other": ["unknown"]}
    assert [ref.id for ref in told] == ["good", "bad", "partly", "endless", "unknown"]


async def test_a_group_pickles_with_all_its_outcomes_also_a_part_of_it() -> None:
    lab = mixed()
    with pytest.raises(JobsFailed) as caught:
        await wait_all(lab, ["good", "bad", "endless", "unknown"], timeout=10)
    part, rest = caught.value.split(JobFailed)
    assert part is not None
    assert rest is not None
    for group in (caught.value, part, rest):
        assert isinstance(group, JobsFailed)
        again = pickled(group)
        assert type(again) is JobsFailed
        assert [str(each) for each in again.exceptions] == [str(each) for each in group.exceptions]
        assert list(again.outcomes) == list(group.outcomes) == list(caught.value.outcomes)
        assert again.outcomes[lab.ref("good")] == caught.value.outcomes[lab.ref("good")]


async def test_the_repr_of_thousands_of_failures_is_short() -> None:
    ids = [f"job{number}" for number in range(1000)]
    with pytest.raises(JobsFailed) as caught:
        await wait_all(lab_of(*((id, 1, FAILED) for id in ids)), ids)
    assert repr(caught.value) == "JobsFailed('1000 of 1000 jobs: 1000 FAILED', <1000 errors>)"


async def test_one_deadline_holds_for_all_and_is_kept_also_where_requests_hang() -> None:
    lab = lab_of(*((f"job-{n}", 0, SUCCEEDED) for n in range(20)), room=0, concurrency=2)
    lab.latency = lambda _: 1e9
    found = await wait_all(lab, lab.ends, check=False, timeout=7)
    assert all(isinstance(each, WaitTimeout) for each in found)
    assert anyio.current_time() == about(7)
    assert len(set(map(id, found))) == 20


async def test_a_timeout_of_zero_reads_each_job_once() -> None:
    lab = mixed()
    found = await wait_all(lab, ["endless", "good"], check=False, timeout=0)
    assert all(isinstance(each, WaitTimeout) for each in found)
    assert len(lab.asked) <= 2


# One job several times


@pytest.mark.parametrize("check", [True, False])
async def test_a_job_that_is_named_twice_stands_there_twice_and_is_asked_for_once(check: bool) -> None:
    lab = lab_of(("a", 2.5, SUCCEEDED), ("b", 1, SUCCEEDED), room=0)
    assert ids(await wait_all(lab, ["a", "b", "a", lab.ref("a")], check=check)) == ["a", "b", "a", "a"]
    assert len([asked for asked in lab.asked if asked.ids == ("a",)]) == 4


async def test_a_failed_job_that_is_named_twice_is_one_outcome() -> None:
    lab = mixed()
    with pytest.raises(JobsFailed) as caught:
        await wait_all(lab, ["bad", "bad", "good"])
    assert {ref.id for ref in caught.value.outcomes} == {"bad", "good"}


@pytest.mark.parametrize("return_when", ["first", "first_failure"])
async def test_a_failed_job_that_is_named_twice_fails_also_where_one_of_the_two_is_still_waited_for(
    return_when: Any,
) -> None:
    lab = mixed()
    await anyio.sleep(4)
    failed = await lab.get("bad")
    with pytest.raises(JobsFailed) as caught:
        await wait_all(lab, [failed, failed.ref], return_when=return_when)
    assert isinstance(caught.value.outcomes[failed.ref], JobFailed)


# Return early


async def test_the_first_end_is_enough_where_that_was_asked_for() -> None:
    lab = mixed()
    found = await wait_all(lab, ["endless", "good", "bad"], check=False, return_when="first")
    assert anyio.current_time() == about(3)
    assert found[:2] == [None, None]
    assert isinstance(found[2], Job)
    assert lab._current_poller().idle


async def test_the_first_failure_is_waited_for_past_successes() -> None:
    lab = lab_of(("a", 1, SUCCEEDED), ("b", 3, FAILED), ("c", 10, SUCCEEDED))
    with pytest.raises(JobsFailed) as caught:
        await wait_all(lab, ["c", "a", "b"], return_when="first_failure")
    assert anyio.current_time() == about(3)
    assert [each is None for each in caught.value.outcomes.values()] == [True, False, False]


async def test_without_a_failure_the_first_failure_is_all_of_them() -> None:
    lab = lab_of(("a", 1, SUCCEEDED), ("b", 3, SUCCEEDED))
    assert ids(await wait_all(lab, ["a", "b"], return_when="first_failure")) == ["a", "b"]


@pytest.mark.parametrize("turns", range(5))
@pytest.mark.parametrize("room", [0, 100])
async def test_returning_early_copes_with_jobs_that_end_at_the_same_moment(
    room: int, turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(10):
        began = anyio.current_time()
        lab = lab_of(*((f"job-{n}", began + 1, SUCCEEDED) for n in range(8)), room=room)
        natural = lab.read

        async def some_turns_later(ref: JobRef, last: Any = None, natural: Any = natural) -> Any:
            reading = await natural(ref, last)
            with anyio.CancelScope(shield=True):
                for _ in range(turns * int(ref.id[-1])):
                    await anyio.lowlevel.checkpoint()
            return reading

        monkeypatch.setattr(lab, "read", some_turns_later)
        found = await wait_all(lab, lab.ends, return_when="first")
        assert any(isinstance(each, Job) and each.succeeded for each in found)
        assert lab._current_poller().idle


# As they come


async def test_outcomes_come_as_the_jobs_end() -> None:
    lab = mixed()
    async with as_completed(lab, ["endless", "good", "bad", "partly"], timeout=10) as done:
        found = [(each.ref.id if each.ref else "", anyio.current_time()) async for each in done]
        assert [ref.id for ref in done.refs] == ["endless", "good", "bad", "partly"]
        assert [type(each) for each in done.outcomes] == [WaitTimeout, Job, Job, Job]
    assert found == [("partly", about(1)), ("bad", about(3)), ("good", about(5)), ("endless", about(10))]


async def test_a_slow_consumer_misses_nothing() -> None:
    lab = lab_of(*((f"job-{n}", n % 3, SUCCEEDED) for n in range(30)))
    got: list[str] = []
    async with as_completed(lab, lab.ends) as done:
        async for each in done:
            await anyio.sleep(5)
            assert isinstance(each, Job)
            got.append(each.id)
    assert sorted(got) == sorted(lab.ends)


@pytest.mark.parametrize("after", [0, 1, 3])
async def test_leaving_the_block_ends_the_waits_that_are_left(after: int) -> None:
    lab = lab_of(*((f"job-{n}", n, SUCCEEDED) for n in range(5)), ("endless", 1e9, SUCCEEDED))
    lab.latency = lambda _: 0.3
    before = Footprint.now()
    async with as_completed(lab, lab.ends) as done:
        for _ in range(after):
            await anext(done)
    assert lab._current_poller().idle
    assert lab.in_flight == 0
    assert Footprint.now() == before
    assert len([each for each in done.outcomes if each is not None]) == after


async def test_the_iteration_is_over_once_the_block_was_left() -> None:
    lab = lab_of(("a", 0, SUCCEEDED), ("endless", 1e9, SUCCEEDED))
    async with as_completed(lab, lab.ends) as done:
        await anext(done)
    with anyio.fail_after(10):
        assert [each async for each in done] == []


async def test_what_the_block_raises_comes_out_as_it_is() -> None:
    lab = mixed()

    async def fail() -> None:
        async with as_completed(lab, ["endless", "bad"]) as done:
            await anext(done)
            raise ValueError("of the caller")

    with pytest.raises(ValueError, match="of the caller"):
        await fail()
    assert lab._current_poller().idle


async def test_iterating_outside_of_the_block_is_refused_with_what_to_do() -> None:
    lab = mixed()
    done = as_completed(lab, ["good"])
    with pytest.raises(UsageError, match="async with"):
        await anext(done)
    async with done:
        assert len([each async for each in done]) == 1


async def test_a_block_that_is_never_entered_leaves_nothing_behind() -> None:
    lab = mixed()
    as_completed(lab, ["good"])
    gc.collect()  # an unclosed stream would say so here
    assert lab.asked == []
    assert lab._current_poller().idle


async def test_several_consumers_share_the_outcomes_and_all_come_to_the_end() -> None:
    lab = lab_of(*((f"job-{n}", n, SUCCEEDED) for n in range(5)))
    got: list[str] = []

    async def consume(done: Any) -> None:
        got.extend([each.id async for each in done])

    with anyio.fail_after(100):
        async with as_completed(lab, lab.ends) as done, anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(consume, done)
    assert sorted(got) == sorted(lab.ends)


# What is wrong with the call


async def no_probe(ref: JobRef, last: Job | None) -> JobState:
    raise AssertionError(ref, last)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("jobs", "options", "expected"),
    [
        (["a", ""], {}, UsageError),
        (["a", 7], {}, UsageError),
        (["a", None], {}, UsageError),
        (["a", "cf://api.example.org/x"], {}, WrongSource),
        (["a", JobRef("lab", "https://other.example", "x")], {}, WrongSource),
        (["a"], {"timeout": -1}, UsageError),
        (["a"], {"timeout": float("nan")}, UsageError),
        (["a"], {"timeout": "5"}, UsageError),
        (["a"], {"on_cancel": "kill"}, UsageError),
        (["a"], {"on_cancel": "cancel"}, Unsupported),
        (["a"], {"resolve_gone": 7}, UsageError),
        (["a"], {"policy": 7}, UsageError),
    ],
    ids=str,
)
@pytest.mark.parametrize("call", [wait_all, as_completed])
async def test_bad_input_is_refused_before_any_request(
    call: Callable[..., Any], jobs: Any, options: Any, expected: type[Exception]
) -> None:
    lab = lab_of(("a", 0, SUCCEEDED))
    before = Footprint.now()
    with pytest.raises(expected):
        await call(lab, jobs, **options)
    gc.collect()
    assert lab.asked == []
    assert Footprint.now() == before


@pytest.mark.parametrize("return_when", ["any", None, "ALL_COMPLETED"])
async def test_return_when_is_one_of_three_words(return_when: Any) -> None:
    lab = lab_of(("a", 0, SUCCEEDED))
    with pytest.raises(UsageError, match="return_when"):
        await wait_all(lab, ["a"], return_when=return_when)
    assert lab.asked == []


async def test_a_single_job_is_not_taken_for_its_letters() -> None:
    lab = lab_of(("a", 0, SUCCEEDED))
    with (
        anyio.move_on_after(10) as scope,
        pytest.raises(UsageError, match=re.compile("list|iterable|several", re.IGNORECASE)),
    ):
        await wait_all(lab, "job")
    assert not scope.cancelled_caught
    assert lab.asked == []


# Cancellation


@pytest.mark.parametrize("at", [0.0, 0.1, 2.0, 2.1])
async def test_a_cancelled_wait_for_all_leaves_nothing_behind(at: float) -> None:
    lab = mixed()
    lab.latency = lambda _: 0.3
    before = Footprint.now()
    with anyio.move_on_after(at) as scope:
        await wait_all(lab, ["good", "endless", "endless", "unknown", "odd"], check=False)
    assert scope.cancelled_caught
    assert lab._current_poller().idle
    assert lab.in_flight == 0
    assert Footprint.now() == before


async def test_what_a_probe_raises_ends_all_waits_and_comes_through() -> None:
    async def broken(ref: JobRef, last: Job | None) -> JobState:
        del ref, last
        raise ZeroDivisionError

    lab = mixed()
    with anyio.fail_after(HANGS), pytest.raises((ZeroDivisionError, ExceptionGroup)) as caught:
        await wait_all(lab, ["unknown", "endless"], resolve_gone=broken, check=False)
    if isinstance(caught.value, ExceptionGroup):
        assert caught.group_contains(ZeroDivisionError)
    assert lab._current_poller().idle


async def test_a_probe_decides_for_each_job_that_is_gone() -> None:
    async def probe(ref: JobRef, last: Job | None) -> JobState:
        del last
        return SUCCEEDED if ref.id == "x" else FAILED

    lab = mixed()
    found = await wait_all(lab, ["x", "y", "good"], resolve_gone=probe, check=False)
    assert [each.state for each in found if isinstance(each, Job)] == [SUCCEEDED, FAILED, SUCCEEDED]


async def test_closing_the_source_ends_all_with_an_error_in_each_place() -> None:
    lab = mixed()

    async def close() -> Job:
        await anyio.sleep(4.5)
        await lab.aclose()
        return Job(lab.ref("x"), SUCCEEDED)

    found: list[Any] = []

    async def gather() -> Job:
        found.extend(await wait_all(lab, ["good", "bad", "endless"], check=False))
        return Job(lab.ref("x"), SUCCEEDED)

    await outcomes(gather(), close())
    assert [type(each) for each in found] == [SourceClosed, Job, SourceClosed]
    assert found[0] is not found[2]


class Killable(Lab):
    """A lab whose jobs can be cancelled."""

    able = frozenset({Capability.CANCEL})

    def __init__(self, *ids: str) -> None:
        super().__init__(*ids)
        self.killed: list[str] = []

    async def act(self, job: JobLike, action: Action) -> Job:
        assert action is Action.CANCEL
        await anyio.lowlevel.checkpoint()
        ref = self.ref(job)
        self.killed.append(ref.id)
        return Job(ref, JobState.CANCELLED)


async def test_what_is_waited_for_no_longer_is_not_cancelled_at_its_server() -> None:
    lab = Killable("slow", "slower")
    lab.end("quick", 1)
    found = await wait_all(lab, ["quick", "slow", "slower"], return_when="first", on_cancel="cancel")
    assert [outcome is None for outcome in found] == [False, True, True]
    assert lab.killed == []


async def test_nor_is_what_a_failing_block_or_a_failing_probe_leaves_behind() -> None:
    lab = Killable("slow")

    async def probe(*_: object) -> JobState:
        await anyio.sleep(1)
        raise LookupError

    async def block(*jobs: str) -> None:
        async with as_completed(lab, jobs, on_cancel="cancel", resolve_gone=probe):
            await anyio.sleep(3)
            raise LookupError

    for jobs in (["slow"], ["slow", "gone"]):
        with pytest.raises((LookupError, ExceptionGroup)):
            await block(*jobs)
    assert lab.killed == []


@pytest.mark.parametrize("at", [0.0, 3.5])
async def test_a_cancelled_wait_for_many_cancels_those_that_have_not_ended_where_it_is_to(at: float) -> None:
    lab = Killable("slow", "slower")
    over = Job(lab.ref("over"), SUCCEEDED)
    with anyio.CancelScope() as scope:
        async with as_completed(lab, [over, "slow", "slower"], on_cancel="cancel") as done:
            scope.deadline = anyio.current_time() + at
            async for _ in done:
                pass
    assert scope.cancelled_caught
    assert sorted(lab.killed) == ["slow", "slower"]


# A fleet


async def test_over_a_fleet_each_member_shares_requests_among_its_own() -> None:
    first, second = lab_of(*((f"a-{n}", 2.5, SUCCEEDED) for n in range(20))), OtherLab(room=100)
    for n in range(20):
        second.end(f"b-{n}", 2.5, SUCCEEDED)
    fleet = Fleet([first, second])
    jobs = [
        ref
        for pair in zip(map(first.ref, first.ends), map(second.ref, second.ends), strict=True)
        for ref in pair
    ]
    found = await wait_all(fleet, jobs)
    assert [job.ref for job in found] == jobs
    for lab in (first, second):
        assert [len(asked.ids) for asked in lab.asked] == [20] * 4
        assert lab._current_poller().idle


async def test_over_a_fleet_a_failure_of_one_member_tells_of_all_and_strangers_are_refused_first() -> None:
    first, second = lab_of(("a", 1, FAILED)), OtherLab("b", room=100)
    second.end("b", 2)
    fleet = Fleet([first, second])
    with pytest.raises(JobsFailed) as caught:
        await wait_all(fleet, [second.ref("b"), first.ref("a")])
    assert [ref.provider for ref in caught.value.outcomes] == ["otherlab", "lab"]
    sent = len(first.asked)
    with pytest.raises(WrongSource):
        await wait_all(fleet, [first.ref("a"), JobRef("lab", "https://stranger.example", "x")])
    with pytest.raises(UsageError):
        await wait_all(fleet, [first.ref("a"), "bare-id"])
    assert len(first.asked) == sent


async def test_the_policy_of_the_call_is_every_waits() -> None:
    lab = lab_of(("a", 25, SUCCEEDED), ("b", 25, SUCCEEDED))
    await wait_all(lab, lab.ends, policy=PollPolicy(initial=10, maximum=10))
    assert lab.times == [0, about(10), about(20), about(30)]
