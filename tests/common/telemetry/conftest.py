"""An observer for each test, with an SDK of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.common.telemetry.exported import Telemetry


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    made = Telemetry()
    yield made
    made.close()
