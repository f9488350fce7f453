"""What Airflow knows of the providers: the connection types and their forms, and where the classes are."""

from __future__ import annotations

from typing import Any

_SECRET = {"type": ["string", "null"], "format": "password"}
_TEXT = {"type": ["string", "null"]}
_FIELDS: dict[str, tuple[str, dict[str, Any]]] = {
    "account": ("Account", _TEXT),
    "agent": ("Agent (connector)", _TEXT),
    "client_id": ("Client id", _TEXT),
    "client_secret": ("Client secret", _SECRET),
    "login_url": ("UAA, if the API does not name it", _TEXT),
    "origin": ("Identity provider of the user", _TEXT),
    "refresh_token": ("Refresh token", _SECRET),
    "token": ("Token", _SECRET),
    "token_url": ("Token URL", _TEXT),
    "verify": ("Verify TLS: true, false, or a CA file", _TEXT),
}
"""The label and the kind of each field of a form that is stored in a connection's extra."""


def get_provider_info() -> dict[str, Any]:
    """Return the metadata, as ``airflow/provider_info.schema.json`` describes it."""
    packages = {"NetApp ONTAP": "ontapjobs", "NetApp BlueXP": "bluexp_jobs", "Cloud Foundry": "cfjobs"}
    modules = [
        {"integration-name": name, "python-modules": [f"{package}.airflow"]}
        for name, package in packages.items()
    ]
    return {
        "package-name": "jobsource",
        "name": "jobsource",
        "description": "Wait for the jobs of ONTAP, BlueXP backup and recovery, and Cloud Foundry.",
        "integrations": [{"integration-name": name, "tags": ["service"]} for name in packages],
        "operators": modules,
        "sensors": modules,
        "hooks": modules,
        "triggers": modules,
        "extra-links": [f"{package}.airflow.JobLink" for package in packages.values()],
        "connection-types": [
            _connection_type(
                "ontap",
                "ontapjobs.airflow.OntapHook",
                "NetApp ONTAP",
                host="cluster1.example.com",
                fields=("verify", "token", "token_url", "client_id", "client_secret"),
            ),
            _connection_type(
                "bluexp",
                "bluexp_jobs.airflow.BlueXPHook",
                "NetApp BlueXP backup and recovery",
                host="only in private mode: the agent's",
                fields=("account", "agent", "token", "refresh_token", "client_id", "client_secret", "verify"),
            ),
            _connection_type(
                "cf",
                "cfjobs.airflow.CFHook",
                "Cloud Foundry",
                host="api.example.org",
                fields=(
                    "verify",
                    "origin",
                    "login_url",
                    "token",
                    "refresh_token",
                    "client_id",
                    "client_secret",
                ),
            ),
        ],
    }


def _connection_type(
    name: str, hook: str, title: str, *, host: str, fields: tuple[str, ...]
) -> dict[str, Any]:
    return {
        "connection-type": name,
        "hook-class-name": hook,
        "hook-name": title,
        "ui-field-behaviour": {
            "hidden-fields": [],
            "relabeling": {"login": "User", "schema": "http or https"},
            "placeholders": {"host": host, "schema": "https"},
        },
        "conn-fields": {field: {"label": _FIELDS[field][0], "schema": _FIELDS[field][1]} for field in fields},
    }
