"""Day after day of polling, while jobs end and come: memory and requests stay as they were.

Every day is the same, so that whatever is more on the next one is a leak. By default days are short and jobs
few; ``JOBSOURCE_FLAT_JOBS=1000`` makes it a week of 1,000 jobs at a time.
"""

from __future__ import annotations

import gc
import math
import os
import sys
import tracemalloc
from collections.abc import Generator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import contextmanager
from random import Random

import anyio
import attrs
import pytest

from common import Capability
from common import PollPolicy
from common import WaitTimeout
from common.chance import dice
from common.httpsource import HttpSource
from tests.common.virtual import Backend
from tests.common.virtual import Footprint
from tests.common.virtual import virtual_time
from tests.contract.systems import System
from tests.contract.systems import name_of
from tests.faults.weather import SOURCES
from tests.faults.weather import Place

pytestmark = pytest.mark.anyio

HOUR = 3_600.0
WARM = 1
"""So many days may leave something behind: caches fill, and dicts grow to their size."""
SLACK = 4 * 1024
"""Bytes by which one day's noon may differ from another's: an object a request is more."""
PER_JOB = 192
"""Bytes of the same for each job at a time: so many deadlines of waits that are over may be kept."""


@attrs.frozen
class Size:
    """How much there is of everything: ``jobs`` at a time, of which ``steady`` ones never end."""

    jobs: int
    steady: int
    day: float
    days: int
    lives: tuple[float, float]
    policies: Mapping[str, PollPolicy]

    @classmethod
    def of(cls, jobs: int | None) -> Size:
        if jobs is None:
            short = PollPolicy(initial=40, maximum=80)
            return cls(5, 1, HOUR, 4, (100.0, 400.0), {"ontap": short, "bluexp": short, "cf": short})
        # As slow as each may be: a week of it takes minutes.
        rare, capped = PollPolicy(initial=3 * HOUR, maximum=3 * HOUR), PollPolicy(initial=60, maximum=240)
        policies = {"ontap": capped, "bluexp": rare, "cf": rare}
        return cls(jobs, max(1, jobs // 10), 24 * HOUR, 8, (4 * HOUR, 16 * HOUR), policies)


asked = os.environ.get("JOBSOURCE_FLAT_JOBS")
SIZE = Size.of(int(asked) if asked else None)


@virtual_time
def anyio_backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Backend:
    backend: Backend = request.param()
    # The loops keep that many timers that were cancelled: more than all that is looked for here.
    monkeypatch.setattr("trio._core._run.DEADLINE_HEAP_MIN_PRUNE_THRESHOLD", 8, raising=False)
    monkeypatch.setattr("asyncio.base_events._MIN_SCHEDULED_TIMER_HANDLES", 8, raising=False)
    return backend


@attrs.frozen
class Day:
    """What one noon found: bytes in use, and what went on since the last."""

    memory: int
    requests: int
    ended: int

    def __str__(self) -> str:
        return f"{self.memory / 1024:.1f} KiB, {self.requests} requests, {self.ended} jobs ended"


@attrs.define
class Calendar:
    """Days that are all alike."""

    size: Size
    place: Place
    source: HttpSource
    began: float
    ended: int = 0
    days: list[Day] = attrs.field(factory=list[Day])

    @property
    def policy(self) -> PollPolicy:
        return self.size.policies[self.place.system.name]

    async def until(self, day: int, seconds: float) -> None:
        await anyio.sleep_until(self.began + day * self.size.day + seconds)

    async def work(self, random: Random) -> None:
        """Each day the same jobs, one after another: each is given up on once, and then waited for."""
        # On no whole second, and on no tenth of one: what rounding does must not tell one day from another.
        starts = random.randrange(1, int(self.size.day / 50)) + 0.26
        lives = self._lives(random, starts)
        for day in range(self.size.days):
            await self.until(day, starts)
            for number, seconds in enumerate(lives):
                ends = self.place.ends()
                id = self.place.job(seconds, ends[number % len(ends)])
                await self.give_up(id, seconds / 3)
                patience = 2 * self.size.days * self.size.day
                job = await self.source.wait(id, timeout=patience, check=False, policy=self.policy)
                assert job.done
                del self.place.simulator.jobs[id]
                self.ended += 1
        await self.until(self.size.days, 0)

    def _lives(self, random: Random, starts: float) -> Sequence[float]:
        lives: list[float] = []
        left = self.size.day - starts
        while (left := left - (seconds := random.uniform(*self.size.lives)) - self.policy.maximum - 1) > 0:
            lives.append(seconds)
        return lives

    async def give_up(self, id: str, timeout: float) -> None:
        try:
            await self.source.wait(id, timeout=timeout, policy=self.policy)
        except WaitTimeout:
            return
        raise AssertionError("it ended too early")

    async def watch(self) -> None:
        """A job that never ends, with a deadline before all others: those pile up behind it if they can."""
        id, patience = self.place.job(0, None), (1 + self.size.days) * self.size.day
        async for _ in self.source.watch(id, timeout=patience, policy=self.policy):
            pass

    async def look(self) -> None:
        """Each noon, when all are at work, see how much there is."""
        ended = 0
        for day in range(self.size.days):
            await self.until(day, self.size.day / 2)
            requests = len(self.place.way.left)
            self.place.forget()
            tidy()
            found = Day(tracemalloc.get_traced_memory()[0], requests, self.ended - ended)
            ended = self.ended
            self.days.append(found)
            print(f"{self.place.system.name}, day {day}: {found}", flush=True)  # noqa: T201

    async def run(self) -> None:
        random = dice(1)
        async with anyio.create_task_group() as steady:
            for _ in range(self.size.steady):
                steady.start_soon(self.watch)
            async with anyio.create_task_group() as group:
                group.start_soon(self.look)
                for _ in range(self.size.jobs - self.size.steady):
                    group.start_soon(self.work, random)
            steady.cancel_scope.cancel()


def tidy() -> None:
    """Free what is garbage, and the names that C code makes for each lookup, which the interpreter caches."""
    gc.collect()
    for name in ("_clear_internal_caches", "_clear_type_cache"):  # the latter before Python 3.13
        if hasattr(sys, name):
            getattr(sys, name)()
            break
    gc.collect()


@contextmanager
def traced() -> Generator[None, None, None]:
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


@pytest.mark.slow
@pytest.mark.parametrize("system", SOURCES, ids=name_of)
async def test_days_of_polling_leave_everything_as_it_was(system: System) -> None:
    before = Footprint.now()
    assert math.isinf(before.timer)
    with traced():
        place = Place.of(system, 1, journal_limit=100)
        async with place.source() as source:
            calendar = Calendar(SIZE, place, source, anyio.current_time())
            await calendar.run()
            assert source.poller.idle
    assert place.way.flying == 0
    assert Footprint.now() == before
    first, *rest = calendar.days[WARM:]
    assert first.ended >= SIZE.jobs
    # Jobs that share requests move towards each other for some days, so that ends are learnt of sooner.
    spare = 0.1 if Capability.BATCH in source.capabilities else 0
    for day in rest:
        assert abs(day.ended - first.ended) <= spare * first.ended
        assert abs(day.requests - first.requests) <= spare * first.requests
        assert abs(day.memory - first.memory) <= SLACK + PER_JOB * SIZE.jobs
