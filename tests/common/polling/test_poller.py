"""The shared poller: who asks, for whom, and who goes on when somebody leaves."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from random import Random
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.lowlevel
import attrs
import httpx
import pytest
import sniffio

from cfjobs import CFJobs
from common import (
    Bearer,
    DecodeError,
    Event,
    EventKind,
    Job,
    JobGone,
    JobNotFound,
    JobRef,
    JobSet,
    JobState,
    PollPolicy,
    SourceClosed,
    SourceError,
    TransportError,
    UnexpectedState,
    UsageError,
    WaitTimeout,
)
from common.model.errors import RateLimited
from common.model.refs import DONE
from common.polling import watch as watching
from common.polling.pollable import BatchReading, BatchRefused
from common.polling.throttle import Budget
from common.sources.base import replace_observers
from tests.common.lab import EACH_SECOND, Lab
from tests.common.scripted import ENDPOINT, JOB, TOKEN, Script, about, never, outcome, outcomes
from tests.common.virtual import HANGS, NANOSECOND, Backend, Footprint, virtual_asyncio, virtual_trio

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

SUCCEEDED, FAILED = JobState.SUCCEEDED, JobState.FAILED
RARELY = PollPolicy(initial=100, maximum=100, start_grace=0)


async def later(seconds: float, work: Callable[[], Awaitable[Job]]) -> Job:
    await anyio.sleep(seconds)
    return await work()


async def patient(seconds: float, work: Awaitable[Job]) -> Job:
    """Cancel a wait after so many seconds."""
    with anyio.move_on_after(seconds):
        return await work
    raise TimeoutError


def ended(found: Job | Exception) -> bool:
    return isinstance(found, Job) and found.succeeded


def overloaded(after: float) -> RateLimited:
    return RateLimited("too many", status=429, transient=True, retry_after=after)


# Together


async def test_waits_that_fall_due_together_go_out_as_one_request() -> None:
    ids = [f"job-{n}" for n in range(50)]
    lab = Lab(room=1000)
    for id in ids:
        lab.end(id, 3)
    found = await outcomes(*(lab.wait(id) for id in ids))
    assert all(map(ended, found))
    assert [len(asked.ids) for asked in lab.asked] == [50] * 4
    assert lab.times == [about(n) for n in range(4)]


async def test_waits_that_start_within_one_poll_of_each_other_soon_share_their_requests() -> None:
    lab = Lab(room=1000)
    ids = [lab.end(f"job-{n}", 20) for n in range(10)]
    found = await outcomes(*(later(n / 10, partial(lab.wait, id)) for n, id in enumerate(ids)))
    assert all(map(ended, found))
    assert [len(asked.ids) for asked in lab.asked if 10 < asked.at < 15.001] == [10] * 5


@pytest.mark.parametrize("seed", range(2))
async def test_waits_that_begin_one_after_another_come_into_step(seed: int) -> None:
    random, lab = Random(seed), Lab(room=162, policy=PollPolicy())
    lab.latency = lambda _: 0.05

    async def wait(id: str, begins: float) -> None:
        await anyio.sleep(begins)
        lab.end(id, anyio.current_time() + 120)
        assert (await lab.wait(id)).succeeded

    async with anyio.create_task_group() as group:
        for number in range(50):
            group.start_soon(wait, f"job-{number}", random.uniform(0, 20))
    assert len(lab.asked) <= 90  # 190 without going early, 38 for 50 that begin together
    assert len([asked for asked in lab.asked if len(asked.ids) == 1]) <= 3
    assert sum(len(asked.ids) for asked in lab.asked) <= 3000


async def test_waits_that_follow_one_another_are_not_held_up() -> None:
    lab = Lab(room=100)
    for number in range(10):
        assert (await lab.wait(lab.end(f"job-{number}", 0))).succeeded
    assert anyio.current_time() == 0
    assert len(lab.asked) == 10


@pytest.mark.parametrize(("id", "at"), [("job", 0.25), ("odd", 0.1)], ids=["any", "one that goes alone"])
async def test_a_newcomer_to_others_is_asked_for_a_quarter_of_a_second_after_they_were(
    id: str, at: float
) -> None:
    lab = Lab("other", room=100, policy=RARELY)
    lab.end(id, 0)
    found = await outcomes(patient(20, lab.wait("other")), later(0.1, lambda: lab.wait(id)))
    assert ended(found[1])
    assert [(asked.at, asked.ids) for asked in lab.asked] == [(0, ("other",)), (at, (id,))]


async def test_a_newcomer_with_little_time_has_half_of_it_for_the_reply() -> None:
    lab = Lab("other", room=100, policy=RARELY)
    lab.end("job", 0)
    found = await outcomes(patient(20, lab.wait("other")), later(0.05, lambda: lab.wait("job", timeout=0.1)))
    assert ended(found[1])
    assert lab.times == [0, pytest.approx(0.1)]


async def test_one_request_takes_as_many_as_it_has_room_for() -> None:
    lab = Lab(room=4)
    ids = [lab.end(f"job-{n}", 0) for n in range(10)]
    assert all(map(ended, await outcomes(*(lab.wait(id) for id in ids))))
    assert sorted(len(asked.ids) for asked in lab.asked) == [2, 4, 4]


async def test_jobs_that_must_go_alone_neither_join_a_request_nor_hold_it_up() -> None:
    lab = Lab(room=100)
    ids = [lab.end(f"{kind}-{n}", 0) for n in range(100) for kind in ("odd", "job")]
    assert all(map(ended, await outcomes(*(lab.wait(id) for id in ids))))
    together = [asked.ids for asked in lab.asked if len(asked.ids) > 1]
    assert all(id.startswith("job") for ids in together for id in ids)
    assert len(lab.asked) <= 100 + 4


async def test_where_there_is_no_list_each_job_is_asked_for_by_itself() -> None:
    lab = Lab()
    ids = [lab.end(f"job-{n}", 1) for n in range(20)]
    assert all(map(ended, await outcomes(*(lab.wait(id) for id in ids))))
    assert len(lab.asked) == 2 * 20
    assert lab.most <= 8


async def test_one_request_for_one_job_serves_all_who_wait_for_it() -> None:
    lab = Lab()
    lab.latency = lambda _: 3.0
    lab.end("job", 10)
    found = await outcomes(*(later(n / 20, lambda: lab.wait("job")) for n in range(40)))
    assert all(map(ended, found))
    assert lab.most_of_one == 1
    assert len(lab.asked) <= 6


async def test_a_newcomer_is_not_told_the_state_of_a_request_that_left_before_it_began() -> None:
    lab = Lab("job")
    lab.latency = lambda _: 5.0
    first, second = await outcomes(
        lab.wait("job", until={JobState.RUNNING}),
        later(1, lambda: lab.wait("job", until={JobState.RUNNING})),
    )
    assert isinstance(first, Job)
    assert isinstance(second, Job)
    assert lab.times == [0, 5]
    assert anyio.current_time() == about(10)


async def test_an_end_is_an_end_also_for_a_newcomer() -> None:
    lab = Lab()
    lab.end("job", 0)
    lab.latency = lambda _: 5.0
    assert all(map(ended, await outcomes(lab.wait("job"), later(1, lambda: lab.wait("job")))))
    assert lab.times == [0]


# Coming and going


@pytest.mark.parametrize("room", [0, 100])
async def test_the_request_of_a_cancelled_leader_is_taken_over_at_once(room: int) -> None:
    lab = Lab(room=room)
    lab.end("job", 0)
    lab.latency = lambda _: 5.0
    # All are without a deadline, so the first to come carries it.
    first, *others = await outcomes(
        patient(2, lab.wait("job")), *(later(n, lambda: lab.wait("job")) for n in (0.1, 0.2, 0.3))
    )
    assert isinstance(first, TimeoutError)
    assert all(map(ended, others))
    assert lab.times == [0, 2]
    assert lab.most_of_one == 1


async def test_the_one_with_the_latest_deadline_carries_a_request_so_that_none_is_cut() -> None:
    lab = Lab(room=100)
    ids = [lab.end(f"job-{n}", 0) for n in range(5)]
    lab.latency = lambda _: 50.0
    found = await outcomes(
        *(lab.wait(id, timeout=10.0 * (n + 1)) for n, id in enumerate(ids[:-1])), lab.wait(ids[-1])
    )
    assert ended(found[-1])
    assert all(isinstance(each, WaitTimeout) for each in found[:-1])
    assert lab.times == [0]


@pytest.mark.parametrize("room", [0, 100])
async def test_a_cancelled_timer_waiter_hands_over(room: int) -> None:
    lab = Lab(room=room, policy=RARELY)
    ids = [lab.end(f"job-{n}", 150) for n in range(5)]
    # Whoever keeps time between 0 and 100 is gone by then, one after another.
    found = await outcomes(
        *(patient(10.0 * (n + 1), lab.wait(id)) for n, id in enumerate(ids[:-1])), lab.wait(ids[-1])
    )
    assert ended(found[-1])
    assert anyio.current_time() == about(200)
    assert lab.asked[-1].ids == (ids[-1],)


async def test_all_leave_at_the_same_moment_but_one_and_that_one_goes_on() -> None:
    for survivor in range(5):
        lab = Lab(room=100, policy=RARELY)
        began = anyio.current_time()
        lab.end("job", began + 50)
        found = await outcomes(*(patient(1000 if n == survivor else 30, lab.wait("job")) for n in range(5)))
        assert [ended(each) for each in found] == [n == survivor for n in range(5)]
        assert lab._current_poller().idle


async def test_a_newcomer_that_is_due_earlier_wakes_the_sleeper() -> None:
    lab = Lab("slow", room=100, policy=RARELY)
    lab.end("fast", 15)
    _, fast = await outcomes(
        patient(40, lab.wait("slow")),
        later(10, lambda: lab.wait("fast", policy=EACH_SECOND)),
    )
    assert ended(fast)
    assert [asked.at for asked in lab.asked if "fast" in asked.ids] == [about(n) for n in range(10, 16)]


async def test_a_newcomer_whose_deadline_comes_earlier_wakes_the_sleeper() -> None:
    lab = Lab("job", policy=RARELY)

    async def short() -> Job:
        with pytest.raises(WaitTimeout):
            await lab.wait("job", timeout=5)
        assert anyio.current_time() == about(15)
        return await lab.get("job")

    await outcomes(patient(40, lab.wait("job")), later(10, short))
    assert lab.times[-1] == about(15)


async def test_a_wait_with_a_faster_policy_speeds_up_its_job_while_it_lasts() -> None:
    lab = Lab("job", policy=RARELY)
    await outcomes(patient(500, lab.wait("job")), patient(10.5, lab.wait("job", policy=EACH_SECOND)))
    assert lab.times[:11] == [about(n) for n in range(11)]
    assert len(lab.times) <= 11 + 6


async def test_nothing_is_left_once_the_last_wait_has_ended_and_nothing_was_there_before() -> None:
    lab = Lab(room=100)
    before = Footprint.now()
    assert lab._current_poller().idle
    lab.end("job", 5)
    async with anyio.create_task_group() as group:
        group.start_soon(lab.wait, "job")
        await anyio.sleep(2.5)
        assert not lab._current_poller().idle
    assert lab._current_poller().idle
    assert Footprint.now() == before


async def test_a_source_has_no_task_of_its_own() -> None:
    lab = Lab("job", room=100)
    before = Footprint.now().tasks
    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(patient_wait, lab)
        for _ in range(20):
            await anyio.sleep(0.35)
            assert Footprint.now().tasks == before + 10
    assert Footprint.now().tasks == before


async def patient_wait(lab: Lab) -> None:
    with anyio.move_on_after(10):
        await lab.wait("job")


async def test_a_watch_holds_nothing_between_its_steps_while_others_go_on() -> None:
    lab = Lab(room=100)
    lab.end("job", 30)
    watch = lab.watch("job")
    assert (await anext(watch)).state is JobState.RUNNING
    assert lab._current_poller().idle
    (found,) = await outcomes(lab.wait("job"))
    assert ended(found)
    assert [seen.state async for seen in watch] == [SUCCEEDED]
    assert lab._current_poller().idle


# Deadlines


@pytest.mark.parametrize("concurrency", [1, 2, 8])
@pytest.mark.parametrize("room", [0, 3, 100])
async def test_every_deadline_is_kept_while_other_requests_hang(concurrency: int, room: int) -> None:
    lab = Lab(*(f"job-{n}" for n in range(20)), room=room, concurrency=concurrency)
    lab.latency = lambda _: 1e9
    took: dict[int, float] = {}

    async def one(n: int) -> Job:
        began = anyio.current_time()
        try:
            return await lab.wait(f"job-{n}", timeout=1 + n / 2)
        finally:
            took[n] = anyio.current_time() - began

    found = await outcomes(*(later(n % 3, partial(one, n)) for n in range(20)))
    assert all(isinstance(each, WaitTimeout) for each in found)
    assert took == {n: about(1 + n / 2) for n in range(20)}
    assert lab._current_poller().idle


@pytest.mark.parametrize("timers", [(), ("timer",)], ids=["alone", "beside a timer"])
async def test_the_deadline_of_a_newcomer_is_kept_while_the_request_for_its_job_hangs(
    timers: Sequence[str],
) -> None:
    lab = Lab("job", *timers)
    lab.latency = lambda ids: 1e9 if ids == ["job"] and anyio.current_time() > 0.5 else 0.0

    async def newcomer() -> Job:
        with pytest.raises(WaitTimeout):
            await lab.wait("job", timeout=10)
        assert anyio.current_time() == about(15)
        return await lab.get("job")

    with anyio.move_on_after(20):
        await outcomes(*(lab.wait(id, policy=RARELY) for id in timers), lab.wait("job"), later(5, newcomer))
    assert lab.times_of("job") == [0, about(1), about(15)]


async def test_a_deadline_is_kept_by_another_once_the_timer_has_gone_while_a_request_hangs() -> None:
    lab = Lab("timer", "short", "hangs")
    lab.latency = lambda ids: 1e9 if ids == ["hangs"] and anyio.current_time() > 0.5 else 0.0
    ends: list[float] = []

    async def short() -> Job:
        try:
            return await lab.wait("short", timeout=50, policy=RARELY)
        finally:
            ends.append(anyio.current_time())

    await outcomes(
        patient(10, lab.wait("timer", policy=RARELY)),
        later(0.1, short),
        later(0.2, lambda: patient(90, lab.wait("hangs"))),
    )
    assert ends == [about(50.1)]


async def test_a_job_for_which_nobody_waits_any_more_is_not_asked_about() -> None:
    lab = Lab("a", "b", room=100)
    await outcomes(patient(5, lab.wait("a")), patient(2.5, lab.wait("b")))
    assert [set(asked.ids) for asked in lab.asked] == [{"a", "b"}] * 3 + [{"a"}] * 2


async def test_an_error_in_a_request_of_a_set_whose_leader_has_left_is_nobodys() -> None:
    lab = Lab("a", room=100)
    lab.end("b", 8)
    lab.latency = lambda _: 5.0
    failures: list[Exception | None] = [UsageError("a mistake of the program")]
    lab.trouble = lambda _: failures.pop() if failures else None
    async with JobSet(lab, []) as jobs:
        jobs.add("a")  # without a deadline, so it leads
        jobs.add("b", timeout=50)
        await anyio.sleep(2)
        jobs.discard("a")
        jobs.close()
        assert [isinstance(each, Job) and each.ref.id async for each in jobs] == ["b"]


@pytest.mark.parametrize("order", range(6))
async def test_a_deadline_holds_when_a_shared_request_comes_back_at_that_very_moment(order: int) -> None:
    # The leader's reply, its deadline and the timer waiter's timer all fall on the same moment.
    lab = Lab("job", policy=RARELY)
    lab.latency = lambda _: 5.0
    took: list[float] = []

    async def leader() -> Job:
        try:
            return await lab.wait("job", timeout=5)
        finally:
            took.append(anyio.current_time())

    works = [leader(), *(later(1 + n / 8, lambda: patient(60, lab.wait("job"))) for n in range(order))]
    found = await outcomes(*works)
    assert isinstance(found[0], WaitTimeout)
    assert took == [about(5)]
    assert lab._current_poller().idle


@pytest.mark.parametrize("steps", range(8))
async def test_a_deadline_holds_when_the_reply_is_on_its_way_to_the_leader(
    steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As above, with the reply some turns of the loop later or earlier than the deadline.
    lab = Lab("job", policy=RARELY)

    async def travel(ids: Sequence[str]) -> None:
        del ids
        with anyio.CancelScope(shield=True):
            await anyio.sleep(5)
            for _ in range(steps):
                await anyio.lowlevel.checkpoint()

    monkeypatch.setattr(lab, "_travel", travel)
    took: list[float] = []

    async def leader() -> Job:
        try:
            return await lab.wait("job", timeout=5)
        finally:
            took.append(anyio.current_time())

    found = await outcomes(leader(), later(1, lambda: patient(60, lab.wait("job"))))
    assert isinstance(found[0], WaitTimeout)
    assert took == [about(5)]
    assert lab._current_poller().idle


async def test_a_deadline_that_passed_between_two_steps_of_a_watch_ends_it() -> None:
    lab = Lab("job", room=100)
    watch = lab.watch("job", timeout=5)
    await anext(watch)
    await anyio.sleep(10)
    with anyio.fail_after(1), pytest.raises(WaitTimeout):
        await anext(watch)
    assert lab._current_poller().idle


@pytest.mark.slow
@pytest.mark.parametrize("virtual", [virtual_asyncio, virtual_trio])
@pytest.mark.parametrize("clock", [0.0, 1e6])
def test_a_watch_goes_on_in_another_event_loop_at_its_own_pace(
    virtual: Callable[[float], Backend], clock: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = Lab("job", "other")
    watch = lab.watch("job", timeout=50)
    machine = iter([100.0, 105.0])  # the clock that both loops share: 5 s between the two
    monkeypatch.setattr(watching, "time", SimpleNamespace(monotonic=lambda: next(machine)))

    async def begins() -> None:
        lab.end("other", 1e3 + 100)
        await lab.wait("other")
        assert (await anext(watch)).state is JobState.RUNNING

    async def goes_on() -> None:
        lab.asked.clear()
        with pytest.raises(WaitTimeout):
            await anext(watch)
        assert lab.times == [about(clock + n) for n in range(45)]
        assert anyio.current_time() == about(clock + 45)

    for start, part in ((1e3, begins), (clock, goes_on)):
        backend, options = virtual(start)
        anyio.run(part, backend=backend, backend_options=options)


async def test_a_timeout_of_zero_reads_once_beside_waits_that_are_not_due() -> None:
    lab = Lab("job", room=100, policy=RARELY)
    _, found = await outcomes(
        patient(50, lab.wait("job")),
        later(10, lambda: lab.wait("job", timeout=0)),
    )
    assert isinstance(found, WaitTimeout)
    assert lab.times == [0, 10]


async def test_a_timeout_of_zero_that_waits_for_its_place_sits_out_no_floor_that_begins_meanwhile() -> None:
    lab = Lab("timer", "busy", "job", concurrency=1)
    lab.latency = lambda _: 0.5
    lab.trouble = lambda ids: overloaded(100) if ids == ["busy"] else None
    *_, found = await outcomes(
        patient(90, lab.wait("timer")),
        later(0.6, lambda: patient(90, lab.wait("busy"))),
        later(0.8, lambda: lab.wait("job", timeout=0)),
    )
    assert isinstance(found, WaitTimeout)
    assert lab.times_of("job") == [about(1.1)]


@pytest.mark.parametrize("job", ["job", "other"])
async def test_a_timeout_of_zero_waits_for_a_place_in_flight_and_for_no_floor(job: str) -> None:
    lab = Lab("first", "job", "other", room=0, policy=RARELY, concurrency=1)
    lab.latency = lambda _: 5.0
    failures: list[Exception | None] = [overloaded(600), None]
    lab.trouble = lambda _: failures.pop() if failures else None
    *_, found = await outcomes(
        patient(500, lab.wait("first")),  # keeps the time
        later(6, lambda: patient(500, lab.wait("job"))),
        later(7, lambda: lab.wait(job, timeout=0)),  # while the request is under way that brings the floor
    )
    assert isinstance(found, WaitTimeout)
    assert lab.times == [0, 6, 11]


async def test_a_wait_that_ended_behind_a_floor_leaves_no_delay_to_those_who_stay() -> None:
    # A delay below zero made the job that came back fall due before it, for ever: the loop stood still.
    lab = Lab("job", "other", "more", "most", room=0)
    floors = [overloaded(100), overloaded(50)]

    def trouble(ids: Sequence[str]) -> Exception | None:
        if anyio.current_time() > 140:
            return None
        if "other" in ids:
            return floors.pop()
        if "job" not in ids:
            return None
        return overloaded(50) if anyio.current_time() < 10 else TransportError("down")

    lab.trouble = trouble
    _, given_up, *others = await outcomes(
        patient(400, lab.wait("job", policy=RARELY)),
        lab.wait("job", policy=PollPolicy(outage_limit=40)),
        *(patient(400, lab.wait(id, policy=PollPolicy(initial=20, maximum=20))) for id in ("more", "most")),
        later(49, lambda: lab.wait("other", timeout=0)),
        later(140, lambda: lab.wait("other", timeout=0)),
    )
    assert isinstance(given_up, TransportError)
    assert [type(each) for each in others[-2:]] == [WaitTimeout, WaitTimeout]
    assert lab._current_poller().idle


# Limits


@pytest.mark.parametrize("concurrency", [1, 2, 5])
@pytest.mark.parametrize("room", [0, 3])
async def test_no_more_requests_are_in_flight_than_allowed_and_all_jobs_get_their_turn(
    concurrency: int, room: int
) -> None:
    lab = Lab(room=room, concurrency=concurrency)
    ids = [lab.end(f"job-{n}", 2) for n in range(30)]
    lab.latency = lambda _: 0.3
    assert all(map(ended, await outcomes(*(lab.wait(id) for id in ids))))
    assert lab.most == concurrency


@pytest.mark.parametrize("room", [0, 100])
async def test_a_floor_holds_back_every_request_of_the_source_also_a_newcomers(room: int) -> None:
    lab = Lab(room=room)
    ids = [lab.end(f"job-{n}", 10) for n in range(4)]
    failures: list[Exception | None] = [overloaded(30)]
    lab.trouble = lambda _: failures.pop() if failures else None
    found = await outcomes(
        *(lab.wait(id) for id in ids[:-2]),
        *(later(5 + n, partial(lab.wait, id)) for n, id in enumerate(ids[-2:])),
    )
    assert all(map(ended, found))
    assert [at for at in lab.times if 0.1 < at < 29.9] == []


async def test_a_floor_after_a_request_for_many_is_capped_as_any_other() -> None:
    lab = Lab(room=100)
    lab._throttle.current().retry_after_cap = 50.0
    ids = [lab.end(f"job-{n}", 10) for n in range(4)]
    failures: list[Exception | None] = [overloaded(9000)]
    lab.trouble = lambda _: failures.pop() if failures else None
    assert all(map(ended, await outcomes(*(lab.wait(id) for id in ids))))
    assert anyio.current_time() < 60


async def test_retries_of_one_failed_request_go_out_together_again() -> None:
    lab = Lab(room=100)
    ids = [lab.end(f"job-{n}", 0) for n in range(20)]
    failures: list[Exception | None] = [TransportError("down") for _ in range(4)]
    lab.trouble = lambda _: failures.pop() if failures else None
    assert all(map(ended, await outcomes(*(lab.wait(id) for id in ids))))
    assert [len(asked.ids) for asked in lab.asked] == [20] * 5


@pytest.mark.slow
@pytest.mark.parametrize("concurrency", [1, 8])
async def test_a_server_that_keeps_asking_to_be_left_alone_keeps_no_job_from_its_turn(
    concurrency: int,
) -> None:
    ids = [f"job-{n}" for n in range(12)]
    lab = Lab(*ids, "patient", concurrency=concurrency)
    lab.latency = lambda _: 0.1
    floors = {lab._throttle.current().retry_after_until}

    def one_answer_then_a_floor(_: Sequence[str]) -> Exception | None:
        if lab._throttle.current().retry_after_until in floors:
            return overloaded(10)
        floors.add(lab._throttle.current().retry_after_until)
        return None

    lab.trouble = one_answer_then_a_floor
    await outcomes(
        *(patient(1000, lab.wait(id)) for id in ids),
        patient(1000, lab.wait("patient", policy=PollPolicy(initial=60, maximum=60))),
    )
    for id in lab.ends:
        asked = [at for at in lab.times_of(id) if at < 999]
        assert max(later - earlier for earlier, later in itertools.pairwise([0, *asked, 1000])) < 250


async def test_after_floors_that_overlap_a_job_comes_back_within_its_own_delay() -> None:
    ids = ["quick", "slower", "slowest"]
    lab = Lab(*ids)
    lab.latency = lambda asked: 0.1 * ids.index(asked[0])
    lab.trouble = lambda _: overloaded(90) if 5 <= anyio.current_time() < 6 else None
    await outcomes(*(patient(200, lab.wait(id)) for id in ids))
    for id in ids:
        assert (
            0 <= min(at for at in lab.times_of(id) if at > 6) - lab._throttle.current().retry_after_until <= 1
        )


async def test_a_newcomer_does_not_wait_until_its_job_comes_back_for_those_who_know_it() -> None:
    lab = Lab("first", "second", "job", policy=PollPolicy(initial=60, maximum=60))
    lab.trouble = lambda _: overloaded(20) if anyio.current_time() == 60 else None
    await outcomes(
        patient(100, lab.wait("first")),
        later(1, lambda: patient(100, lab.wait("second"))),
        later(2, lambda: patient(100, lab.wait("job"))),
        *(later(at, lambda: patient(1, lab.wait("job"))) for at in (90, 92, 94, 96)),
    )
    assert [at for at in lab.times_of("job") if 62 < at < 100] == [90, 92, 94, 96]


async def test_a_job_goes_by_the_delay_of_the_most_eager_of_its_waits() -> None:
    lab = Lab("first", "second", "job")
    lab.trouble = lambda _: overloaded(20) if anyio.current_time() == 5 else None
    await outcomes(
        patient(200, lab.wait("first")),
        later(0.2, lambda: patient(200, lab.wait("second"))),
        later(0.5, lambda: patient(200, lab.wait("job"))),
        later(0.6, lambda: patient(200, lab.wait("job", policy=RARELY))),
    )
    assert 25 < min(at for at in lab.times_of("job") if at > 6) < 26


@pytest.mark.parametrize("state", [JobState.RUNNING, JobState.UNKNOWN])
async def test_a_wait_that_has_ended_does_not_set_the_pace_of_those_who_stay(state: JobState) -> None:
    lab = Lab("other", room=100, policy=RARELY)
    lab.end("job", 0, state)
    hasty = PollPolicy(initial=1, maximum=1, unknown_limit=0)
    first, *_ = await outcomes(
        lab.wait("job", until={JobState.RUNNING}, policy=hasty),
        patient(90, lab.wait("job")),
        later(30, lambda: patient(10, lab.wait("other"))),
    )
    assert isinstance(first, Job if state is JobState.RUNNING else UnexpectedState)
    # In 100 s it is due, of which a quarter is over: it joins the other.
    assert [(asked.at, set(asked.ids)) for asked in lab.asked] == [(0, {"job"}), (30, {"job", "other"})]


async def test_a_newcomer_whose_job_was_asked_about_for_another_has_its_turn_after_a_floor() -> None:
    lab = Lab("other", "odd", room=100)
    lab.end("job", 10)
    lab.latency = lambda ids: 4.0 if ids == ["odd"] else 5.0
    lab.trouble = lambda ids: overloaded(20) if ids == ["odd"] else None
    *_, found = await outcomes(
        patient(90, lab.wait("other", policy=RARELY)),  # carries the request for both
        lab.wait("job", timeout=2),
        patient(90, lab.wait("odd")),
        later(3, lambda: patient(90, lab.wait("job"))),
    )
    assert ended(found)
    assert lab.times_of("job") == [0, about(24)]


@pytest.mark.parametrize(("ids", "room"), [("ab", 0), ("ab", 100), ("?", 0)], ids=["one", "many", "missing"])
async def test_replies_of_any_kind_let_more_requests_out_again_after_a_429(ids: str, room: int) -> None:
    policy = PollPolicy(initial=1, maximum=1, start_grace=9)
    lab = Lab(room=room, concurrency=2, policy=policy)
    for id in ids.strip("?"):
        lab.end(id, 9)
    lab._throttle.on_failure(overloaded(0))
    assert lab._throttle.current().limit == 1
    await outcomes(*(lab.wait(id) for id in ids))
    assert lab._throttle.current().limit == 2


@pytest.mark.parametrize(("room", "apart"), [(0, 10), (100, 5)])
async def test_jobs_share_the_budget_of_the_server_until_it_is_renewed(room: int, apart: float) -> None:
    lab = Lab("a", "b", room=room, policy=PollPolicy(initial=0.5, maximum=60, fraction=0))
    lab._throttle.update_budget(Budget(limit=100, remaining=40, seconds=100.0))  # half of it: one in 5 s
    await outcomes(*(patient(110, lab.wait(id)) for id in "ab"))
    for id in "ab":
        times = lab.times_of(id)
        assert times[:4] == [about(apart * n) for n in range(4)]
        assert times[-1] - times[-2] == about(0.5)


# Results


HINTS = (("results", "/api/storage/luns"),)


class Results(Lab):
    """Jobs with results, but for "plain" and "bare"; only a job's own record tells of those of "own"."""

    def __init__(self, *ids: str, room: int) -> None:
        super().__init__(*ids, room=room)
        self.read_of: list[str] = []

    def has_unread_results(self, job: Job) -> bool:
        return job.ref.id != "plain" and job.message is None

    async def read_results(self, job: Job) -> Job:
        await anyio.lowlevel.checkpoint()
        self.read_of.append(job.ref.id)
        return attrs.evolve(job, message="read")

    def _job(self, ref: JobRef, state: JobState) -> Job:
        known = HINTS if ref.id == "own" else ref.hints
        true = [pair for pair in known if pair[0] != DONE or state is not JobState.RUNNING]
        return super()._job(attrs.evolve(ref, hints=true), state)

    def hinted(self, id: str) -> JobRef:
        return attrs.evolve(self.ref(id), hints=HINTS)


