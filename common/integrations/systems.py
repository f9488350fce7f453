"""The system that an orchestrator's connection or block names, and the source that its tasks share."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio
import attrs

from common.hosts.shared import shared_source
from common.sources.base import BaseSource


@attrs.frozen
class System:
    """One system, and how to sign in to it. Only the settings hold secrets, and no repr shows them."""

    target: str
    settings: Mapping[str, Any] = attrs.field(repr=False)

    def source(self) -> AbstractAsyncContextManager[BaseSource]:
        """Return the source of the system, shared by all who use it in this event loop."""
        return shared_source(self.target, settings=self.settings)


def target_of(provider: str, host: str, *, port: int | None = None, scheme: str | None = None) -> str:
    """Return the target for a host as users write it, perhaps with a scheme, a port and a path.

    ``scheme`` and ``port`` are used if the host has none; ``http`` means plain http, anything else https.
    """
    own_scheme, _, address = host.strip().rpartition("://")
    name, slash, path = address.strip("/").partition("/")
    if port and ":" not in name.rpartition("]")[2]:
        name = f"{name}:{port}"
    plain = (own_scheme or scheme or "").lower() == "http"
    ending = f"{slash}{path}//" if path else "/"  # two slashes end the path of an endpoint
    return f"{provider}{'+http' if plain else ''}://{name}{ending}"


async def start_together() -> None:
    """Wait for the next whole second of the loop's clock.

    An orchestrator starts its waits one after another. Waits that begin at the same moment stay due together:
    fifty of them need a third of the requests of fifty that begin within three seconds.
    """
    await anyio.sleep(-anyio.current_time() % 1.0)
