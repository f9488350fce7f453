"""A set of waits that grows and shrinks while it runs."""

from __future__ import annotations

import asyncio
import gc
import json
import weakref
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import sniffio

from common import (
    Action,
    AuthenticationError,
    Capability,
    Fleet,
    Job,
    JobGone,
    JobLike,
    JobNotFound,
    JobRef,
    JobsError,
    JobSet,
    JobState,
    PollPolicy,
    SourceClosed,
    TransportError,
    Unsupported,
    UsageError,
    WrongSource,
    as_completed,
    get_all,
    to_dict,
    wait_all,
)
from common.sources.base import replace_observers
from common.telemetry.events import Event, EventKind
from tests.common.lab import EACH_SECOND, Lab
from tests.common.scripted import about
from tests.common.virtual import HANGS, Footprint, cancelled_at, count_awaits, stepped

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

SUCCEEDED, FAILED, RUNNING = JobState.SUCCEEDED, JobState.FAILED, JobState.RUNNING
NEVER = 1e9


class OtherLab(Lab):
    name = "otherlab"


def lab_of(room: int = 100, /, **ends: float) -> Lab:
    """A lab whose jobs succeed at these times."""
    lab = Lab(room=room)
    for id, at in ends.items():
        lab.end(id, at)
    return lab


def name(outcome: Job | JobsError) -> str:
    assert outcome.ref is not None
    return outcome.ref.id


def told(outcome: Job | JobsError) -> tuple[str, str]:
    return name(outcome), outcome.state.value if isinstance(outcome, Job) else type(outcome).__name__


async def rest(jobs: JobSet) -> list[tuple[str, str]]:
    """Close a set, and return all that it tells from now on."""
    jobs.close()
    with anyio.fail_after(HANGS):
        return [told(outcome) async for outcome in jobs]


@asynccontextmanager
async def nothing_left(*labs: Lab) -> AsyncGenerator[None]:
    """Check that the block leaves no task, timer, request or wait behind."""
    before = Footprint.now()
    yield
    assert Footprint.now() == before
    for lab in labs:
        assert lab._current_poller().idle
        assert lab.in_flight == 0


# What it tells


@pytest.mark.parametrize("room", [0, 100])
async def test_each_outcome_is_told_as_its_job_ends(room: int) -> None:
    lab = lab_of(room, a=5, b=2)
    lab.end("bad", 3, FAILED)
    async with nothing_left(lab), JobSet(lab, ["a", "b", "bad", "unknown"]) as jobs:
        jobs.close()
        found = [(*told(outcome), anyio.current_time()) async for outcome in jobs]
    assert found == [
        ("unknown", "JobNotFound", about(0)),
        ("b", "succeeded", about(2)),
        ("bad", "failed", about(3)),
        ("a", "succeeded", about(5)),
    ]


async def test_members_are_asked_about_together_and_have_no_tasks_of_their_own() -> None:
    lab = lab_of(100, **{f"job{n}": 2.5 for n in range(100)})
    before = Footprint.now()
    async with JobSet(lab, lab.ends) as jobs:
        await anyio.sleep(2.2)
        assert Footprint.now().tasks == before.tasks + 1
        assert len(await rest(jobs)) == 100
    assert [len(asked.ids) for asked in lab.asked] == [100] * 4


async def test_members_share_their_requests_with_plain_waits() -> None:
    lab = lab_of(100, a=4.5, b=2.5)
    async with nothing_left(lab), JobSet(lab, ["a", "b"]) as jobs, anyio.create_task_group() as group:
        group.start_soon(lab.wait, "a")
        group.start_soon(lab.wait, "b")
        assert await rest(jobs) == [("b", "succeeded"), ("a", "succeeded")]
    assert [len(asked.ids) for asked in lab.asked] == [2, 2, 2, 2, 1, 1]


async def test_a_set_waits_for_more_until_it_is_closed() -> None:
    lab = lab_of(a=1, b=20)
    async with nothing_left(lab), JobSet(lab) as jobs:
        assert len(jobs) == 0
        with anyio.move_on_after(5) as scope:
            await anext(jobs)
        assert scope.cancelled_caught
        ref = jobs.add("a")
        assert ref == lab.ref("a")
        assert told(await anext(jobs)) == ("a", "succeeded")
        jobs.add("b")
        assert await rest(jobs) == [("b", "succeeded")]
        assert anyio.current_time() == about(20)


async def test_jobs_may_be_added_by_any_task_while_others_are_told() -> None:
    lab, found = lab_of(**{f"job{n}": n + 1.0 for n in range(10)}), list[str]()
    async with JobSet(lab) as jobs, anyio.create_task_group() as group:

        async def grow(number: int) -> None:
            await anyio.sleep(number / 2)
            jobs.add(f"job{number}")
            if number == 9:
                jobs.close()

        for number in range(10):
            group.start_soon(grow, number)
        with anyio.fail_after(100):
            found.extend([name(outcome) async for outcome in jobs])
    assert sorted(found) == sorted(lab.ends)


