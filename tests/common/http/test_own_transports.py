"""A transport of the caller's that has connections: replies on them are held to the same rules."""

from __future__ import annotations

import itertools
from functools import partial

import anyio
import httpx
import pytest

from common import JobState
from ontapjobs import OntapJobs
from tests.loopback import Loopback, raw
from tests.sockets.cancelling import KINDS
from tests.sockets.stepping import Stepper, When, run

ID = "b5145e1d-b53b-11e8-8252-005056bbe1b5"


class HandsOn(httpx.AsyncBaseTransport):
    """A transport that hands everything on to httpx's own, as those that try again or measure do."""

    def __init__(self) -> None:
        self._inner = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=1))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


@pytest.mark.anyio
@pytest.mark.parametrize("transport", [httpx.AsyncHTTPTransport, HandsOn])
async def test_what_came_behind_a_response_answers_nothing(
    transport: type[httpx.AsyncBaseTransport],
) -> None:
    [running], [ended] = raw({"uuid": ID, "state": "running"}), raw({"uuid": ID, "state": "success"})
    with Loopback(lambda number, _: [running if number else running + ended]) as server:
        async with OntapJobs(server.url, auth=("u", "p"), transport=transport()) as source:
            assert [(await source.get(ID)).state for _ in range(2)] == [JobState.RUNNING] * 2
        assert server.connections == 2


@pytest.mark.slow
@pytest.mark.parametrize("when", KINDS["cancel"].whens)
def test_a_task_that_is_cancelled_natively_at_any_step_takes_no_place_for_good(when: When) -> None:
    [running] = raw({"uuid": ID, "state": "running"})

    async def cancel_at_each_step(stepper: Stepper) -> None:
        for step in itertools.count():
            async with OntapJobs(server.url, auth=("u", "p"), transport=HandsOn()) as source:
                await KINDS["cancel"].run(stepper, partial(source.get, ID), step, when)
                if stepper.disarm():
                    return
                with anyio.fail_after(5):
                    await source.get(ID)

    with Loopback(lambda _, __: [running]) as server:
        run("asyncio", cancel_at_each_step)
