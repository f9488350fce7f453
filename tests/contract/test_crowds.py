"""Crowds of waits on a slow and flaky way to the server: each ends as it would alone, and nothing is left."""

from __future__ import annotations

from random import Random

import anyio
import attrs
import httpx
import pytest

from common import Job, JobFailed, JobRef, JobState, PollPolicy, WaitTimeout
from tests.common.scripted import Answer, outcome, outcomes, raising, reply
from tests.common.virtual import HANGS, Footprint
from tests.contract.systems import PAGE, SOURCES, Rig, System, name_of

pytestmark = pytest.mark.anyio

POLICY = PollPolicy(initial=1, maximum=5)
WEATHER: list[Answer | None] = [
    *[None] * 12,
    reply(503, text=PAGE),
    reply(429, Retry_After="4"),
    raising(httpx.ConnectError("refused")),
]


@attrs.frozen
class Plan:
    """One wait of the crowd, and when its job ends and how."""

    job: str | JobRef
    ends: float
    end: JobState
    starts: float
    timeout: float | None
    patience: float | None


@attrs.define
class Course:
    """What became of it, in seconds since it began."""

    took: float = 0.0
    ended: Job | Exception | None = None
    cancelled: bool = False


def plans(random: Random, rig: Rig) -> list[Plan]:
    jobs: list[tuple[str | JobRef, float, JobState]] = []
    for _ in range(8):
        ends, end = (
            random.choice([0.0, 2.5, 10.0, 30.0]),
            random.choice([JobState.SUCCEEDED, JobState.FAILED]),
        )
        jobs.append((rig.job((JobState.RUNNING, ends), (end, None)), ends, end))
    return [
        Plan(
            *random.choice(jobs),
            starts=random.choice([0.0, 0.0, 0.5, 1.0, 7.0]),
            timeout=random.choice([None, None, 0.0, 0.5, 3.0, 10.0]),
            patience=random.choice([None, None, None, 0.5, 2.0, 5.0]),
        )
        for _ in range(40)
    ]


async def follow(rig: Rig, plan: Plan, course: Course) -> None:
    await anyio.sleep(plan.starts)
    began = anyio.current_time()
    with anyio.move_on_after(plan.patience) as scope:
        course.ended = await outcome(rig.source.wait(plan.job, timeout=plan.timeout, policy=POLICY))
    course.took = anyio.current_time() - began
    course.cancelled = scope.cancelled_caught


def check(plan: Plan, course: Course) -> None:
    """Whether a wait ended as it should have, and when it should have."""
    if course.cancelled:
        assert plan.patience is not None
        assert course.took == pytest.approx(plan.patience, abs=0.1)
        return
    assert plan.patience is None or course.took <= plan.patience + 0.1
    if plan.timeout:  # the one read of a timeout of 0 is not cut
        assert course.took <= plan.timeout + 0.1
    if isinstance(course.ended, WaitTimeout):
        assert plan.timeout is not None
        assert course.took >= plan.timeout - 0.1
        return
    assert plan.starts + course.took >= plan.ends
    if plan.end is JobState.FAILED:
        assert isinstance(course.ended, JobFailed)
    else:
        assert isinstance(course.ended, Job)
        assert course.ended.succeeded


@pytest.mark.slow
@pytest.mark.parametrize("system", SOURCES, ids=name_of)
@pytest.mark.parametrize("concurrency", [1, 3, 50])
@pytest.mark.parametrize("seed", range(4))
async def test_each_wait_of_a_crowd_ends_as_it_would_alone(
    system: System, seed: int, concurrency: int
) -> None:
    random = Random(seed)
    async with system.rig(concurrency=concurrency) as rig:
        rig.wire.latency = lambda: random.choice([0.0, 0.0, 0.3, 0.5, 1.0, 3.0])
        rig.wire.reads += random.choices(WEATHER, k=100)
        before = Footprint.now()
        crowd = [(plan, Course()) for plan in plans(random, rig)]
        with anyio.fail_after(HANGS):
            async with anyio.create_task_group() as group:
                for plan, course in crowd:
                    group.start_soon(follow, rig, plan, course)
        for plan, course in crowd:
            check(plan, course)
        assert Footprint.now() == before
        assert rig.wire.in_flight == 0
        assert rig.wire.most <= concurrency
        assert anyio.current_time() < 1000


@pytest.mark.parametrize("system", SOURCES, ids=name_of)
async def test_a_job_can_be_waited_for_again_after_a_wait_for_it_was_cancelled(system: System) -> None:
    async with system.rig() as rig:
        rig.wire.latency = lambda: 0.3
        again, other = (rig.job((JobState.RUNNING, 20), (JobState.SUCCEEDED, None)) for _ in range(2))

        async def change_of_mind() -> Job:
            with anyio.move_on_after(0.6):
                await rig.source.wait(again)
            return await rig.source.wait(again)

        ended = await outcomes(change_of_mind(), rig.source.wait(other))
    assert [isinstance(each, Job) and each.succeeded for each in ended] == [True, True], ended
