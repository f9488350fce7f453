"""A process that restarts in the middle of a storm: what it wrote down is enough to lose nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from common import Job
from common import JobGone
from common import JobLike
from common import JobNotFound
from common import JobRef
from common import JobState
from common import PollPolicy
from common import as_completed
from common import from_dict
from common import to_dict
from common.chance import dice
from common.httpsource import HttpSource
from tests.common.scripted import outcome
from tests.common.virtual import Footprint
from tests.contract.systems import System
from tests.contract.systems import name_of
from tests.faults.weather import SEEDS
from tests.faults.weather import SOURCES
from tests.faults.weather import WAITS
from tests.faults.weather import Place
from tests.faults.weather import brew

pytestmark = pytest.mark.anyio

POLICY = PollPolicy(initial=1, maximum=15)
LONGEST = 5_000.0
"""Seconds, virtual ones, after which every process here has come to its end."""


def text_of_ref(ref: JobRef, last: Job | None) -> str:
    del last
    return str(ref)


def text_of_job(ref: JobRef, last: Job | None) -> str:
    return str(ref) if last is None else json.dumps(to_dict(last))


Write = Callable[[JobRef, Job | None], str]


def read(text: str) -> JobLike:
    return from_dict(json.loads(text)) if text.startswith("{") else text


class Disk:
    """What outlives a process: the waits that it has not done with, and the ends that it learnt of."""

    def __init__(self, write: Write) -> None:
        self.write = write
        self.parked: dict[str, str] = {}
        self.ends: dict[str, list[Job | Exception]] = {}

    def park(self, ref: JobRef, last: Job | None = None) -> None:
        self.parked[ref.id] = self.write(ref, last)

    def end(self, ref: JobRef, ended: Job | Exception) -> None:
        del self.parked[ref.id]
        self.ends.setdefault(ref.id, []).append(ended)


async def watch(source: HttpSource, disk: Disk, job: JobLike) -> None:
    """Wait for one job, and write down each change as it comes."""
    ref = source.ref(job)
    try:
        async for seen in source.watch(job, timeout=LONGEST, policy=POLICY):
            if not seen.done:
                disk.park(ref, seen)
            else:
                disk.end(ref, seen)
    except (JobGone, JobNotFound) as error:
        disk.end(ref, error)


async def process(place: Place, disk: Disk, lives: float, *, together: bool) -> None:
    """One process: waits for all that is parked, until it has all of it or is killed."""
    before = Footprint.now()
    async with place.source() as source:
        with anyio.move_on_after(lives):
            jobs = [read(text) for text in disk.parked.values()]
            if together:
                async with as_completed(source, jobs, timeout=LONGEST, policy=POLICY) as done:
                    async for ended in done:
                        assert ended.ref is not None
                        disk.end(ended.ref, ended)
            else:
                async with anyio.create_task_group() as group:
                    for job in jobs:
                        group.start_soon(watch, source, disk, job)
        assert source.poller.idle
    assert place.way.flying == 0
    assert Footprint.now() == before


@pytest.mark.slow
@pytest.mark.parametrize("system", SOURCES, ids=name_of)
@pytest.mark.parametrize("write", [text_of_ref, text_of_job])
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_restarts_in_a_storm_lose_no_job_and_tell_of_none_twice(
    system: System, write: Write, seed: int
) -> None:
    random = dice(f"{system.name}/{seed}")
    # A server that keeps its jobs until the last process has asked for them; the other one comes below.
    kept: dict[str, Any] = {} if system.name == "cf" else {"retention": 1e6}
    place = Place.of(system, seed, **kept)
    place.way.latency = lambda: random.choice([0.05, 0.5, 2.0])
    brew(random, place)
    disk = Disk(write)
    truth: dict[str, JobState] = {}
    async with place.source() as source:
        for _ in range(max(4, WAITS // 4)):
            end = random.choice(place.ends())
            id = place.job(random.choice([1.0, 30.0, 200.0, random.random() * 600]), end)
            truth[id] = end
            disk.park(source.ref(id))
    with anyio.fail_after(3 * LONGEST):
        for _ in range(random.choice([1, 3, 8])):
            await process(place, disk, random.choice([0.0, 0.3, 5.0, 80.0]), together=random.random() < 0.5)
            await anyio.sleep(random.choice([0.0, 1.0, 60.0, 250.0]))
        await process(place, disk, LONGEST, together=random.random() < 0.5)
    assert not disk.parked
    assert disk.ends.keys() == truth.keys()
    evidence = place.evidence()
    for id, ends in disk.ends.items():
        [ended] = ends
        assert isinstance(ended, Job), ended
        assert ended.state is truth[id]
        assert evidence.ever(id, ended.state, anyio.current_time())


@pytest.mark.parametrize("write", [text_of_ref, text_of_job])
async def test_a_job_that_was_forgotten_between_two_processes_is_no_success(write: Write) -> None:
    system = next(system for system in SOURCES if system.name == "ontap")
    place = Place.of(system, 1)  # which keeps a job for 300 s after its end
    disk = Disk(write)
    async with place.source() as source:
        for seconds in (20.0, 2_000.0):
            disk.park(source.ref(place.job(seconds, JobState.SUCCEEDED)))
    short, long = disk.parked
    await process(place, disk, 10.0, together=False)
    await anyio.sleep(600.0)
    await process(place, disk, LONGEST, together=False)
    [[forgotten], [ended]] = disk.ends[short], disk.ends[long]
    assert type(forgotten) is (JobGone if write is text_of_job else JobNotFound)
    assert isinstance(ended, Job)
    assert ended.succeeded


@pytest.mark.parametrize("system", SOURCES, ids=name_of)
async def test_a_wait_that_goes_on_from_a_job_does_not_start_fast_again(system: System) -> None:
    place = Place.of(system, 1)
    id = place.job(5_000.0, JobState.SUCCEEDED)
    policy = PollPolicy(initial=1, maximum=60)
    async with place.source() as source:
        with anyio.move_on_after(1_000.0):
            await source.wait(id, policy=policy)
        text = json.dumps(to_dict(await source.get(id)))
    asked = len(place.way.left)
    async with place.source() as source:
        ended = await outcome(source.wait(from_dict(json.loads(text)), timeout=500.0, policy=policy))
    assert not isinstance(ended, Job)
    assert len(place.way.left) - asked <= 1 + 500 / 60
