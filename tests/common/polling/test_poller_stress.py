"""The shared poller under long random courses: starts, ends, deadlines, cancels, and failing or slow replies.

Set ``JOBSOURCE_STRESS_SEEDS`` to a number for longer runs; a failure names its seed.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Sequence
from contextlib import suppress
from random import Random
from typing import Any

import anyio
import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from common import (
    Job,
    JobFailed,
    JobGone,
    JobNotFound,
    JobsError,
    JobState,
    PollPolicy,
    SourceClosed,
    TransportError,
    UsageError,
    WaitTimeout,
)
from common.model.errors import AuthenticationError, DecodeError, RateLimited
from common.polling.pollable import BatchRefused
from tests.common.lab import Lab
from tests.common.scripted import outcome
from tests.common.virtual import Footprint, VirtualLoop, virtual_asyncio, virtual_trio

pytestmark = pytest.mark.virtual

SEEDS = int(os.environ.get("JOBSOURCE_STRESS_SEEDS", "6"))
POLICIES = [
    PollPolicy(initial=1, maximum=1, start_grace=0),
    PollPolicy(initial=1, maximum=5),
    PollPolicy(initial=0.3, maximum=20, fraction=0.5),
    PollPolicy(initial=30, maximum=30, start_grace=0),
]
LONGEST = 5_000.0
"""Seconds, virtual ones, after which everything here has ended: faults pass, and so do jobs."""
GRACE = 0.001


@attrs.frozen(kw_only=True)
class Plan:
    """One wait."""

    id: str
    starts: float = 0.0
    timeout: float | None = None
    patience: float | None = None
    """Seconds after which it is cancelled."""
    policy: PollPolicy = POLICIES[0]
    watch: bool = False
    lingers: float = 0.0
    """Seconds that a watch takes between its steps."""


@attrs.define
class Course:
    """What became of it."""

    plan: Plan
    began: float = math.inf
    took: float = 0.0
    over: bool = False
    cancelled: bool = False
    ended: Job | Exception | None = None


def fault_schedule(random: Random, until: float, severity: float) -> Any:
    """Trouble of every kind, up to some moment."""

    def trouble(ids: Sequence[str]) -> Exception | None:
        if anyio.current_time() > until or random.random() > severity:
            return None
        kinds: list[Exception] = [
            TransportError("down"),
            RateLimited("too many", status=429, transient=True, retry_after=random.choice([0.0, 1.0, 7.0])),
            DecodeError("not the API", transient=True),
        ]
        if len(ids) > 1:
            kinds += [BatchRefused(), BatchRefused(limit=len(ids) // 2)]
        return random.choice(kinds)

    return trouble


async def follow(lab: Lab, course: Course) -> None:
    plan = course.plan
    await anyio.sleep(plan.starts)
    course.began = anyio.current_time()
    with anyio.move_on_after(plan.patience) as scope:
        if plan.watch:
            course.ended = await outcome(last_of(lab, plan))
        else:
            course.ended = await outcome(lab.wait(plan.id, timeout=plan.timeout, policy=plan.policy))
    course.took = anyio.current_time() - course.began
    course.cancelled = scope.cancelled_caught
    course.over = True


async def last_of(lab: Lab, plan: Plan) -> Job:
    last: Job | None = None
    async for job in lab.watch(plan.id, timeout=plan.timeout, policy=plan.policy):
        assert last is None or job.differs(last)
        last = job
        if plan.lingers and not job.done:
            await anyio.sleep(plan.lingers)
    assert last is not None
    return last


def check(lab: Lab, course: Course) -> None:
    """Whether a wait ended as it may, when it may, and on the server's word alone."""
    plan, ended = course.plan, course.ended
    assert course.over, plan
    if course.cancelled:
        assert plan.patience is not None
        assert course.took <= plan.patience + GRACE, plan
        return
    if plan.timeout is not None and plan.timeout > 0:
        assert course.took <= max(plan.timeout, plan.lingers) + plan.lingers + GRACE, plan
    match ended:
        case Job():
            assert ended.done
            assert plan.id in lab.said
            at, state = lab.ends[plan.id]
            assert (ended.state, ended.ref.id) == (state, plan.id)
            assert course.began + course.took >= at
        case JobFailed():
            assert plan.id in lab.said
            assert lab.ends[plan.id][1] is JobState.FAILED
        case WaitTimeout():
            assert plan.timeout is not None
            assert plan.timeout == 0 or course.took >= plan.timeout - GRACE
        case JobGone() | JobNotFound():
            assert plan.id in lab.gone or plan.id not in lab.ends
        case AuthenticationError() | UsageError() | SourceClosed():
            pass
        case _:
            raise AssertionError((plan, ended))
    if isinstance(ended, JobsError):
        assert ended.ref is not None
        assert ended.ref.id == plan.id


