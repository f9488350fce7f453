"""The body of a response of httpx, as it is read."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

import anyio
import anyio.lowlevel
import h11
import httpx
import pytest

from common.http.backend import STEP
from common.http.over_httpx.httpx_backend import read_streamed
from common.model.errors import DecodeError
from tests.loopback import Loopback
from tests.turns import counted


class Body(httpx.AsyncByteStream):
    """A body that is there already, in so many chunks."""

    def __init__(self, chunks: list[bytes]) -> None:
        self._chunks = chunks
        self.on_chunk: Callable[[], object] = lambda: None
        self.ended = False

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        try:
            for chunk in self._chunks:
                self.on_chunk()
                yield chunk
        finally:
            await anyio.lowlevel.checkpoint()
            self.ended = True


@pytest.mark.anyio
async def test_a_body_that_is_cancelled_between_two_chunks_comes_to_its_end() -> None:
    body = Body([b"x"] * 50 * STEP)
    async with counted() as others:
        with anyio.CancelScope() as scope:
            body.on_chunk = lambda: scope.cancel() if others.count > 5 else None
            await read_streamed(httpx.Response(200, stream=body))
    assert scope.cancelled_caught
    assert body.ended


@pytest.mark.anyio
@pytest.mark.parametrize(
    "chunks", [[b"x"] * 50 * STEP, [b"x" * 1024 * STEP] * 50], ids=["tiny chunks", "large chunks"]
)
async def test_a_body_in_chunks_gives_other_tasks_their_turns(chunks: list[bytes]) -> None:
    async with counted() as others:
        response = await read_streamed(httpx.Response(200, stream=Body(chunks)))
        assert response.body == b"".join(chunks)
        assert 48 <= others.count <= 60


@pytest.mark.anyio
async def test_the_chunks_behind_the_end_of_what_is_wanted_are_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n"
    events: list[object] = []
    next_event = h11.Connection.next_event

    def counting(connection: h11.Connection) -> object:
        events.append(next_event(connection))
        return events[-1]

    monkeypatch.setattr(h11.Connection, "next_event", counting)
    with Loopback(lambda _, __: [head + b"1\r\n \r\n" * 10_000]) as server:
        async with (
            httpx.AsyncClient(trust_env=False) as client,
            client.stream("GET", server.url) as response,
        ):
            with pytest.raises(DecodeError, match="cannot be inflated"):
                await read_streamed(response)
            assert response.is_closed
    assert len(events) < 10