@pytest.mark.parametrize("room", [0, 100])
async def test_what_has_results_is_read_once_it_has_ended_and_what_is_known_is_not_read_again(
    room: int,
) -> None:
    names = ["a", "b", "own", "plain", "bare"]
    lab = Results(room=room)
    for name in names:
        lab.end(name, 3)
    found = await outcomes(
        *(lab.wait(lab.ref(name) if name in ("own", "bare") else lab.hinted(name)) for name in names)
    )
    assert [isinstance(each, Job) and each.message for each in found] == ["read"] * 3 + [None] * 2
    assert sorted(lab.read_of) == ["a", "b", "own"]
    assert [len(lab.times_of(name)) for name in names] == [4] * 5
    if room:
        assert lab.decoded == 2 * len(names)  # the state that each began in, and its end


async def test_a_wait_that_knows_of_results_has_them_in_its_ref_though_the_record_is_as_before() -> None:
    lab = Results("a", "plain", room=100)

    async def join() -> Job:
        await anyio.sleep(2.5)
        return await lab.wait(lab.hinted("a"), timeout=3)

    *_, found = await outcomes(patient(9, lab.wait("plain")), patient(9, lab.wait(lab.ref("a"))), join())
    assert isinstance(found, WaitTimeout)
    assert found.job is not None
    assert found.job.ref.hints == HINTS


