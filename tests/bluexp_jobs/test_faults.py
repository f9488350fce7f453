"""BlueXP's own trouble, injected, and what a source makes of it."""

from __future__ import annotations

import pytest

from bluexp_jobs import BlueXPJobs, JobGone, ServiceAccount
from bluexp_jobs.simulator import BlueXPSimulator, faults
from common import Bearer

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]


def connect(sim: BlueXPSimulator, auth: Bearer | ServiceAccount | None = None) -> BlueXPJobs:
    return BlueXPJobs(
        account=sim.account, agent=sim.agent, auth=auth or Bearer("t"), transport=sim.transport()
    )


async def test_a_filter_that_is_ignored() -> None:
    sim = BlueXPSimulator()
    for state in ("FAILED", "COMPLETED"):
        sim.add_job([(state, None)], id=state)
    sim.inject("GET", faults.IgnoreFilter("status"))
    async with connect(sim) as jobs:
        assert [[job.id async for job in jobs.list(status="FAILED")] for _ in range(2)] == [
            ["FAILED", "COMPLETED"],
            ["FAILED"],
        ]
    with pytest.raises(ValueError, match="no filter by id"):
        sim.inject("GET", faults.IgnoreFilter())
    with pytest.raises(ValueError, match="no pages"):
        sim.inject("GET", faults.ShortPage())


async def test_an_expired_token_is_renewed() -> None:
    sim = BlueXPSimulator(clients={"id": "secret"}, strict=True)
    id = sim.add_job([("IN_PROGRESS", 30), ("COMPLETED", None)])
    sim.inject("GET *job*", faults.ExpireTokens(), after=2)
    async with connect(sim, ServiceAccount("id", "secret")) as jobs:
        assert (await jobs.wait(id, timeout=600)).succeeded
    sim.verify()
    assert [entry.path for entry in sim.journal].count("/oauth/token") == 2


async def test_a_job_that_vanishes_early_is_gone() -> None:
    sim = BlueXPSimulator()
    id = sim.add_job([("IN_PROGRESS", None)])
    sim.inject("GET", faults.Forget(), after=1)
    async with connect(sim) as jobs:
        with pytest.raises(JobGone):
            await jobs.wait(id, timeout=600)
