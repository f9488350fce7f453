"""``Retry-After`` delays all polls of a source, whichever request it was the response to."""

from __future__ import annotations

import anyio
import pytest

from common import RateLimited
from ontapjobs import OntapJobs
from ontapjobs.simulator import OntapSimulator, faults
from tests.common.scripted import about
from tests.common.virtual import virtual_asyncio
from tests.faults.matrix.cases import BLUEXP, CF, ONTAP, Target, open_rig, run_case

JOBS = "/api/cluster/jobs"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("target", "phase"),
    [
        pytest.param(target, phase, id=f"{target.name}-{phase}")
        for target, phases in (
            (ONTAP, ("act", "list", "start")),
            (BLUEXP, ("list", "start")),
            (CF, ("start",)),
        )
        for phase in phases
    ],
)
@pytest.mark.parametrize("status", [429, 503])
async def test_no_poll_is_sent_before_retry_after_is_over(target: Target, phase: str, status: int) -> None:
    async with open_rig(target) as rig:
        result = await run_case(rig, phase, faults.RetryAfter(30, status=status))
        (limited,) = result.injection.met
        await rig.source.wait(rig.add_job(), timeout=100)
        first = rig.simulator.journal[rig.simulator.journal.index(limited) + 1]
        assert first.at - limited.at >= 30
        rig.simulator.verify()


@pytest.mark.anyio
async def test_retry_after_a_count_delays_polls_by_what_the_error_says() -> None:
    simulator = OntapSimulator()
    id = simulator.add_job([("success", None)])
    simulator.inject(f"GET {JOBS}", faults.RetryAfter(86_400))
    async with OntapJobs("cluster1", auth=("admin", "x"), transport=simulator.transport()) as jobs:
        with pytest.raises(Exception, match="503") as caught:
            await jobs.count()
        assert getattr(caught.value, "retry_after", None) == 120
        await jobs.wait(id, timeout=1000)
    assert simulator.journal[-1].at - simulator.journal[0].at == about(120)
    simulator.verify()


def test_retry_after_delays_no_action_on_another_event_loop() -> None:
    simulator = OntapSimulator()
    jobs = OntapJobs("cluster1", auth=("admin", "x"), transport=simulator.transport())

    async def is_limited() -> None:
        simulator.inject("GET", faults.RetryAfter(100, status=429))
        with pytest.raises(RateLimited):
            await jobs.get(simulator.add_job([("running", None)]))

    async def acts() -> None:
        await jobs.pause(simulator.add_job([("running", None)]))
        assert anyio.current_time() == about(0)
        await jobs.aclose()

    anyio.run(is_limited, backend_options=virtual_asyncio(1e6)[1])
    anyio.run(acts, backend_options=virtual_asyncio()[1])
    simulator.verify()
