"""A soak test: over days of polling, memory and the number of requests a day stay constant.

Every day has the same load, so that any increase from one day to the next is a leak. By default days are
short and jobs few; ``JOBSOURCE_FLAT_JOBS=1000`` makes it a week of 1,000 jobs at a time.
"""

from __future__ import annotations

import gc
import math
import os
import sys
import tracemalloc
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from random import Random

import anyio
import attrs
import pytest

from common import Capability, PollPolicy, WaitTimeout
from common.sources.http import HttpSource
from tests.common.virtual import Backend, Footprint, virtual_time
from tests.contract.systems import SOURCES, System, name_of
from tests.faults.chaos.system_under_test import SystemUnderTest

pytestmark = [pytest.mark.anyio, pytest.mark.unwatched]

HOUR = 3_600.0
WARM_UP = 1
"""Days that may use more memory than the one before: caches fill, and dicts grow to their final size."""
MEMORY_TOLERANCE = 4 * 1024
"""Bytes that a day may add: less than one leaked object a request."""
MEMORY_PER_JOB = 192
"""Bytes that it may add for each job, because deadlines of waits that ended are removed lazily."""


@attrs.frozen
class Load:
    """The load of the test: ``jobs`` at a time, of which ``endless`` never end, on each of ``days``."""

    jobs: int
    endless: int
    day: float
    """Seconds."""
    days: int
    job_seconds: tuple[float, float]
    """The shortest and the longest job."""
    policies: Mapping[str, PollPolicy]

    @classmethod
    def of(cls, jobs: int | None) -> Load:
        if jobs is None:
            short = PollPolicy(initial=40, maximum=80)
            return cls(5, 1, HOUR, 4, (100.0, 400.0), {"ontap": short, "bluexp": short, "cf": short})
        # The longest intervals that each system allows: then a week takes minutes.
        rare, capped = PollPolicy(initial=3 * HOUR, maximum=3 * HOUR), PollPolicy(initial=60, maximum=240)
        policies = {"ontap": capped, "bluexp": rare, "cf": rare}
        return cls(jobs, max(1, jobs // 10), 24 * HOUR, 8, (4 * HOUR, 16 * HOUR), policies)


jobs_variable = os.environ.get("JOBSOURCE_FLAT_JOBS")
LOAD = Load.of(int(jobs_variable) if jobs_variable else None)


@virtual_time
def anyio_backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Backend:
    backend: Backend = request.param()
    # By default the loops keep more cancelled timers than the leak that is looked for here.
    monkeypatch.setattr("trio._core._run.DEADLINE_HEAP_MIN_PRUNE_THRESHOLD", 8, raising=False)
    monkeypatch.setattr("asyncio.base_events._MIN_SCHEDULED_TIMER_HANDLES", 8, raising=False)
    return backend


@attrs.frozen
class Measurement:
    """What was measured at noon of a day: bytes in use, and requests and ended jobs since the last noon."""

    memory: int
    requests: int
    ended: int

    def __str__(self) -> str:
        return f"{self.memory / 1024:.1f} KiB, {self.requests} requests, {self.ended} jobs ended"


@attrs.define
class SoakRun:
    """Runs the load, and measures once a day."""

    load: Load
    sut: SystemUnderTest
    source: HttpSource
    began: float
    ended: int = 0
    measurements: list[Measurement] = attrs.field(factory=list[Measurement])

    @property
    def policy(self) -> PollPolicy:
        return self.load.policies[self.sut.system.name]

    async def sleep_until(self, day: int, seconds: float) -> None:
        await anyio.sleep_until(self.began + day * self.load.day + seconds)

    async def run_jobs(self, random: Random) -> None:
        """Run the same jobs each day, one after another; for each a wait times out, and a second one ends."""
        # Not at a multiple of a tenth of a second: rounding must not make one day differ from another.
        first_start = random.randrange(1, int(self.load.day / 50)) + 0.26
        durations = self._durations(random, first_start)
        for day in range(self.load.days):
            await self.sleep_until(day, first_start)
            for number, seconds in enumerate(durations):
                states = self.sut.terminal_states()
                id = self.sut.add_job(seconds, states[number % len(states)])
                await self.wait_too_short(id, seconds / 3)
                timeout = 2 * self.load.days * self.load.day
                job = await self.source.wait(id, timeout=timeout, check=False, policy=self.policy)
                assert job.done
                del self.sut.simulator.jobs[id]
                self.ended += 1
        await self.sleep_until(self.load.days, 0)

    def _durations(self, random: Random, first_start: float) -> Sequence[float]:
        """Return the seconds of each of a day's jobs."""
        durations: list[float] = []
        left = self.load.day - first_start
        while (
            left := left - (seconds := random.uniform(*self.load.job_seconds)) - self.policy.maximum - 1
        ) > 0:
            durations.append(seconds)
        return durations

    async def wait_too_short(self, id: str, timeout: float) -> None:
        try:
            await self.source.wait(id, timeout=timeout, policy=self.policy)
        except WaitTimeout:
            return
        raise AssertionError("the job ended before the timeout")

    async def watch_endless(self) -> None:
        """Watch a job that never ends.

        Its deadline is before those of all other waits, which pile up behind it if they are not removed.
        """
        id, timeout = self.sut.add_job(0, None), (1 + self.load.days) * self.load.day
        async for _ in self.source.watch(id, timeout=timeout, policy=self.policy):
            pass

    async def measure(self) -> None:
        """Measure each noon, when all jobs are running."""
        ended = 0
        for day in range(self.load.days):
            await self.sleep_until(day, self.load.day / 2)
            requests = len(self.sut.transport.job_reads)
            self.sut.clear_records()
            free_memory()
            measurement = Measurement(allocated(), requests, self.ended - ended)
            ended = self.ended
            self.measurements.append(measurement)
            print(f"{self.sut.system.name}, day {day}: {measurement}", flush=True)  # noqa: T201

    async def run(self) -> None:
        random = Random(1)
        async with anyio.create_task_group() as endless:
            for _ in range(self.load.endless):
                endless.start_soon(self.watch_endless)
            async with anyio.create_task_group() as group:
                group.start_soon(self.measure)
                for _ in range(self.load.jobs - self.load.endless):
                    group.start_soon(self.run_jobs, random)
            endless.cancel_scope.cancel()


def free_memory() -> None:
    """Collect garbage, and drop the interpreter's cache of the attribute names that C code has looked up."""
    gc.collect()
    for name in ("_clear_internal_caches", "_clear_type_cache"):  # the latter before Python 3.13
        if hasattr(sys, name):
            getattr(sys, name)()
            break
    gc.collect()


def allocated() -> int:
    """Return the bytes allocated since tracing began, without those of the thread that pytest-xdist has."""
    runner = [tracemalloc.Filter(False, f"*/{package}/*") for package in ("execnet", "xdist")]
    return sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces(runner).traces)


@contextmanager
def traced() -> Generator[None, None, None]:
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


@pytest.mark.slow
@pytest.mark.parametrize("system", SOURCES, ids=name_of)
async def test_memory_and_requests_are_the_same_each_day(system: System) -> None:
    before = Footprint.now()
    assert math.isinf(before.timer)
    with traced():
        sut = SystemUnderTest.create(system, 1, journal_limit=100)
        async with sut.source() as source:
            soak = SoakRun(LOAD, sut, source, anyio.current_time())
            await soak.run()
            assert source._current_poller().idle
    assert sut.transport.in_flight == 0
    assert Footprint.now() == before
    first, *others = soak.measurements[WARM_UP:]
    assert first.ended >= LOAD.jobs
    # Polls that share requests synchronize over some days, and so ends are seen sooner, with fewer requests.
    tolerance = 0.1 if Capability.BATCH in source.capabilities else 0
    for other in others:
        assert abs(other.ended - first.ended) <= tolerance * first.ended
        assert abs(other.requests - first.requests) <= tolerance * first.requests
    # A leak adds to each day. A table of the interpreter's that has become too small adds to one.
    memory = [measurement.memory for measurement in soak.measurements[WARM_UP:]]
    added = [later - earlier for earlier, later in pairwise(memory)]
    assert min(added) <= MEMORY_TOLERANCE + MEMORY_PER_JOB * LOAD.jobs, added