@pytest.mark.parametrize("room", [0, 100])
async def test_what_a_newcomer_knows_of_results_outlives_a_reply_that_was_under_way(room: int) -> None:
    lab = Results("other", room=room)
    lab.end("a", 5)
    lab.latency = lambda _: 3.0
    wrong = attrs.evolve(lab.ref("a"), hints=((DONE, "200"),))  # a hint that the reply contradicts
    _, *found = await outcomes(
        patient(20, lab.wait("other")), lab.wait(wrong), later(1, lambda: lab.wait(lab.hinted("a")))
    )
    assert [isinstance(each, Job) and each.message for each in found] == ["read", "read"]
    assert lab.read_of == ["a"]


async def test_a_newcomer_in_the_moment_of_an_end_is_told_no_end_without_its_results() -> None:
    class Busy(Results):
        async def read_results(self, job: Job) -> Job:
            if self.read_of and anyio.current_time() < 70:
                raise TransportError("down")
            return await super().read_results(job)

    lab, found = Busy("other", room=100), list[Job | Exception]()
    lab.end("a", 3)

    async def wait() -> None:
        found.append(await outcome(lab.wait(lab.hinted("a"))))

    def begin_another(event: Event) -> None:
        if event.job is not None and event.job.message == "read" and len(lab.read_of) == 1 and not found:
            found.append(event.job)
            group.start_soon(wait)  # before the one that does not carry the request takes its end

    replace_observers([lab], (), [begin_another])
    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        group.start_soon(wait)
        await outcome(patient(90, lab.wait("other")))
    assert [isinstance(each, Job) and each.message for each in found] == ["read"] * 4
    # It is in one list more, for which a minute without results is long enough.
    assert len([asked for asked in lab.asked if asked.at > 3.5 and "a" in asked.ids]) <= 1


