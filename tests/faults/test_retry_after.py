"""``Retry-After`` is a floor for the whole source, whichever request it came in answer to."""

from __future__ import annotations

import anyio
import pytest

from common import RateLimited
from ontapjobs import OntapJobs
from ontapjobs.simulator import OntapSimulator, faults
from tests.common.scripted import about
from tests.common.virtual import virtual_asyncio
from tests.faults.matrix.cases import BLUEXP, CF, ONTAP, Column, attempt, bench

JOBS = "/api/cluster/jobs"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("column", "phase"),
    [
        pytest.param(column, phase, id=f"{column.name}-{phase}")
        for column, phases in (
            (ONTAP, ("act", "list", "start")),
            (BLUEXP, ("list", "start")),
            (CF, ("start",)),
        )
        for phase in phases
    ],
)
@pytest.mark.parametrize("status", [429, 503])
async def test_no_poll_leaves_before_it_is_over(column: Column, phase: str, status: int) -> None:
    async with bench(column) as rig:
        result = await attempt(rig, phase, faults.RetryAfter(30, status=status))
        (refused,) = result.injection.met
        await rig.source.wait(rig.job(), timeout=100)
        first = rig.sim.journal[rig.sim.journal.index(refused) + 1]
        assert first.at - refused.at >= 30
        rig.sim.verify()


@pytest.mark.anyio
async def test_nor_after_a_count_and_the_caller_is_told_the_floor_that_is_kept() -> None:
    sim = OntapSimulator()
    id = sim.add_job([("success", None)])
    sim.inject(f"GET {JOBS}", faults.RetryAfter(86_400))
    async with OntapJobs("cluster1", auth=("admin", "x"), transport=sim.transport()) as jobs:
        with pytest.raises(Exception, match="503") as caught:
            await jobs.count()
        assert getattr(caught.value, "retry_after", None) == 120
        await jobs.wait(id, timeout=1000)
    assert sim.journal[-1].at - sim.journal[0].at == about(120)
    sim.verify()


def test_a_floor_of_another_event_loop_holds_no_action() -> None:
    sim = OntapSimulator()
    jobs = OntapJobs("cluster1", auth=("admin", "x"), transport=sim.transport())

    async def limited() -> None:
        sim.inject("GET", faults.RetryAfter(100, status=429))
        with pytest.raises(RateLimited):
            await jobs.get(sim.add_job([("running", None)]))

    async def acts() -> None:
        await jobs.pause(sim.add_job([("running", None)]))
        assert anyio.current_time() == about(0)
        await jobs.aclose()

    anyio.run(limited, backend_options=virtual_asyncio(1e6)[1])
    anyio.run(acts, backend_options=virtual_asyncio()[1])
    sim.verify()
