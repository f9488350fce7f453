"""Which writes start a job, what that job is called, and what all others are answered with.

The facts are those of the Cloud Controller (API 3.228: its OpenAPI description, ``display_name`` and
``resource_type`` in ``app/jobs``, ``app/controllers/v3``) and of Korifi (``api/presenter/job.go`` and
``api/handlers``), whose spelling "unapped" is its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import attrs

from common.simulator.messages import Request

_Found = TypeVar("_Found", str, int)

ANY_SEGMENT = "*"
"""Stands for any one segment of a path."""

_DELETED = """
apps buildpacks domains droplets organizations organization_quotas packages roles routes security_groups
service_brokers service_instances spaces space_quotas users
"""

JOBS: Mapping[str, str] = MappingProxyType(
    {f"DELETE {name}/*": f"{name.removesuffix('s')}.delete" for name in _DELETED.split()}
    | {
        "POST admin/actions/clear_buildpack_cache": "admin.clear_buildpack_cache",
        "POST apps/*/actions/clear_buildpack_cache": "app.clear_buildpack_cache",
        "POST buildpacks/*/upload": "buildpack.upload",
        "POST droplets/*/upload": "droplet.upload",
        "POST service_brokers": "service_broker.catalog.synchronize",
        "PATCH service_brokers/*": "service_broker.update",
        "POST service_credential_bindings": "service_bindings.create",
        "DELETE service_credential_bindings/*": "service_bindings.delete",
        "POST service_instances": "service_instance.create",
        "PATCH service_instances/*": "service_instance.update",
        "POST service_route_bindings": "service_route_bindings.create",
        "DELETE service_route_bindings/*": "service_route_bindings.delete",
        "POST spaces/*/actions/apply_manifest": "space.apply_manifest",
        "DELETE spaces/*/routes": "space.delete_unmapped_routes",
    }
)
"""The operation of the job that a write starts at a Cloud Controller."""

KORIFI_JOBS: Mapping[str, str] = MappingProxyType(
    {
        f"DELETE {name}/*": f"{name.removesuffix('s')}.delete"
        for name in ("apps", "domains", "roles", "routes", "service_brokers", "spaces")
    }
    | {
        "DELETE organizations/*": "org.delete",
        "POST service_brokers": "service_broker.create",
        "PATCH service_brokers/*": "service_broker.update",
        "POST service_credential_bindings": "managed_service_binding.create",
        "DELETE service_credential_bindings/*": "managed_service_binding.delete",
        "POST service_instances": "managed_service_instance.create",
        "DELETE service_instances/*": "managed_service_instance.delete",
        "POST spaces/*/actions/apply_manifest": "space.apply_manifest",
        "DELETE spaces/*/routes": "space.delete_unapped_routes",
    }
)
"""The same at a Korifi."""

ANSWERS: Mapping[str, int] = MappingProxyType(
    {
        "POST apps/*/sidecars": 201,
        "POST apps/*/tasks": 202,
        "POST apps/*/processes/*/actions/scale": 202,
        "POST processes/*/actions/scale": 202,
        "POST spaces/*/manifest_diff": 201,
        "POST tasks/*/actions/cancel": 202,
        "PUT tasks/*/actions/cancel": 202,
        "PUT tasks/*/cancel": 202,
        "PATCH routes/*/relationships/space": 204,
    }
)
"""What a Cloud Controller answers to writes that start no job, where `_usual_answer` does not say it."""
KORIFI_ANSWERS: Mapping[str, int] = MappingProxyType(
    {
        **{key: status for key, status in ANSWERS.items() if not key.endswith("actions/scale")},
        "POST apps/*/tasks": 201,
        "POST spaces/*/manifest_diff": 202,
    }
)
"""The same at a Korifi."""

_COLLECTIONS = """
admin apps app_usage_events builds buildpacks deployments domains droplets environment_variable_groups
feature_flags isolation_segments organization_quotas organizations packages processes resource_matches
revisions roles routes security_groups service_brokers service_credential_bindings service_instances
service_offerings service_plans service_route_bindings service_usage_events sidecars space_quotas spaces
stacks tasks users
"""
_KORIFI_COLLECTIONS = """
apps builds deployments domains droplets organizations packages processes resource_matches roles routes
security_groups service_brokers service_credential_bindings service_instances service_offerings service_plans
spaces tasks
"""
COLLECTIONS = frozenset(_COLLECTIONS.split())
"""What follows ``/v3/`` in the path of a write."""
KORIFI_COLLECTIONS = frozenset(_KORIFI_COLLECTIONS.split())
"""The same at a Korifi."""

LINKS: Mapping[str, str] = MappingProxyType(
    {
        "service_instance.create": "service_instances",
        "service_instance.update": "service_instances",
        "service_broker.update": "service_brokers",
        "service_broker.catalog.synchronize": "service_brokers",
        "service_route_bindings.create": "service_route_binding",
        "service_route_bindings.delete": "service_route_binding",
    }
    | {
        f"service_{kind}.{verb}": "service_credential_binding"
        for kind in ("bindings", "keys")
        for verb in ("create", "delete")
    }
)
"""The name of a job's link to its resource, where it is not the first part of the operation."""
KORIFI_LINKED = frozenset({"space.apply_manifest", "space.delete_unapped_routes"})
"""The operations of Korifi whose jobs link to their resource at all."""
UPLOADS = frozenset({"buildpack.upload", "droplet.upload"})
"""The operations whose write is answered with the resource beside the Location."""

