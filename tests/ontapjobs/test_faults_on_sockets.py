"""Lost connections on a real socket, and waits that go on, over each HTTP library that a source uses."""

from __future__ import annotations

import pytest

from common import Event, PollPolicy, wait_all
from ontapjobs import OntapJobs
from ontapjobs.simulator import Clock, OntapSimulator, faults

pytestmark = pytest.mark.anyio

YEARS = 1e8
QUICK = PollPolicy(initial=0.01, maximum=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("library", ["httpx", "direct"])
@pytest.mark.parametrize(
    "fault",
    [faults.Reset(), faults.CutBody(), faults.CutBody(30), faults.Refuse(5), faults.Html(502)],
    ids=str,
)
async def test_waits_go_on(library: str, fault: faults.Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBSOURCE_HTTP", library)
    simulator = OntapSimulator(clock=Clock.scaled(20))
    ids = [simulator.add_job([("running", YEARS), ("success", None)]) for _ in range(3)]
    injected = simulator.inject("GET", fault, times=2, after=1)

    def end_jobs_once_it_was_met(_: Event) -> None:
        if len(injected.met) == 2 and simulator.clock.now() < YEARS:
            simulator.clock.step(YEARS)

    async with (
        simulator.serve() as url,
        OntapJobs(url, auth=("admin", "x"), policy=QUICK, observer=end_jobs_once_it_was_met) as jobs,
    ):
        done = await wait_all(jobs, ids, timeout=60)
    assert all(job.succeeded for job in done)
    simulator.verify()