async def test_a_job_of_two_waits_is_taken_along_as_the_more_frequent_one_allows() -> None:
    lab = Lab("a", "b", room=100)
    await anyio.sleep(100)
    slow, frequent = (PollPolicy(initial=delay, maximum=delay, start_grace=0) for delay in (8, 2))
    waits = [lab.wait("a", policy=slow), lab.wait("a", policy=frequent), later(0.1, partial(lab.wait, "b"))]
    await outcomes(*(patient(0.9, wait) for wait in waits))
    assert [asked.ids for asked in lab.asked] == [("a",), ("b",)]


async def test_records_of_a_list_that_are_equal_are_decoded_once() -> None:
    class Texts(Lab):
        async def read_batch(self, refs: Sequence[JobRef], last: Mapping[str, Any]) -> BatchReading:
            records = (await super().read_batch(refs, last)).records
            return BatchReading({id: [str(state)] for id, state in records.items()})

        def decode_batch_record(self, ref: JobRef, record: Any) -> Job:
            return super().decode_batch_record(ref, JobState(record[0]))

    lab = Texts(room=100)
    for id in "ab":
        lab.end(id, 5)
    assert all(map(ended, await outcomes(lab.wait("a"), lab.wait("b"))))
    assert lab.decoded == 2 * 2


