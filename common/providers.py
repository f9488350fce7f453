"""Find the installed providers: plain data, named by entry points, so that any package can add one."""

from __future__ import annotations

import functools
import pkgutil
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from common.model.errors import UsageError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "jobsource.providers"
"""The entry-point group in which a provider's package names its `Provider`."""

_SCHEME = re.compile(r"([a-z][a-z0-9]*)(?:\+http)?://")


def lazy(package: str, where: str) -> Callable[[], Any]:
    """Return a function that imports and returns ``where``, such as ``"source:OntapJobs"`` in ``package``."""
    return functools.partial(pkgutil.resolve_name, f"{package}.{where}")


def lazy_call(package: str, where: str) -> Callable[..., Any]:
    """Return a function that imports ``where`` of ``package`` and calls it."""

    def call(*args: Any) -> Any:
        return pkgutil.resolve_name(f"{package}.{where}")(*args)

    return call


@attrs.frozen(eq=False)
class Provider:
    """One provider: its name, and functions that import its parts when they are called.

    ``source``, ``driver`` and ``simulator`` return classes, ``demo`` the function that makes the demo's
    scenario; see `lazy`. ``connect`` builds a source from the settings of `common.connect`; without it a URL
    cannot name one. ``environment`` maps the variables that the system's users already set to keys:
    ``{"ONTAP_HOST": "endpoint", "ONTAP_USER": "user"}``. ``endpoint`` is the system's address if there is
    only one. ``state_filter`` is the filter of the source's ``list`` that takes a `JobState`, if there is
    one.
    """

    name: str
    """Also the scheme of its refs: lower-case letters and digits."""
    title: str
    source: Callable[[], Any]
    driver: Callable[[], Any] | None = None
    demo: Callable[[], Any] | None = None
    simulator: Callable[[], Any] | None = None
    connect: Callable[..., Any] | None = None
    environment: Mapping[str, str] = attrs.field(factory=dict[str, str], hash=False)
    endpoint: str = ""
    state_filter: str = ""


_registered: dict[str, Provider] = {}


def register_provider(provider: Provider) -> None:
    """Register a provider in this process; its package does so when it is imported."""
    _registered[provider.name] = provider


@functools.cache
def _installed() -> dict[str, EntryPoint]:
    from importlib import metadata  # lazily: most processes never ask

    return {point.name: point for point in metadata.entry_points(group=GROUP)}


def provider_names() -> frozenset[str]:
    """Return the names of all providers, registered or installed. None is imported."""
    return frozenset(_registered) | frozenset(_installed())


def is_installed(name: str) -> bool:
    """Whether there is a provider of this name. No entry point is looked for where it is registered."""
    return name in _registered or name in _installed()


def get_provider(name: str) -> Provider:
    """Return a provider by name. Raise `UsageError` where none of this name is installed."""
    if name not in _registered and name in _installed():
        register_provider(_installed()[name].load())
    if name not in _registered:
        names = ", ".join(sorted(provider_names())) or "none"
        raise UsageError(f"no provider {name!r} is installed; there are: {names}")
    return _registered[name]


def installed_providers() -> list[Provider]:
    """Return all providers, sorted by name. One that cannot be imported is left out."""
    providers: list[Provider] = []
    for name in sorted(provider_names()):
        try:
            providers.append(get_provider(name))
        except ImportError:
            continue
    return providers


def is_ref(text: str) -> bool:
    """Whether a text is a job's reference rather than a bare id: it starts with a known provider's scheme."""
    match = _SCHEME.match(text)
    return match is not None and is_installed(match[1])


def provider_packages() -> frozenset[str]:
    """Return the names of the packages that the installed providers are in. None is imported."""
    return frozenset(point.module.partition(".")[0] for point in _installed().values())
