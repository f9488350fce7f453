"""The fault suite runs on both event loops, in virtual time."""

from __future__ import annotations

import pytest

from tests.common.virtual import Backend, virtual_time


@virtual_time
def anyio_backend(request: pytest.FixtureRequest) -> Backend:
    backend: Backend = request.param()
    return backend