async def test_a_cancellation_keeps_its_message_in_the_turn_in_which_the_deadline_cuts_a_request() -> None:
    if sniffio.current_async_library() != "asyncio":
        pytest.skip("trio's cancellations have no message")
    lab = Lab("a")
    lab.latency = lambda _: 100
    task = asyncio.ensure_future(lab.wait("a", timeout=10))
    asyncio.get_running_loop().call_at(10 + NANOSECOND / 2, task.cancel, "a person did it")
    await asyncio.wait([task])
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert caught.value.args == ("a person did it",)


# Absence, refusals


async def test_an_absent_id_counts_as_gone_only_once_a_single_request_says_so() -> None:
    lab = Lab("a", "b", room=100)
    lab.gone.add("b")
    _, found = await outcomes(patient(5, lab.wait("a")), lab.wait("b"))
    assert isinstance(found, JobNotFound)
    assert [set(asked.ids) for asked in lab.asked[:2]] == [{"a", "b"}, {"b"}]


async def test_a_job_that_a_list_leaves_out_for_ever_costs_one_request_a_poll_and_not_two() -> None:
    lab = Lab(room=100)
    lab.end("a", 30)
    lab.end("b", 30)
    lab.hidden.add("b")
    assert all(map(ended, await outcomes(lab.wait("a"), lab.wait("b"))))
    assert len([asked for asked in lab.asked if "b" in asked.ids]) <= 31 + 2


