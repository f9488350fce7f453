"""A soak test over real sockets, in real time: all connections are closed at the end."""

from __future__ import annotations

import gc
import socket

import anyio
import pytest

from common import JobState, wait_all
from tests.contract.systems import SOURCES, System, name_of
from tests.contract.test_sockets import connect

pytestmark = pytest.mark.anyio

ROUNDS = 4
JOBS_PER_ROUND = 25


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def open_sockets() -> int:
    """Return how many sockets are open in this process: the client's and the server's."""
    gc.collect()
    return sum(isinstance(each, socket.socket) and each.fileno() >= 0 for each in gc.get_objects())


@pytest.mark.slow
@pytest.mark.parametrize("system", SOURCES, ids=name_of)
async def test_rounds_of_jobs_leave_no_socket_open(system: System) -> None:
    simulator = system.simulate()
    words = system.words
    async with simulator.serve() as url:
        before = open_sockets()
        async with connect(system, url) as source:  # one request at a time, and so one connection
            for _ in range(ROUNDS):
                script = [(words[JobState.RUNNING], 0.02), (words[JobState.SUCCEEDED], None)]
                ids = [simulator.add_job(script) for _ in range(JOBS_PER_ROUND)]
                await wait_all(source, ids)
                assert open_sockets() <= before + 2
            assert source._current_poller().idle
        with anyio.fail_after(30):
            while open_sockets() > before:  # noqa: ASYNC110 - the server closes its end a moment later
                await anyio.sleep(0.01)
