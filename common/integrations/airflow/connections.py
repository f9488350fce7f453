"""From an Airflow connection to what `common.connect` takes: a target, and settings in plain text."""

from __future__ import annotations

import json
from typing import Any, Protocol

from common.integrations.systems import System, target_of
from common.model.errors import UsageError


class ConnectionFields(Protocol):
    """The fields of an Airflow connection, however it was loaded."""

    conn_id: str
    conn_type: str | None
    host: str | None
    schema: str | None
    login: str | None
    password: str | None
    port: int | None
    extra: str | None


def system_of(connection: ConnectionFields, provider: str) -> System:
    """Return the system that a connection names.

    The host may have a scheme, a port and a path (``http://um.example.com/api/gateways/1cd8a442``); schema
    ``http`` means plain http too. Login and password are the settings ``user`` and ``password``; each key of
    the extra is a setting of its own. Raise `UsageError`, which quotes no value.
    """
    if connection.conn_type not in (provider, None, ""):
        named = f"connection {connection.conn_id!r} is of type {connection.conn_type!r}"
        raise UsageError(f"{named}: name one of type {provider!r}")
    settings = {"user": connection.login, "password": connection.password, **_extra(connection)}
    return System(
        target_of(provider, connection.host or "", port=connection.port, scheme=connection.schema),
        {key: value for key, value in settings.items() if value},
    )


def _extra(connection: ConnectionFields) -> dict[str, str]:
    # Not `extra_dejson`, which blocks in a triggerer: it asks the supervisor to mask what is in it.
    try:
        extra = json.loads(connection.extra or "{}")
    except ValueError:
        extra = None
    if not isinstance(extra, dict):
        raise UsageError(f"connection {connection.conn_id!r}: its extra must be a JSON object")
    return {key: _text(connection, key, value) for key, value in extra.items() if value is not None}


def _text(connection: ConnectionFields, key: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return ",".join(value)
    if isinstance(value, str | int | float):
        return str(value)
    raise UsageError(f"connection {connection.conn_id!r}: {key!r} in its extra must be text or a number")
