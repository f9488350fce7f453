"""URLs over httpx: long ones arrive whole, wherever they are parsed."""

from __future__ import annotations

import httpx
import pytest

from common import JobState, get_all
from common.http.backend import HttpRequest
from common.http.over_httpx import httpx_backend
from common.http.over_httpx.own_requests import KEPT_URLS, OwnRequests
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


async def test_a_bounded_number_of_urls_is_kept_parsed() -> None:
    requests = OwnRequests(httpx, alone=True, proxied=False)
    for number in range(3 * KEPT_URLS):
        built = requests.build(HttpRequest("GET", f"http://127.0.0.1:9/{number}", {}))
        assert str(built.url) == f"http://127.0.0.1:9/{number}"
        assert len(requests._parsed) <= KEPT_URLS


async def test_headers_that_are_added_to_one_request_are_not_in_the_next() -> None:
    requests = OwnRequests(httpx, alone=True, proxied=False)
    for number in range(3):
        built = requests.build(HttpRequest("GET", "http://127.0.0.1:9/a", {"X-A": "b"}))
        assert built.headers == {"host": "127.0.0.1:9", "x-a": "b"}
        built.headers["traceparent"] = str(number)


async def test_requests_in_turn_have_their_own_targets_headers_and_bodies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("JOBSOURCE_HTTP", "httpx")
    with Loopback(lambda number, head: raw({"number": number})) as server:
        async with OntapJobs(server.url, auth=("u", "p")) as source:
            send = source._client.send
            for path in ("/a", "/b?c=d"):
                await send("GET", path)
            await send("POST", "/a")
            await send("POST", "/a", json={"e": "f"})
            await send("POST", "/a", headers={"X-G": "h"})
            await send("GET", "/a", headers={"X-G": "h"})
            await send("GET", "/a")
    heads = [head.partition("\r\n") for head in server.heads]
    lines = [line.removesuffix(" HTTP/1.1") for line, _, _ in heads]
    assert lines == ["GET /a", "GET /b?c=d", "POST /a", "POST /a", "POST /a", "GET /a", "GET /a"]
    first, second, empty, full, marked, marked_get, last = (rest.lower() for _, _, rest in heads)
    assert first == second == last
    assert "content-length" not in first
    assert "x-g: h" not in first + empty + full
    assert "content-length: 0\r\n" in empty
    assert "content-length: 0\r\n" in marked
    assert "content-length: 10\r\n" in full
    assert "x-g: h" in marked
    assert "x-g: h" in marked_get
    for head in (first, empty, full, marked, marked_get):
        assert head.count("host: ") == head.count("authorization: ") == 1


async def test_a_simulator_in_memory_gets_long_urls() -> None:
    simulator = OntapSimulator()
    ids = [simulator.add_job([("success", None)]) for _ in range(60)]
    async with OntapJobs("cluster1", auth=("u", "p"), transport=simulator.transport()) as source:
        jobs = await get_all(source, ids)
    assert [getattr(job, "state", job) for job in jobs] == [JobState.SUCCEEDED] * len(ids)
    assert len(simulator.journal) == 1
