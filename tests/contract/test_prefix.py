"""An endpoint with a path, behind a gateway or a proxy: every system works below it, and stays there."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
import pytest

from bluexp_jobs import BlueXPJobs
from bluexp_jobs.simulator import BlueXPSimulator
from cfjobs import CFJobs, UAAPassword
from cfjobs.simulator import CFSimulator
from common import Bearer, Fleet, JobNotFound, JobRef, JobState, WrongSource, connect, wait_all
from common.simulator.simulator import Simulator
from common.sources.http import HttpSource
from ontapjobs import OntapJobs
from ontapjobs.simulator import OntapSimulator

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

GATEWAY = "/api/gateways/1cd8a442-86d1-11e0-ae1c-9876567890123"
HOST = "https://um.example.com"
WRITES = {
    "ontap": ("DELETE", "/api/storage/volumes/1"),
    "bluexp": ("POST", "/backup/working-environment/we-1"),
    "cf": ("DELETE", "/v3/apps/1"),
}
SIMULATORS: dict[str, type[Simulator]] = {
    "ontap": OntapSimulator,
    "bluexp": BlueXPSimulator,
    "cf": CFSimulator,
}
ENDS = {"ontap": "success", "bluexp": "COMPLETED", "cf": "COMPLETE"}


class Watched(httpx.AsyncBaseTransport):
    """A transport that notes which paths were asked for, as they are outside."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner
        self.paths: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.paths.append(request.url.raw_path.decode())
        return await self._inner.handle_async_request(request)


@asynccontextmanager
async def behind(provider: str, prefix: str) -> AsyncGenerator[tuple[HttpSource, Simulator, Watched]]:
    simulator = SIMULATORS[provider](prefix=prefix)
    wire, endpoint = Watched(simulator.transport()), HOST + prefix
    source: HttpSource
    if provider == "ontap":
        source = OntapJobs(endpoint, auth=("u", "p"), transport=wire)
    elif provider == "cf":
        source = CFJobs(endpoint, auth=UAAPassword("u", "p"), transport=wire)
    else:
        source = BlueXPJobs(account="a", agent="g", endpoint=endpoint, auth=Bearer("t"), transport=wire)
    async with source:
        yield source, simulator, wire


@pytest.mark.parametrize("prefix", [GATEWAY, "/proxy", "/a/b.c/d"])
@pytest.mark.parametrize("provider", WRITES)
async def test_a_write_and_its_job_go_below_the_path(provider: str, prefix: str) -> None:
    async with behind(provider, prefix) as (source, _, wire):
        started = await source.start(*WRITES[provider])
        job = await source.wait(started.refs[0])
    assert job.state is JobState.SUCCEEDED
    assert job.ref.endpoint == HOST + prefix
    assert JobRef.parse(str(job.ref)) == job.ref
    assert [path for path in wire.paths if not path.startswith(f"{prefix}/")] == []
    assert all(HOST not in href or href.startswith(HOST + prefix) for href in job.links.values())


@pytest.mark.parametrize("prefix", [GATEWAY, "/proxy"])
async def test_a_sweep_and_its_pages_go_below_the_path(prefix: str) -> None:
    async with behind("ontap", prefix) as (source, simulator, wire):
        assert isinstance(simulator, OntapSimulator)
        simulator.page_size = 2
        ids = [simulator.add_job([("running", 2), ("success", None)]) for _ in range(5)]
        ended = await wait_all(source, ids)
        listed = [job.id async for job in source.list()]
    assert [job.state for job in ended] == [JobState.SUCCEEDED] * 5
    assert sorted(listed) == sorted(ids)
    root = prefix if prefix == GATEWAY else f"{prefix}/api"
    assert {path.partition("?")[0] for path in wire.paths} == {f"{root}/cluster/jobs"}
    assert [path for path in wire.paths if "start.uuid" in path]


def test_a_gateway_takes_the_place_of_ontaps_own_root() -> None:
    source = OntapJobs(HOST + GATEWAY, auth=("u", "p"))
    ref = source.ref("b5145e1d-9a53-11ee-9a2b-005056bb6d11")
    assert str(ref) == f"ontap://um.example.com{GATEWAY}//{ref.id}"
    assert source._driver.locate("/api/cluster/jobs/1?fields=*") == "/cluster/jobs/1?fields=*"
    assert source._driver.locate("/apis") == "/apis"
    plain = OntapJobs(f"{HOST}/proxy", auth=("u", "p"))
    assert plain._driver.locate("/api/cluster/jobs") == "/api/cluster/jobs"


async def test_two_clusters_behind_one_gateway_are_two_systems() -> None:
    other = f"{HOST}/api/gateways/another"
    async with behind("ontap", GATEWAY) as (source, simulator, _):
        id = simulator.add_job([("success", None)])
        async with OntapJobs(other, auth=("u", "p"), transport=simulator.transport()) as foreign:
            fleet = Fleet([source, foreign])
            assert (await fleet.get(source.ref(id))).succeeded
            with pytest.raises(WrongSource, match="aliases="):
                await source.get(foreign.ref(id))
            with pytest.raises(WrongSource):
                await source.get(f"ontap://um.example.com/{id}")


@pytest.mark.parametrize("provider", WRITES)
async def test_a_job_that_is_not_there_is_not_found_below_the_path_too(provider: str) -> None:
    async with behind(provider, "/proxy") as (source, _, _):
        with pytest.raises(JobNotFound):
            await source.wait("3ab6d3b5-1111-4a2b-8d54-5d2a3f0a0f11")


@pytest.mark.parametrize(
    "target",
    [
        f"ontap://um.example.com{GATEWAY}",
        f"ontap://um.example.com{GATEWAY}/",
        f"ontap://um.example.com{GATEWAY}//",
        f"ontap://um.example.com{GATEWAY}//b5145e1d",
    ],
)
def test_a_url_names_a_system_behind_a_gateway(target: str) -> None:
    assert connect(target, auth=("u", "p")).endpoint == HOST + GATEWAY


def test_a_short_path_needs_its_two_slashes() -> None:
    assert connect("cf://h/cf//", token="t").endpoint == "https://h/cf"
    assert connect("cf+http://127.0.0.1/a/b//", token="t").endpoint == "http://127.0.0.1/a/b"
