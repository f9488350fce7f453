"""From a URL, a job's reference, a profile's name or the environment to the source that it names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from common.config.environment import (
    ENDPOINT,
    PROFILE,
    EnvironmentLayer,
    jobsource_layer,
    may_be_for,
    provider_layer,
)
from common.config.profiles import Profile, read_profiles
from common.config.settings import Settings
from common.config.targets import SystemAddress, read_address
from common.model.errors import UsageError
from common.model.refs import JobRef, Scope
from common.model.tracebacks import without_frames
from common.options import SourceOptions, read_aliases, shows_keywords
from common.providers import Provider, get_provider, installed_providers
from common.sources.base import BaseSource

if TYPE_CHECKING:
    from common.auth.argument import AuthLike
else:
    AuthLike = Any  # names httpx, which must not be imported for hosts that read type hints


@without_frames
@shows_keywords(SourceOptions, and_others=True)
def connect(
    target: str | JobRef | None = None,
    *,
    profile: str | None = None,
    auth: AuthLike | None = None,
    settings: Mapping[str, Any] | None = None,
    **options: Any,
) -> BaseSource:
    """Return the source that a URL, a job's reference, a profile or the environment names, without a request.

    ``target`` is a source's URL (``ontap://cluster1.example.com``, ``cf+http://127.0.0.1:8080``), a `JobRef`
    or its text, or a plain ``https://…`` if a profile or the environment names its provider. Without a target
    the system is named by ``profile=``, ``JOBSOURCE_PROFILE``, ``JOBSOURCE_ENDPOINT`` or ``ONTAP_HOST``, in
    this order.

    Profiles are tables ``[profiles.<name>]`` in the file that ``JOBSOURCE_CONFIG`` names, or in
    ``profiles.toml`` in the platform's configuration folder. Without ``profile=`` and ``JOBSOURCE_PROFILE``,
    the profile is used whose provider, endpoint and scope match the target.

    ``options`` are keywords of the source and keys of a profile. They override the environment
    (``JOBSOURCE_<KEY>``, and the provider's own variables), which overrides the profile. Credentials are sent
    only to the endpoint that they were set for: those of variables to that of ``JOBSOURCE_ENDPOINT``,
    ``ONTAP_HOST`` or the named profile, those of a profile to its own.

    ``settings`` are the keys of a profile as plain values, such as those of an orchestrator's connection.
    Text is parsed by the kind of its key (``verify="false"``, ``concurrency="4"``, ``aliases="a, b"``, JSON
    for ``policy`` and ``states``); None and "" count as not set. With ``settings``, no profile, no
    environment variable and no login of another program is read, and connections use neither the proxies nor
    the CA files of the environment (``trust_env=False``).

    Raise `UsageError`, without secrets in its message, if the system is unclear, a setting is missing or
    invalid, or a file cannot be read.
    """
    return resolve(target, profile=profile, auth=auth, settings=settings, options=options).build()


def resolve(
    target: object,
    *,
    profile: str | None,
    auth: Any,
    settings: Mapping[str, Any] | None,
    options: Mapping[str, Any],
) -> Settings:
    """Return all that a provider needs to build its source. Raise `UsageError` where that is unclear."""
    address = None if target is None else read_address(target)
    if settings is not None:
        return _hermetic(address, profile, auth, settings, options)
    jobsource = jobsource_layer()
    name = os.environ.get(PROFILE) or None if profile is None else profile
    if address is None and name is None:
        address = _address_in_environment(jobsource)
    profiles = read_profiles()
    prefix = f"{PROFILE}: " if profile is None else ""
    chosen: Profile | None = None
    if name is not None:
        chosen = profiles.named(name, prefix)
    elif address is not None:
        chosen = _match(profiles.of(address.endpoint), address)
    provider = get_provider(_resolve_provider(chosen, address, jobsource))
    layers = (jobsource, provider_layer(provider))
    endpoint = _endpoint(chosen, address, provider, layers, named=name)
    if name is not None and chosen is not None:
        _refuse_mismatch(chosen, endpoint, address, options.get("aliases"), prefix)
        if profile is None and jobsource.endpoint:
            _refuse_mismatch_in_environment(chosen, endpoint, jobsource, options.get("aliases"))
    # Not the aliases that the caller gives: beside them, a stored reference may name any host.
    endpoints = {endpoint, *(chosen.aliases if chosen else ())} if endpoint else set[str]()
    used = [layer for layer in layers if layer.is_for(provider.name, endpoints, name)]
    return Settings(
        provider=provider,
        known_endpoint=endpoint,
        target=address,
        profile=chosen,
        variables=tuple(used),
        excluded=tuple(layer for layer in layers if layer not in used),
        auth=auth,
        keywords=options,
    )


def _hermetic(
    address: SystemAddress | None,
    profile: str | None,
    auth: Any,
    settings: Mapping[str, Any],
    options: Mapping[str, Any],
) -> Settings:
    if not isinstance(settings, Mapping) or not all(isinstance(key, str) for key in settings):
        raise UsageError("settings= must be a mapping of keys to plain values, such as {'user': 'admin'}")
    if profile is not None:
        raise UsageError("profile= and settings= cannot be combined: with settings=, no profile is read")
    if address is None:
        raise UsageError("settings= needs a target: pass a URL such as 'ontap://host', or a job's reference")
    if not address.provider:
        raise UsageError(_unclear_provider(address.endpoint))
    provider = get_provider(address.provider)
    return Settings(
        provider=provider,
        known_endpoint=address.endpoint or provider.endpoint,
        target=address,
        auth=auth,
        keywords=options,
        mapping={key: value for key, value in settings.items() if value is not None and value != ""},
    )


def _address_in_environment(jobsource: EnvironmentLayer) -> SystemAddress:
    """Return the system that the environment states, for a call that names none."""
    if jobsource.endpoint:
        return SystemAddress(jobsource.provider, jobsource.endpoint)
    layers = [layer for layer in map(provider_layer, installed_providers()) if layer.endpoint]
    if len(layers) == 1:
        return SystemAddress(layers[0].provider, layers[0].endpoint)
    if layers:
        names = " and ".join(layer.endpoint_variable for layer in layers)
        raise UsageError(f"several systems are set, by {names}: use a URL, such as 'ontap://host'")
    providers = installed_providers()
    variables = [name for one in providers for name, key in one.environment.items() if key == "endpoint"]
    *most, last = PROFILE, ENDPOINT, *variables
    raise UsageError(
        "connect() needs a system: pass a URL such as 'ontap://host', a job's reference or "
        f"profile='name', or set {', '.join(most)} or {last}"
    )


def _match(profiles: Iterable[Profile], address: SystemAddress) -> Profile | None:
    """Return the one profile of this system, None where there is none."""
    matches = [profile for profile in profiles if _fits(profile, address)]
    if len(matches) > 1:
        names = ", ".join(sorted(profile.name for profile in matches))
        raise UsageError(f"several profiles match {address}: use profile= with one of {names}")
    return matches[0] if matches else None


def _fits(profile: Profile, address: SystemAddress) -> bool:
    if address.provider not in ("", profile.provider):
        return False
    endpoint = profile.endpoint or _default_endpoint(profile.provider)
    if not endpoint or (address.endpoint and address.endpoint not in (endpoint, *profile.aliases)):
        return False
    return not _different_scope(profile, address.scope)


def _different_scope(profile: Profile, scope: Scope) -> list[str]:
    """Return the names in a scope for which a profile has another value; what it does not set fits any."""
    if not scope:
        return []
    driver = get_provider(profile.provider).driver
    canonical = driver().canonical_scope if driver is not None else tuple
    stated = [(name, profile.table[name]) for name, _ in scope if isinstance(profile.table.get(name), str)]
    theirs = dict(canonical(scope))
    return [name for name, part in canonical(tuple(stated)) if theirs.get(name) != part]


def _default_endpoint(name: str) -> str:
    return next((provider.endpoint for provider in installed_providers() if provider.name == name), "")


def _refuse_mismatch(
    profile: Profile, endpoint: str, address: SystemAddress | None, aliases: Any, prefix: str = ""
) -> None:
    """Refuse an address that is not the profile's: its credentials must not go to another system."""
    if address is None:
        return
    label = f"{prefix}profile {profile.name!r}"
    if address.provider not in ("", profile.provider):
        raise UsageError(f"{label} is for {profile.provider}, but the target is for {address.provider}")
    names = {endpoint, *profile.aliases, *read_aliases(aliases or ())}
    if endpoint and address.endpoint and address.endpoint not in names:
        raise UsageError(
            f"{label} is for {endpoint}, but the target names {address.endpoint}: if both are the same "
            "system, add the other one to the profile's aliases"
        )
    different = _different_scope(profile, address.scope)
    if different:
        raise UsageError(f"{label} is for another {' and '.join(different)} than the target")


def _refuse_mismatch_in_environment(
    profile: Profile, endpoint: str, jobsource: EnvironmentLayer, aliases: Any
) -> None:
    address = SystemAddress(jobsource.provider, jobsource.endpoint)
    try:
        _refuse_mismatch(profile, endpoint, address, aliases)
    except UsageError as error:
        raise UsageError(f"{PROFILE} and {ENDPOINT} do not match: {error}") from None


def _resolve_provider(
    chosen: Profile | None, address: SystemAddress | None, jobsource: EnvironmentLayer
) -> str:
    """Return the name of the provider. Raise `UsageError` where only an origin is known."""
    if chosen is not None:
        return chosen.provider
    if address is not None and address.provider:
        return address.provider
    endpoint = address.endpoint if address is not None else ""
    if jobsource.endpoint == endpoint and jobsource.provider:
        return jobsource.provider
    layers = map(provider_layer, installed_providers())
    providers = {layer.provider for layer in layers if layer.endpoint == endpoint}
    if len(providers) == 1:
        return providers.pop()
    raise UsageError(f"{_unclear_provider(endpoint)}, or add a profile for it")


def _unclear_provider(endpoint: str) -> str:
    connectable = [provider for provider in installed_providers() if provider.connect]
    urls = [str(SystemAddress(provider.name, endpoint)) for provider in connectable]
    urls = [url if url.endswith("//") else url.removesuffix("/") for url in urls]
    return f"cannot tell which provider {endpoint} belongs to: use one of {', '.join(urls) or 'none'}"


def _endpoint(
    chosen: Profile | None,
    address: SystemAddress | None,
    provider: Provider,
    layers: Iterable[EnvironmentLayer],
    *,
    named: str | None,
) -> str:
    """Return the one endpoint that the source will talk to; "" where only the provider can tell."""
    if chosen is not None and chosen.endpoint:
        return chosen.endpoint
    if chosen is None and address is not None and address.endpoint:
        return address.endpoint
    if chosen is None or (named is not None and may_be_for(named)):
        for layer in layers:
            if layer.endpoint and layer.provider in ("", provider.name):
                return layer.endpoint
    return provider.endpoint