def check_all(lab: Lab, courses: list[Course]) -> None:
    for course in courses:
        check(lab, course)
    own = [id(course.ended) for course in courses if isinstance(course.ended, Exception)]
    assert len(own) == len(set(own))
    assert lab._current_poller().idle
    assert lab.in_flight == 0
    assert lab.most <= lab._throttle.max_in_flight
    assert lab.most_of_one <= 1
    poller: Any = lab._current_poller()
    assert not poller._jobs
    assert not poller._queue
    assert not poller._deadlines
    assert not poller._parked


def laboratory(random: Random) -> Lab:
    lab = Lab(room=random.choice([0, 3, 7, 1000]), concurrency=random.choice([1, 2, 3, 8]))
    for n in range(random.choice([1, 3, 15])):
        id = f"{random.choice(['job', 'job', 'job', 'odd'])}-{n}"
        lab.end(
            id,
            random.choice([0.0, 0.0, 2.5, 10.0, 60.0, 300.0]),
            random.choice([JobState.SUCCEEDED, JobState.SUCCEEDED, JobState.FAILED]),
        )
        if random.random() < 0.1:
            lab.gone.add(id)
        if random.random() < 0.1:
            lab.hidden.add(id)
    slow = random.choice([[0.0], [0.0, 0.3], [0.0, 0.5, 1.0, 3.0], [0.0, 0.0, 0.0, 40.0]])
    lab.latency = lambda _: random.choice(slow)
    lab.trouble = fault_schedule(random, 200.0, random.choice([0.0, 0.1, 0.5, 0.9]))
    return lab


def plans(random: Random, lab: Lab, number: int) -> list[Plan]:
    ids = [*lab.ends, "never-was"]
    return [
        Plan(
            id=random.choice(ids),
            # On a coarse grid, so that many things happen at the very same moment.
            starts=random.choice([0.0, 0.0, 0.0, 0.5, 1.0, 1.0, 3.0, 7.0, 30.0, random.random() * 20]),
            timeout=random.choice([None, None, None, 0.0, 0.5, 1.0, 3.0, 10.0, 60.0, random.random() * 20]),
            patience=random.choice([None, None, None, 0.0, 0.5, 1.0, 2.0, 5.0, random.random() * 20]),
            policy=random.choice(POLICIES),
            watch=random.random() < 0.25,
            lingers=random.choice([0.0, 0.0, 1.0, 4.5]),
        )
        for _ in range(number)
    ]


async def play(lab: Lab, courses: list[Course], closes: float | None = None) -> None:
    before = Footprint.now()
    with anyio.fail_after(LONGEST):
        async with anyio.create_task_group() as group:
            for course in courses:
                group.start_soon(follow, lab, course)
            if closes is not None:
                await anyio.sleep(closes)
                await lab.aclose()
    check_all(lab, courses)
    assert Footprint.now() == before


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_whatever_happens_each_wait_ends_in_time_and_nothing_is_left(seed: int) -> None:
    random = Random(seed)
    for _ in range(5):
        lab = laboratory(random)
        lab_began = anyio.current_time()
        lab.ends = {id: (lab_began + at, state) for id, (at, state) in lab.ends.items()}
        courses = [Course(plan) for plan in plans(random, lab, random.choice([2, 10, 60]))]
        await play(lab, courses)


