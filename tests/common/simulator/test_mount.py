"""A simulator below a path: what it sees, what it answers, and what is not there."""

from __future__ import annotations

import httpx
import pytest

from cfjobs.simulator import CFSimulator
from common.simulator import faults
from ontapjobs.simulator import OntapSimulator

pytestmark = pytest.mark.anyio

GATEWAY = "/api/gateways/1cd8"


def client(simulator: CFSimulator | OntapSimulator) -> httpx.AsyncClient:
    headers = {"Authorization": "Bearer t"}
    return httpx.AsyncClient(transport=simulator.transport(), base_url="https://um", headers=headers)


async def test_requests_outside_the_path_find_nothing_and_are_not_the_systems() -> None:
    simulator = CFSimulator(prefix="/cf/")
    async with client(simulator) as http:
        statuses = [(await http.get(path)).status_code for path in ("/", "/v3/jobs/x", "/cf2/v3/jobs/x")]
        assert statuses == [404, 404, 404]
        assert simulator.journal == []
        assert (await http.get("/cf")).json()["links"]["login"] == {"href": "https://um/cf"}
        location = (await http.delete("/cf/v3/apps/a1")).headers["location"]
        assert location.startswith("https://um/cf/v3/jobs/")
        assert (await http.get(location)).json()["links"]["app"] == {"href": "https://um/cf/v3/apps/a1"}
    assert [request.path for request in simulator.journal][:2] == ["/", "/v3/apps/a1"]


async def test_links_at_a_gateway_are_the_gateways() -> None:
    simulator = OntapSimulator(prefix=GATEWAY, page_size=1)
    for _ in range(2):
        simulator.add_job([("success", None)])
    async with client(simulator) as http:
        page = (await http.get(f"{GATEWAY}/cluster/jobs")).json()
        assert page["_links"]["next"]["href"].startswith(f"{GATEWAY}/cluster/jobs?start.uuid=")
        assert (await http.get(page["_links"]["next"]["href"])).json()["num_records"] == 1
        job = (await http.delete(f"{GATEWAY}/storage/volumes/1")).json()["job"]
        assert job["_links"]["self"]["href"] == f"{GATEWAY}/cluster/jobs/{job['uuid']}"


async def test_faults_and_the_control_go_by_the_systems_own_paths() -> None:
    simulator = OntapSimulator(prefix=GATEWAY)
    simulator.inject("GET /api/cluster/jobs*", faults.Status(503))
    async with client(simulator) as http:
        assert (await http.get(f"{GATEWAY}/cluster/jobs")).status_code == 503
        assert (await http.get("/_sim/faults")).status_code == 200
    simulator.verify()


@pytest.mark.slow
async def test_served_on_a_socket_its_url_has_the_path() -> None:
    async with OntapSimulator(prefix=GATEWAY).serve() as url, httpx.AsyncClient() as http:
        assert url.endswith(GATEWAY)
        assert (await http.get(f"{url}/cluster/jobs")).json()["records"] == []


@pytest.mark.parametrize("prefix", ["proxy", "/a//b", "/..", "/a?b", "/%2e", 7])
def test_a_prefix_that_is_no_path_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix is a path"):
        OntapSimulator(prefix=prefix)