async def test_a_job_that_was_left_out_once_joins_the_others_again() -> None:
    lab = Lab("a", "b", room=100)
    lab.hidden.add("b")

    async def show() -> Job:
        await anyio.sleep(30)
        lab.hidden.clear()
        return await lab.get("a")

    await outcomes(patient(100, lab.wait("a")), patient(100, lab.wait("b")), show())
    assert all(set(asked.ids) == {"a", "b"} for asked in lab.asked if asked.at > 62)


async def test_a_seen_job_that_vanishes_is_gone_for_all_who_wait_each_with_its_own_exception() -> None:
    lab = Lab("a", "b", room=100)

    async def forget() -> Job:
        await anyio.sleep(5.5)
        lab.gone.add("b")
        return await lab.get("a")

    *found, _, _ = await outcomes(*(lab.wait("b") for _ in range(5)), patient(20, lab.wait("a")), forget())
    assert all(isinstance(each, JobGone) for each in found)
    assert len(set(map(id, found))) == 5


async def test_a_missing_job_is_looked_for_in_the_lists_that_are_asked_for_anyway() -> None:
    lab = Lab("a", "b", room=100)

    async def forget() -> Job:
        await anyio.sleep(5.5)
        lab.gone.add("b")
        return await lab.get("a")

    told: list[Event] = []
    replace_observers([lab], (), [told.append])
    found, *_ = await outcomes(lab.wait("b"), patient(30, lab.wait("a")), forget())
    assert isinstance(found, JobGone)
    looks = [event for event in told if event.kind is EventKind.TROUBLE]
    assert [(event.ref.id, event.attempt) for event in looks] == [("b", n) for n in range(1, 6)]
    alone = [asked.at for asked in lab.asked if asked.ids == ("b",)]
    assert alone == [about(6), about(21)]
    listed = [asked.at for asked in lab.asked if set(asked.ids) == {"a", "b"} and asked.at > 6.5]
    assert listed == [about(at) for at in (7, 8, 10, 14)]


