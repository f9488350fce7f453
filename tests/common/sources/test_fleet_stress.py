"""Sets and waits over a fleet of many systems, under random courses of events.

Sets grow and shrink, and others go on from their checkpoints; sources join and are removed; requests fail.
Set ``JOBSOURCE_STRESS_SEEDS`` to a number for longer runs; a failure names its seed.
"""

from __future__ import annotations

import os
from random import Random

import anyio.lowlevel
import pytest

from common import Capability, JobRef, JobSet, JobState, PollPolicy
from common.testing import ScriptedSource
from tests.common.sources.fleet_course import Course, play
from tests.common.virtual import Footprint, cancelled_at, count_awaits

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

SEEDS = int(os.environ.get("JOBSOURCE_STRESS_SEEDS", "2"))
JOBS = 4
"""Jobs of each system."""
POLICY = PollPolicy(initial=1, maximum=5)
LOOKS = frozenset(Capability)


class Scripted(ScriptedSource):
    """A system whose jobs run for up to a minute; requests for some of them fail now and then."""

    def __init__(self, number: int, random: Random) -> None:
        batches = LOOKS if random.random() < 0.7 else LOOKS - {Capability.BATCH}
        super().__init__(
            endpoint=f"https://host-{number}",
            capabilities=batches,
            latency=random.choice([0.0, 0.05, 1.0]),
            policy=POLICY,
        )
        self.ends: dict[JobRef, JobState] = {}
        for _ in range(JOBS):
            end = random.choice([JobState.SUCCEEDED, JobState.SUCCEEDED, JobState.FAILED])
            errors = {2: 503, 3: 429} if random.random() < 0.3 else {}
            self.ends[self.add_job([(JobState.RUNNING, random.uniform(0, 60)), end], errors=errors)] = end
        self.source = self
        self.busy = False


@pytest.mark.parametrize("seed", range(2))
async def test_nothing_is_lost_or_told_twice_in_a_fleet_that_changes(seed: int) -> None:
    await play(Course.of(seed, 4, Scripted), sets=2, steps=6)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_nothing_is_lost_or_told_twice_in_a_fleet_of_fifty_systems(seed: int) -> None:
    await play(Course.of(seed, 50, Scripted), sets=4, steps=12)


async def _handed_on(course: Course) -> None:
    """A set that grows, loses a system in the middle, and is handed on."""
    async with JobSet(course.fleet, course.refs[:2]) as jobs:
        jobs.add(course.refs[-1])
        await course.change_systems()
        jobs.add(course.refs[-1])
        while len(jobs) > 1:
            await anext(jobs)
        checkpoint = jobs.checkpoint()
    async with JobSet(course.fleet, checkpoint=checkpoint) as jobs:
        jobs.close()
        async for _ in jobs:
            pass
    await anyio.lowlevel.checkpoint()  # for a cancellation that comes while the last block is being left


@pytest.mark.slow
async def test_a_set_over_a_fleet_can_be_cancelled_at_each_of_its_awaits() -> None:
    awaits = await count_awaits(_handed_on(Course.of(3, 3, Scripted)))
    assert awaits >= 7  # a set lets others run after every 32 outcomes alone
    for number in range(1, awaits + 1):
        course = Course.of(3, 3, Scripted)
        before = Footprint.now()
        assert await cancelled_at(number, _handed_on(course))
        await course.check_left(before)
        await course.fleet.aclose()
