"""The simulated ONTAP: single jobs, actions, writes and lifetimes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import anyio.lowlevel
import httpx
import pytest

from common.simulator.clock import Clock
from common.simulator.messages import Response
from common.simulator.script import NewJob, Script
from ontapjobs.simulator import OntapSimulator

pytestmark = pytest.mark.anyio

JOBS = "/api/cluster/jobs"
UNKNOWN = "00000000-0000-4000-8000-000000000000"
LIFE: Script = [
    ("queued", 1),
    ("running", 2, {"message": "copying"}),
    ("success", None, {"message": "Complete"}),
]


class SteppedClock(Clock):
    """A clock that a test moves by hand; whoever sleeps moves it too."""

    def __init__(self) -> None:
        super().__init__(datetime(2026, 3, 1, 12, tzinfo=UTC))
        self.time = 1000.0

    def read(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds
        await anyio.lowlevel.checkpoint()


class Rig:
    """A simulator on a stepped clock, and a client of it."""

    def __init__(self, **settings: Any) -> None:
        self.clock = SteppedClock()
        self.simulator = OntapSimulator(clock=self.clock, **settings)
        self.http = httpx.AsyncClient(transport=self.simulator.transport(), base_url="https://sim")

    async def get(self, uuid: str, query: str = "") -> httpx.Response:
        return await self.http.get(f"{JOBS}/{uuid}{query}")

    async def state(self, uuid: str) -> str:
        return str((await self.get(uuid)).json()["state"])

    async def act(self, uuid: str, action: str) -> tuple[int, Any]:
        reply = await self.http.patch(f"{JOBS}/{uuid}", params={"action": action})
        return reply.status_code, reply.json().get("error", {}).get("code")


async def test_a_job_shows_its_state_and_its_times_as_they_come() -> None:
    rig = Rig()
    uuid = rig.simulator.add_job(LIFE, description="POST /api/storage/volumes", svm={"name": "vs1"})
    queued = (await rig.get(uuid)).json()
    assert queued == {
        "uuid": uuid,
        "_links": {"self": {"href": f"{JOBS}/{uuid}"}},
        "state": "queued",
        "code": 0,
        "description": "POST /api/storage/volumes",
        "svm": {"name": "vs1"},
    }
    rig.clock.time += 1
    running = (await rig.get(uuid)).json()
    assert running["state"] == "running"
    assert running["start_time"] == "2026-03-01T12:00:01+00:00"
    assert "end_time" not in running
    rig.clock.time += 2
    ended = (await rig.get(uuid)).json()
    assert (ended["state"], ended["message"]) == ("success", "Complete")
    assert ended["end_time"] == "2026-03-01T12:00:03+00:00"


async def test_a_failure_gets_an_error_from_its_message_unless_the_script_has_its_own() -> None:
    rig = Rig()
    plain = rig.simulator.add_job([("failure", None)], message="no space", code=917927)
    bare = rig.simulator.add_job([("failure", None)], message="no space", error=None)
    own = rig.simulator.add_job([("failure", None)], error={"code": "1", "message": "x"})
    silent = rig.simulator.add_job([("failure", None)])
    errors = [(await rig.get(uuid)).json().get("error") for uuid in (plain, bare, own, silent)]
    assert errors == [{"message": "no space", "code": "917927"}, None, {"code": "1", "message": "x"}, None]


async def test_an_old_release_has_neither_svm_nor_error_nor_node() -> None:
    fields: dict[str, Any] = {"svm": {"name": "vs1"}, "node": {"name": "n1"}, "message": "no"}
    seen = []
    for version in ("9.6", "9.8", "9.9", "9.11.1"):
        rig = Rig(version=version)
        record = (await rig.get(rig.simulator.add_job([("failure", None)], **fields))).json()
        seen.append({"svm", "error", "node"} & record.keys())
    assert seen == [set(), {"svm"}, {"svm", "error"}, {"svm", "error", "node"}]


@pytest.mark.parametrize("word", ["dead", "error", "quit", "expired", "cancelled", "Failure"])
async def test_a_word_of_the_older_api_ends_a_job_too(word: str) -> None:
    rig = Rig()
    uuid = rig.simulator.add_job([("dormant", 1), (word, None)])
    assert await rig.state(uuid) == "dormant"
    assert "end_time" not in (await rig.get(uuid)).json()
    rig.clock.time += 1
    assert await rig.state(uuid) == word
    assert "end_time" in (await rig.get(uuid)).json()
    rig.clock.time += 300
    assert (await rig.get(uuid)).json()["error"]["code"] == "4"


async def test_an_unknown_state_and_no_state_are_sent_as_scripted() -> None:
    rig = Rig(states=["florbing"])
    odd = rig.simulator.add_job([("florbing", None)])
    none = rig.simulator.add_job([(None, None)])
    assert await rig.state(odd) == "florbing"
    assert "state" not in (await rig.get(none)).json()


async def test_a_single_job_can_be_cut_to_some_fields() -> None:
    rig = Rig()
    uuid = rig.simulator.add_job(LIFE, svm={"name": "vs1", "uuid": "u"}, message="m")
    assert (await rig.get(uuid, "?fields=state,svm.name")).json().keys() == {"uuid", "_links", "state", "svm"}
    assert (await rig.get(uuid, "?fields=svm.name")).json()["svm"] == {"name": "vs1"}
    assert (await rig.get(uuid, "?fields=**")).json()["message"] == "m"


async def test_gone_and_malformed_ids_differ_in_their_code() -> None:
    rig = Rig()
    unknown, malformed = await rig.get(UNKNOWN), await rig.get("job-1")
    assert (unknown.status_code, malformed.status_code) == (404, 404)
    assert unknown.json()["error"] == {"message": "entry doesn't exist", "code": "4", "target": "uuid"}
    assert malformed.json()["error"] == {
        "message": '"job-1" is an invalid value for field "uuid" (<UUID>)',
        "code": "2",
        "target": "uuid",
    }


async def test_a_job_vanishes_300_seconds_after_its_end() -> None:
    rig = Rig()
    uuid = rig.simulator.add_job(LIFE)
    rig.clock.time += 302.9
    assert await rig.state(uuid) == "success"
    rig.clock.time += 0.1
    assert (await rig.get(uuid)).json()["error"]["code"] == "4"
    assert await rig.act(uuid, "cancel") == (404, "4")
    assert (await rig.http.get(JOBS)).json()["num_records"] == 0


async def test_a_job_that_never_ends_does_not_vanish() -> None:
    rig = Rig(retention=1)
    uuid = rig.simulator.add_job([("running", None)])
    rig.clock.time += 1e6
    assert await rig.state(uuid) == "running"


async def test_a_script_that_runs_out_is_a_job_that_vanishes_early() -> None:
    rig = Rig()
    uuid = rig.simulator.add_job([("running", 5)])
    rig.clock.time += 5
    assert (await rig.get(uuid)).status_code == 404


async def test_pause_takes_a_while_and_resume_goes_on_where_it_was() -> None:
    rig = Rig()
    uuid = rig.simulator.add_job([("running", 10), ("success", None)])
    rig.clock.time += 4
    assert await rig.act(uuid, "pause") == (200, None)
    assert await rig.state(uuid) == "running"
    rig.clock.time += 0.25
    assert await rig.state(uuid) == "paused"
    rig.clock.time += 1000
    assert await rig.act(uuid, "resume") == (200, None)
    assert await rig.state(uuid) == "running"
    rig.clock.time += 5.9
    assert await rig.state(uuid) == "running"
    rig.clock.time += 0.1
    assert await rig.state(uuid) == "success"


async def test_a_cancelled_job_reads_running_for_a_while_and_ends_as_a_failure() -> None:
    rig = Rig(settle=1.0)
    uuid = rig.simulator.add_job([("queued", None)])
    assert await rig.act(uuid, "cancel") == (200, None)
    assert await rig.state(uuid) == "running"
    rig.clock.time += 1
    record = (await rig.get(uuid)).json()
    assert (record["state"], record["message"], record["code"]) == ("failure", "cancelled by user", 459760)
    assert record["error"] == {"message": "cancelled by user", "code": "459760"}


@pytest.mark.parametrize(
    ("state", "action", "status", "code"),
    [
        ("success", "pause", 409, "458762"),
        ("success", "resume", 409, "458762"),
        ("failure", "cancel", 409, "458762"),
        ("running", "resume", 409, "458771"),
        ("paused", "pause", 409, "458776"),
        ("queued", "pause", 409, "458776"),
        ("queued", "resume", 409, "458776"),
        ("running", "restart", 400, "262197"),
        ("running", "", 400, "262197"),
    ],
)
async def test_an_action_that_does_not_fit_is_refused(
    state: str, action: str, status: int, code: str
) -> None:
    rig = Rig()
    uuid = rig.simulator.add_job([(state, None)])
    assert await rig.act(uuid, action) == (status, code)
    assert await rig.state(uuid) == state


async def test_a_job_can_lack_pause_and_cancel() -> None:
    rig = Rig()
    uuid = rig.simulator.add_job([("running", None)], pausable=False, cancellable=False)
    assert await rig.act(uuid, "pause") == (409, "458783")
    assert await rig.act(uuid, "cancel") == (409, "458784")


async def test_an_action_on_an_unknown_job_is_404() -> None:
    rig = Rig()
    assert await rig.act(UNKNOWN, "pause") == (404, "4")
    assert await rig.act("nonsense", "pause") == (404, "2")


async def test_a_write_answers_at_once_with_its_job() -> None:
    rig = Rig()
    reply = await rig.http.post("/api/storage/volumes", json={"name": "v"})
    uuid = reply.json()["job"]["uuid"]
    assert reply.status_code == 202
    assert reply.json() == {"job": {"uuid": uuid, "_links": {"self": {"href": f"{JOBS}/{uuid}"}}}}
    assert (await rig.get(uuid)).json()["description"] == "POST /api/storage/volumes"
    assert rig.clock.time == 1000


@pytest.mark.parametrize(("method", "status"), [("POST", 201), ("PATCH", 200), ("DELETE", 200)])
async def test_a_write_that_may_wait_answers_with_the_job_once_it_has_ended(method: str, status: int) -> None:
    rig = Rig(on_write=NewJob(LIFE))
    reply = await rig.http.request(method, "/api/storage/volumes", params={"return_timeout": 10})
    assert reply.status_code == status
    assert reply.json()["job"]["state"] == "success"
    assert rig.clock.time == 1003


async def test_a_write_gives_up_waiting_after_its_timeout() -> None:
    rig = Rig(on_write=NewJob([("running", None)]))
    reply = await rig.http.post("/api/storage/volumes?return_timeout=2")
    assert reply.status_code == 202
    assert reply.json()["job"].keys() == {"uuid", "_links"}
    assert rig.clock.time == 1002


@pytest.mark.slow
async def test_a_write_that_waits_learns_of_a_cancel() -> None:
    simulator = OntapSimulator(on_write=NewJob([("running", None)], id=UNKNOWN), settle=0.05)
    replies: list[httpx.Response] = []
    async with (
        httpx.AsyncClient(transport=simulator.transport(), base_url="https://sim") as http,
        anyio.create_task_group() as group,
    ):

        async def write() -> None:
            replies.append(await http.post("/api/storage/volumes?return_timeout=120"))

        group.start_soon(write)
        await anyio.sleep(0.05)
        assert (await http.patch(f"{JOBS}/{UNKNOWN}?action=cancel")).status_code == 200
    assert replies[0].json()["job"]["state"] == "failure"


async def test_what_a_write_starts_can_depend_on_the_request() -> None:
    rig = Rig()
    rig.simulator.on_write = lambda request: (
        NewJob([("running", None)], {"message": request.json()["name"], "pausable": False})
        if request.method == "POST"
        else Response(409)
    )
    uuid = (await rig.http.post("/api/svm/svms", json={"name": "vs9"})).json()["job"]["uuid"]
    assert (await rig.get(uuid)).json()["message"] == "vs9"
    assert await rig.act(uuid, "pause") == (409, "458783")
    assert (await rig.http.delete("/api/svm/svms/1")).status_code == 409


@pytest.mark.parametrize("timeout", ["121", "-1", "x", ""])
async def test_a_return_timeout_out_of_range_is_refused(timeout: str) -> None:
    rig = Rig()
    reply = await rig.http.post("/api/storage/volumes", params={"return_timeout": timeout})
    assert reply.status_code == 400
    assert reply.json()["error"] == {
        "message": f'The value "{timeout}" is invalid for field "return_timeout" (<0..120>)',
        "code": "262197",
        "target": "return_timeout",
    }
    assert rig.simulator.jobs == {}


async def test_unknown_routes_and_methods_are_refused() -> None:
    rig = Rig()
    assert (await rig.http.get("/api/storage/volumes")).json()["error"]["code"] == "3"
    assert (await rig.http.get("/")).status_code == 404
    assert (await rig.http.delete(f"{JOBS}/{UNKNOWN}")).status_code == 405


async def test_replies_have_the_headers_of_the_real_server() -> None:
    reply = await Rig().http.get(JOBS)
    assert reply.headers["content-type"] == "application/hal+json"
    assert reply.headers["keep-alive"] == "timeout=5, max=100"
    assert reply.headers["date"] == "Sun, 01 Mar 2026 12:00:00 GMT"


@pytest.mark.slow
async def test_it_serves_a_real_socket() -> None:
    simulator = OntapSimulator()
    uuid = simulator.add_job([("running", None)])
    async with simulator.serve() as url, httpx.AsyncClient(base_url=url) as http:
        assert (await http.get(f"{JOBS}/{uuid}")).json()["state"] == "running"
