"""What a simulated Cloud Foundry writes: its root document, jobs and other resources, as JSON values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, unquote

from cfjobs.simulator.writes import link_name, read_body
from common.simulator.messages import Request
from common.simulator.script import Moment, ScriptedJob

VERSION = "3.228.0"
KORIFI_VERSION = "3.117.0+cf-k8s"
TIME = "%Y-%m-%dT%H:%M:%SZ"

REQUIRED_FIELDS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "organization_quotas": {"apps": {}, "services": {}, "routes": {}},
        "security_groups": {"globally_enabled": {"running": False, "staging": False}, "rules": []},
        "service_credential_bindings": {"type": "app"},
        "sidecars": {"command": "", "process_types": []},
        "space_quotas": {"apps": {}, "services": {}, "routes": {}},
        "stacks": {"description": ""},
    }
)
"""The fields that the OpenAPI description requires in resources of a collection, beside those of all."""
ANSWER_BODIES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "destructively_purge_all_and_reseed": {},
        "manifest_diff": {"diff": []},
        "visibility": {"type": "public"},
    }
)
"""The bodies of the responses to writes whose path ends in this segment, which are about no resource."""


def root_document(origin: str, *, korifi: bool) -> dict[str, Any]:
    """Return what ``GET /`` answers: of a Cloud Controller without v2, or of a Korifi without a UAA."""
    api = {"href": f"{origin}/v3", "meta": {"version": KORIFI_VERSION if korifi else VERSION}}
    links = {"self": {"href": origin}, "cloud_controller_v3": api, "login": {"href": origin}}
    if korifi:
        absent = ("cloud_controller_v2", "uaa", "credhub", "routing", "logging", "log_stream", "app_ssh")
        return {
            "links": {**links, **dict.fromkeys(absent), "log_cache": {"href": origin}},
            "cf_on_k8s": True,
        }
    others = {
        "uaa": {"href": origin},
        "network_policy_v1": {"href": f"{origin}/networking/v1/external"},
        **{name: {"href": origin} for name in ("logging", "log_cache", "log_stream")},
    }
    return {"links": {**links, **others, "credhub": None, "routing": None}}


def job_path(guid: str) -> str:
    """Return the path of a job; its guid is one segment, whatever characters it has."""
    return f"/v3/jobs/{quote(guid, safe='')}"


def render(
    job: ScriptedJob,
    moment: Moment,
    origin: str,
    wall: Callable[[float], datetime],
    *,
    korifi: bool,
) -> dict[str, Any]:
    """Return a job's record.

    A job that completes has no errors, unless its script gives it some in that very step.
    """
    fields: dict[str, Any] = {"operation": "app.delete", **moment.fields}
    errors = fields.pop("errors", [])
    if errors and moment.state == "COMPLETE" and "errors" not in moment.step.changes:
        errors = []
    warnings = fields.pop("warnings", None if korifi else [])
    resource = fields.pop("resource", None)
    record: dict[str, Any] = {"guid": job.id}
    if not korifi and job.life.start is not None and moment.since is not None:
        times = {"created_at": job.life.start, "updated_at": moment.since}
        record |= {name: f"{wall(at):{TIME}}" for name, at in times.items()}
    if moment.state is not None:
        record["state"] = moment.state
    record["errors"] = errors
    if not (korifi and warnings is None):
        record["warnings"] = warnings and [_detail(warning) for warning in warnings]
    record["links"] = {"self": {"href": origin + job_path(job.id)}}
    link = link_name(fields["operation"], korifi=korifi)
    deleted = fields["operation"].endswith(".delete") and moment.state == "COMPLETE"
    if link is not None and resource is not None and not deleted:
        record["links"][link] = {"href": origin + resource}  # it is there for as long as the resource is
    return record | fields


def _detail(warning: str | Mapping[str, Any]) -> Mapping[str, Any]:
    return {"detail": warning} if isinstance(warning, str) else warning


def resource_body(request: Request, path: str, moment: str) -> dict[str, Any]:
    """Return the body of a write's response: the fields that each resource, and one of its kind, must have.

    They have the values that the write sent, if of the same JSON type. ``path`` is the resource's.
    """
    *_, action = request.segments
    sent = read_body(request)
    if "relationships" in request.segments:
        links = {"self": {"href": request.origin + request.raw_path}}
        return {"links": links, **({"data": sent["data"]} if "data" in sent else {})}
    if action in ANSWER_BODIES:
        return dict(ANSWER_BODIES[action])
    _, _, collection, guid = path.split("/")
    record: dict[str, Any] = {
        "name": unquote(guid),
        "relationships": {},
        "metadata": {"labels": {}, "annotations": {}},
        **REQUIRED_FIELDS.get(collection, {}),
    }
    record |= {name: sent[name] for name, value in record.items() if type(sent.get(name)) is type(value)}
    links = {"self": {"href": request.origin + path}}
    return {"guid": unquote(guid), "created_at": moment, "updated_at": moment, **record, "links": links}