async def test_a_job_that_is_added_twice_has_two_outcomes_each_by_its_own_deadline() -> None:
    lab = lab_of(0, a=10)
    async with nothing_left(lab), JobSet(lab, ["a", "a"]) as jobs:
        jobs.add("a", timeout=3)
        assert len(jobs) == 3
        assert await rest(jobs) == [("a", "WaitTimeout"), ("a", "succeeded"), ("a", "succeeded")]
    assert lab.most_of_one == 1


async def test_a_job_that_was_seen_to_end_costs_no_request() -> None:
    lab = lab_of()
    async with JobSet(lab, [Job(lab.ref("a"), FAILED)]) as jobs:
        assert await rest(jobs) == [("a", "failed")]
    assert lab.asked == []


async def test_several_consumers_share_the_outcomes_and_all_come_to_the_end() -> None:
    lab = lab_of(**{f"job{n}": float(n) for n in range(9)})
    got: list[str] = []
    async with JobSet(lab, lab.ends) as jobs, anyio.create_task_group() as group:

        async def consume() -> None:
            got.extend([name(outcome) async for outcome in jobs])

        for _ in range(3):
            group.start_soon(consume)
        await anyio.sleep(4.5)
        jobs.close()
    assert sorted(got) == sorted(lab.ends)


# Changes


async def test_with_changes_the_first_observation_and_each_change_are_told() -> None:
    lab = lab_of(a=3, b=5)
    async with nothing_left(lab), JobSet(lab, ["a", "b"], changes=True) as jobs:
        assert await rest(jobs) == [
            ("a", "running"),
            ("b", "running"),
            ("a", "succeeded"),
            ("b", "succeeded"),
        ]


async def test_a_set_with_changes_that_looks_once_ends() -> None:
    lab = lab_of(a=2.0)
    async with nothing_left(lab), JobSet(lab, ["a"], changes=True, timeout=0) as jobs:
        *changes, end = await rest(jobs)  # the change, unless its end came before it was taken
    assert end == ("a", "WaitTimeout")
    assert changes in ([], [("a", "running")])


class Counting(Lab):
    """Each observation of a job differs from the last."""

    def _job(self, ref: JobRef, state: JobState) -> Job:
        return Job(ref, state, native_state=str(state), message=f"{anyio.current_time():.0f} s")


async def test_a_slow_consumer_gets_the_latest_change_and_delays_nobody() -> None:
    lab = Counting(room=0)
    for id in ("a", "b"):
        lab.end(id, 20)
    async with nothing_left(lab), JobSet(lab, ["a", "b"], changes=True) as jobs:
        jobs.close()
        await anyio.sleep(7.5)
        first = [await anext(jobs), await anext(jobs)]
        assert [each.message for each in first if isinstance(each, Job)] == ["7 s", "7 s"]
        await anyio.sleep(100)
        assert sorted([told(outcome) async for outcome in jobs]) == [("a", "succeeded"), ("b", "succeeded")]
    assert len(lab.times_of("a")) == 21


async def test_a_slow_consumer_loses_no_end_and_the_poller_keeps_none_of_them() -> None:
    lab = lab_of(**{f"job{n}": n % 3 for n in range(30)})
    async with JobSet(lab, lab.ends) as jobs:
        await anyio.sleep(10)
        assert lab._current_poller().idle
        assert sorted(id for id, _ in await rest(jobs)) == sorted(lab.ends)


# Deadlines


async def test_each_member_has_a_deadline_of_its_own() -> None:
    lab = lab_of(a=NEVER, b=NEVER, c=NEVER)
    async with nothing_left(lab), JobSet(lab, ["a"], timeout=4) as jobs:
        jobs.add("b", timeout=2)
        await anyio.sleep(1)
        jobs.add("c")
        jobs.close()
        found = [(*told(outcome), anyio.current_time()) async for outcome in jobs]
    timed_out = "WaitTimeout"
    assert found == [("b", timed_out, about(2)), ("a", timed_out, about(4)), ("c", timed_out, about(5))]


async def test_a_deadline_ends_its_member_and_not_a_request_that_others_need() -> None:
    lab = lab_of(a=0, b=0)
    lab.latency = lambda _: 10
    async with JobSet(lab, ["a"]) as jobs:
        jobs.add("b", timeout=3)
        assert await rest(jobs) == [("b", "WaitTimeout"), ("a", "succeeded")]
    assert len(lab.asked) == 1
    assert anyio.current_time() == about(10)


