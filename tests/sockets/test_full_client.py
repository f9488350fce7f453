"""A caller's client that is full: a request that waits for a place in it is cancelled as it is given one."""

from __future__ import annotations

import itertools
import ssl

import anyio
import anyio.lowlevel
import httpx
import pytest

from ontapjobs import OntapJobs
from tests.loopback import server_tls
from tests.sockets.calls import QUICK, System
from tests.sockets.cancelling import KINDS
from tests.sockets.conftest import Share
from tests.sockets.servers.peer import Peer, whole
from tests.sockets.servers.proxy import Proxy
from tests.sockets.stepping import Stepper, run

STEPS = 60
"""More than a get takes here."""


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.slow
def test_a_request_that_is_cancelled_when_it_gets_a_place_gives_it_back(
    loop: str, scheme: str, share: Share, ca: str, key: str
) -> None:
    tls = server_tls(ca, key) if scheme == "https" else None
    system = System()

    async def one(stepper: Stepper, kind: str, step: int, api: Peer, proxy: Proxy) -> bool:
        """Whether a get that is cancelled at this step leaves the client as it was."""
        context, limits = ssl.create_default_context(cafile=ca), httpx.Limits(max_connections=1)
        async with (
            httpx.AsyncClient(verify=context, proxy=proxy.url, limits=limits, timeout=60.0) as client,
            OntapJobs(api.url, auth=("u", "p"), http=client, policy=QUICK) as source,
        ):
            async with anyio.create_task_group() as group:
                group.start_soon(client.get, api.url.replace("127.0.0.1", "localhost"))
                await anyio.lowlevel.checkpoint()
                await KINDS[kind].run(stepper, lambda: source.get(system.uuid()), step, "before")
            stepper.disarm()
            with anyio.move_on_after(3.0) as scope:
                await source.get(system.uuid())
            return not scope.cancelled_caught

    async def main(stepper: Stepper, api: Peer, proxy: Proxy) -> None:
        for kind, step in share(itertools.product(KINDS, range(STEPS)), "steps of a full client", every=17):
            if loop in KINDS[kind].loops and not await one(stepper, kind, step, api, proxy):
                found.append(f"{kind} at step {step}")

    found: list[str] = []
    with (
        Peer(lambda request: [0.002, whole(system.answer(request)[1])], tls=tls) as api,
        Proxy() as proxy,
    ):
        run(loop, lambda stepper: main(stepper, api, proxy))
    assert not found
