"""The simulated ONTAP: the results of writes of many records, and jobs of other kinds than the cluster's."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from common.simulator.script import NewJob
from ontapjobs.simulator import OntapSimulator

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

LUNS = "/api/storage/luns"
POSTED: dict[str, Any] = {"records": [{"name": "lun1"}, {"name": "lun2"}]}
DUPLICATE = {"message": "duplicate entry", "code": "1", "target": "records[1]"}
NOTHING_YET = {"records": [], "errors": [], "rollback_errors": [], "num_records": 0}


def client(simulator: OntapSimulator) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=simulator.transport(), base_url="https://sim")


def ending(state: str = "success", seconds: float = 0, **fields: Any) -> OntapSimulator:
    return OntapSimulator(on_write=NewJob([("running", seconds), (state, None)], fields))


async def posted(http: httpx.AsyncClient, body: dict[str, Any] | None = None) -> dict[str, Any]:
    response = await http.post(LUNS, json=POSTED if body is None else body)
    job: dict[str, Any] = response.json()["job"]
    return job


async def test_only_a_write_of_many_records_has_a_link_to_its_results() -> None:
    async with client(ending()) as http:
        job = await posted(http)
        assert job["_links"]["results"] == {"href": f"{LUNS}?job_results_uuid={job['uuid']}"}
        assert "results" not in (await posted(http, {"name": "lun1"}))["_links"]
        assert "results" not in (await http.get(f"/api/cluster/jobs/{job['uuid']}")).json()["_links"]


async def test_the_records_are_done_but_those_that_have_errors() -> None:
    async with client(ending(results={"errors": [DUPLICATE]})) as http:
        link = (await posted(http))["_links"]["results"]["href"]
        assert (await http.get(link)).json() == {
            "records": [{"name": "lun1"}],
            "errors": [DUPLICATE],
            "rollback_errors": [],
            "num_records": 1,
        }


async def test_there_are_none_before_the_job_has_ended() -> None:
    async with client(ending(seconds=10)) as http:
        assert (await http.get((await posted(http))["_links"]["results"]["href"])).json() == NOTHING_YET


async def test_a_failure_has_done_no_record_and_says_why() -> None:
    async with client(ending("failure", message="no space")) as http:
        results = (await http.get((await posted(http))["_links"]["results"]["href"])).json()
        assert results["records"] == []
        assert results["errors"] == [{"message": "no space"}]


async def test_results_are_gone_with_their_job_and_belong_to_its_path() -> None:
    simulator = ending()
    async with client(simulator) as http:
        job = await posted(http)
        for path in (f"/api/storage/volumes?job_results_uuid={job['uuid']}", f"{LUNS}?job_results_uuid=1"):
            assert (await http.get(path)).status_code == 404
        del simulator.jobs[job["uuid"]]
        assert (await http.get(job["_links"]["results"]["href"])).json()["error"]["code"] == "4"


async def test_a_job_is_where_its_path_says_and_in_no_list_of_the_clusters() -> None:
    engine = "/api/data-engine/jobs"
    simulator = ending(path=engine, percent_complete=40)
    async with client(simulator) as http:
        job = await posted(http, {})
        assert job["_links"]["self"]["href"] == f"{engine}/{job['uuid']}"
        record = (await http.get(f"{engine}/{job['uuid']}")).json()
        assert (record["percent_complete"], "path" in record) == (40, False)
        assert (await http.get(f"/api/cluster/jobs/{job['uuid']}")).status_code == 404
        assert (await http.get("/api/cluster/jobs")).json()["num_records"] == 0
