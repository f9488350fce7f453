"""The caller's own client may be one of httpx2: the object itself shows which library it is of."""

from __future__ import annotations

import httpx2
import pytest

from common import PollPolicy, TransportError
from ontapjobs import OntapJobs
from ontapjobs.simulator import OntapSimulator

pytestmark = pytest.mark.anyio
AUTH = ("admin", "secret-of-the-cluster")
QUICK = PollPolicy(initial=0.01)


@pytest.mark.slow
async def test_a_wait_over_a_client_of_the_successor_ends_as_over_any_other() -> None:
    simulator = OntapSimulator()
    uuid = simulator.add_job([("running", 0.1), ("success", None)])
    async with simulator.serve() as url, httpx2.AsyncClient() as client:
        async with OntapJobs(url, auth=AUTH, http=client, policy=QUICK) as jobs:
            assert (await jobs.wait(uuid)).succeeded
            assert [job.id async for job in jobs.list()] == [uuid]
        assert not client.is_closed


async def test_its_exceptions_become_ours() -> None:
    async with httpx2.AsyncClient() as client:
        with pytest.raises(TransportError) as caught:
            await OntapJobs("http://127.0.0.1:9", auth=AUTH, http=client).get("any")
    assert not caught.value.sent
    assert caught.value.__context__ is None
