"""ONTAP's own trouble, injected, and what a source makes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import httpx
import pytest

from common import ActionUncertain, JobGone, JobState, TransportError, wait_all
from ontapjobs import OntapJobs
from ontapjobs.simulator import Match, OntapSimulator, faults

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

JOBS = "/api/cluster/jobs"
RUN = [("running", 20.0), ("success", None)]


def connect(sim: OntapSimulator, **options: Any) -> OntapJobs:
    return OntapJobs("cluster1", auth=("admin", "x"), transport=sim.transport(), **options)


async def listed(sim: OntapSimulator, query: str = "") -> list[tuple[int, bool]]:
    """The sizes of the pages, and whether each names another one."""
    pages: list[tuple[int, bool]] = []
    async with httpx.AsyncClient(transport=sim.transport(), base_url="https://sim") as http:
        url = f"{JOBS}{query}"
        while url:
            page = (await http.get(url)).json()
            url = page["_links"].get("next", {}).get("href")
            pages.append((page["num_records"], url is not None))
    return pages


async def test_a_page_that_ends_early_names_the_next() -> None:
    sim = OntapSimulator(page_size=3)
    for _ in range(5):
        sim.add_job([("running", None)])
    assert await listed(sim) == [(3, True), (2, False)]
    sim.inject(f"GET {JOBS}", faults.ShortPage(1))
    assert await listed(sim) == [(1, True), (3, True), (1, False)]
    sim.inject(f"GET {JOBS}", faults.ShortPage(), times=3)
    assert await listed(sim) == [(0, True), (1, True), (1, True), (3, False)]


async def test_an_ignored_filter_gives_everything() -> None:
    sim = OntapSimulator()
    ids = [sim.add_job([("running", None)]) for _ in range(3)]
    sim.inject(Match(query={"uuid": "*"}), faults.IgnoreFilter())
    sim.inject(Match(query={"state": "*"}), faults.IgnoreFilter("state"))
    assert await listed(sim, f"?uuid={ids[0]}") == [(3, False)]
    assert await listed(sim, "?state=queued") == [(3, False)]
    assert await listed(sim, f"?uuid={ids[0]}") == [(1, False)]


TROUBLE: dict[str, Callable[[], list[faults.Fault]]] = {
    "busy, in seconds": lambda: [faults.RetryAfter(5)],
    "busy, until a date": lambda: [faults.RetryAfter(5, date=True)],
    "too many requests": lambda: [faults.Status(429, body={"error": {"message": "slow", "code": "1"}})],
    "a proxy's page": lambda: [faults.Html(504)],
    "a delay": lambda: [faults.Delay(3)],
    "a hang": lambda: [faults.Hang()],
    "cut": lambda: [faults.CutBody(20)],
    "reset": lambda: [faults.Reset()],
    "refused": lambda: [faults.Refuse(12)],
    "another content type": lambda: [faults.ContentType("text/plain")],
    "a short page": lambda: [faults.ShortPage()],
    "a stale page": lambda: [faults.Stale(30)],
    "no filter": lambda: [faults.IgnoreFilter()],
}


@pytest.mark.slow
@pytest.mark.parametrize("trouble", TROUBLE.values(), ids=TROUBLE)
@pytest.mark.parametrize("after", [0, 2])
async def test_waits_bear_with_trouble_in_the_collection(
    trouble: Callable[[], list[faults.Fault]], after: int
) -> None:
    sim = OntapSimulator(seed=1)
    ids = [sim.add_job(RUN) for _ in range(5)]
    sim.inject(f"GET {JOBS}", *trouble(), times=2, after=after)
    async with connect(sim) as jobs:
        done = await wait_all(jobs, ids, timeout=300)
    assert [job.state for job in done] == [JobState.SUCCEEDED] * 5
    sim.verify()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
async def test_waits_end_whatever_happens_now_and_then(seed: int) -> None:
    sim = OntapSimulator(seed=seed, page_size=3)
    ids = [sim.add_job([("queued", n), ("running", 10.0 * n), ("success", None)]) for n in range(1, 9)]
    for make in TROUBLE.values():
        sim.inject(f"GET {JOBS}", *make(), times=None, probability=0.05)
        if make is not TROUBLE["a stale page"]:  # a job's own 404 is ONTAP's word
            sim.inject(f"GET {JOBS}/*", *make(), times=None, probability=0.05)
    async with connect(sim, request_timeout=10) as jobs:
        done = await wait_all(jobs, ids, timeout=3600)
    assert all(job.succeeded for job in done)


async def test_a_job_that_vanishes_early_is_gone() -> None:
    sim = OntapSimulator()
    id = sim.add_job([("running", None)])
    sim.inject(Match(job=id), faults.Forget(), after=2)
    async with connect(sim) as jobs:
        with pytest.raises(JobGone):
            await jobs.wait(id, timeout=300)
    sim.verify()


@pytest.mark.parametrize("acts", [True, False])
async def test_an_action_whose_reply_is_lost_is_uncertain(acts: bool) -> None:
    sim = OntapSimulator()
    id = sim.add_job([("running", None)])
    sim.inject("PATCH", faults.Reset(acts=acts))
    async with connect(sim) as jobs:
        with pytest.raises(ActionUncertain):
            await jobs.pause(id)
        await anyio.sleep(5)
        assert (await jobs.get(id)).state is (JobState.PAUSED if acts else JobState.RUNNING)
    assert [entry.method for entry in sim.journal].count("PATCH") == 1


async def test_a_refused_connection_is_no_uncertain_action() -> None:
    sim = OntapSimulator()
    id = sim.add_job([("running", None)])
    sim.inject("PATCH", faults.Refuse(60))
    async with connect(sim) as jobs:
        with pytest.raises(TransportError):
            await jobs.pause(id)


def test_there_are_no_tokens_that_could_expire() -> None:
    with pytest.raises(ValueError, match="OntapSimulator has no tokens"):
        OntapSimulator().inject(None, faults.ExpireTokens())
