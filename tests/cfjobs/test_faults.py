"""Cloud Foundry's own trouble, injected, and what a source makes of it."""

from __future__ import annotations

import httpx
import pytest

from cfjobs import CFJobs, JobGone
from cfjobs.simulator import CFSimulator, Match, faults
from common import AuthenticationError, Bearer

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

LIMITED = {"errors": [{"code": 10013, "title": "CF-RateLimitExceeded", "detail": "Rate Limit Exceeded"}]}


def connect(sim: CFSimulator, auth: Bearer | None = None) -> CFJobs:
    return CFJobs("https://api.example.org", auth=auth or Bearer("t"), transport=sim.transport())


async def test_a_late_429_is_kept_to() -> None:
    sim = CFSimulator()
    guid = sim.add_job([("PROCESSING", 5), ("COMPLETE", None)])
    met = sim.inject(Match(job=guid), faults.RetryAfter(40, status=429))
    async with connect(sim) as jobs:
        await jobs.wait(guid, timeout=600)
    first, second = sim.journal
    assert [first] == met.met
    assert second.at - first.at >= 40


async def test_an_expired_token_costs_one_401() -> None:
    sim = CFSimulator()
    guid = sim.add_job([("PROCESSING", 30), ("COMPLETE", None)])

    async def token() -> str:
        async with httpx.AsyncClient(transport=sim.transport(), base_url="https://api.example.org") as http:
            reply = await http.post("/oauth/token", data={"grant_type": "client_credentials"})
        return str(reply.json()["access_token"])

    sim.inject("GET /v3/jobs/*", faults.ExpireTokens(), after=2)
    async with connect(sim, Bearer(token)) as jobs:
        assert (await jobs.wait(guid, timeout=600)).succeeded
    sim.verify()
    assert [entry.status for entry in sim.journal].count(401) == 1


async def test_a_token_that_cannot_be_renewed_ends_the_wait() -> None:
    sim = CFSimulator()
    guid = sim.add_job([("PROCESSING", None)])
    sim.inject("GET", faults.ExpireTokens(), after=2)
    async with connect(sim, Bearer("mine")) as jobs:
        with pytest.raises(AuthenticationError):
            await jobs.wait(guid, timeout=600)


async def test_a_job_that_vanishes_early_is_gone() -> None:
    sim = CFSimulator()
    guid = sim.add_job([("PROCESSING", None)])
    sim.inject("GET", faults.Forget(guid), after=1)
    async with connect(sim) as jobs:
        with pytest.raises(JobGone):
            await jobs.wait(guid, timeout=600)


def test_there_are_no_lists_that_could_be_wrong() -> None:
    for fault in (faults.ShortPage(), faults.IgnoreFilter("x")):
        with pytest.raises(ValueError, match="CFSimulator has no"):
            CFSimulator().inject(None, fault)
