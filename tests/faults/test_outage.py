"""An outage during thousands of waits: all of them recover, and without a thundering herd."""

from __future__ import annotations

from random import Random

import anyio
import pytest

from common import Job, JobState, PollPolicy
from common.simulator import faults
from common.simulator.faults import Fault
from common.sources.http import HttpSource
from tests.common.scripted import outcome
from tests.common.virtual import Footprint
from tests.contract.systems import SOURCES, System, name_of
from tests.faults.chaos.fault_schedule import WAITS
from tests.faults.chaos.system_under_test import SystemUnderTest

pytestmark = pytest.mark.anyio

POLICY = PollPolicy(initial=5, maximum=30)
JOBS = max(40, WAITS // 3)
OUTAGE_START = 50.0
OUTAGE_DURATION = 150.0
SETTLED = 60.0
"""Seconds of the outage after which backoff has slowed all waits down."""
LATENCY = 0.02
CONCURRENCY = 8
"""The most requests in flight."""
FAULTS = [faults.Reset(), faults.Status(503), faults.RetryAfter(45), faults.Hang()]


async def wait_for_all(
    sut: SystemUnderTest, source: HttpSource, ids: list[str], random: Random
) -> list[Job | Exception]:
    """Wait for every job, each in a task of its own that starts within half a minute."""
    outcomes: list[Job | Exception] = []

    async def wait(id: str, delay: float) -> None:
        await anyio.sleep(delay)
        outcomes.append(await outcome(source.wait(id, timeout=3_000.0, policy=POLICY)))

    before = Footprint.now()
    async with anyio.create_task_group() as group:
        for id in ids:
            group.start_soon(wait, id, random.random() * 30)
    assert source._current_poller().idle
    assert sut.transport.most <= CONCURRENCY
    assert Footprint.now() == before
    return outcomes


async def peak_rates(sut: SystemUnderTest, fault: Fault, waits: int) -> tuple[int, int, int]:
    """Return the most requests a second before an outage, late in it, and after it."""
    random = Random(waits)
    sut.transport.latency = lambda: LATENCY
    began = anyio.current_time()
    until = began + OUTAGE_START + OUTAGE_DURATION

    def during_outage(_: object) -> bool:
        return began + OUTAGE_START <= anyio.current_time() < until

    sut.simulator.inject(during_outage, fault, times=None)
    ids = [
        sut.add_job(OUTAGE_START + OUTAGE_DURATION + 20 + random.random() * 60, JobState.SUCCEEDED)
        for _ in range(waits)
    ]
    async with sut.source(concurrency=CONCURRENCY) as source:
        outcomes = await wait_for_all(sut, source, ids, random)
    assert len(outcomes) == waits
    assert all(isinstance(each, Job) and each.succeeded for each in outcomes)
    sut.simulator.verify()
    peak = sut.transport.peak_rate
    return (
        peak(began, began + OUTAGE_START),
        peak(began + OUTAGE_START + SETTLED, until),
        peak(until),
    )


@pytest.mark.slow
@pytest.mark.parametrize("system", SOURCES, ids=name_of)
@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_after_an_outage_polls_are_spread_over_time(system: System, fault: Fault) -> None:
    sut = SystemUnderTest.create(system, 1)
    before, late, after = await peak_rates(sut, fault, JOBS)
    print(  # noqa: T201
        f"{system.name}, {JOBS} waits, {fault}: at most {before} requests a second before the outage, "
        f"{late} late in it, {after} after it"
    )
    # As many as before, and in addition the requests in flight when the server recovered.
    assert after <= 1.1 * before + CONCURRENCY
    # During the outage the source sent nothing, or polled with backoff.
    assert late <= before / 2 + CONCURRENCY
