"""Every test of the contract runs on each system, alone and in a fleet, in virtual time."""

from __future__ import annotations

import pytest

from tests.common.virtual import Backend, virtual_time
from tests.contract.systems import SYSTEMS, System, name_of


@virtual_time
def anyio_backend(request: pytest.FixtureRequest) -> Backend:
    backend: Backend = request.param()
    return backend


@pytest.fixture(params=SYSTEMS, ids=name_of)
def system(request: pytest.FixtureRequest) -> System:
    """The system under test; a test that names its own with ``parametrize`` gets those instead."""
    found: System = request.param
    return found