async def test_a_newcomer_who_has_not_seen_a_missing_job_is_told_at_once_that_there_is_none() -> None:
    lab = Lab("a", "b", room=100)
    told: list[Event] = []
    replace_observers([lab], (), [told.append])
    lab.latency = lambda _: 0.1

    async def forget() -> Job:
        await anyio.sleep(5.5)
        lab.gone.add("b")
        await anyio.sleep(3)
        with pytest.raises(JobNotFound):
            await lab.wait("b")
        assert anyio.current_time() < 9.5
        assert [each.kind for each in told if each.wait == told[-1].wait] == [
            EventKind.BEGAN,
            EventKind.ENDED,
        ]
        return await lab.get("a")

    found, _, newcomer = await outcomes(lab.wait("b"), patient(30, lab.wait("a")), forget())
    assert isinstance(newcomer, Job)
    assert isinstance(found, JobGone)
    assert anyio.current_time() == about(30)


async def test_what_is_said_of_a_job_counts_for_no_wait_that_begins_while_it_is_on_its_way() -> None:
    lab, said = Lab(), [JobNotFound("no such job")]
    lab.end("a", 3)
    lab.latency = lambda _: 0.3
    lab.trouble = lambda _: said.pop() if said else None

    async def wait() -> Job:
        while not lab.asked:
            await anyio.lowlevel.checkpoint()
        return await lab.wait("a")

    first, second = await outcomes(lab.wait("a"), wait())
    assert isinstance(first, JobNotFound)
    assert ended(second)


async def test_a_look_for_a_missing_job_counts_although_somebody_else_begins_meanwhile() -> None:
    lab, troubles = Lab("a", "b", room=100), list[tuple[float, int]]()
    lab.latency = lambda _: 0.3

    def observe(event: Event) -> None:
        if event.kind is EventKind.TROUBLE:
            troubles.append((anyio.current_time(), event.attempt))

    replace_observers([lab], (), [observe])

    async def begin_meanwhile() -> Job:
        await anyio.sleep(5.5)
        lab.gone.add("b")
        await anyio.sleep(1.6)
        assert [asked.ids for asked in lab.asked if asked.at > 6.1] == [("b",), ("a", "b")]
        with pytest.raises(JobNotFound):
            await lab.wait("b")
        assert anyio.current_time() == about(7.9)  # after a list, and a single request
        return await lab.get("a")

    found, _, newcomer = await outcomes(lab.wait("b"), patient(9, lab.wait("a")), begin_meanwhile())
    assert isinstance(found, JobGone)
    assert isinstance(newcomer, Job)
    assert troubles[:3] == [(about(6.6), 1), (about(7.3), 2), (about(7.9), 3)]


@pytest.mark.parametrize("others", [(), (RARELY,)], ids=["one wait", "of two waits"])
async def test_no_list_is_asked_for_the_last_look_at_a_missing_job(others: Sequence[PollPolicy]) -> None:
    lab = Lab("a", "b", room=100)
    policy = PollPolicy(initial=1, maximum=1, start_grace=0, gone_grace=1)

    async def forget() -> Job:
        await anyio.sleep(5.5)
        lab.gone.add("b")
        return await lab.get("a")

    waits = [lab.wait("b", policy=each) for each in (policy, *others)]
    found, *_ = await outcomes(*waits, patient(30, lab.wait("a")), forget())
    assert isinstance(found, JobGone)
    assert next(asked.ids for asked in lab.asked if asked.at > 6.5 and "b" in asked.ids) == ("b",)


async def test_a_missing_job_that_a_list_has_again_is_waited_for() -> None:
    lab = Lab("a", "b", room=100)
    lab.end("b", 30)

    async def forget() -> Job:
        await anyio.sleep(5.5)
        lab.gone.add("b")
        await anyio.sleep(4)
        lab.gone.clear()
        return await lab.get("a")

    found, *_ = await outcomes(lab.wait("b"), patient(40, lab.wait("a")), forget())
    assert isinstance(found, Job)
    assert len([asked for asked in lab.asked if asked.ids == ("b",) and asked.at > 6.5]) == 0


