"""Restarts under faults: with what a killed process had saved, the next one loses no job."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

import anyio
import pytest

from common import (
    Job,
    JobGone,
    JobLike,
    JobNotFound,
    JobRef,
    JobState,
    PollPolicy,
    as_completed,
    from_dict,
    to_dict,
)
from common.sources.http import HttpSource
from tests.common.scripted import outcome
from tests.common.virtual import Footprint
from tests.contract.systems import SOURCES, System, name_of
from tests.faults.chaos.fault_schedule import SEEDS, WAITS, schedule_transient_faults
from tests.faults.chaos.system_under_test import SystemUnderTest

pytestmark = pytest.mark.anyio

POLICY = PollPolicy(initial=1, maximum=15)
MAX_LIFETIME = 5_000.0
"""Virtual seconds within which every process here ends."""


def save_ref(ref: JobRef, last: Job | None) -> str:
    del last
    return str(ref)


def save_job(ref: JobRef, last: Job | None) -> str:
    return str(ref) if last is None else json.dumps(to_dict(last))


Save = Callable[[JobRef, Job | None], str]
"""Turns a ref and the job's last observation into the text that is saved."""


def load(text: str) -> JobLike:
    return from_dict(json.loads(text)) if text.startswith("{") else text


class Storage:
    """What outlives a process: the jobs that it still waits for, and the ends that it learnt of."""

    def __init__(self, save: Save) -> None:
        self.save = save
        self.pending: dict[str, str] = {}
        self.ends: dict[str, list[Job | Exception]] = {}

    def add(self, ref: JobRef, last: Job | None = None) -> None:
        self.pending[ref.id] = self.save(ref, last)

    def end(self, ref: JobRef, ended: Job | Exception) -> None:
        del self.pending[ref.id]
        self.ends.setdefault(ref.id, []).append(ended)


async def watch(source: HttpSource, storage: Storage, job: JobLike) -> None:
    """Wait for one job, and save each change when it is seen."""
    ref = source.ref(job)
    try:
        async for seen in source.watch(job, timeout=MAX_LIFETIME, policy=POLICY):
            if not seen.done:
                storage.add(ref, seen)
            else:
                storage.end(ref, seen)
    except (JobGone, JobNotFound) as error:
        storage.end(ref, error)


async def run_process(sut: SystemUnderTest, storage: Storage, lifetime: float, *, together: bool) -> None:
    """Wait for all pending jobs until all have ended, or the process is killed after ``lifetime`` seconds."""
    before = Footprint.now()
    async with sut.source() as source:
        with anyio.move_on_after(lifetime):
            jobs = [load(text) for text in storage.pending.values()]
            if together:
                async with as_completed(source, jobs, timeout=MAX_LIFETIME, policy=POLICY) as completed:
                    async for ended in completed:
                        assert ended.ref is not None
                        storage.end(ended.ref, ended)
            else:
                async with anyio.create_task_group() as group:
                    for job in jobs:
                        group.start_soon(watch, source, storage, job)
        assert source._current_poller().idle
    assert sut.transport.in_flight == 0
    assert Footprint.now() == before


@pytest.mark.slow
@pytest.mark.parametrize("system", SOURCES, ids=name_of)
@pytest.mark.parametrize("save", [save_ref, save_job])
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_restarts_under_faults_lose_no_job_and_report_none_twice(
    system: System, save: Save, seed: int
) -> None:
    random = Random(f"{system.name}/{seed}")
    # The server keeps its jobs until the last process has read them; a test below has one that does not.
    options: dict[str, Any] = {} if system.name == "cf" else {"retention": 1e6}
    sut = SystemUnderTest.create(system, seed, **options)
    sut.transport.latency = lambda: random.choice([0.05, 0.5, 2.0])
    schedule_transient_faults(random, sut)
    storage = Storage(save)
    expected: dict[str, JobState] = {}
    async with sut.source() as source:
        for _ in range(max(4, WAITS // 4)):
            end = random.choice(sut.terminal_states())
            id = sut.add_job(random.choice([1.0, 30.0, 200.0, random.random() * 600]), end)
            expected[id] = end
            storage.add(source.ref(id))
    with anyio.fail_after(3 * MAX_LIFETIME):
        for _ in range(random.choice([1, 3, 8])):
            await run_process(
                sut, storage, random.choice([0.0, 0.3, 5.0, 80.0]), together=random.random() < 0.5
            )
            await anyio.sleep(random.choice([0.0, 1.0, 60.0, 250.0]))
        await run_process(sut, storage, MAX_LIFETIME, together=random.random() < 0.5)
    assert not storage.pending
    assert storage.ends.keys() == expected.keys()
    history = sut.history()
    for id, ends in storage.ends.items():
        [ended] = ends
        assert isinstance(ended, Job), ended
        assert ended.state is expected[id]
        assert history.state_reported(id, ended.state, anyio.current_time())


@pytest.mark.slow
@pytest.mark.parametrize("save", [save_ref, save_job])
async def test_a_job_that_the_server_deleted_between_two_processes_is_no_success(save: Save) -> None:
    system = next(system for system in SOURCES if system.name == "ontap")
    sut = SystemUnderTest.create(system, 1)  # ONTAP keeps a job for 300 s after its end
    storage = Storage(save)
    async with sut.source() as source:
        for seconds in (20.0, 2_000.0):
            storage.add(source.ref(sut.add_job(seconds, JobState.SUCCEEDED)))
    short, long = storage.pending
    await run_process(sut, storage, 10.0, together=False)
    await anyio.sleep(600.0)
    await run_process(sut, storage, MAX_LIFETIME, together=False)
    [[deleted], [ended]] = storage.ends[short], storage.ends[long]
    assert type(deleted) is (JobGone if save is save_job else JobNotFound)
    assert isinstance(ended, Job)
    assert ended.succeeded


@pytest.mark.slow
@pytest.mark.parametrize("system", SOURCES, ids=name_of)
async def test_a_wait_that_resumes_from_a_job_does_not_poll_fast_again(system: System) -> None:
    sut = SystemUnderTest.create(system, 1)
    id = sut.add_job(5_000.0, JobState.SUCCEEDED)
    policy = PollPolicy(initial=1, maximum=60)
    async with sut.source() as source:
        with anyio.move_on_after(1_000.0):
            await source.wait(id, policy=policy)
        text = json.dumps(to_dict(await source.get(id)))
    reads_before = len(sut.transport.job_reads)
    async with sut.source() as source:
        ended = await outcome(source.wait(from_dict(json.loads(text)), timeout=500.0, policy=policy))
    assert not isinstance(ended, Job)
    assert len(sut.transport.job_reads) - reads_before <= 1 + 500 / 60
