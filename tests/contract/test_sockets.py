"""Over real sockets, in real time: writes and their jobs, and cancelled waits that leak no connection."""

from __future__ import annotations

import anyio
import httpx
import pytest

from bluexp_jobs import BlueXPJobs
from cfjobs import CFJobs
from common import ActionUncertain, Bearer, JobState, PollPolicy, TransportError
from common.simulator import NewJob
from common.sources.http import HttpSource
from ontapjobs import OntapJobs
from tests.common.virtual import cancelled_at
from tests.contract.systems import ONTAP, SOURCES, TOKEN, System, name_of
from tests.loopback import Loopback, raw

pytestmark = pytest.mark.anyio
on_each = pytest.mark.parametrize("system", SOURCES, ids=name_of)

QUICK = PollPolicy(initial=0.01, maximum=0.01)
HEADERS = {"Authorization": f"Bearer {TOKEN}", "x-agent-id": "agent-simclients"}


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def connect(system: System, url: str, client: httpx.AsyncClient | None = None) -> HttpSource:
    if system.provider == "ontap":
        return OntapJobs(url, auth=Bearer(TOKEN), policy=QUICK, http=client, concurrency=1)
    if system.provider == "cf":
        return CFJobs(url, auth=Bearer(TOKEN), policy=QUICK, http=client, concurrency=1)
    return BlueXPJobs(
        account="account-sim",
        agent="agent-sim",
        endpoint=url,
        auth=Bearer(TOKEN),
        policy=QUICK,
        http=client,
        concurrency=1,
    )


@pytest.mark.slow
@on_each
async def test_the_job_of_a_write_is_adopted_and_waited_for(system: System) -> None:
    simulator = system.simulate()
    simulator.on_write = NewJob(
        [(system.words[JobState.RUNNING], 0.1), (system.words[JobState.SUCCEEDED], None)]
    )
    async with simulator.serve() as url, connect(system, url) as jobs, httpx.AsyncClient() as client:
        method, path = system.write
        reply = await client.request(method, url + path, headers=HEADERS)
        [ref] = jobs.adopt(reply).refs
        ended = await jobs.wait(ref, timeout=10)
    assert (ended.ref, ended.state) == (ref, JobState.SUCCEEDED)
    assert ref.endpoint == url


@pytest.mark.slow
@on_each
async def test_work_is_started_and_waited_for(system: System) -> None:
    simulator = system.simulate()
    simulator.on_write = NewJob(
        [(system.words[JobState.RUNNING], 0.1), (system.words[JobState.SUCCEEDED], None)]
    )
    async with simulator.serve() as url, connect(system, url) as jobs:
        started = await jobs.start(*system.write, json={"a": "ä"})
        ended = await jobs.wait(started.refs[0], timeout=10)
    assert (ended.ref, ended.state) == (started.refs[0], JobState.SUCCEEDED)
    assert simulator.journal[0].json() == {"a": "ä"}
    assert [request.method for request in simulator.journal].count("GET") == len(simulator.journal) - 1


@pytest.mark.slow
@on_each
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.usefixtures("library")
async def test_a_write_on_a_connection_that_breaks_is_sent_once_as_it_was_given(
    system: System, method: str
) -> None:
    path = f"{system.write[1]}/a%2Fb%2f%25/c|d;e=[1]?f=%7C|a+b%20c&g=/../"
    # First on a new connection, and then on one that has been idle.
    with Loopback(lambda number, _: raw({}) if number == 1 else []) as server:
        async with connect(system, server.url) as jobs:
            with pytest.raises(ActionUncertain):
                await jobs.start(method, path)
            await jobs.start(method, path)
            with pytest.raises(ActionUncertain):
                await jobs.start(method, path)
    assert [head.split("\r\n")[0] for head in server.heads] == [f"{method} {path} HTTP/1.1"] * 3


@on_each
@pytest.mark.usefixtures("library")
async def test_a_write_to_a_server_that_is_not_there_was_not_sent(system: System) -> None:
    with Loopback(lambda *_: []) as server:
        url = server.url
    async with connect(system, url) as jobs:
        with pytest.raises(TransportError) as caught:
            await jobs.start(*system.write)
    assert not caught.value.sent


@pytest.mark.slow
@on_each
async def test_a_cancelled_wait_leaks_no_connection(system: System) -> None:
    simulator = system.simulate()
    id = simulator.add_job([(system.words[JobState.RUNNING], None)])
    # One connection: if a cancelled wait kept it, the next request would have none.
    limits = httpx.Limits(max_connections=1)
    async with (
        simulator.serve() as url,
        httpx.AsyncClient(limits=limits, trust_env=False) as client,
        connect(system, url, client) as jobs,
    ):
        for number in range(1, 25):
            assert await cancelled_at(number, jobs.wait(id))
            with anyio.fail_after(10):
                assert (await jobs.get(id)).state is JobState.RUNNING


@pytest.mark.slow
async def test_a_cancelled_wait_cancels_its_job_when_told_so() -> None:
    simulator = ONTAP.simulate()
    async with simulator.serve() as url:
        for number in range(1, 25):
            id = simulator.add_job([("running", None)])
            # A source of its own each time, so that making the connection is cancelled too.
            async with connect(ONTAP, url) as jobs:
                with anyio.fail_after(10):
                    assert await cancelled_at(number, jobs.wait(id, on_cancel="cancel"))
            assert [request.method for request in simulator.journal].count("PATCH") == number
