"""One line from a URL, a job's reference or a profile's name to the source behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from common.model.refs import JobRef
from common.sources.base import BaseSource

if TYPE_CHECKING:
    from common.auth.argument import AuthLike
else:
    AuthLike = Any  # names httpx, which must not be imported for hosts that read type hints


import os
from collections.abc import Iterable, Mapping
from typing import Any

from common.config.environment import ENDPOINT, PROFILE, Variables, general, goes_with, own
from common.config.profiles import Profile, read_profiles
from common.config.settings import Settings
from common.config.targets import Target, read_target
from common.model.errors import UsageError
from common.model.refs import Scope
from common.options import read_aliases
from common.providers import Provider, usable
from common.providers import provider as provider_of


def connect(
    target: str | JobRef | None = None,
    *,
    profile: str | None = None,
    auth: AuthLike | None = None,
    **options: Any,
) -> BaseSource:
    """The source that a URL, a job's reference, a profile or the environment names. Nothing is sent.

    ``target`` is a source's URL (``ontap://cluster1.example.com``, ``cf+http://127.0.0.1:8080``), a `JobRef`
    or its text, or a plain ``https://…`` where a profile or the environment says whose it is. Without one,
    ``profile=``, else ``JOBSOURCE_PROFILE``, else ``JOBSOURCE_ENDPOINT``, else ``ONTAP_HOST`` says where.

    Profiles are tables ``[profiles.<name>]`` of the file that ``JOBSOURCE_CONFIG`` names, else of
    ``profiles.toml`` in the platform's folder for configuration. Without ``profile=`` and
    ``JOBSOURCE_PROFILE``, the one whose provider, endpoint and scope match the target is used.

    ``options`` are those of the source, and keys of a profile. They beat the environment
    (``JOBSOURCE_<KEY>``, and the provider's own variables), which beats the profile. Credentials go only to
    the endpoint that they were stated for: variables to the one of ``JOBSOURCE_ENDPOINT``, ``ONTAP_HOST`` or
    the named profile, a profile's to its own.

    Raises `UsageError`, which quotes no secret: where it is not clear who is meant, what is missing, and for
    a file that can't be read.
    """
    return choose(target, profile=profile, auth=auth, options=options).build()


def choose(target: object, *, profile: str | None, auth: Any, options: Mapping[str, Any]) -> Settings:
    """All that a provider needs to build its source. Raises `UsageError` where that is not clear."""
    where = None if target is None else read_target(target)
    ours = general()
    name = os.environ.get(PROFILE) or None if profile is None else profile
    if where is None and name is None:
        where = _stated(ours)
    profiles = read_profiles()
    said = f"{PROFILE}: " if profile is None else ""
    if name is not None:
        chosen: Profile | None = profiles.named(name, said)
    else:
        chosen = None if where is None else _match(profiles.by_name.values(), where)
    provider = provider_of(_whose(chosen, where, ours))
    bundles = (ours, own(provider))
    endpoint = _endpoint(chosen, where, provider, bundles, named=name)
    if name is not None and chosen is not None:
        aliases = chosen.aliases | read_aliases(options.get("aliases") or ())
        if where is not None:
            _refuse_other(chosen, endpoint, where, aliases, said)
        if profile is None and ours.endpoint:
            _refuse_other_variable(chosen, endpoint, ours, aliases)
    # Not the aliases that the caller gives: beside them, a stored reference may name any host.
    names = {endpoint, *(chosen.aliases if chosen else ())} if endpoint else set[str]()
    variables = tuple(bundle for bundle in bundles if bundle.is_for(provider.name, names, name))
    return Settings(
        provider=provider,
        known_endpoint=endpoint,
        target=where,
        profile=chosen,
        variables=variables,
        withheld=tuple(bundle for bundle in bundles if bundle not in variables),
        auth=auth,
        keywords=options,
    )


def _stated(ours: Variables) -> Target:
    """Where the environment says to, for a call that does not."""
    if ours.endpoint:
        return Target(ours.provider, ours.endpoint)
    found = [bundle for bundle in map(own, usable()) if bundle.endpoint]
    if len(found) == 1:
        return Target(found[0].provider, found[0].endpoint)
    if found:
        names = " and ".join(bundle.where for bundle in found)
        raise UsageError(
            f"connect() could mean several systems, by {names}: pass a URL, such as 'ontap://host'"
        )
    known = [name for one in usable() for name, key in one.environment.items() if key == "endpoint"]
    *most, last = PROFILE, ENDPOINT, *known
    raise UsageError(
        "connect() needs to know where to: pass a URL such as 'ontap://host', a job's reference or "
        f"profile='name', or set {', '.join(most)} or {last}"
    )


def _match(profiles: Iterable[Profile], where: Target) -> Profile | None:
    """The one profile of the target's system, None where there is none."""
    found = [profile for profile in profiles if _fits(profile, where)]
    if len(found) > 1:
        names = ", ".join(sorted(profile.name for profile in found))
        raise UsageError(f"several profiles are of {where}: pass profile= with one of {names}")
    return found[0] if found else None


def _fits(profile: Profile, where: Target) -> bool:
    if where.provider not in ("", profile.provider):
        return False
    endpoint = profile.endpoint or _default_endpoint(profile.provider)
    if not endpoint or (where.endpoint and where.endpoint not in (endpoint, *profile.aliases)):
        return False
    return not _foreign_scope(profile, where.scope)


def _foreign_scope(profile: Profile, scope: Scope) -> list[str]:
    """Which parts of a scope a profile states otherwise; what it does not state fits any."""
    if not scope:
        return []
    driver = provider_of(profile.provider).driver
    canonical = driver().canonical_scope if driver is not None else tuple
    stated = [(name, profile.table[name]) for name, _ in scope if isinstance(profile.table.get(name), str)]
    theirs = dict(canonical(scope))
    return [name for name, part in canonical(tuple(stated)) if theirs.get(name) != part]


def _default_endpoint(name: str) -> str:
    return next((provider.endpoint for provider in usable() if provider.name == name), "")


def _refuse_other(
    profile: Profile, endpoint: str, where: Target, aliases: frozenset[str], said: str = ""
) -> None:
    """A profile is for its own system: what it holds must not go to another."""
    label = f"{said}profile {profile.name!r}"
    if where.provider not in ("", profile.provider):
        raise UsageError(f"{label} is for {profile.provider}, and the target is of {where.provider}")
    if endpoint and where.endpoint and where.endpoint not in (endpoint, *aliases):
        raise UsageError(
            f"{label} is for {endpoint}, and the target names {where.endpoint}: if both are "
            "one system, add the other one to the profile's aliases"
        )
    foreign = _foreign_scope(profile, where.scope)
    if foreign:
        raise UsageError(f"{label} is for another {' and '.join(foreign)} than the target")


def _refuse_other_variable(profile: Profile, endpoint: str, ours: Variables, aliases: frozenset[str]) -> None:
    try:
        _refuse_other(profile, endpoint, Target(ours.provider, ours.endpoint), aliases)
    except UsageError as error:
        raise UsageError(f"{PROFILE} and {ENDPOINT} do not fit: {error}") from None


def _whose(chosen: Profile | None, where: Target | None, ours: Variables) -> str:
    if chosen is not None:
        return chosen.provider
    if where is not None and where.provider:
        return where.provider
    endpoint = where.endpoint if where is not None else ""
    if ours.endpoint == endpoint and ours.provider:
        return ours.provider
    named = {bundle.provider for bundle in map(own, usable()) if bundle.endpoint == endpoint}
    if len(named) == 1:
        return named.pop()
    urls = ", ".join(str(Target(one.name, endpoint)).removesuffix("/") for one in usable() if one.connect)
    raise UsageError(
        f"nothing says whose {endpoint} is: write one of {urls or 'none'}, or add a profile for it"
    )


def _endpoint(
    chosen: Profile | None,
    where: Target | None,
    provider: Provider,
    bundles: tuple[Variables, ...],
    *,
    named: str | None,
) -> str:
    """The one endpoint that the source will talk to; "" where only the provider can tell."""
    if chosen is not None and chosen.endpoint:
        return chosen.endpoint
    if chosen is None and where is not None and where.endpoint:
        return where.endpoint
    if chosen is None or (named is not None and goes_with(named)):
        for bundle in bundles:
            if bundle.endpoint and bundle.provider in ("", provider.name):
                return bundle.endpoint
    return provider.endpoint
