"""The environment's variables, and which endpoint each bundle of them is for."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping

import attrs

from common.config.profiles import CONFIG, read_endpoint
from common.config.values import Entry
from common.model.errors import UsageError
from common.providers import Provider

PREFIX = "JOBSOURCE_"
ENDPOINT = f"{PREFIX}ENDPOINT"
PROFILE = f"{PREFIX}PROFILE"
PROVIDER = f"{PREFIX}PROVIDER"
RESERVED: frozenset[str] = frozenset({CONFIG, ENDPOINT, PROFILE, PROVIDER, f"{PREFIX}HTTP"})
"""What says something else than the value of a key."""


@attrs.frozen(repr=False)
class Variables:
    """One bundle: all with our prefix, or those that a provider's users have already.

    ``names`` says which variable holds which key; None is the prefix and the key. ``where`` is the variable
    that may state the endpoint, ``endpoint`` "" where none does; ``provider`` is "" where it may be anyone's.
    """

    names: Mapping[str, str] | None
    where: str
    provider: str
    endpoint: str

    def entry(self, key: str) -> Entry | None:
        """The value of a key. An empty variable counts as none, as it does for most programs."""
        name = self.name(key)
        value = os.environ.get(name, "")
        return Entry(name, value, variable=True) if value else None

    def name(self, key: str) -> str:
        """Which variable holds a key, "" for none."""
        if self.names is not None:
            return self.names.get(key, "")
        name = f"{PREFIX}{key.upper()}"
        return "" if name in RESERVED else name

    def set_of(self, keys: Iterable[str]) -> list[str]:
        """Which of these variables are set."""
        return [entry.label for entry in map(self.entry, keys) if entry is not None]

    def is_for(self, provider: str, endpoints: Collection[str], profile: str | None) -> bool:
        """Whether they are for this system, which ``profile`` was named for if it is not None.

        What states no endpoint is for the profile that was named, and for no system that a URL or a stored
        reference happens to pick: these must not decide who sees a password.
        """
        if self.provider not in ("", provider):
            return False
        if self.endpoint:
            return self.endpoint in endpoints
        return profile is not None and (self.names is not None or goes_with(profile))


def goes_with(profile: str) -> bool:
    """Whether the environment may be about this profile: it names no other one."""
    return os.environ.get(PROFILE) in (None, "", profile)


def general() -> Variables:
    """``JOBSOURCE_…``. Raises `UsageError` for an endpoint that is none."""
    provider = os.environ.get(PROVIDER, "")
    text = os.environ.get(ENDPOINT, "")
    if not text:
        return Variables(None, ENDPOINT, provider, "")
    try:
        provider, endpoint = read_endpoint(text, provider)
    except UsageError as error:
        raise UsageError(f"{ENDPOINT}: {error}") from None
    return Variables(None, ENDPOINT, provider, endpoint)


def own(provider: Provider) -> Variables:
    """The provider's own. Raises `UsageError` for an endpoint that is none."""
    names = {key: variable for variable, key in provider.environment.items()}
    where = names.pop("endpoint", "")
    text = os.environ.get(where, "") if where else ""
    if not text:
        return Variables(names, where, provider.name, "")
    try:
        _, endpoint = read_endpoint(text, provider.name)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None
    return Variables(names, where, provider.name, endpoint)