async def test_a_request_that_hangs_is_cut_with_the_last_deadline_that_it_is_for() -> None:
    lab = lab_of(a=0, b=0)
    lab.latency = lambda _: NEVER
    async with JobSet(lab, ["a", "b"], timeout=3) as jobs:
        assert [kind for _, kind in await rest(jobs)] == ["WaitTimeout"] * 2
        assert anyio.current_time() == about(3)
        assert lab.in_flight == 0


async def test_a_timeout_of_zero_reads_once() -> None:
    lab = lab_of(0, a=NEVER, b=0)
    async with JobSet(lab) as jobs:
        jobs.add("a", timeout=0)
        jobs.add("b", timeout=0)
        assert sorted(await rest(jobs)) == [("a", "WaitTimeout"), ("b", "succeeded")]
    assert len(lab.asked) == 2


@pytest.mark.slow
async def test_thousands_of_deadlines_at_once_leave_others_their_turns() -> None:
    lab = lab_of(0)
    lab.latency = lambda _: NEVER
    turns, began = 0, anyio.current_time()
    async with JobSet(lab, [f"job{n}" for n in range(5000)], timeout=5) as jobs:
        jobs.close()
        await anyio.sleep(4.9)
        await anyio.sleep_until(began + 5)
        while len(jobs._untold) < 5000:
            await anyio.lowlevel.checkpoint()
            turns += 1
        assert len([outcome async for outcome in jobs]) == 5000
    assert turns >= 4  # a thousand a turn


# Discarding


async def test_a_discarded_member_has_no_outcome() -> None:
    lab = lab_of(a=2, b=3, c=NEVER)
    async with nothing_left(lab), JobSet(lab, ["a", "b", "c"]) as jobs:
        await anyio.sleep(1.5)
        assert jobs.discard("a")
        assert jobs.discard(lab.ref("c"))
        assert not jobs.discard("a")
        assert not jobs.discard("never-added")
        assert len(jobs) == 1
        assert await rest(jobs) == [("b", "succeeded")]


async def test_discarding_takes_back_one_of_two_and_an_end_that_was_not_told() -> None:
    lab = lab_of(a=2)
    async with JobSet(lab, ["a", "a", "a"]) as jobs:
        assert jobs.discard("a")
        await anyio.sleep(5)
        assert jobs.discard("a")
        assert await rest(jobs) == [("a", "succeeded")]


@pytest.mark.parametrize("room", [0, 100])
async def test_a_request_in_flight_is_cut_once_nobody_needs_it(room: int) -> None:
    lab = lab_of(room, a=0, b=0)
    lab.latency = lambda _: 60
    async with nothing_left(lab), JobSet(lab, ["a", "b"]) as jobs:
        await anyio.sleep(1)
        jobs.discard("a")
        await anyio.sleep(1)
        assert lab.in_flight == 1
        jobs.discard("b")
        await anyio.sleep(1)
        assert lab.in_flight == 0
        jobs.add("a")
        assert await rest(jobs) == [("a", "succeeded")]
        assert anyio.current_time() == about(63)


async def test_the_last_discard_ends_the_iteration_of_a_closed_set() -> None:
    lab = lab_of(a=NEVER)
    async with JobSet(lab, ["a"]) as jobs, anyio.create_task_group() as group:

        async def shrink() -> None:
            await anyio.sleep(3)
            jobs.discard("a")

        group.start_soon(shrink)
        assert await rest(jobs) == []
    assert anyio.current_time() == about(3)


async def test_an_observer_may_grow_and_shrink_the_set_in_the_middle_of_a_reply() -> None:
    lab = lab_of(0, a=2, b=4)

    def observe(event: Event) -> None:
        if event.kind is EventKind.SEEN and anyio.current_time() >= 2 and not grown:
            grown.append(True)
            jobs.discard("a")
            jobs.add("a", timeout=50)
            jobs.add("b", timeout=50)

    grown: list[bool] = []
    replace_observers([lab], (), [observe])
    async with nothing_left(lab), JobSet(lab, ["a", "a", "a", "b"]) as jobs:
        await anyio.sleep(3)
        found = await rest(jobs)
    assert grown
    assert sorted(found) == [("a", "succeeded")] * 3 + [("b", "succeeded")] * 2


# Trouble


async def test_trouble_that_does_not_pass_is_an_outcome_of_each_member_of_its_own() -> None:
    lab = lab_of(a=NEVER, b=NEVER)
    lab.trouble = lambda _: AuthenticationError("no", status=401)
    async with nothing_left(lab), JobSet(lab, ["a", "b"]) as jobs:
        jobs.close()
        found = [outcome async for outcome in jobs]
    assert all(isinstance(each, AuthenticationError) for each in found)
    assert sorted(map(name, found)) == ["a", "b"]
    assert found[0] is not found[1]


