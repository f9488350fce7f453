"""The simulated BlueXP backup and recovery."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from bluexp_jobs import BlueXPJobs, PermissionDenied
from bluexp_jobs.simulator import BlueXPSimulator
from common import Bearer
from common.simulator.clock import Clock
from common.simulator.messages import Response
from common.simulator.script import NewJob

pytestmark = pytest.mark.anyio

PREFIX = "/account/account-sim/providers/cloudmanager_cbs/api/v1"
HEADERS = {"Authorization": "Bearer t", "x-agent-id": "agent-simclients"}
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = 86_400


class SteppedClock(Clock):
    """A clock that a test moves by hand."""

    def __init__(self) -> None:
        super().__init__(NOON)
        self.time = 1000.0

    def read(self) -> float:
        return self.time


class Rig:
    """A simulator on a stepped clock, and a client of it."""

    def __init__(self, **settings: Any) -> None:
        self.clock = SteppedClock()
        self.simulator = BlueXPSimulator(clock=self.clock, **settings)
        self.http = httpx.AsyncClient(
            transport=self.simulator.transport(), base_url="https://sim", headers=HEADERS
        )

    async def get(self, path: str) -> Any:
        reply = await self.http.get(f"{PREFIX}/{path}")
        assert reply.status_code == 200
        return reply.json()["job"]


async def test_a_job_is_the_one_record_of_an_array() -> None:
    rig = Rig()
    job = rig.simulator.add_job([("PENDING", 1), ("IN_PROGRESS", 1), ("COMPLETED", None)])
    first = {
        "id": job,
        "type": "backup-working-environment",
        "status": "PENDING",
        "error": "",
        "time": int(NOON.timestamp() * 1000),
    }
    assert await rig.get(f"job/{job}") == [first]
    rig.clock.time += 1
    assert await rig.get(f"job/{job}") == [{**first, "status": "IN_PROGRESS"}]
    rig.clock.time += 1
    assert await rig.get(f"job/{job}") == [{**first, "status": "COMPLETED"}]


async def test_both_success_words_and_unknown_ones_come_from_the_script() -> None:
    rig = Rig(states=["FLORBED"])
    jobs = [rig.simulator.add_job([(status, None)]) for status in ("SUCCESS", "Completed", "FLORBED", None)]
    assert [(await rig.get(f"job/{job}"))[0].get("status") for job in jobs] == [
        "SUCCESS",
        "Completed",
        "FLORBED",
        None,
    ]


async def test_volumes_batches_and_restore_go_below_data_and_change_with_the_steps() -> None:
    rig = Rig()
    volume = {"id": "v1", "status": "SUCCESS", "error": ""}
    backup = rig.simulator.add_job(
        [("IN_PROGRESS", 1), ("FAILED", None, {"volumes": [volume], "error": "1 of 2"})], volumes=[]
    )
    restore = rig.simulator.add_job(
        [("IN_PROGRESS", 1), ("SUCCESS", None, {"batches": [{"id": "b1", "status": "SUCCESS"}]})],
        type="restore",
        restore={"type": "file", "source": {"bucket": "b"}, "target": {"svm": "s"}},
        batches=[{"id": "b1", "status": "PENDING"}],
        working_environment_id="we-1",
    )
    [begun] = await rig.get(f"job/{backup}")
    assert begun["data"] == {"multi-volume-backup": {"volume": []}}
    [running] = await rig.get(f"job/{restore}")
    assert running["data"]["restore"] == {
        "type": "file",
        "source": {"bucket": "b"},
        "target": {"svm": "s"},
        "batch": [{"id": "b1", "status": "PENDING"}],
    }
    assert (running["type"], running["working-environment-id"]) == ("restore", "we-1")
    rig.clock.time += 1
    [failed] = await rig.get(f"job/{backup}")
    assert (failed["error"], failed["data"]) == ("1 of 2", {"multi-volume-backup": {"volume": [volume]}})
    [restored] = await rig.get(f"job/{restore}")
    assert restored["data"]["restore"]["batch"] == [{"id": "b1", "status": "SUCCESS"}]
    assert restored["data"]["restore"]["source"] == {"bucket": "b"}


async def test_other_fields_become_kebab_case_and_none_leaves_one_out() -> None:
    rig = Rig()
    job = rig.simulator.add_job(
        [("FAILED", None)], error=None, time=1651852160, data={"x": {}}, last_seen="y"
    )
    assert await rig.get(f"job/{job}") == [
        {
            "id": job,
            "type": "backup-working-environment",
            "status": "FAILED",
            "time": 1651852160,
            "last-seen": "y",
            "data": {"x": {}},
        }
    ]


async def test_the_list_can_be_narrowed_by_type_and_status() -> None:
    rig = Rig()
    one = rig.simulator.add_job([("PENDING", None)])
    two = rig.simulator.add_job([("PENDING", 5), ("COMPLETED", None)], type="restore")
    three = rig.simulator.add_job([("FAILED", None)], type="restore")
    queries = ["", "?status=PENDING", "?type=restore", "?type=restore&status=FAILED", "?status=pending"]
    found = [[record["id"] for record in await rig.get(f"job{query}")] for query in queries]
    assert found == [[one, two, three], [one, two], [two, three], [three], []]


@pytest.mark.parametrize(
    ("missing", "status", "body"),
    [("empty", 200, {"job": []}), ("null", 200, {"job": None}), ("404", 404, None)],
)
async def test_a_job_that_does_not_exist_reads_as_set(missing: str, status: int, body: Any) -> None:
    reply = await Rig(missing=missing).http.get(f"{PREFIX}/job/nothing")
    assert reply.status_code == status
    assert reply.json() == (body or {"statusCode": 404, "error": "Not Found", "message": "Job not found"})


async def test_jobs_are_purged_after_15_days() -> None:
    rig = Rig()
    job = rig.simulator.add_job([("IN_PROGRESS", None)])
    rig.clock.time += 15 * DAY - 1
    assert len(await rig.get(f"job/{job}")) == 1
    rig.clock.time += 1
    assert await rig.get(f"job/{job}") == []
    assert await rig.get("job") == []


async def test_a_call_without_a_bearer_token_is_a_problem_of_status_401() -> None:
    rig = Rig()
    for authorization in ("", "Basic YTpi"):
        reply = await rig.http.get(f"{PREFIX}/job", headers={"Authorization": authorization})
        assert reply.status_code == 401
        assert reply.headers["content-type"] == "application/problem+json"
        assert reply.json()["status"] == "401"


async def test_any_account_and_agent_will_do_unless_told_otherwise() -> None:
    simulator = BlueXPSimulator()
    job = simulator.add_job([("COMPLETED", None)])
    options: dict[str, Any] = {"auth": Bearer("t"), "transport": simulator.transport()}
    async with BlueXPJobs(account="account-x1", agent="agent-id", **options) as jobs:
        assert (await jobs.wait(job)).succeeded
    simulator.account, simulator.agent = "account-x1", "another"
    async with BlueXPJobs(account="account-x1", agent="agent-id", **options) as jobs:
        with pytest.raises(PermissionDenied, match="agent= may be wrong"):
            await jobs.wait(job)
    async with BlueXPJobs(account="account-x2", agent="another", **options) as jobs:
        with pytest.raises(PermissionDenied, match="account= may be"):
            await jobs.wait(job)


async def test_what_the_simulator_says_its_account_and_agent_are_will_do() -> None:
    simulator = BlueXPSimulator()
    job = simulator.add_job([("COMPLETED", None)])
    auth, transport = Bearer("t"), simulator.transport()
    async with BlueXPJobs(
        account=simulator.account, agent=simulator.agent, auth=auth, transport=transport
    ) as jobs:
        assert (await jobs.wait(job)).succeeded


@pytest.mark.parametrize("agent", ["", "clients", "agent-sim", "agent-simclientsx"])
async def test_an_agent_without_its_suffix_is_refused(agent: str) -> None:
    reply = await Rig().http.get(f"{PREFIX}/job", headers={"x-agent-id": agent})
    assert (reply.status_code, reply.text) == (403, "User is not allowed to do operation")


@pytest.mark.parametrize("agent", ["", "agent-sim", "agent-otherclients"])
async def test_a_wrong_agent_is_refused_in_plain_text(agent: str) -> None:
    reply = await Rig(agent="agent-sim").http.get(f"{PREFIX}/job", headers={"x-agent-id": agent})
    assert (reply.status_code, reply.text) == (403, "User is not allowed to do operation")
    assert reply.headers["content-type"].startswith("text/plain")


async def test_an_agent_named_with_its_suffix_is_the_same_agent() -> None:
    assert (await Rig(agent="agent-simclients").http.get(f"{PREFIX}/job")).status_code == 200


async def test_a_wrong_account_is_refused_in_plain_text() -> None:
    rig = Rig(account="account-sim")
    reply = await rig.http.get(f"{PREFIX.replace('account-sim', 'My Account')}/job")
    assert (reply.status_code, reply.text) == (403, "Action not allowed for user")


async def test_a_write_answers_with_the_id_of_its_job() -> None:
    rig = Rig()
    reply = await rig.http.post(f"{rig.simulator.prefix}/backup/working-environment/we-7", json={})
    assert reply.status_code == 202
    assert reply.json().keys() == {"job-id"}
    [record] = await rig.get(f"job/{reply.json()['job-id']}")
    assert (record["status"], record["working-environment-id"]) == ("PENDING", "we-7")
    assert reply.headers["oncloud-request-id"]


async def test_what_a_write_starts_can_be_scripted() -> None:
    rig = Rig(on_write=NewJob([("SUCCESS", None)], {"type": "special"}, id="j1"))
    assert (await rig.http.post(f"{PREFIX}/restore/volume")).json() == {"job-id": "j1"}
    assert (await rig.get("job/j1"))[0]["type"] == "special"
    rig.simulator.on_write = lambda _: Response(204)
    assert (await rig.http.delete(f"{PREFIX}/backup/x")).status_code == 204


async def test_unknown_routes_are_404() -> None:
    rig = Rig()
    replies = [
        await rig.http.get("/"),
        await rig.http.get(f"{PREFIX}/jobs"),
        await rig.http.post(f"{PREFIX}/job/1"),
        await rig.http.get(f"{PREFIX}/job/1/cancel"),
    ]
    assert [reply.status_code for reply in replies] == [404] * 4
    assert replies[0].json()["statusCode"] == 404


async def test_a_token_of_its_own_expires() -> None:
    rig = Rig(token_lifetime=60)
    grant = {"grant_type": "client_credentials", "client_id": "c", "client_secret": "s"}
    reply = (await rig.http.post("/auth/oauth/token", json=grant)).json()
    rig.http.headers["Authorization"] = f"Bearer {reply['access_token']}"
    assert reply["expires_in"] == 60
    assert await rig.get("job") == []
    rig.clock.time += 60
    assert (await rig.http.get(f"{PREFIX}/job")).status_code == 401


@pytest.mark.slow
async def test_it_serves_a_real_socket() -> None:
    simulator = BlueXPSimulator()
    job = simulator.add_job([("PENDING", None)])
    async with simulator.serve() as url, httpx.AsyncClient(base_url=url, headers=HEADERS) as http:
        reply = await http.get(f"{simulator.prefix}/job/{job}")
    assert reply.json()["job"][0]["status"] == "PENDING"


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_the_caller_names_the_job_of_an_object_storage(method: str) -> None:
    rig = Rig()
    path = f"{rig.simulator.prefix}/object-storage"
    reply = await rig.http.request(method, path, headers={"job-id": "mine"})
    assert (reply.status_code, reply.json()) == (202, {})
    assert list(rig.simulator.jobs) == ["mine"]
    for headers in ({}, {"job-id": "mine"}):  # without one, and with one that is taken
        assert (await rig.http.request(method, path, headers=headers)).status_code == 400