@pytest.mark.anyio
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_closing_at_any_moment_ends_every_wait(seed: int) -> None:
    random = Random(seed)
    for _ in range(5):
        lab = laboratory(random)
        courses = [Course(plan) for plan in plans(random, lab, 20)]
        closes = random.choice([0.0, 0.5, 1.0, 3.0, random.random() * 20])
        await play(lab, courses, closes)
        assert all(course.took <= max(0.0, closes - course.plan.starts) + 31 for course in courses)


@pytest.mark.anyio
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_a_fatal_answer_ends_those_who_asked_and_nobody_else(seed: int) -> None:
    random = Random(seed)
    lab = laboratory(random)
    courses = [Course(plan) for plan in plans(random, lab, 40)]

    def trouble(_: Sequence[str]) -> Exception | None:
        return AuthenticationError("no", status=401) if random.random() < 0.1 else None

    lab.trouble = trouble
    await play(lab, courses)


@pytest.mark.anyio
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_the_last_of_many_waits_goes_on_whoever_was_cancelled_and_when(seed: int) -> None:
    random = Random(seed)
    lab = Lab(room=random.choice([0, 1000]), concurrency=random.choice([1, 8]))
    lab.latency = lambda _: random.choice([0.0, 0.5, 1.0])
    ids = [lab.end(f"job-{n}", 50) for n in range(10)]
    courses = [
        Course(
            Plan(
                id=random.choice(ids),
                starts=random.choice([0.0, 1.0]),
                patience=random.choice([0.0, 0.5, 1.0, 1.5, 2.0]),
            )
        )
        for _ in range(60)
    ]
    survivors = [Course(Plan(id=id, starts=random.choice([0.0, 0.5, 1.0]))) for id in random.sample(ids, 3)]
    await play(lab, random.sample(courses + survivors, len(courses) + len(survivors)))
    for course in survivors:
        assert isinstance(course.ended, Job)
        assert course.began + course.took <= 50 + 12


@pytest.mark.slow
def test_thousands_of_waits_of_a_hundred_jobs_come_and_go() -> None:
    random = Random(7)
    lab = Lab(room=50)
    lab.latency = lambda _: 0.2
    ids = [lab.end(f"job-{n}", random.random() * 20) for n in range(100)]

    async def main() -> None:
        await play(lab, [Course(Plan(id=ids[n % 100], starts=n % 7, timeout=30)) for n in range(2_000)])
        assert len(lab.asked) < 40 * 10

    for backend, options in (virtual_asyncio(), virtual_trio()):
        anyio.run(main, backend=backend, backend_options=options)
        lab.asked.clear()


# Hypothesis looks for the shortest course that goes wrong.

MOMENTS = st.sampled_from([0.0, 0.5, 1.0, 1.5, 2.0, 3.0])
PLANS = st.builds(
    Plan,
    id=st.sampled_from(["a", "b", "odd", "gone", "hidden"]),
    starts=MOMENTS,
    timeout=st.none() | MOMENTS,
    patience=st.none() | MOMENTS,
    policy=st.sampled_from(POLICIES),
    watch=st.booleans(),
)
ANSWERS = st.sampled_from(["good", "good", "good", "down", "busy", "refused", "smaller"])


