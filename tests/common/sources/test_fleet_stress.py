"""Sets and waits over a fleet of many systems, under random courses of events.

Sets grow and shrink, and others go on from their checkpoints; sources join and are removed; requests fail.
Set ``JOBSOURCE_STRESS_SEEDS`` to a number for longer runs; a failure names its seed.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from contextlib import suppress
from random import Random

import anyio
import anyio.lowlevel
import attrs
import pytest

from common import Capability, Fleet, Job, JobRef, JobsError, JobSet, JobState, PollPolicy, SourceClosed
from common.testing import ScriptedSource
from tests.common.virtual import HANGS, Footprint, cancelled_at, count_awaits

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

SEEDS = int(os.environ.get("JOBSOURCE_STRESS_SEEDS", "2"))
JOBS = 4
"""Jobs of each system."""
POLICY = PollPolicy(initial=1, maximum=5)
LOOKS = frozenset(Capability)


class System(ScriptedSource):
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


@attrs.define
class Course:
    """One course of events. ``owed`` counts the outcomes of each job that are to be told."""

    random: Random
    systems: list[System]
    fleet: Fleet
    owed: Counter[JobRef] = attrs.field(factory=Counter[JobRef])
    removed: set[str] = attrs.field(factory=set[str])
    told: int = 0
    everyone: list[System] = attrs.field(init=False)
    """The systems that were ever in the fleet."""

    def __attrs_post_init__(self) -> None:
        self.everyone = list(self.systems)

    @classmethod
    def of(cls, seed: int, systems: int) -> Course:
        random = Random(seed)
        made = [System(number, random) for number in range(systems)]
        return cls(random, made, Fleet(made))

    @property
    def refs(self) -> list[JobRef]:
        """The jobs of the systems that are in the fleet."""
        return [ref for system in self.systems for ref in system.ends]

    def record(self, outcome: Job | JobsError) -> None:
        ref = outcome.ref
        assert ref is not None
        assert self.owed[ref] > 0, f"{ref} was told twice"
        self.owed[ref] -= 1
        self.told += 1
        if isinstance(outcome, Job):
            (end,) = [system.ends[ref] for system in self.everyone if ref in system.ends]
            assert outcome.state is end
        else:
            assert isinstance(outcome, SourceClosed), outcome
            assert ref.endpoint in self.removed

    def grow(self, jobs: JobSet) -> None:
        for ref in self.random.choices(self.refs, k=len(self.systems)):
            self.owed[jobs.add(ref)] += 1

    def shrink(self, jobs: JobSet) -> None:
        for ref in self.random.choices(self.refs, k=len(self.systems) // 2):
            self.owed[ref] -= jobs.discard(ref)
            assert self.owed[ref] >= 0

    async def change_systems(self) -> None:
        leaving = self.systems.pop(self.random.randrange(len(self.systems)))
        self.removed.add(leaving.endpoint)
        await self.fleet.remove(leaving)
        joining = System(len(self.everyone), self.random)
        self.systems.append(joining)
        self.everyone.append(joining)
        self.fleet.add(joining)

    async def wait_beside(self) -> None:
        """A plain wait for a job that the set may wait for too; it may be cancelled."""
        ref = self.random.choice(self.refs)
        with anyio.move_on_after(self.random.choice([0.0, 2.0, 300.0])), suppress(SourceClosed):
            await self.fleet.wait(ref, check=False)

    async def live(self, jobs: JobSet, steps: int) -> None:
        """Let things happen to a set while a consumer takes its outcomes."""

        async def consume() -> None:
            async for outcome in jobs:
                self.record(outcome)

        async with anyio.create_task_group() as consumers:
            consumers.start_soon(consume)
            for _ in range(steps):
                match self.random.choice(["grow", "grow", "shrink", "systems", "wait"]):
                    case "grow":
                        self.grow(jobs)
                    case "shrink":
                        self.shrink(jobs)
                    case "systems":
                        await self.change_systems()
                    case _:
                        consumers.start_soon(self.wait_beside)
                await anyio.sleep(self.random.choice([0.001, 0.3, 5.0]))
                assert len(jobs) == self.owed.total()
            consumers.cancel_scope.cancel()

    def check_left(self, before: Footprint) -> None:
        assert Footprint.now() == before
        assert all(system._current_poller().idle for system in self.everyone)


async def play(course: Course, sets: int, steps: int) -> None:
    before = Footprint.now()
    checkpoint: str | None = None
    with anyio.fail_after(HANGS):
        for _ in range(sets):
            data = None if checkpoint is None else json.loads(checkpoint)
            async with JobSet(course.fleet, checkpoint=data) as jobs:
                assert len(jobs) == course.owed.total()
                await course.live(jobs, steps)
                checkpoint = json.dumps(jobs.checkpoint())
        assert checkpoint is not None
        async with JobSet(course.fleet, checkpoint=json.loads(checkpoint)) as jobs:
            jobs.close()
            async for outcome in jobs:
                course.record(outcome)
    assert course.owed.total() == 0, "an outcome was lost"
    assert course.told > len(course.systems)
    course.check_left(before)
    await course.fleet.aclose()


@pytest.mark.parametrize("seed", range(2))
async def test_nothing_is_lost_or_told_twice_in_a_fleet_that_changes(seed: int) -> None:
    await play(Course.of(seed, systems=4), sets=2, steps=6)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_nothing_is_lost_or_told_twice_in_a_fleet_of_fifty_systems(seed: int) -> None:
    await play(Course.of(seed, systems=50), sets=4, steps=12)


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
    awaits = await count_awaits(_handed_on(Course.of(3, systems=3)))
    assert awaits >= 7  # a set lets others run after every 32 outcomes alone
    for number in range(1, awaits + 1):
        course = Course.of(3, systems=3)
        before = Footprint.now()
        assert await cancelled_at(number, _handed_on(course))
        course.check_left(before)
        await course.fleet.aclose()