async def test_jobs_whose_records_in_a_list_cannot_be_read_are_asked_for_alone_at_once() -> None:
    class Damaged(Lab):
        def decode_batch_record(self, ref: JobRef, record: Any) -> Job:
            if ref.id != "a":
                raise DecodeError("expected text", path="$.state")
            return super().decode_batch_record(ref, record)

    lab = Damaged(room=100)
    for id in "abc":
        lab.end(id, 5)
    assert all(map(ended, await outcomes(*(lab.wait(id) for id in "abc"))))
    together, *alone = lab.asked[:3]
    assert set(together.ids) == {"a", "b", "c"}
    assert {each.ids for each in alone} == {("b",), ("c",)}
    assert [each.at for each in lab.asked[:3]] == [0] * 3


async def test_a_refused_list_is_tried_again_after_a_minute_at_the_earliest() -> None:
    lab = Lab("a", "b", "c", room=100)
    lab.trouble = lambda ids: BatchRefused() if len(ids) > 1 else None
    await outcomes(*(patient(150, lab.wait(id)) for id in ("a", "b", "c")))
    lists = [asked.at for asked in lab.asked if len(asked.ids) > 1]
    assert lists == [0, about(60), about(120)] or lists == [0, about(61), about(122)]
    for id in ("a", "b", "c"):
        single = [asked.at for asked in lab.asked if asked.ids == (id,)]
        gaps = [after - before for before, after in itertools.pairwise(single)]
        assert max(gaps) <= 1.2


async def test_a_list_that_is_refused_with_the_limit_that_it_keeps_to_is_not_sent_again_at_once() -> None:
    lab = Lab("a", "b", room=100)
    lab.trouble = lambda ids: BatchRefused(limit=100) if len(ids) > 1 else None
    await outcomes(*(patient(5, lab.wait(id)) for id in ("a", "b")))
    assert [asked.at for asked in lab.asked if len(asked.ids) > 1] == [0]
    assert lab.times_of("a") == [0, *(about(at) for at in range(5))]


async def test_a_list_that_asks_for_less_is_sent_smaller_at_once() -> None:
    lab = Lab(room=16)
    ids = [lab.end(f"job-{n}", 0) for n in range(16)]

    def trouble(ids: Sequence[str]) -> Exception | None:
        if len(ids) <= 4:
            return None
        return BatchRefused(limit=len(ids) // 2)

    lab.trouble = trouble
    assert all(map(ended, await outcomes(*(lab.wait(id) for id in ids))))
    assert sorted(len(asked.ids) for asked in lab.asked) in ([4, 4, 4, 4, 8, 8, 16], [4, 4, 4, 4, 8, 16])
    assert anyio.current_time() == about(0)


@pytest.mark.slow
@pytest.mark.parametrize("failure", [overloaded(3), TransportError("down"), SourceError("no")])
async def test_trouble_never_turns_one_list_into_many_requests(failure: SourceError) -> None:
    lab = Lab(room=1000)
    ids = [lab.end(f"job-{n}", 0) for n in range(300)]
    failures: list[Exception | None] = [failure]
    lab.trouble = lambda _: failures.pop() if failures else None
    found = await outcomes(*(lab.wait(id) for id in ids))
    assert len(lab.asked) <= 2
    if failure.transient:
        assert all(map(ended, found))
    else:
        assert all(isinstance(each, SourceError) for each in found)
        assert len(set(map(id, found))) == 300
        assert [each.ref.id for each in found if isinstance(each, SourceError) and each.ref] == ids


async def test_an_unchanged_record_is_not_decoded_again() -> None:
    lab = Lab(room=100)
    ids = [lab.end(f"job-{n}", 20) for n in range(10)]
    assert all(map(ended, await outcomes(*(lab.wait(id) for id in ids))))
    assert lab.decoded == 2 * 10


# Closing


@pytest.mark.parametrize("room", [0, 100])
@pytest.mark.parametrize("latency", [0.0, 1e9])
@pytest.mark.parametrize("at", [0.0, 0.5, 5.0])
async def test_closing_ends_all_waits_each_with_an_exception_of_its_own(
    room: int, latency: float, at: float
) -> None:
    lab = Lab(*(f"job-{n}" for n in range(20)), room=room, concurrency=3)
    lab.latency = lambda _: latency
    before = Footprint.now()
    found: list[Job | Exception] = []

    async def one(n: int) -> None:
        found.append(await outcome(lab.wait(f"job-{n}", timeout=None if n % 2 else 50)))

    with anyio.fail_after(HANGS):
        async with anyio.create_task_group() as group:
            for n in range(20):
                group.start_soon(one, n)
            await anyio.sleep(at)
            await anyio.lowlevel.checkpoint()
            await lab.aclose()
    assert anyio.current_time() == about(at)
    assert all(isinstance(each, SourceClosed) for each in found)
    assert len(set(map(id, found))) == 20
    assert lab._current_poller().idle
    assert lab.in_flight == 0
    assert Footprint.now() == before


@pytest.mark.parametrize("turns", range(6))
async def test_closing_cuts_also_a_request_that_is_about_to_leave(turns: int) -> None:
    script = Script(never)
    found: list[Job | Exception] = []
    async with httpx.AsyncClient(transport=script) as client:
        jobs = CFJobs(ENDPOINT, auth=Bearer(TOKEN), http=client)

        async def one(id: str) -> None:
            found.append(await outcome(jobs.wait(id)))

        async with anyio.create_task_group() as group:
            for n in range(20):
                group.start_soon(one, f"{n}-{JOB}")
            for _ in range(turns):
                await anyio.lowlevel.checkpoint()
            await jobs.aclose()
    # A wait that has not begun before the source is closed never begins.
    assert all(isinstance(each, SourceClosed | UsageError) for each in found)
    assert anyio.current_time() == about(0)


async def test_closing_a_source_that_nobody_waits_for_is_nothing() -> None:
    lab = Lab("job")
    await lab.aclose()
    await lab.aclose()
    assert lab._current_poller().idle
    assert math.isinf(Footprint.now().timer)