WITHOUT_BROKER: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "service_broker.update": frozenset({"metadata"}),
        "service_instance.update": frozenset({"metadata", "name", "tags"}),
    }
)
"""An update of no more than these fields asks no service broker, and is done at once."""


@attrs.frozen
class Write:
    """A write as the simulated system takes it: the operation of the job that it starts, or its status."""

    operation: str | None = None
    status: int = 202


def read_write(request: Request, *, korifi: bool) -> Write | None:
    """Return what a write below ``/v3`` does. None where there is no such route."""
    method, path = request.method, request.segments[1:]
    if path[0] not in (KORIFI_COLLECTIONS if korifi else COLLECTIONS):
        return None
    operation = _find(KORIFI_JOBS if korifi else JOBS, method, path)
    if operation is not None:
        body = read_body(request)
        if body.get("type") == "user-provided" or (
            body and body.keys() <= WITHOUT_BROKER.get(operation, set())
        ):
            return Write(status=_usual_answer(method, path))
        if operation == "service_bindings.create" and body.get("type") == "key":
            return Write("service_keys.create")
        return Write(operation)
    status = _find(KORIFI_ANSWERS if korifi else ANSWERS, method, path)
    if status is None and method == "PUT":
        return None
    return Write(status=status or _usual_answer(method, path))


def read_body(request: Request) -> Mapping[str, Any]:
    """Return the JSON object in a request's body; an empty one where there is none."""
    try:
        body = request.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def link_name(operation: str, *, korifi: bool) -> str | None:
    """Return the name of the link from a job to its resource, None where there is none."""
    subject = operation.partition(".")[0]
    if korifi:
        return subject if operation in KORIFI_LINKED else None
    return LINKS.get(operation, subject)


def _usual_answer(method: str, path: tuple[str, ...]) -> int:
    if method == "DELETE":
        return 204
    return 201 if method == "POST" and len(path) == 1 else 200


def _find(table: Mapping[str, _Found], method: str, path: tuple[str, ...]) -> _Found | None:
    for line, found in table.items():
        verb, _, pattern = line.partition(" ")
        parts = pattern.split("/")
        if verb == method and len(parts) == len(path) and all(map(_matches, parts, path)):
            return found
    return None


def _matches(part: str, segment: str) -> bool:
    return part in (ANY_SEGMENT, segment)