async def test_a_usage_error_of_a_request_is_an_outcome_of_each_member() -> None:
    lab = lab_of(a=NEVER, b=NEVER)
    lab.trouble = lambda _: UsageError("the secret is not there")
    async with nothing_left(lab), JobSet(lab, ["a", "b"]) as jobs:
        assert sorted(await rest(jobs)) == [("a", "UsageError"), ("b", "UsageError")]


async def test_an_exception_that_is_no_error_of_a_job_ends_the_set_and_comes_out_of_it() -> None:
    lab = lab_of(a=NEVER)
    lab.trouble = lambda _: ZeroDivisionError()
    async with nothing_left(lab):
        with anyio.fail_after(HANGS), pytest.raises(ExceptionGroup) as caught:
            async with JobSet(lab, ["a"]) as jobs:
                await rest(jobs)
        assert caught.group_contains(ZeroDivisionError)


async def test_a_probe_decides_and_a_member_may_be_discarded_meanwhile() -> None:
    async def probe(ref: JobRef, last: Job | None) -> JobState:
        del last
        await anyio.sleep(5)
        if ref.id == "lost":
            raise JobNotFound("not there either", ref=ref)
        return SUCCEEDED

    lab = lab_of(z=1)
    async with nothing_left(lab), JobSet(lab, ["a", "b", "lost", "z"], resolve_gone=probe) as jobs:
        await anyio.sleep(2)
        waits = {row[0] for row in jobs.checkpoint()["waits"] if isinstance(row[0], str)}
        assert waits == {str(lab.ref(id)) for id in ("a", "b", "lost")}
        assert jobs.discard("b")
        found = await rest(jobs)
    assert found[0] == ("z", "succeeded")
    assert sorted(found[1:]) == [("a", "succeeded"), ("lost", "JobNotFound")]
    assert anyio.current_time() == about(5)


# Several systems, and sources that are closed


async def test_members_may_be_of_several_systems() -> None:
    one, two = lab_of(a=1, b=3), OtherLab(room=0)
    two.end("a", 2)
    async with nothing_left(one, two), JobSet(Fleet([one, two]), [one.ref("a"), two.ref("a")]) as jobs:
        jobs.add(one.ref("b"), timeout=10)
        assert not jobs.discard(two.ref("b"))
        jobs.close()
        found = [outcome.ref async for outcome in jobs]
    assert found == [one.ref("a"), two.ref("a"), one.ref("b")]


async def test_discarding_in_one_system_leaves_the_same_id_of_another_alone() -> None:
    one, two = lab_of(a=1), OtherLab(room=0)
    two.end("a", 2)
    async with JobSet(Fleet([one, two]), [one.ref("a"), two.ref("a")]) as jobs:
        await anyio.lowlevel.checkpoint()
        assert jobs.discard(one.ref("a"))
        jobs.close()
        assert [outcome.ref async for outcome in jobs] == [two.ref("a")]


@pytest.mark.parametrize("closed_first", [False, True])
async def test_a_set_keeps_nothing_of_a_source_whose_jobs_have_ended(closed_first: bool) -> None:
    stays, goes = lab_of(a=NEVER), OtherLab()
    goes.end("b", NEVER if closed_first else 3)
    fleet = Fleet([stays, goes])
    async with fleet, JobSet(fleet, [stays.ref("a")]) as jobs:
        poller = weakref.ref(goes._current_poller())
        jobs.add(goes.ref("b"))
        await anyio.sleep(1)
        if closed_first:
            await fleet.remove(goes)
        assert name(await anext(jobs)) == "b"
        if not closed_first:
            await fleet.remove(goes)
        await anyio.wait_all_tasks_blocked()
        del goes
        gc.collect()
        assert poller() is None


@pytest.mark.parametrize("latency", [0.0, 10.0])
async def test_a_source_that_is_closed_ends_its_members_and_no_others(latency: float) -> None:
    one, two = lab_of(a=NEVER, b=NEVER), OtherLab(room=0)
    two.end("a", 15)
    one.latency = lambda _: latency
    async with nothing_left(two), JobSet(Fleet([one, two])) as jobs:
        for ref in (one.ref("a"), one.ref("b"), two.ref("a")):
            jobs.add(ref)
        await anyio.sleep(4.5)
        await one.aclose()
        outcome = await anext(jobs)
        assert isinstance(outcome, SourceClosed)
        assert anyio.current_time() == about(4.5)
        await anyio.sleep(0.1)
        assert one.in_flight == 0
        with pytest.raises(UsageError, match="closed"):
            jobs.add(one.ref("a"))
        assert await rest(jobs) == [
            ("b" if name(outcome) == "a" else "a", "SourceClosed"),
            ("a", "succeeded"),
        ]


async def test_a_set_of_a_source_that_was_closed_before_tells_so_of_each_member() -> None:
    lab = lab_of(a=1)
    await lab.aclose()
    async with JobSet(lab, ["a", "a"]) as jobs:
        assert await rest(jobs) == [("a", "UsageError")] * 2