def answer(kind: str, ids: Sequence[str]) -> Exception | None:
    if kind == "down":
        return TransportError("down")
    if kind == "busy":
        return RateLimited("busy", status=429, transient=True, retry_after=1.5)
    if kind in ("refused", "smaller") and len(ids) > 1:
        return BatchRefused(limit=len(ids) // 2 if kind == "smaller" else None)
    return None


@pytest.mark.slow
@settings(max_examples=60 * max(1, SEEDS // 6), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    waits=st.lists(PLANS, min_size=1, max_size=8),
    answers=st.lists(ANSWERS, max_size=8),
    latencies=st.lists(MOMENTS, max_size=8),
    room=st.sampled_from([0, 2, 100]),
    concurrency=st.sampled_from([1, 2, 8]),
    trio=st.booleans(),
)
def test_no_short_course_goes_wrong(
    waits: list[Plan], answers: list[str], latencies: list[float], room: int, concurrency: int, trio: bool
) -> None:
    async def main() -> None:
        lab = Lab(room=room, concurrency=concurrency)
        for id in ("a", "b", "odd", "hidden"):
            lab.end(id, 4)
        lab.hidden.add("hidden")
        kinds, seconds = iter(answers), iter(latencies)
        lab.trouble = lambda ids: answer(next(kinds, "good"), ids)
        lab.latency = lambda _: next(seconds, 0.0)
        await play(lab, [Course(plan) for plan in waits])

    backend, options = virtual_trio() if trio else virtual_asyncio()
    anyio.run(main, backend=backend, backend_options=options)


class Waiting(RuleBasedStateMachine):
    """A source in use, one step after another: whatever the order, what it holds is what it needs."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.lab = Lab("a", "b", "odd", "hidden", room=3, concurrency=2)
        self.lab.hidden.add("hidden")
        self.delay = 0.0
        self.kind = "good"
        self.lab.latency = lambda _: self.delay
        self.lab.trouble = lambda ids: answer(self.kind, ids)
        self.courses: list[Course] = []
        self.tasks: list[asyncio.Task[None]] = []

    def live(self) -> list[asyncio.Task[None]]:
        return [task for task in self.tasks if not task.done()]

    def run(self, seconds: float) -> None:
        async def pass_time() -> None:
            with anyio.fail_after(max(seconds * 2, 1)):
                await anyio.sleep(seconds)

        self.loop.run_until_complete(pass_time())

    @rule(plan=PLANS)
    def start(self, plan: Plan) -> None:
        course = Course(plan)
        self.courses.append(course)
        self.tasks.append(self.loop.create_task(follow(self.lab, course)))

    @rule(seconds=MOMENTS)
    def time_passes(self, seconds: float) -> None:
        self.run(seconds)

    @rule(seconds=st.sampled_from([30.0, 100.0]))
    def much_time_passes(self, seconds: float) -> None:
        self.run(seconds)

    @precondition(lambda self: self.live())
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.live())).cancel()

    @rule(kind=ANSWERS)
    def weather_changes(self, kind: str) -> None:
        self.kind = kind

    @rule(seconds=st.sampled_from([0.0, 0.5, 3.0, 50.0]))
    def server_gets_slower_or_faster(self, seconds: float) -> None:
        self.delay = seconds

    @rule(id=st.sampled_from(["a", "b", "odd", "hidden"]))
    def job_ends(self, id: str) -> None:
        if math.isinf(self.lab.ends[id][0]):
            self.lab.end(id, self.loop.time())

    @invariant()
    def limits_are_kept(self) -> None:
        assert self.lab.most <= self.lab._throttle.max_in_flight
        assert self.lab.most_of_one <= 1

    @invariant()
    def nothing_is_held_where_nobody_waits(self) -> None:
        if not self.live():
            assert self.lab.in_flight == 0
            assert not asyncio.all_tasks(self.loop)
            assert math.isinf(self.loop.next_timer())

    @invariant()
    def no_deadline_passes_without_an_end(self) -> None:
        for course, task in zip(self.courses, self.tasks, strict=True):
            plan = course.plan
            if plan.timeout and not task.done():
                assert self.loop.time() <= course.began + plan.timeout + GRACE

    def teardown(self) -> None:
        self.kind, self.delay = "good", 0.0
        for id in ("a", "b", "odd", "hidden"):
            if math.isinf(self.lab.ends[id][0]):
                self.lab.end(id, self.loop.time())

        async def all_end() -> None:
            with anyio.fail_after(LONGEST):
                for task in self.tasks:
                    with suppress(asyncio.CancelledError):
                        await task
            done = [
                course for course, task in zip(self.courses, self.tasks, strict=True) if not task.cancelled()
            ]
            check_all(self.lab, done)

        try:
            self.loop.run_until_complete(all_end())
            assert not asyncio.all_tasks(self.loop)
        finally:
            for task in self.live():
                task.cancel()
            self.loop.run_until_complete(asyncio.sleep(0))
            self.loop.close()


TestWaiting = pytest.mark.slow(Waiting.TestCase)
TestWaiting.settings = settings(
    max_examples=40 * max(1, SEEDS // 6),
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
