"""The options that every source takes, as a profile and the environment may set them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from common.config.values import Entry
from common.model.errors import UsageError
from common.model.states import JobState
from common.options import SourceOptions
from common.polling.policy import PollPolicy

SHARED: Mapping[str, str] = {
    "aliases": "texts",
    "cert": "path",
    "concurrency": "whole",
    "key": "path",
    "key_password": "secret",
    "policy": "table",
    "proxy": "proxy",
    "request_timeout": "number",
    "states": "table",
    "user_agent": "text",
    "verify": "verify",
}
"""The keys, and the kind that each is of."""
_WAY = ("verify", "cert", "proxy")
"""What says how to get there, which a client or transport of the caller's own knows itself."""
_CHAIN = ("key", "key_password")

Entries = Callable[[str], list[Entry | None]]


def shared_options(
    entries: Entries, keywords: Mapping[str, Any], default_policy: Callable[[], PollPolicy]
) -> dict[str, Any]:
    """What to pass to a source besides its endpoint and ``auth=``. Raises `UsageError`.

    Keywords go through as they are: the source checks them. Aliases add up.
    """
    own = {name for name in SourceOptions.__annotations__ if keywords.get(name) is not None}
    options = {name: keywords[name] for name in own}
    replaced = own & {"http", "transport"}
    for name in sorted(set(SHARED) - own - set(_CHAIN)):
        entry = next(filter(None, entries(name)), None)
        if entry is None or (replaced and name in _WAY):
            continue
        options[name] = getattr(entry, SHARED[name])()
        if name == "policy":
            options[name] = _policy(entry.label, options[name], default_policy())
        elif name == "states":
            options[name] = _states(entry.label, options[name])
    if "cert" not in options and not replaced:
        for entry in (found for name in _CHAIN for found in (entries(name)[0], entries(name)[-1]) if found):
            raise UsageError(f"{entry.label} is of a client certificate, and cert is missing")
    if isinstance(options.get("cert"), str):
        options["cert"] = _chain(options["cert"], entries)
    listed = [entry.texts() for entry in entries("aliases")[1:] if entry is not None]
    if "aliases" in own and listed:
        options["aliases"] = [*options["aliases"], *listed[0]]
    return options


def _chain(cert: str, entries: Entries) -> str | tuple[str, ...]:
    """A certificate with its key and the key's password, none of them from farther away than itself."""
    places = range(len(entries("cert")))
    rank = next(place for place in places if entries("cert")[place] is not None)

    def near(name: str) -> Entry | None:
        return next(filter(None, entries(name)[: rank + 1]), None)

    key, password = near("key"), near("key_password")
    if password is not None:
        return (cert, key.path() if key else cert, password.secret())
    return (cert, key.path()) if key else cert


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
