"""How the backends of anyio's pytest plugin become virtual for the length of one test."""

from __future__ import annotations

from types import TracebackType
from typing import Any
from typing import ClassVar
from typing import Self

import anyio.pytest_plugin
import pytest

from common.testing.running import virtual_options

_HOOK = "extract_backend_and_options"
"""Where anyio's plugin reads the fixture ``anyio_backend``, whoever has overridden it."""


class VirtualAnyio:
    """While it is entered, every event loop that anyio's plugin starts is virtual."""

    running: ClassVar[bool] = False

    def __init__(self) -> None:
        self._plugin: Any = anyio.pytest_plugin
        self._patch = pytest.MonkeyPatch()
        self._occupied = False

    def __enter__(self) -> Self:
        self._occupied = getattr(self._plugin, "_current_runner", None) is not None
        read = getattr(self._plugin, _HOOK, None)
        if read is not None:

            def virtual(backend: object) -> tuple[str, dict[str, Any]]:
                name, options = read(backend)
                return name, {**options, **virtual_options(name)}

            self._patch.setattr(self._plugin, _HOOK, virtual)
        type(self).running = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        type(self).running = False
        self._patch.undo()

    def check(self, test: str) -> None:
        """Fail the test where its event loop is not virtual."""
        if not hasattr(self._plugin, _HOOK):
            pytest.fail(f"virtual_time does not know this version of anyio ({test})", pytrace=False)
        if self._occupied:
            pytest.fail(
                f"virtual_time cannot reach the event loop of {test}: an async fixture of a scope wider than "
                "'function' keeps a loop running that other tests use too",
                pytrace=False,
            )