# Leaving and cancelling


def some_lab() -> Lab:
    made, began = Lab(room=100), anyio.current_time()
    made.end("a", began + 2)
    made.end("b", began + 9)
    made.end("odd", began + 9)
    made.latency = lambda _: 0.3
    return made


async def some_set(lab: Lab) -> None:
    async def probe(ref: JobRef, last: Job | None) -> JobState:
        del ref, last
        await anyio.sleep(0.5)
        return SUCCEEDED

    async with JobSet(lab, ["a", "b", "gone", "odd"], timeout=3, changes=True, resolve_gone=probe) as jobs:
        await anyio.sleep(0.1)
        jobs.discard("b")
        jobs.add("b", timeout=1)
        jobs.close()
        async for _ in jobs:
            await anyio.sleep(0.05)


@pytest.mark.parametrize("at", [0.0, 0.1, 1.0, 1.1, 2.3])
@pytest.mark.parametrize("room", [0, 100])
async def test_leaving_the_set_leaves_nothing_behind(at: float, room: int) -> None:
    lab = lab_of(room, a=2, b=NEVER)
    lab.latency = lambda _: 0.3
    async with nothing_left(lab):
        async with JobSet(lab, ["a", "b", "b"], timeout=1000) as jobs:
            await anyio.sleep(at)
        with anyio.fail_after(1):
            assert len([outcome async for outcome in jobs]) <= 1
        with pytest.raises(UsageError, match="closed"):
            jobs.add("a")


@pytest.mark.parametrize("at", [0.0, 0.1, 1.0, 1.1, 2.3])
async def test_a_cancelled_set_leaves_nothing_behind_and_other_waits_go_on(at: float) -> None:
    lab = lab_of(100, a=9, b=9)
    lab.latency = lambda _: 0.3
    found: list[Job] = []

    async def beside() -> None:
        found.append(await lab.wait("a"))

    async with nothing_left(lab), anyio.create_task_group() as group:
        group.start_soon(beside)
        with anyio.move_on_after(at) as scope:
            async with JobSet(lab, ["a", "b"], timeout=1000) as jobs:
                await rest(jobs)
        assert scope.cancelled_caught
    assert found[0].succeeded
    assert anyio.current_time() <= 10.5


async def test_a_set_in_a_cancelled_scope_does_not_spin_while_its_block_is_shielded() -> None:
    lab = lab_of(0, a=NEVER)
    lab.latency = lambda _: 0.3
    async with nothing_left(lab):
        with anyio.CancelScope() as scope:
            async with JobSet(lab, ["a", "a"]):
                await anyio.sleep(1.1)
                scope.cancel()
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(50)
    assert len(lab.asked) <= 3


async def test_a_cancelled_set_sends_no_request_for_others_while_its_block_is_shielded() -> None:
    lab = lab_of(0, a=20)
    lab.latency = lambda _: 0.3
    async with nothing_left(lab), anyio.create_task_group() as group:
        # The set's wait has the later deadline, so it would lead each request for the job.
        group.start_soon(partial(lab.wait, "a", timeout=60))
        with anyio.CancelScope() as scope:
            async with JobSet(lab, ["a"]):
                await anyio.sleep(1.1)
                scope.cancel()
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(25)
    assert lab.times == [about(at) for at in (0, 1, *(1.1 + second for second in range(20)))]


async def test_a_wait_that_was_just_told_a_change_leads_no_request_of_others() -> None:
    lab = lab_of(0, a=2)
    lab.latency = lambda _: 0.3
    async with (
        nothing_left(lab),
        anyio.create_task_group() as group,
        JobSet(lab, ["a"], changes=True) as jobs,
    ):
        await anyio.sleep(0.1)
        # It begins while the set's request is in flight, and its own leaves when that has its reply.
        group.start_soon(partial(lab.wait, "a", timeout=60))
        assert told(await anext(jobs)) == ("a", "running")
    assert lab.times == [about(at) for at in (0, 0.3, 1.3, 2.3)]


async def test_a_cancelled_consumer_loses_nothing() -> None:
    lab = lab_of(**{f"job{n}": n / 4 for n in range(40)})
    random, got = Random(1), list[str]()
    async with JobSet(lab, lab.ends) as jobs:
        while len(got) < 40:
            with anyio.move_on_after(random.random() / 3):
                got.append(name(await anext(jobs)))
    assert sorted(got) == sorted(lab.ends)


async def test_asyncio_s_own_cancellation_comes_through_and_leaves_nothing_behind() -> None:
    if sniffio.current_async_library() != "asyncio":
        pytest.skip("trio knows no other cancellation than by a scope")

    async def wait(lab: Lab, number: int) -> None:
        def cancel(count: int) -> None:
            task = asyncio.current_task()
            if count == number and task is not None:
                task.cancel()

        await stepped(some_set(lab), cancel)

    for number in range(1, await count_awaits(some_set(some_lab()))):
        lab = some_lab()
        async with nothing_left(lab):
            task = asyncio.create_task(wait(lab, number))
            await asyncio.wait([task])
            assert task.cancelled(), number


