"""The options that every source takes, from keywords, the environment and a profile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from common.config.values import SettingValues
from common.model.errors import UsageError
from common.model.states import JobState
from common.options import SourceOptions
from common.polling.policy import PollPolicy

KINDS: Mapping[str, str] = {
    "aliases": "texts",
    "cert": "path",
    "concurrency": "integer",
    "key": "path",
    "key_password": "secret",
    "policy": "table",
    "proxy": "proxy",
    "request_timeout": "number",
    "states": "table",
    "user_agent": "text",
    "verify": "verify",
}
"""The keys that every profile may have, and the kind of each."""
_ROUTE = frozenset({"verify", "cert", "proxy"})
"""How to reach the endpoint, which a client or transport of the caller's own knows itself."""
_CERT_PARTS = ("key", "key_password")


def source_options(
    values: SettingValues, keywords: Mapping[str, Any], default_policy: Callable[[], PollPolicy]
) -> dict[str, Any]:
    """Return what to pass to a source besides its endpoint and ``auth=``. Raise `UsageError`.

    Keywords are passed on as they are: the source checks them. Aliases add up.
    """
    options = {
        name: keywords[name] for name in SourceOptions.__annotations__ if keywords.get(name) is not None
    }
    left_out = {*options, *_CERT_PARTS}
    own_client = "http" in options or "transport" in options
    if own_client:
        left_out |= _ROUTE
    if "aliases" in options and "aliases" in values.parents:
        options["aliases"] = [*options["aliases"], *values.parents["aliases"].texts()]
    for name, kind in KINDS.items():
        if name not in left_out and name in values:
            options[name] = values[name].read(kind)
    if "policy" not in left_out and "policy" in options:
        options["policy"] = _policy(values["policy"].label, options["policy"], default_policy())
    if "states" not in left_out and "states" in options:
        options["states"] = _states(values["states"].label, options["states"])
    if isinstance(options.get("cert"), str):
        options["cert"] = _with_key(options["cert"], values)
    elif "cert" not in options and not own_client:
        _refuse_key_alone(values)
    return options


def _with_key(cert: str, values: SettingValues) -> str | tuple[str, ...]:
    """Return a certificate with its key and the key's password, if there are any.

    In a layer farther away than the certificate's they belong to another certificate.
    """
    layer = values["cert"].layer
    key, password = (
        values[name] if name in values and values[name].layer <= layer else None for name in _CERT_PARTS
    )
    if password is not None:
        return (cert, key.path() if key else cert, password.secret())
    return (cert, key.path()) if key else cert


def _refuse_key_alone(values: SettingValues) -> None:
    # Only of a keyword or a profile: a variable may be there for another system's profile.
    for name in _CERT_PARTS:
        for layer in (values.maps[0], values.maps[-1]):
            if name in layer:
                raise UsageError(f"{layer[name].label} belongs to a client certificate, but cert is missing")


def _policy(label: str, table: Mapping[str, Any], default: PollPolicy) -> PollPolicy:
    known = sorted(field.name for field in attrs.fields(PollPolicy))
    unknown = sorted(set(table) - set(known))
    if unknown:
        raise UsageError(f"{label}: unknown key {unknown[0]!r}; known are {', '.join(known)}")
    try:
        return attrs.evolve(default, **table)
    except UsageError as error:
        raise UsageError(f"{label}: {error}") from None


def _states(label: str, table: Mapping[str, Any]) -> dict[str, JobState]:
    try:
        return {word: JobState(state) for word, state in table.items()}
    except ValueError:
        known = ", ".join(JobState)
        raise UsageError(f"{label} must map the server's words to states: {known}") from None
