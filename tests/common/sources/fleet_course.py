"""A course of events of a fleet: sets that grow, shrink and are handed on, sources that join and leave."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from random import Random
from typing import Protocol

import anyio
import attrs

from common import Fleet, Job, JobRef, JobsError, JobSet, JobState, SourceClosed
from common.sources.base import BaseSource
from tests.common.virtual import HANGS, Footprint


class System(Protocol):
    """A system of the fleet."""

    @property
    def source(self) -> BaseSource: ...
    @property
    def ends(self) -> Mapping[JobRef, JobState]:
        """How each of its jobs ends."""
        ...

    @property
    def busy(self) -> bool:
        """Whether a request is under way."""
        ...


@attrs.define
class Course:
    """One course of events. ``owed`` counts the outcomes of each job that are to be told."""

    random: Random
    make: Callable[[int, Random], System]
    """Returns a system of this number."""
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
    def of(cls, seed: int, systems: int, make: Callable[[int, Random], System]) -> Course:
        random = Random(seed)
        made = [make(number, random) for number in range(systems)]
        return cls(random, make, made, Fleet([system.source for system in made]))

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
        self.removed.add(leaving.source.endpoint)
        await self.fleet.remove(leaving.source)
        joining = self.make(len(self.everyone), self.random)
        self.systems.append(joining)
        self.everyone.append(joining)
        self.fleet.add(joining.source)

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

    async def check_left(self, before: Footprint) -> None:
        """Nothing is left, once what may outlive a wait has ended: a sign-in that was sent."""
        for _ in range(60):
            if any(system.busy for system in self.everyone):
                await anyio.sleep(1)
        await anyio.sleep(0.001)  # its task may have been at its last step
        assert Footprint.now() == before
        assert all(system.source._current_poller().idle for system in self.everyone)


async def play(course: Course, sets: int, steps: int) -> None:
    """Let one set after another go on from the last one's checkpoint, and the last one end."""
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
    await course.check_left(before)
    await course.fleet.aclose()