# Checkpoints


async def test_another_set_goes_on_from_a_checkpoint_at_the_pace_that_its_jobs_had() -> None:
    def source() -> Lab:
        lab = Lab(policy=PollPolicy(initial=1, maximum=100, fraction=0.1))
        lab.end("a", 430)
        return lab

    first = source()
    async with JobSet(first, ["a"], timeout=1000) as jobs:
        await anyio.sleep(400)
        data = json.loads(json.dumps(jobs.checkpoint()))
        assert data["waits"][0][:2] == [str(first.ref("a")), "running"]
    second = source()
    async with JobSet(second, checkpoint=data) as jobs:
        assert await rest(jobs) == [("a", "succeeded")]
    ran = data["waits"][0][2]
    assert 300 < ran <= 400
    assert [round(at, 1) for at in second.times] == [about(400), about(400 + ran / 10)][: len(second.times)]
    assert len(second.times) == 2


async def test_a_checkpoint_keeps_the_deadline_and_names_the_one_that_was_given() -> None:
    lab = lab_of(a=NEVER, b=NEVER, c=NEVER)
    async with JobSet(lab, ["a"], timeout=60) as jobs:
        jobs.add("b", timeout=20)
        await anyio.sleep(20 - 0.5)
        data = jobs.checkpoint()
        await anyio.sleep(0.1)
    async with JobSet(lab, ["c"], checkpoint=data, timeout=5) as jobs:
        jobs.close()
        found = [(str(outcome), anyio.current_time()) async for outcome in jobs]
    assert [at for _, at in found] == [pytest.approx(at, abs=1) for at in (20.1, 24.6, 60.1)]
    assert "within 20 s" in found[0][0]
    assert "within 5 s" in found[1][0]
    assert "within 60 s" in found[2][0]


async def test_a_checkpoint_has_what_was_not_told_and_nothing_that_was() -> None:
    lab = lab_of(a=1, b=2, c=NEVER)
    lab.end("bad", 3, FAILED)
    async with JobSet(lab, ["a", "b", "bad", "c", "c"]) as jobs:
        jobs.discard("c")
        assert told(await anext(jobs)) == ("a", "succeeded")
        await anyio.sleep(5)
        data = json.loads(json.dumps(jobs.checkpoint()))
    assert jobs.checkpoint() == data  # what was left when the set was left
    asked = len(lab.asked)
    lab.end("c", anyio.current_time())
    async with JobSet(lab, checkpoint=data) as jobs:
        assert len(jobs) == 3
        assert sorted(await rest(jobs)) == [("b", "succeeded"), ("bad", "failed"), ("c", "succeeded")]
    assert len(lab.asked) == asked + 1


async def test_a_job_that_was_seen_before_a_checkpoint_is_gone_and_not_unknown_after_it() -> None:
    lab = lab_of(0, a=NEVER)
    async with JobSet(lab, ["a", "never-seen"]) as jobs:
        lab.trouble = lambda ids: TransportError("down") if "never-seen" in ids else None
        await anyio.sleep(3)
        data = jobs.checkpoint()
    lab.trouble = lambda _: None
    lab.gone.add("a")
    async with JobSet(lab, checkpoint=data) as jobs:
        jobs.close()
        kinds = {name(outcome): type(outcome) async for outcome in jobs}
    assert kinds == {"a": JobGone, "never-seen": JobNotFound}


@pytest.mark.slow
async def test_a_checkpoint_is_small_enough_for_a_heartbeat() -> None:
    lab = lab_of()
    ids = [f"b5145e1d-53cd-11f1-8efa-{n:012}" for n in range(1000)]
    for id in ids:
        lab.end(id, NEVER)
    async with JobSet(lab, ids) as jobs:
        await anyio.sleep(100)
        assert len(json.dumps(jobs.checkpoint())) < 120 * len(ids)


