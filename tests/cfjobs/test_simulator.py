"""The simulated Cloud Foundry."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_plus

import httpx
import pytest

from cfjobs.simulator import CFSimulator
from common.simulator.clock import Clock
from common.simulator.messages import Response
from common.simulator.script import NewJob

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


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
        self.simulator = CFSimulator(clock=self.clock, **settings)
        self.http = httpx.AsyncClient(
            transport=self.simulator.transport(),
            base_url="https://api.sim:8443",
            headers={"Authorization": "bearer t"},
        )

    async def job(self, url: str) -> dict[str, Any]:
        reply = await self.http.get(url if "/" in url else f"/v3/jobs/{url}")
        assert reply.status_code == 200
        data: dict[str, Any] = reply.json()
        return data


async def test_a_job_shows_its_state_and_its_times() -> None:
    rig = Rig()
    guid = rig.simulator.add_job(
        [("PROCESSING", 5), ("POLLING", 60), ("COMPLETE", None)],
        operation="service_instance.create",
        resource="/v3/service_instances/s1",
    )
    first: dict[str, Any] = {
        "guid": guid,
        "created_at": "2026-03-01T12:00:00Z",
        "updated_at": "2026-03-01T12:00:00Z",
        "operation": "service_instance.create",
        "state": "PROCESSING",
        "errors": [],
        "warnings": [],
        "links": {
            "self": {"href": f"https://api.sim:8443/v3/jobs/{guid}"},
            "service_instances": {"href": "https://api.sim:8443/v3/service_instances/s1"},
        },
    }
    assert await rig.job(guid) == first
    rig.clock.time += 10
    assert await rig.job(guid) == {**first, "state": "POLLING", "updated_at": "2026-03-01T12:00:05Z"}


async def test_errors_are_there_from_the_attempt_that_made_them_and_vanish_when_the_job_completes() -> None:
    rig = Rig()
    error = {"code": 10008, "title": "CF-UnprocessableEntity", "detail": "no"}
    retried = rig.simulator.add_job(
        [("PROCESSING", 1), ("PROCESSING", 1, {"errors": [error]}), ("COMPLETE", None)]
    )
    failed = rig.simulator.add_job([("FAILED", None)], errors=[error, error])
    odd = rig.simulator.add_job([("COMPLETE", None, {"errors": [error]})])
    seen = []
    for _ in range(3):
        seen.append((await rig.job(retried))["errors"])
        rig.clock.time += 1
    assert seen == [[], [error], []]
    assert (await rig.job(failed))["errors"] == [error, error]
    assert (await rig.job(odd))["errors"] == [error]


async def test_warnings_are_repeated_on_each_poll() -> None:
    rig = Rig()
    guid = rig.simulator.add_job([("POLLING", None)], warnings=["slow", {"detail": "slower"}])
    for _ in range(2):
        assert (await rig.job(guid))["warnings"] == [{"detail": "slow"}, {"detail": "slower"}]
    silent = rig.simulator.add_job([("POLLING", None)], warnings=None, errors=None)
    record = await rig.job(silent)
    assert (record["warnings"], record["errors"]) == (None, None)


async def test_unknown_states_and_other_fields_are_sent_as_scripted() -> None:
    rig = Rig(states=["FLORBING"])
    guid = rig.simulator.add_job([("FLORBING", None)], links={"self": {"href": "/x"}}, extra=1)
    record = await rig.job(guid)
    assert (record["state"], record["links"], record["extra"]) == ("FLORBING", {"self": {"href": "/x"}}, 1)
    assert "state" not in await rig.job(rig.simulator.add_job([(None, None)]))


@pytest.mark.parametrize("guid", ["space.delete~cf-space-1", "a/b", "with space", "ü%2F.."])
async def test_an_odd_guid_is_one_segment(guid: str) -> None:
    rig = Rig(on_write=NewJob([("PROCESSING", None)], id=guid))
    location = (await rig.http.delete("/v3/apps/a1")).headers["location"]
    assert location.count("/") == 5
    record = await rig.job(location)
    assert record["guid"] == guid
    assert record["links"]["self"]["href"] == location


async def test_an_unknown_job_is_not_found() -> None:
    rig = Rig()
    vanished = rig.simulator.add_job([("PROCESSING", 1)])
    rig.clock.time += 1
    for guid in ("nothing", vanished):
        reply = await rig.http.get(f"/v3/jobs/{guid}")
        assert reply.status_code == 404
        assert reply.json() == {
            "errors": [{"code": 10010, "title": "CF-ResourceNotFound", "detail": "Job not found"}]
        }


@pytest.mark.parametrize(
    ("method", "path", "operation", "link"),
    [
        ("DELETE", "/v3/apps/a1", "app.delete", "app"),
        ("POST", "/v3/spaces/s1/actions/apply_manifest", "space.apply_manifest", "space"),
        ("POST", "/v3/service_instances", "service_instance.create", "service_instances"),
        ("PATCH", "/v3/service_brokers/b1", "service_broker.update", "service_brokers"),
        ("POST", "/v3/service_brokers", "service_broker.catalog.synchronize", "service_brokers"),
        ("DELETE", "/v3/organizations/o1", "organization.delete", "organization"),
        ("DELETE", "/v3/spaces/s1/routes?unmapped=true", "space.delete_unmapped_routes", "space"),
        ("POST", "/v3/service_route_bindings", "service_route_bindings.create", "service_route_binding"),
        (
            "DELETE",
            "/v3/service_credential_bindings/b1",
            "service_bindings.delete",
            "service_credential_binding",
        ),
    ],
)
async def test_a_write_names_its_job_in_location(method: str, path: str, operation: str, link: str) -> None:
    rig = Rig()
    reply = await rig.http.request(method, path)
    assert (reply.status_code, reply.content) == (202, b"")
    assert reply.headers["location"].startswith("https://api.sim:8443/v3/jobs/")
    assert "x-cf-warnings" not in reply.headers
    record = await rig.job(reply.headers["location"])
    assert record["operation"] == operation
    assert record["links"][link]["href"].startswith("https://api.sim:8443/v3/")


@pytest.mark.parametrize("kind", ["buildpack", "droplet"])
async def test_an_upload_is_answered_with_the_resource_beside_its_job(kind: str) -> None:
    rig = Rig()
    reply = await rig.http.post(f"/v3/{kind}s/b1/upload")
    assert (reply.status_code, reply.json()["guid"]) == (202, "b1")
    record = await rig.job(reply.headers["location"])
    assert (record["operation"], kind in record["links"]) == (f"{kind}.upload", True)


async def test_clearing_the_buildpack_cache_works_on_no_resource() -> None:
    rig = Rig()
    location = (await rig.http.post("/v3/admin/actions/clear_buildpack_cache")).headers["location"]
    record = await rig.job(location)
    assert (record["operation"], list(record["links"])) == ("admin.clear_buildpack_cache", ["self"])


async def test_a_service_key_is_a_binding_of_another_name() -> None:
    rig = Rig()
    created = await rig.http.post("/v3/service_credential_bindings", json={"type": "key"})
    record = await rig.job(created.headers["location"])
    assert record["operation"] == "service_keys.create"
    key = record["links"]["service_credential_binding"]["href"]
    deleted = await rig.http.delete(key)
    assert (await rig.job(deleted.headers["location"]))["operation"] == "service_keys.delete"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v3/apps", {}, 201),
        ("POST", "/v3/apps/a1/sidecars", {}, 201),
        ("POST", "/v3/apps/a1/actions/start", {}, 200),
        ("POST", "/v3/apps/a1/tasks", {}, 202),
        ("POST", "/v3/tasks/t1/actions/cancel", {}, 202),
        ("POST", "/v3/processes/p1/actions/scale", {}, 202),
        ("POST", "/v3/packages/p1/upload", {}, 200),
        ("POST", "/v3/service_instances", {"type": "user-provided"}, 201),
        ("PATCH", "/v3/service_instances/s1", {"tags": ["a"]}, 200),
        ("PATCH", "/v3/service_brokers/b1", {"metadata": {}}, 200),
        ("PATCH", "/v3/spaces/s1", {}, 200),
        ("PATCH", "/v3/routes/r1/relationships/space", {}, 204),
        ("DELETE", "/v3/isolation_segments/i1", {}, 204),
        ("DELETE", "/v3/service_offerings/o1", {}, 204),
    ],
)
@pytest.mark.parametrize("on_write", [None, lambda _request: NewJob([("PROCESSING", None)])])
async def test_a_write_that_starts_no_job_says_so(
    method: str, path: str, body: dict[str, Any], status: int, on_write: Any
) -> None:
    rig = Rig(on_write=on_write)
    reply = await rig.http.request(method, path, json=body)
    assert (reply.status_code, reply.headers.get("location"), rig.simulator.jobs) == (status, None, {})
    assert bool(reply.content) is (status != 204)


async def test_a_resource_that_is_made_has_the_name_that_it_was_given() -> None:
    rig = Rig()
    made = (
        await rig.http.post("/v3/spaces", json={"name": "dev", "relationships": {"organization": {}}})
    ).json()
    assert (made["name"], made["relationships"]) == ("dev", {"organization": {}})
    assert made["links"]["self"]["href"] == f"https://api.sim:8443/v3/spaces/{made['guid']}"


async def test_a_deleted_resource_is_not_linked_any_more() -> None:
    rig = Rig()
    location = (await rig.http.delete("/v3/apps/a1")).headers["location"]
    assert "app" in (await rig.job(location))["links"]
    rig.clock.time += 1
    record = await rig.job(location)
    assert record["state"] == "COMPLETE"
    assert record["links"].keys() == {"self"}


async def test_a_location_can_be_relative() -> None:
    rig = Rig(location="relative")
    location = (await rig.http.delete("/v3/apps/a1")).headers["location"]
    assert location.startswith("/v3/jobs/")
    assert (await rig.job(location))["operation"] == "app.delete"


async def test_warnings_of_a_write_are_form_encoded() -> None:
    warnings = ["a, b", "50% + ü"]
    rig = Rig(on_write=NewJob([("COMPLETE", None)], warnings=warnings))
    header = (await rig.http.post("/v3/apps")).headers["x-cf-warnings"]
    assert header.isascii()
    assert [unquote_plus(part) for part in header.split(",")] == warnings


async def test_a_write_can_be_answered_without_a_job() -> None:
    rig = Rig(on_write=lambda request: Response(204 if request.method == "DELETE" else 422))
    assert (await rig.http.delete("/v3/routes/r1")).status_code == 204
    assert (await rig.http.post("/v3/apps")).status_code == 422
    assert rig.simulator.jobs == {}


async def test_discovery_needs_no_token_and_names_the_sign_in() -> None:
    links = (await Rig().http.get("/", headers={"Authorization": ""})).json()["links"]
    assert links["login"] == links["uaa"] == {"href": "https://api.sim:8443"}
    assert links["cloud_controller_v3"]["href"] == "https://api.sim:8443/v3"
    assert "cloud_controller_v2" not in links


async def test_a_korifi_names_itself_as_the_login_server_and_has_no_tokens() -> None:
    rig = Rig(korifi=True)
    root = (await rig.http.get("/")).json()
    assert root["cf_on_k8s"] is True
    assert (root["links"]["login"], root["links"]["uaa"]) == ({"href": "https://api.sim:8443"}, None)
    assert (await rig.http.post("/oauth/token", data={"grant_type": "password"})).status_code == 404


async def test_a_call_without_a_token_is_not_authenticated() -> None:
    rig = Rig()
    del rig.http.headers["Authorization"]
    reply = await rig.http.get("/v3/jobs/x")
    assert reply.status_code == 401
    assert reply.json()["errors"][0]["code"] == 10002
    assert reply.json()["errors"][0]["title"] == "CF-NotAuthenticated"


async def test_a_token_of_its_own_expires() -> None:
    rig = Rig()
    grant = {"grant_type": "password", "username": "u", "password": "p"}
    reply = (await rig.http.post("/oauth/token", data=grant)).json()
    assert reply["expires_in"] == 600
    rig.http.headers["Authorization"] = f"bearer {reply['access_token']}"
    assert (await rig.http.get("/v3/jobs/x")).status_code == 404
    rig.clock.time += 600
    expired = await rig.http.get("/v3/jobs/x")
    assert (expired.status_code, expired.json()["errors"][0]["code"]) == (401, 1000)


async def test_a_used_up_rate_limit_is_429_until_the_hour_is_over() -> None:
    rig = Rig(rate_limit=2)
    replies = []
    for _ in range(3):
        replies.append(await rig.http.get("/v3/jobs/x"))
        rig.clock.time += 10
    assert [reply.status_code for reply in replies] == [404, 404, 429]
    assert [reply.headers["x-ratelimit-remaining"] for reply in replies] == ["1", "0", "0"]  # half of 2, none
    assert {reply.headers["x-ratelimit-limit"] for reply in replies} == {"2"}
    assert {reply.headers["x-ratelimit-reset"] for reply in replies} == {str(int(NOON.timestamp()) + 3600)}
    assert "retry-after" not in replies[1].headers
    refused = replies[2]
    assert refused.headers["retry-after"] == "3580"
    assert refused.headers["content-type"] == "text/plain; charset=utf-8"
    assert refused.json()["errors"][0]["code"] == 10013
    rig.clock.time += 3570
    assert (await rig.http.get("/v3/jobs/x")).status_code == 404


async def test_what_is_left_is_told_in_tenths_of_the_limit() -> None:
    rig = Rig(rate_limit=30)
    told = [(await rig.http.get("/v3/jobs/x")).headers["x-ratelimit-remaining"] for _ in range(31)]
    assert told == [
        str(3 * tenth) for tenth in (9, 9, 9, *(n for n in range(8, 0, -1) for _ in "abc"), 0, 0, 0, 0)
    ]


async def test_each_process_counts_for_itself_and_refuses_for_itself() -> None:
    rig = Rig(rate_limit=20, rate_limit_processes=2)
    replies = [await rig.http.get("/v3/jobs/x") for _ in range(21)]
    assert [r.headers["x-ratelimit-remaining"] for r in replies[:5]] == ["18", "18", "16", "16", "14"]
    assert [r.status_code for r in replies[18:]] == [404, 404, 429]
    with pytest.raises(ValueError, match="1 or more"):
        CFSimulator(rate_limit=20, rate_limit_processes=0)


async def test_without_a_limit_no_headers_tell_of_one() -> None:
    assert "x-ratelimit-limit" not in (await Rig().http.get("/v3/jobs/x")).headers


async def test_a_request_id_is_echoed_with_a_suffix() -> None:
    rig = Rig()
    given = await rig.http.get("/v3/jobs/x", headers={"X-VCAP-Request-ID": "mine"})
    assert given.headers["x-vcap-request-id"].startswith("mine::")
    assert "::" in (await rig.http.get("/")).headers["x-vcap-request-id"]


async def test_unknown_routes_are_code_10000() -> None:
    rig = Rig()
    for method, path in [
        ("GET", "/v3/apps"),
        ("DELETE", "/v3/jobs/x"),
        ("POST", "/v3/frobs"),
        ("PUT", "/v3/apps/x"),
        ("GET", "/v2/info"),
        ("POST", "/v3"),
    ]:
        reply = await rig.http.request(method, path)
        assert reply.status_code == 404
        assert reply.json()["errors"] == [
            {"code": 10000, "title": "CF-NotFound", "detail": "Unknown request"}
        ]


async def test_korifi_computes_its_ids_and_has_neither_times_nor_encoded_warnings() -> None:
    rig = Rig(korifi=True, on_write=NewJob([("PROCESSING", None)], warnings=["50% done ü"]))
    for _ in range(2):
        reply = await rig.http.delete("/v3/spaces/cf-space-1")
        assert reply.headers["location"].endswith("/v3/jobs/space.delete~cf-space-1")
        assert dict(reply.headers.raw)[b"x-cf-warnings"].decode() == "50% done ü"
    assert await rig.job("space.delete~cf-space-1") == {
        "guid": "space.delete~cf-space-1",
        "operation": "space.delete",
        "state": "PROCESSING",
        "errors": [],
        "links": {"self": {"href": "https://api.sim:8443/v3/jobs/space.delete~cf-space-1"}},
    }
    warned = rig.simulator.add_job([("COMPLETE", None)], warnings=["w"])
    assert (await rig.job(warned))["warnings"] == [{"detail": "w"}]


@pytest.mark.parametrize(
    ("method", "path", "operation", "links"),
    [
        ("DELETE", "/v3/organizations/o1", "org.delete", ["self"]),
        ("POST", "/v3/service_instances", "managed_service_instance.create", ["self"]),
        ("DELETE", "/v3/service_credential_bindings/b1", "managed_service_binding.delete", ["self"]),
        ("POST", "/v3/service_brokers", "service_broker.create", ["self"]),
        ("POST", "/v3/spaces/s1/actions/apply_manifest", "space.apply_manifest", ["self", "space"]),
        ("DELETE", "/v3/spaces/s1/routes?unmapped=true", "space.delete_unapped_routes", ["self", "space"]),
    ],
)
async def test_korifi_has_names_and_links_of_its_own(
    method: str, path: str, operation: str, links: list[str]
) -> None:
    rig = Rig(korifi=True)
    record = await rig.job((await rig.http.request(method, path)).headers["location"])
    assert (record["operation"], list(record["links"])) == (operation, links)
    assert record["guid"].startswith(f"{operation}~")


@pytest.mark.parametrize(
    ("path", "status"), [("/v3/apps/a1/tasks", 201), ("/v3/users", 404), ("/v3/packages/p1/upload", 200)]
)
async def test_korifi_answers_in_its_own_way_where_no_job_starts(path: str, status: int) -> None:
    reply = await Rig(korifi=True).http.post(path)
    assert (reply.status_code, reply.headers.get("location")) == (status, None)


@pytest.mark.slow
async def test_it_serves_a_real_socket() -> None:
    simulator = CFSimulator()
    async with simulator.serve() as url, httpx.AsyncClient(headers={"Authorization": "bearer t"}) as http:
        location = (await http.delete(f"{url}/v3/apps/a1")).headers["location"]
        assert location.startswith(f"{url}/v3/jobs/")
        assert (await http.get(location)).json()["state"] == "PROCESSING"
