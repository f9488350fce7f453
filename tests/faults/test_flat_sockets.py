"""Over real sockets, in real time: wave after wave of jobs, on connections that are closed at the end."""

from __future__ import annotations

import gc
import socket

import anyio
import pytest

from common import JobState
from common import wait_all
from tests.contract.systems import SOURCES
from tests.contract.systems import System
from tests.contract.systems import name_of
from tests.contract.test_sockets import connect

pytestmark = pytest.mark.anyio

WAVES = 4
JOBS = 25


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def open_sockets() -> int:
    """How many are open in this process, on both ends."""
    gc.collect()
    return sum(isinstance(each, socket.socket) and each.fileno() >= 0 for each in gc.get_objects())


@pytest.mark.slow
@pytest.mark.parametrize("system", SOURCES, ids=name_of)
async def test_waves_of_jobs_leave_no_socket_behind(system: System) -> None:
    simulator = system.simulate()
    words = system.words
    async with simulator.serve() as url:
        before = open_sockets()
        async with connect(system, url) as source:  # one request at a time, and so one connection
            for _ in range(WAVES):
                script = [(words[JobState.RUNNING], 0.02), (words[JobState.SUCCEEDED], None)]
                ids = [simulator.add_job(script) for _ in range(JOBS)]
                await wait_all(source, ids)
                assert open_sockets() <= before + 2
            assert source.poller.idle
        with anyio.fail_after(30):
            while open_sockets() > before:  # noqa: ASYNC110 - the server hears of it a moment later
                await anyio.sleep(0.01)