@pytest.mark.parametrize(
    "data",
    [
        [],
        {},
        {"version": 2, "waits": []},
        {"version": 1, "waits": [["lab://lab.example/a", None, 0.0]]},
        {"version": 1, "waits": [["a", None, 0.0, None]]},
        {"version": 1, "waits": [["lab://lab.example/a", "running", -1, 5]]},
        {"version": 1, "waits": [["lab://lab.example/a", "running", float("nan"), 5]]},
        {"version": 1, "waits": [["lab://lab.example/a", "working", 1, 5]]},
        {"version": 1, "waits": [["lab://lab.example/a", "succeeded", 1, 5]]},
        {"version": 1, "waits": [["lab://lab.example/a", "running", 1, 1e300]]},
        {"version": 1, "waits": [["lab://lab.example/a", "running", 1, 5, "60", 70]]},
        {"version": 1, "waits": [[{"state": "failed"}, "failed", 1, 5]]},
        {"version": 1, "waits": ["lab"]},
        {"version": 1, "waits": [[to_dict(UsageError("no")), None, 1, None]]},
    ],
    ids=str,
)
async def test_what_is_no_checkpoint_is_refused_before_any_request(data: Any) -> None:
    lab = lab_of(a=1)
    with pytest.raises(UsageError, match=r"checkpoint|\$"):
        JobSet(lab, checkpoint=data)
    assert lab.asked == []


async def test_a_checkpoint_of_another_system_is_refused() -> None:
    lab, other = lab_of(a=1), OtherLab()
    async with JobSet(lab, ["a"]) as jobs:
        data = jobs.checkpoint()
    with pytest.raises(WrongSource):
        JobSet(other, checkpoint=data)


# What is wrong with a call


@pytest.mark.parametrize(
    ("jobs", "options", "expected"),
    [
        ("job", {}, UsageError),
        (7, {}, UsageError),
        (["a", ""], {}, UsageError),
        (["a", JobRef("lab", "https://other.example", "x")], {}, WrongSource),
        (["a"], {"timeout": -1}, UsageError),
        (["a"], {"on_cancel": "kill"}, UsageError),
        (["a"], {"on_cancel": "cancel"}, Unsupported),
        (["a"], {"resolve_gone": 7}, UsageError),
        (["a"], {"policy": 7}, UsageError),
        ([], {"timeout": -1}, UsageError),
    ],
    ids=str,
)
async def test_bad_input_is_refused_before_any_request(
    jobs: Any, options: Any, expected: type[Exception]
) -> None:
    lab = lab_of(a=0)
    with pytest.raises(expected):
        JobSet(lab, jobs, **options)
    assert lab.asked == []


@pytest.mark.parametrize("bad", ["", JobRef("lab", "https://elsewhere.example", "a"), 7])
async def test_an_error_tells_which_of_thousands_of_jobs_it_is_about(bad: Any) -> None:
    async def begin(use: Any) -> None:
        await use(lab_of(a=NEVER), [*["a"] * 5000, bad, "a"])

    for use in (JobSet, wait_all, get_all, as_completed):
        with pytest.raises((UsageError, WrongSource)) as raised:
            await begin(use)
        assert raised.value.__notes__ == ["it was jobs[5000]"]
    with pytest.raises(UsageError) as refused:
        Fleet.connect(["ontap://a", "ontap://b", bad], auth=("a", "b"))
    assert refused.value.__notes__ == ["it was refs_or_targets[2]"]


async def test_what_is_no_source_is_refused() -> None:
    no_source: Any = object()
    with pytest.raises(UsageError, match="Fleet"):
        JobSet(no_source)


async def test_a_set_works_within_its_block_once() -> None:
    lab = lab_of(a=1)
    jobs = JobSet(lab, ["a"])
    with pytest.raises(UsageError, match="async with"):
        await anext(jobs)
    with pytest.raises(UsageError, match="async with"):
        jobs.add("a")
    async with jobs:
        with pytest.raises(WrongSource):
            jobs.add("cf://api.example.org/x")
        with pytest.raises(UsageError):
            jobs.add("a", timeout=-1)
        assert await rest(jobs) == [("a", "succeeded")]
        with pytest.raises(UsageError, match="closed"):
            jobs.add("a")
    with pytest.raises(UsageError, match="once"):
        await jobs.__aenter__()


# Long random courses


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
async def test_nothing_is_lost_or_told_twice_while_a_set_grows_shrinks_and_is_handed_on(seed: int) -> None:
    random = Random(seed)
    sources = [lab_of(), OtherLab(room=random.choice([0, 5]), policy=EACH_SECOND)]
    fleet, added, discarded, got = Fleet(sources), list[JobRef](), list[JobRef](), list[JobRef]()
    for lab in sources:
        lab.latency = lambda _: random.choice([0, 0.1, 1.5])
        lab.trouble = lambda _: TransportError("down") if random.random() < 0.1 else None
    data: dict[str, Any] | None = None
    for part in range(3):
        async with nothing_left(*sources):
            async with JobSet(fleet, checkpoint=data) as jobs, anyio.create_task_group() as group:

                async def change(jobs: JobSet = jobs) -> None:
                    for _ in range(40):
                        await anyio.sleep(random.choice([0, 0, 0.05, 0.5, 1]))
                        lab = random.choice(sources)
                        id = lab.end(f"job{len(added)}", anyio.current_time() + random.uniform(0, 20))
                        added.append(jobs.add(lab.ref(id), timeout=random.choice([None, None, 1, 5])))
                        if random.random() < 0.2:
                            ref = random.choice(added)
                            if jobs.discard(ref):
                                discarded.append(ref)

                async def consume(jobs: JobSet = jobs) -> None:
                    async for outcome in jobs:
                        assert outcome.ref is not None
                        got.append(outcome.ref)
                        await anyio.sleep(random.choice([0, 0, 0.3]))

                group.start_soon(change)
                group.start_soon(consume)
                if part == 2:
                    await anyio.sleep(60)
                    jobs.close()
                else:
                    await anyio.sleep(8)
                    group.cancel_scope.cancel()
            data = jobs.checkpoint()
    assert data == {"version": 1, "waits": []}
    assert len(got) == len(set(got))
    assert sorted(map(str, [*got, *discarded])) == sorted(map(str, added))


