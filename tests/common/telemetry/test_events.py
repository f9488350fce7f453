"""What observers are told of waits: their numbers, how long they took, and what holds them up."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import anyio
import attrs
import pytest

from common import (
    Event,
    EventKind,
    Job,
    JobGone,
    JobRef,
    JobSet,
    JobState,
    PollPolicy,
    RateLimited,
    UnexpectedState,
    UsageError,
    WaitTimeout,
)
from common.sources.base import replace_observers
from tests.common.lab import Lab
from tests.common.scripted import JOB, OTHER, Script, about, done, error, gone, running, source, unavailable

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

ENDS = (EventKind.ENDED, EventKind.ABANDONED)
REF = JobRef("cf", "https://api.example.org", JOB)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def assert_each_begins_and_ends_once(events: list[Event]) -> None:
    """Every event of a wait is between its beginning and its one end."""
    open_now: set[int] = set()
    for event in (each for each in events if each.kind is not EventKind.THROTTLED):
        if event.kind is EventKind.BEGAN:
            assert event.wait not in open_now
            open_now.add(event.wait)
        assert event.wait in open_now, event
        if event.kind in ENDS:
            open_now.remove(event.wait)
    assert not open_now


async def test_waits_for_one_job_are_told_apart_by_their_numbers() -> None:
    events: list[Event] = []
    async with (
        source(Script(running, done), observer=events.append) as jobs,
        anyio.create_task_group() as group,
    ):
        group.start_soon(jobs.wait, JOB)
        group.start_soon(jobs.wait, JOB)
    assert_each_begins_and_ends_once(events)
    assert len({event.wait for event in events}) == 2
    assert set(Counter(event.wait for event in events).values()) == {6}


async def test_numbers_are_unique_over_sources() -> None:
    events: list[Event] = []
    for _ in range(2):
        async with source(Script(done), observer=events.append) as jobs:
            await jobs.wait(JOB)
    assert len({event.wait for event in events}) == 2


async def test_an_end_tells_how_long_the_wait_took() -> None:
    events: list[Event] = []
    policy = PollPolicy(initial=5, maximum=5)
    async with source(Script(running, done), observer=events.append, policy=policy) as jobs:
        await anyio.sleep(3)
        await jobs.wait(JOB)
        with anyio.move_on_after(0):
            await jobs.wait(OTHER)
    assert [(each.kind, each.elapsed) for each in events if each.kind in ENDS] == [
        (EventKind.ENDED, about(5)),
        (EventKind.ABANDONED, 0),
    ]


@pytest.mark.parametrize(
    ("finished_ago", "elapsed", "lag"),
    [(2.5, 60.0, 2.5), (-0.5, 60.0, 0.0), (61.0, 60.0, None), (None, 60.0, None)],
    ids=["seen 2.5 s later", "the server's clock is ahead", "ended before the wait", "no end time"],
)
def test_the_lag_of_an_end_is_from_the_servers_end_time(
    finished_ago: float | None, elapsed: float, lag: float | None
) -> None:
    finished = None if finished_ago is None else NOON - timedelta(seconds=finished_ago)
    job = Job(REF, JobState.SUCCEEDED, finished_at=finished, observed_at=NOON)
    event = Event(EventKind.ENDED, REF, job, elapsed=elapsed)
    assert event.lag == lag
    assert attrs.evolve(event, kind=EventKind.SEEN).lag is None


async def test_a_reply_that_asks_for_less_is_told_once_for_the_source_and_for_how_long() -> None:
    events: list[Event] = []
    limited = error(429, 10013, Retry_After="30")
    async with (
        source(Script(limited, done), observer=events.append) as jobs,
        anyio.create_task_group() as group,
    ):
        group.start_soon(jobs.wait, JOB)
        group.start_soon(jobs.wait, JOB)
    (event,) = [each for each in events if each.kind is EventKind.THROTTLED]
    assert (event.next_in, event.wait) == (about(30), 0)
    assert isinstance(event.error, RateLimited)


async def test_a_429_that_names_no_time_throttles_too_and_passing_trouble_does_not() -> None:
    events: list[Event] = []
    async with source(Script(error(429, 10013), unavailable, done), observer=events.append) as jobs:
        await jobs.wait(JOB)
    assert [each.next_in for each in events if each.kind is EventKind.THROTTLED] == [0.0]


async def test_a_job_that_is_forgotten_is_told_when_that_is_first_said() -> None:
    events: list[Event] = []
    script = Script(running, gone, gone, running, gone)
    async with source(script, observer=events.append, policy=PollPolicy(gone_grace=20)) as jobs:
        with pytest.raises(JobGone):
            await jobs.wait(JOB)
    told = [each.kind for each in events if each.kind is not EventKind.SEEN]
    assert told.count(EventKind.GONE) == 2
    assert told[:5] == [
        EventKind.BEGAN,
        EventKind.CHANGED,
        EventKind.GONE,
        EventKind.TROUBLE,
        EventKind.TROUBLE,
    ]
    assert told[-1] is EventKind.ENDED
    assert_each_begins_and_ends_once(events)


async def test_a_job_that_was_never_seen_is_not_told_as_forgotten() -> None:
    events: list[Event] = []
    async with source(Script(gone, done), observer=events.append) as jobs:
        await jobs.wait(JOB)
    assert EventKind.GONE not in [each.kind for each in events]


@pytest.mark.parametrize(
    ("grace", "latency", "timeout", "next_in"),
    [(0.5, 0.0, 10.0, 0.5), (8.0, 2.0, 10.0, 0.0), (8.0, 0.0, 2.0, None), (8.0, 0.0, 1.5, None)],
    ids=["soon", "due before the reply", "due at the deadline", "due after it"],
)
async def test_trouble_tells_when_the_next_request_leaves(
    grace: float, latency: float, timeout: float, next_in: float | None
) -> None:
    lab, events = Lab("a", policy=PollPolicy(initial=1, maximum=1, gone_grace=grace)), list[Event]()

    def forget(event: Event) -> None:
        events.append(event)
        if event.kind is EventKind.SEEN:
            lab.gone.add("a")
            lab.latency = lambda _: latency

    replace_observers([lab], (), [forget])
    with pytest.raises((WaitTimeout, JobGone)):
        await lab.wait("a", timeout=timeout)
    (first, *_) = [each.next_in for each in events if each.kind is EventKind.TROUBLE]
    assert first == (None if next_in is None else about(next_in))


async def test_a_state_that_was_unknown_for_too_long_is_no_change() -> None:
    lab, events = Lab(policy=PollPolicy(initial=1, maximum=1, unknown_limit=2.5)), list[Event]()
    lab.end("a", 0, JobState.UNKNOWN)
    replace_observers([lab], (), [events.append])
    with pytest.raises(UnexpectedState):
        await lab.wait("a")
    kinds = [each.kind for each in events]
    assert kinds[:3] == [EventKind.BEGAN, EventKind.SEEN, EventKind.CHANGED]
    assert set(kinds[3:-1]) == {EventKind.SEEN}
    assert kinds[-1] is EventKind.ENDED


async def test_a_watch_is_one_wait_however_many_steps_it_takes() -> None:
    events: list[Event] = []
    async with source(Script(running, done), observer=events.append) as jobs:
        assert [job.state async for job in jobs.watch(JOB)] == [JobState.RUNNING, JobState.SUCCEEDED]
    assert len({event.wait for event in events}) == 1
    assert_each_begins_and_ends_once(events)


async def test_a_watch_that_goes_on_after_a_cancelled_step_is_another_wait() -> None:
    events: list[Event] = []
    async with source(Script(running, done), observer=events.append) as jobs:
        watch = jobs.watch(JOB)
        await anext(watch)
        with anyio.move_on_after(0):
            await anext(watch)
        assert (await anext(watch)).succeeded
    assert [each.kind for each in events if each.kind in ENDS] == [EventKind.ABANDONED, EventKind.ENDED]
    assert_each_begins_and_ends_once(events)


async def test_a_watch_that_is_closed_before_its_end_is_abandoned_once() -> None:
    events: list[Event] = []
    async with source(Script(running, done), observer=events.append) as jobs:
        async with jobs.watch(JOB) as watch:
            await anext(watch)
        await watch.aclose()
        async with jobs.watch(JOB) as watch:
            assert [job.state async for job in watch] == [JobState.SUCCEEDED]
        async with jobs.watch(JOB):
            pass
    assert [each.kind for each in events if each.kind in ENDS] == [EventKind.ABANDONED, EventKind.ENDED]
    assert_each_begins_and_ends_once(events)


async def test_each_member_of_a_set_begins_and_ends_once() -> None:
    lab, events = Lab("never", room=100), list[Event]()
    lab.end("soon", 3)
    over = Job(lab.ref("over"), JobState.SUCCEEDED)
    replace_observers([lab], (), [events.append])
    async with JobSet(lab, ["soon", "never", "unknown", over]) as jobs:
        jobs.add("never", timeout=2)
        jobs.add("never")
        await anyio.sleep(4)
        jobs.discard("never")
    assert_each_begins_and_ends_once(events)
    ends = Counter((each.ref.id, each.kind.value) for each in events if each.kind in ENDS)
    assert ends == {
        ("soon", "ended"): 1,
        ("over", "ended"): 1,
        ("unknown", "ended"): 1,
        ("never", "ended"): 1,
        ("never", "abandoned"): 2,
    }


async def test_what_a_closed_source_refuses_ends_too() -> None:
    lab, events = Lab("a", "b"), list[Event]()
    replace_observers([lab], (), [events.append])
    async with JobSet(lab, ["a"]) as jobs:
        await lab.aclose()
        with pytest.raises(UsageError):
            jobs.add("b")
        await anyio.sleep(1)
    async with JobSet(lab, ["a"]) as jobs:
        jobs.close()
        assert [type(outcome) async for outcome in jobs] == [UsageError]
    with pytest.raises(UsageError):
        await lab.wait("b")
    assert_each_begins_and_ends_once(events)
    assert [each.ref.id for each in events if each.kind is EventKind.ENDED] == ["b", "a", "a", "b"]


async def test_a_wait_that_nobody_observes_has_no_number() -> None:
    lab = Lab("a")
    async with JobSet(lab, ["a"]):
        await anyio.sleep(1)
        (waiter,) = lab._current_poller()._jobs["a"].waiters
        assert waiter.number == 0
