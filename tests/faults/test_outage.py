"""An outage under thousands of waits: all go on after it, and they do not come back as a herd."""

from __future__ import annotations

from random import Random

import anyio
import pytest

from common import Job
from common import JobState
from common import PollPolicy
from common.chance import dice
from common.httpsource import HttpSource
from common.simulator import faults
from common.simulator.faults import Fault
from tests.common.scripted import outcome
from tests.common.virtual import Footprint
from tests.contract.systems import System
from tests.contract.systems import name_of
from tests.faults.weather import SOURCES
from tests.faults.weather import WAITS
from tests.faults.weather import Place

pytestmark = pytest.mark.anyio

POLICY = PollPolicy(initial=5, maximum=30)
CROWD = max(40, WAITS // 3)
BEGINS = 50.0
LASTS = 150.0
SETTLED = 60.0
"""Seconds after which backoff has slowed all waits down."""
LATENCY = 0.02
AT_ONCE = 8
"""Requests in flight, at most."""
TROUBLES = [faults.Reset(), faults.Status(503), faults.RetryAfter(45), faults.Hang()]


async def crowd(place: Place, source: HttpSource, ids: list[str], random: Random) -> list[Job | Exception]:
    """Wait for every job; the waits begin within half a minute."""
    ended: list[Job | Exception] = []

    async def one(id: str, starts: float) -> None:
        await anyio.sleep(starts)
        ended.append(await outcome(source.wait(id, timeout=3_000.0, policy=POLICY)))

    before = Footprint.now()
    async with anyio.create_task_group() as group:
        for id in ids:
            group.start_soon(one, id, random.random() * 30)
    assert source.poller.idle
    assert place.way.most <= AT_ONCE
    assert Footprint.now() == before
    return ended


async def peaks(place: Place, trouble: Fault, waits: int) -> tuple[int, int, int]:
    """The most requests a second before an outage, late in it, and after it."""
    random = dice(waits)
    place.way.latency = lambda: LATENCY
    began = anyio.current_time()
    until = began + BEGINS + LASTS

    def down(_: object) -> bool:
        return began + BEGINS <= anyio.current_time() < until

    place.simulator.inject(down, trouble, times=None)
    ids = [place.job(BEGINS + LASTS + 20 + random.random() * 60, JobState.SUCCEEDED) for _ in range(waits)]
    async with place.source(concurrency=AT_ONCE) as source:
        ended = await crowd(place, source, ids, random)
    assert len(ended) == waits
    assert all(isinstance(each, Job) and each.succeeded for each in ended)
    place.simulator.verify()
    peak = place.way.peak
    return peak(began, began + BEGINS), peak(began + BEGINS + SETTLED, until), peak(until)


@pytest.mark.slow
@pytest.mark.parametrize("system", SOURCES, ids=name_of)
@pytest.mark.parametrize("trouble", TROUBLES, ids=str)
async def test_after_an_outage_waits_come_back_spread_over_time(system: System, trouble: Fault) -> None:
    place = Place.of(system, 1)
    before, late, after = await peaks(place, trouble, CROWD)
    print(  # noqa: T201
        f"{system.name}, {CROWD} waits, {trouble}: at most "
        f"{before} requests a second before, {late} late in it, {after} afterwards"
    )
    # As many as before; those that were under way when the server came back are on top of it.
    assert after <= 1.1 * before + AT_ONCE
    # The server was left alone meanwhile, or asked by backoff.
    assert late <= before / 2 + AT_ONCE
