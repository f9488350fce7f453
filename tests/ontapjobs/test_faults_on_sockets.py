"""Lost connections on a real socket, and waits that go on, over each HTTP library that a source uses."""

from __future__ import annotations

import pytest

from common import PollPolicy
from common import wait_all
from ontapjobs import OntapJobs
from ontapjobs.simulator import Clock
from ontapjobs.simulator import OntapSimulator
from ontapjobs.simulator import faults

pytestmark = pytest.mark.anyio

QUICK = PollPolicy(initial=0.01, maximum=0.02)


@pytest.mark.parametrize("library", ["httpx", "aiohttp"])
@pytest.mark.parametrize(
    "fault",
    [faults.Reset(), faults.CutBody(), faults.CutBody(30), faults.Refuse(5), faults.Html(502)],
    ids=str,
)
async def test_waits_go_on(library: str, fault: faults.Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    if library == "aiohttp":
        pytest.importorskip("aiohttp")
    monkeypatch.setenv("JOBSOURCE_HTTP", library)
    simulator = OntapSimulator(clock=Clock.scaled(20))
    ids = [simulator.add_job([("running", 4), ("success", None)]) for _ in range(3)]
    simulator.inject("GET", fault, times=2, after=1)
    async with simulator.serve() as url, OntapJobs(url, auth=("admin", "x"), policy=QUICK) as jobs:
        done = await wait_all(jobs, ids, timeout=60)
    assert all(job.succeeded for job in done)
    simulator.verify()
