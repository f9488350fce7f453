"""Chaos over a fleet: sets that are handed on, over simulators of all systems whose responses fail.

Sources join and are removed meanwhile. ``JOBSOURCE_STORM_SEEDS`` sets how many seeds there are; a seed gives
the same run each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from random import Random
from typing import Any

import attrs
import pytest

from common import JobRef, JobState, PollPolicy
from common.sources.http import HttpSource
from tests.common.sources.fleet_course import Course, play
from tests.contract.systems import SOURCES
from tests.faults.chaos.fault_schedule import SEEDS, schedule_sign_in_faults, schedule_transient_faults
from tests.faults.chaos.repeatable_loop import LOOPS, Loop, run_repeatably
from tests.faults.chaos.system_under_test import SystemUnderTest

pytestmark = pytest.mark.slow

JOBS = 4
"""Jobs of each system."""
DURATION = 150.0
"""Seconds within which faults begin."""
POLICY = PollPolicy(initial=1, maximum=5)


@attrs.frozen
class Simulated:
    """A simulator whose responses fail, and the source that is connected to it."""

    sut: SystemUnderTest
    source: HttpSource
    ends: Mapping[JobRef, JobState]

    @classmethod
    def of(cls, number: int, random: Random) -> Simulated:
        """Return one of the systems in turn, with jobs that run for up to a minute."""
        system = SOURCES[number % len(SOURCES)]
        options: dict[str, Any] = {}
        if system.name == "ontap":
            options = {"page_size": random.choice([3, 10_000]), "retention": 1e6}
        sut = SystemUnderTest.create(system, number, concurrency=random.choice([1, 8]), **options)
        sut.transport.latency = lambda: random.choice([0.0, 0.05, 1.0])
        source = sut.connect(f"https://host-{number}.example.com", policy=POLICY)
        source._current_poller().executor._random.seed(number)
        states = sut.terminal_states()
        ends: dict[JobRef, JobState] = {}
        for _ in range(JOBS):
            end = random.choice(states)
            ends[source.ref(sut.add_job(random.uniform(0, 60), end))] = end
        schedule_transient_faults(random, sut, count=6, duration=DURATION)
        schedule_sign_in_faults(random, sut, count=2, duration=DURATION)
        return cls(sut, source, ends)

    @property
    def busy(self) -> bool:
        """Whether a request is under way."""
        return self.sut.transport.in_flight > 0


async def _run(seed: int, count: int = 50) -> list[Simulated]:
    systems: list[Simulated] = []

    def make(number: int, random: Random) -> Simulated:
        systems.append(Simulated.of(number, random))
        return systems[-1]

    await play(Course.of(seed, count, make), sets=4, steps=12)
    return systems


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("seed", range(SEEDS))
def test_nothing_is_lost_or_told_twice_by_fifty_systems_whose_responses_fail(seed: int, loop: Loop) -> None:
    systems = run_repeatably(partial(_run, seed), loop, seed)
    assert sum(len(injection.met) for each in systems for injection in each.sut.simulator.faults) > 50


@pytest.mark.parametrize("loop", LOOPS)
def test_a_seed_gives_the_same_run_each_time(loop: Loop) -> None:
    first, second = (
        [
            list(map(str, each.sut.transport.exchanges))
            for each in run_repeatably(partial(_run, 1, 10), loop, 1)
        ]
        for _ in range(2)
    )
    assert first == second
