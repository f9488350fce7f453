"""Which source an activity uses: credentials stay with the worker, and never come from a workflow."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from common.config.targets import read_address
from common.hosts.shared import shared_source
from common.model.errors import UsageError
from common.sources.base import BaseSource

Settings = Mapping[str, Any]


class Systems:
    """The systems that a worker may use: ``settings`` by target, as `connect` takes them.

    Without it, they are those of the worker's profiles and environment.
    """

    def __init__(self, settings: Mapping[str, Settings] | None) -> None:
        self._named = settings is not None
        self._settings = {
            _key(target): (target, {**each}) for target, each in (settings.items() if settings else ())
        }

    def source(self, target: str) -> AbstractAsyncContextManager[BaseSource]:
        """Return the source of a target, or of a job's ref, shared by all activities of the event loop.

        Raise `UsageError` for a system that is not one of the worker's.
        """
        if not self._named:
            return shared_source(target)
        found = self._settings.get(_key(target))
        if found is None:
            raise UsageError(
                f"this worker has no settings for {read_address(target)}: name it in JobsPlugin(systems=…)"
            )
        named, settings = found
        return shared_source(named, settings=settings)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {[target for target, _ in self._settings.values()]}>"


def _key(target: str) -> tuple[Any, ...]:
    address = read_address(target)
    return address.provider, address.endpoint, address.scope
