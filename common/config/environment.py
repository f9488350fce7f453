"""The variables of the environment, and which endpoint each group of them is for."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping

import attrs

from common.config.profiles import CONFIG, read_endpoint
from common.config.values import Layer, SettingValue
from common.model.errors import UsageError
from common.providers import Provider

PREFIX = "JOBSOURCE_"
ENDPOINT = f"{PREFIX}ENDPOINT"
PROFILE = f"{PREFIX}PROFILE"
PROVIDER = f"{PREFIX}PROVIDER"
RESERVED: frozenset[str] = frozenset({CONFIG, ENDPOINT, PROFILE, PROVIDER, f"{PREFIX}HTTP"})
"""Variables with our prefix that do not hold the value of a key."""


@attrs.frozen(eq=False, repr=False)
class EnvironmentLayer:
    """One group of variables: those with our prefix, or those that a system's users already have.

    ``names`` maps keys to variables; None stands for the prefix and the key. ``endpoint_variable`` may state
    the endpoint that they are for, and ``endpoint`` is that, "" where it is not set; ``provider`` is "" where
    they may be for any.
    """

    layer: Layer
    names: Mapping[str, str] | None
    endpoint_variable: str
    provider: str
    endpoint: str

    def values(self, keys: Iterable[str]) -> dict[str, SettingValue]:
        """Return the values that are set for these keys. An empty variable counts as not set."""
        values: dict[str, SettingValue] = {}
        for key in keys:
            name = f"{PREFIX}{key.upper()}" if self.names is None else self.names.get(key, "")
            text = "" if name in RESERVED else os.environ.get(name, "")
            if text:
                values[key] = SettingValue(name, text, self.layer)
        return values

    def all_values(self) -> list[SettingValue]:
        """Return all values that are set, in the order of their names."""
        names = self.names
        if names is None:
            variables = [name for name in os.environ if name.startswith(PREFIX)]
            names = {name.removeprefix(PREFIX).lower(): name for name in variables}
        return sorted(self.values(names).values(), key=lambda value: value.label)

    def is_for(self, provider: str, endpoints: Collection[str], profile: str | None) -> bool:
        """Whether the variables are for this system. ``profile`` is the one that was named for it, or None.

        Variables without an endpoint are for the profile that was named, and for no system that a URL or a
        stored reference happens to pick: these must not decide who sees a password.
        """
        if self.provider not in ("", provider):
            return False
        if self.endpoint:
            return self.endpoint in endpoints
        return profile is not None and (self.names is not None or may_be_for(profile))


def may_be_for(profile: str) -> bool:
    """Whether ``JOBSOURCE_…`` may be for this profile: ``JOBSOURCE_PROFILE`` names no other."""
    return os.environ.get(PROFILE) in (None, "", profile)


def jobsource_layer() -> EnvironmentLayer:
    """Return ``JOBSOURCE_…``. Raise `UsageError` for an endpoint that is not valid."""
    provider, endpoint = _read_endpoint(ENDPOINT, os.environ.get(PROVIDER, ""))
    return EnvironmentLayer(Layer.JOBSOURCE, None, ENDPOINT, provider, endpoint)


def provider_layer(provider: Provider) -> EnvironmentLayer:
    """Return the variables of a provider's users. Raise `UsageError` for an endpoint that is not valid."""
    names = {key: variable for variable, key in provider.environment.items()}
    variable = names.pop("endpoint", "")
    _, endpoint = _read_endpoint(variable, provider.name)
    return EnvironmentLayer(Layer.PROVIDER, names, variable, provider.name, endpoint)


def _read_endpoint(variable: str, provider: str) -> tuple[str, str]:
    """Return the provider and the origin that a variable states; the origin is "" where it is not set."""
    text = os.environ.get(variable, "") if variable else ""
    if not text:
        return provider, ""
    try:
        return read_endpoint(text, provider)
    except UsageError as error:
        raise UsageError(f"{variable}: {error}") from None