async def test_a_deadline_that_passed_before_a_checkpoint_is_read_makes_one_read() -> None:
    lab = lab_of(0, a=NEVER, b=0)
    async with JobSet(lab, ["a", "b"], timeout=30) as jobs:
        data = jobs.checkpoint()
    for row in data["waits"]:
        row[-1] -= 100
    async with JobSet(lab, checkpoint=data) as jobs:
        jobs.close()
        found = {name(outcome): outcome async for outcome in jobs}
    assert isinstance(found["b"], Job)
    assert "within 30 s" in str(found["a"])
    assert len(lab.asked) == 2


async def test_two_sets_and_a_wait_share_a_source_and_any_of_them_may_go_first() -> None:
    for first in range(3):
        lab, began = lab_of(100), anyio.current_time()
        for id in "abc":
            lab.end(id, began + 6)
        got: list[str] = []

        async def run(number: int, lab: Lab = lab, first: int = first, got: list[str] = got) -> None:
            with anyio.move_on_after(2.5 if number == first else None):
                if number == 2:
                    got.append((await lab.wait("c")).id)
                    return
                async with JobSet(lab, [*"abc"], timeout=100) as jobs:
                    got.extend([id for id, _ in await rest(jobs)])

        async with nothing_left(lab), anyio.create_task_group() as group:
            for number in range(3):
                group.start_soon(run, number)
        assert sorted(got) == sorted({0: "abcc", 1: "abcc", 2: "aabbcc"}[first])
        assert len(lab.asked) <= 9


@pytest.mark.slow
async def test_a_set_can_be_cancelled_at_each_of_its_awaits() -> None:
    awaits = await count_awaits(some_set(some_lab()))
    assert awaits > 10
    for number in range(1, awaits + 1):
        cluster = some_lab()
        cluster.end("z", anyio.current_time() + 5)
        async with nothing_left(cluster), anyio.create_task_group() as group:
            group.start_soon(cluster.wait, "z")
            await anyio.lowlevel.checkpoint()
            # At the last one the block is being left: the cancellation is for what comes after it.
            assert await cancelled_at(number, some_set(cluster)) or number == awaits
            assert cluster._current_poller()._active == 1
        assert "z" in cluster.said


class Killable(Lab):
    able = frozenset({Capability.CANCEL})

    async def act(self, job: JobLike, action: Action) -> Job:
        await anyio.sleep(0.1)
        self.gone.add(self.ref(job).id)
        return Job(self.ref(job), JobState.CANCELLED)


@pytest.mark.parametrize("cancelled", [True, False])
async def test_only_a_cancelled_set_asks_the_servers_to_cancel_its_jobs(cancelled: bool) -> None:
    lab = Killable("a", "b", "c", room=100)
    lab.end("over", 0)
    async with nothing_left(lab):
        with anyio.CancelScope() as scope:
            async with JobSet(lab, ["a", "a", "b", "c", "over"], on_cancel="cancel") as jobs:
                await anyio.sleep(2.5)
                jobs.discard("b")
                if cancelled:
                    scope.cancel()
                    await anyio.sleep(1)
    assert lab.gone == ({"a", "c"} if cancelled else set())


async def test_the_observer_is_told_of_each_end_once_and_of_each_wait_that_is_given_up() -> None:
    lab, events = lab_of(a=1, b=NEVER, c=NEVER), list[tuple[str, str]]()

    def observe(event: Event) -> None:
        if event.kind in (EventKind.ENDED, EventKind.ABANDONED):
            events.append((event.ref.id, event.kind.value))

    replace_observers([lab], (), [observe])
    async with JobSet(lab, ["a", "b", "c", "c"]) as jobs:
        jobs.add("b", timeout=2)
        await anyio.sleep(3)
        jobs.discard("c")
        await anyio.sleep(1)
    ends = [("a", "ended"), ("b", "ended"), ("c", "abandoned")]
    assert events[:3] == ends
    assert sorted(events[3:]) == [("b", "abandoned"), ("c", "abandoned")]
