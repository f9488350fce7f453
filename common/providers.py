"""Which providers there are: plain data, found by entry point, so that any package can add one."""

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
"""The entry-point group that a provider's package names its `Provider` in."""

_SCHEME = re.compile(r"([a-z][a-z0-9]*)(?:\+http)?://")


def lazy(package: str, where: str) -> Callable[[], Any]:
    """Return a function that imports and returns ``where``, such as ``"source:OntapJobs"`` in ``package``."""
    return functools.partial(pkgutil.resolve_name, f"{package}.{where}")


def lazy_call(package: str, where: str) -> Callable[..., Any]:
    """Return a function that imports ``where`` of ``package`` and calls it."""

    def call(*args: Any) -> Any:
        return pkgutil.resolve_name(f"{package}.{where}")(*args)

    return call


@attrs.frozen
class Provider:
    """The entry of one provider: its name, and what can be imported of it when it is asked for.

    ``source``, ``driver`` and ``simulator`` return classes, ``demo`` the function that makes the demo's
    scenario; see `lazy`. ``connect`` builds a source from the settings of `common.connect`; without it a URL
    cannot name one. ``environment`` maps the variables that the system's users already set to keys:
    ``{"ONTAP_HOST": "endpoint", "ONTAP_USER": "user"}``. ``endpoint`` is the system's address if there is
    only one.
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


_registered: dict[str, Provider] = {}


def register_provider(provider: Provider) -> None:
    """Make a provider known in this process; its package does so when it is imported."""
    _registered[provider.name] = provider


@functools.cache
def _installed() -> dict[str, EntryPoint]:
    from importlib import metadata  # lazily: most processes never ask

    return {point.name: point for point in metadata.entry_points(group=GROUP)}


def known_names() -> frozenset[str]:
    """The names of all providers, imported or installed."""
    return frozenset(_registered) | frozenset(_installed())


def provider(name: str) -> Provider:
    """A provider by name. Raises `UsageError` for one that is not there."""
    if name not in _registered and name in _installed():
        found: Any = _installed()[name].load()
        register_provider(found)
    if name not in _registered:
        names = ", ".join(sorted(known_names())) or "none"
        raise UsageError(f"no provider {name!r} is installed; there are: {names}")
    return _registered[name]


def usable() -> list[Provider]:
    """All providers that can be imported, by name. One that can't is an error only for who asks for it."""
    found: list[Provider] = []
    for name in sorted(known_names()):
        try:
            found.append(provider(name))
        except ImportError:
            continue
    return found


def is_ref(text: str) -> bool:
    """Whether a text is a job's reference rather than a bare id: it starts with a known provider's scheme."""
    found = _SCHEME.match(text)
    return found is not None and (found[1] in _registered or found[1] in known_names())
