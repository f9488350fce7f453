"""A transport of the caller's that has connections: replies on them are held to the same rules."""

from __future__ import annotations

import httpx
import pytest

from common import JobState
from ontapjobs import OntapJobs
from tests.loopback import Loopback, raw

pytestmark = pytest.mark.anyio

ID = "b5145e1d-b53b-11e8-8252-005056bbe1b5"


class HandsOn(httpx.AsyncBaseTransport):
    """A transport that hands everything on to httpx's own, as those that try again or measure do."""

    def __init__(self) -> None:
        self._inner = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


@pytest.mark.parametrize("transport", [httpx.AsyncHTTPTransport, HandsOn])
async def test_what_came_behind_a_response_answers_nothing(
    transport: type[httpx.AsyncBaseTransport],
) -> None:
    [running], [ended] = raw({"uuid": ID, "state": "running"}), raw({"uuid": ID, "state": "success"})
    with Loopback(lambda number, _: [running if number else running + ended]) as server:
        async with OntapJobs(server.url, auth=("u", "p"), transport=transport()) as source:
            assert [(await source.get(ID)).state for _ in range(2)] == [JobState.RUNNING] * 2
        assert server.connections == 2
