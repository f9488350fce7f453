"""What the simulated Cloud Foundry sends is what the Cloud Controller's API description allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx
import pytest

from cfjobs.simulator import CFSimulator, NewJob, Script
from cfjobs.simulator.writes import JOBS

pytestmark = pytest.mark.anyio

# Facts of the OpenAPI description of API 3.228 (cloud_controller_ng, docs/openapi/apis/cf/latest): schemas
# Job, Error, Warning, Link, IndexLink and that of the root. A key may be left out, but is never null.
ERROR = {"code": int, "title": str, "detail": str}
LINK = {"href": str, "method": str}
JOB = {
    "guid": UUID,
    "created_at": datetime,
    "updated_at": datetime,
    "operation": str,
    "state": {"PROCESSING", "POLLING", "COMPLETE", "FAILED"},
    "errors": [ERROR],
    "warnings": [{"detail": str}],
    "links": {"*": LINK},
}
INDEX_LINK = {"href": str, "method": str, "meta": {"version": str}}
ROOT_LINKS = ("self", "cloud_controller_v2", "cloud_controller_v3", "network_policy_v1", "uaa", "logging")
ROOT = {"links": dict.fromkeys((*ROOT_LINKS, "log_cache", "log_stream"), INDEX_LINK)}
RESOURCE = {"guid": UUID, "created_at": datetime, "updated_at": datetime, "links": {"*": LINK}}

ERRORS = [{"code": 10009, "title": "CF-UnableToPerform", "detail": "the broker said no"}]
LIVES: Mapping[str, Script] = {
    "processing": [("PROCESSING", None)],
    "retried": [("PROCESSING", None, {"errors": ERRORS})],
    "polling": [("POLLING", None, {"warnings": ["slow"]})],
    "complete": [("COMPLETE", None)],
    "failed": [("FAILED", None, {"errors": ERRORS})],
    "failed without a reason": [("FAILED", None)],
}


def misfits(value: Any, schema: Any, path: str = "$") -> list[str]:
    """Where a value is not what a schema allows: a type, a set of words, a list or an object of schemas."""
    if isinstance(schema, Mapping):
        if not isinstance(value, Mapping):
            return [path]
        inner = {key: schema.get(key, schema.get("*")) for key in value}
        return [
            bad for key, each in inner.items() if each for bad in misfits(value[key], each, f"{path}.{key}")
        ]
    if isinstance(schema, Sequence):
        if not isinstance(value, list):
            return [path]
        return [bad for n, each in enumerate(value) for bad in misfits(each, schema[0], f"{path}[{n}]")]
    if isinstance(schema, set):
        return [] if value in schema else [path]
    if schema in (UUID, datetime):
        try:
            (UUID if schema is UUID else datetime.fromisoformat)(value)
        except (ValueError, TypeError, AttributeError):
            return [path]
        return []
    return [] if type(value) is schema else [path]


def client(simulator: CFSimulator) -> httpx.AsyncClient:
    headers = {"Authorization": "bearer t"}
    return httpx.AsyncClient(transport=simulator.transport(), base_url="https://api.sim", headers=headers)


@pytest.mark.parametrize("life", LIVES.values(), ids=LIVES)
async def test_each_job_is_valid_in_each_state(life: Script) -> None:
    simulator = CFSimulator(on_write=NewJob(life))
    async with client(simulator) as http:
        for line in JOBS:
            method, _, path = line.partition(" ")
            reply = await http.request(method, f"/v3/{path.replace('*', simulator.new_id())}")
            assert reply.status_code == 202, line
            job = await http.get(reply.headers["location"])
            assert (job.status_code, misfits(job.json(), JOB)) == (200, []), line
            assert job.json().keys() == JOB.keys(), line


@pytest.mark.parametrize("path", ["apps", "spaces", "routes", "service_brokers/*", "apps/*", "apps/*/tasks"])
async def test_a_resource_that_is_answered_is_valid(path: str) -> None:
    simulator = CFSimulator()
    method = "PATCH" if path.endswith("*") else "POST"
    sent: dict[str, Any] = {"metadata": {}} if method == "PATCH" else {"name": "x"}
    async with client(simulator) as http:
        reply = await http.request(method, f"/v3/{path.replace('*', simulator.new_id())}", json=sent)
    assert misfits(reply.json(), RESOURCE) == []
    assert {*RESOURCE, "name"} <= reply.json().keys()


async def test_the_root_and_the_errors_are_valid() -> None:
    async with client(CFSimulator(rate_limit=1)) as http:
        root = (await http.get("/")).json()
        errors = [await http.get(path) for path in ("/v3/jobs/x", "/v3/jobs/x", "/v3/nothing")]
    assert misfits(root, ROOT) == []
    assert {"self", "cloud_controller_v3", "uaa"} <= root["links"].keys()
    for reply in errors:
        assert misfits(reply.json(), {"errors": [ERROR]}) == []
        assert reply.json()["errors"]


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"errors": None}, "$.errors"),
        ({"errors": [{"code": "1"}]}, "$.errors[0].code"),
        ({"guid": "x"}, "$.guid"),
        ({"state": "DONE"}, "$.state"),
        ({"links": {"self": None}}, "$.links.self"),
        ({"created_at": None}, "$.created_at"),
    ],
)
def test_what_is_not_valid_is_found(value: Any, path: str) -> None:
    assert misfits(value, JOB) == [path]
