"""A week of polling in virtual time, while jobs end and come: memory stays where it was, nothing is left.

It takes long: it runs where ``JOBSOURCE_FLAT_JOBS`` says how many jobs there are at a time (full size: 1000).
"""

from __future__ import annotations

import gc
import os
import tracemalloc
from random import Random

import anyio
import attrs
import pytest

from common import JobState
from common import PollPolicy
from common.httpsource import HttpSource
from tests.common.virtual import Backend
from tests.common.virtual import Footprint
from tests.common.virtual import virtual_time
from tests.contract.systems import System
from tests.contract.systems import name_of
from tests.faults.weather import SOURCES
from tests.faults.weather import Place

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif("JOBSOURCE_FLAT_JOBS" not in os.environ, reason="JOBSOURCE_FLAT_JOBS=3 runs it"),
]

JOBS = int(os.environ.get("JOBSOURCE_FLAT_JOBS", "3"))
HOUR = 3_600.0
DAY = 24 * HOUR
WEEK = 7 * DAY
WARM = 192 * 1024
"""Bytes that may be added after the first day."""
SLACK = 48 * 1024
"""Bytes that may come and go from one day to another."""
PER_JOB = 1024
"""Bytes: jobs differ, and so does how much of them is under way when memory is looked at."""


@virtual_time
def anyio_backend(request: pytest.FixtureRequest) -> Backend:
    backend: Backend = request.param()
    return backend


def policy_of(system: System) -> PollPolicy:
    """One that makes a week cheap: as slow as the provider lets it be."""
    return PollPolicy(initial=60, maximum=240 if system.name == "ontap" else HOUR)


@attrs.define
class Week:
    """Jobs, one after another: each that ends is followed by a new one, until the week is over."""

    place: Place
    source: HttpSource
    ends: float
    random: Random
    done: int = 0
    memory: list[int] = attrs.field(factory=list[int])

    async def follow(self) -> None:
        while (left := self.ends - anyio.current_time()) > HOUR:
            seconds = min(left - HOUR / 2, self.random.uniform(HOUR, DAY))
            id = self.place.job(seconds, JobState.SUCCEEDED)
            job = await self.source.wait(id, policy=policy_of(self.place.system))
            assert job.succeeded
            del self.place.simulator.jobs[id]
            self.done += 1

    async def look(self) -> None:
        """Each day, forget what the test itself keeps, and measure the rest."""
        for _ in range(7):
            for _ in range(24):
                await anyio.sleep(HOUR)
                self.place.simulator.journal.clear()
                self.place.way.left.clear()
                self.place.way.sent.clear()
            gc.collect()
            self.memory.append(tracemalloc.get_traced_memory()[0])


@pytest.mark.parametrize("system", SOURCES, ids=name_of)
async def test_a_week_of_polling_leaves_memory_where_it_was(system: System) -> None:
    place = Place.of(system, 1)
    before = Footprint.now()
    tracemalloc.start()
    try:
        async with place.source() as source:
            week = Week(place, source, anyio.current_time() + WEEK + HOUR, Random(1))  # noqa: S311
            async with anyio.create_task_group() as group:
                group.start_soon(week.look)
                for _ in range(JOBS):
                    group.start_soon(week.follow)
            assert source.poller.idle
    finally:
        tracemalloc.stop()
    assert place.way.flying == 0
    assert Footprint.now() == before
    assert week.done > 7 * JOBS
    days = [f"{each / 1024:.0f}" for each in week.memory]
    print(f"{system.name}: {week.done} jobs; KiB at the end of each day: {' '.join(days)}")  # noqa: T201
    assert max(week.memory) <= week.memory[0] + WARM + PER_JOB * JOBS
    assert week.memory[-1] <= week.memory[3] + SLACK + PER_JOB * JOBS / 4
