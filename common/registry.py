"""Which providers there are: found by entry point, so that another one plugs in without a change here."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any

import attrs

from common.errors import UsageError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from common.base import BaseSource
    from common.settings import Settings
    from common.simulator.base import Simulator
    from common.stage import Stage

GROUP = "jobsource.providers"
"""The entry-point group that a provider's package names its `Provider` in."""

_SCHEME = re.compile(r"([a-z][a-z0-9]*)(?:\+http)?://")


@attrs.frozen
class Provider:
    """What a provider says of itself. Functions, where they would otherwise import something early.

    ``connect`` builds a source of what profiles, environment and keywords say, for `common.connect`; without
    it there is none by URL. ``environment`` are the variables that the system's users have already, as names
    of keys: ``{"ONTAP_HOST": "endpoint", "ONTAP_USER": "user"}``. ``endpoint`` is where the system is, if
    there is but one.
    """

    name: str
    """Also the scheme of its refs: lower-case letters and digits."""
    title: str
    source: Callable[[], type[BaseSource]]
    demo: Callable[[], Callable[[], Stage]] | None = None
    simulator: Callable[[], type[Simulator]] | None = None
    connect: Callable[[Settings], BaseSource] | None = None
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
