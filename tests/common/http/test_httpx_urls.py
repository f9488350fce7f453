"""URLs over httpx: long ones arrive whole, wherever they are parsed."""

from __future__ import annotations

import pytest

from common import JobState, get_all
from common.http.backend import HttpRequest
from common.http.over_httpx import httpx_backend
from ontapjobs import OntapJobs
from ontapjobs.simulator import OntapSimulator
from tests.loopback import Loopback, raw

pytestmark = pytest.mark.anyio
IDS = [f"5d0f3f0e-77aa-11ee-9c31-{number:012x}" for number in range(100)]


@pytest.fixture(params=[False, True], ids=["alone", "mocked"])
def over_httpx(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Requests go by httpx, which is, or may be, replaced below by a mock."""
    mocked: bool = request.param
    monkeypatch.setenv("JOBSOURCE_HTTP", "httpx")
    monkeypatch.setattr(httpx_backend, "is_mocked", lambda: mocked)
    return mocked


@pytest.mark.usefixtures("over_httpx")
async def test_the_ids_of_a_batch_arrive_whole() -> None:
    records = [{"uuid": id, "state": "success"} for id in IDS]
    with Loopback(lambda number, head: raw({"records": records})) as server:
        async with OntapJobs(server.url, auth=("u", "p")) as source:
            jobs = await get_all(source, IDS)
        line = server.heads[0].partition("\r\n")[0]
    assert [getattr(job, "state", job) for job in jobs] == [JobState.SUCCEEDED] * len(IDS)
    assert line == f"GET /api/cluster/jobs?fields=*&uuid={'%7C'.join(IDS)} HTTP/1.1"


async def test_httpx_parses_no_long_url(over_httpx: bool) -> None:
    source = OntapJobs("http://127.0.0.1:9", auth=("u", "p"))
    backend = source._client._loop_state().backend
    assert isinstance(backend, httpx_backend.HttpxBackend)
    for length, whole in ((150, True), (5_000, over_httpx)):
        url = f"http://127.0.0.1:9/api/cluster/jobs?uuid={'a' * length}"
        built = backend._request(HttpRequest("GET", url, {}))
        assert (str(built.url) == url) is whole
    await source.aclose()


async def test_a_simulator_in_memory_gets_long_urls() -> None:
    simulator = OntapSimulator()
    ids = [simulator.add_job([("success", None)]) for _ in range(60)]
    async with OntapJobs("cluster1", auth=("u", "p"), transport=simulator.transport()) as source:
        jobs = await get_all(source, ids)
    assert [getattr(job, "state", job) for job in jobs] == [JobState.SUCCEEDED] * len(ids)
    assert len(simulator.journal) == 1
