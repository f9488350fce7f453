"""Bodies of any size: read to a limit, as they arrive and as they inflate."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable

import pytest

from common.model.errors import DecodeError
from common.response.body import ACCEPT_ENCODING, MAX_BODY, PART, read_bounded
from tests.turns import counted

pytestmark = pytest.mark.anyio

TEXT = b'{"state": "running"}' * 50
LIMIT = len(TEXT)
CODERS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("", bytes),
    ("identity", bytes),
    ("gzip", gzip.compress),
    (" GZIP ", gzip.compress),
    ("x-gzip", gzip.compress),
    ("deflate", zlib.compress),
]


class Chunks:
    """A body that arrives piece by piece, and knows how much of it was taken."""

    def __init__(self, body: bytes, size: int = 7) -> None:
        self.parts = [body[at : at + size] for at in range(0, len(body), size)]
        self.consumed = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self.parts:
            raise StopAsyncIteration
        part = self.parts.pop(0)
        self.consumed += len(part)
        return part


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize(("encoding", "pack"), CODERS)
async def test_a_body_is_read_whole_up_to_the_limit(
    encoding: str, pack: Callable[[bytes], bytes], size: int
) -> None:
    assert await read_bounded(Chunks(pack(TEXT), size), encoding, LIMIT) == TEXT


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize(("encoding", "pack"), CODERS)
async def test_one_byte_past_the_limit_is_refused(
    encoding: str, pack: Callable[[bytes], bytes], size: int
) -> None:
    with pytest.raises(DecodeError, match=f"larger than {LIMIT} bytes") as caught:
        await read_bounded(Chunks(pack(TEXT + b"!"), size), encoding, LIMIT)
    assert caught.value.transient


async def test_a_body_past_the_limit_is_not_read_to_its_end() -> None:
    body = Chunks(b"x" * 100_000, 1000)
    with pytest.raises(DecodeError):
        await read_bounded(body, "", 5000)
    assert body.consumed == 6000


@pytest.mark.slow
async def test_a_bomb_is_stopped_while_it_inflates() -> None:
    bomb = Chunks(gzip.compress(bytes(50_000_000)), 1000)
    with pytest.raises(DecodeError, match="larger"):
        await read_bounded(bomb, "gzip", 100_000)
    assert bomb.consumed < 2000


@pytest.mark.slow
async def test_a_bomb_takes_no_more_memory_than_the_limit() -> None:
    bomb = Chunks(gzip.compress(bytes(50_000_000)), 100_000)
    tracemalloc.start()
    try:
        with pytest.raises(DecodeError, match="larger"):
            await read_bounded(bomb, "gzip", 100_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.slow
async def test_a_bomb_gives_other_tasks_their_turns_while_it_inflates() -> None:
    async with counted() as others:
        with pytest.raises(DecodeError, match="larger"):
            await read_bounded(Chunks(gzip.compress(bytes(MAX_BODY + 1)), 100_000), "gzip")
        assert others.count > MAX_BODY // PART // 2


@pytest.mark.parametrize(("encoding", "pack"), CODERS)
async def test_an_empty_body_is_empty(encoding: str, pack: Callable[[bytes], bytes]) -> None:
    assert await read_bounded(Chunks(b""), encoding) == b""
    assert await read_bounded(Chunks(pack(b"")), encoding) == b""


async def test_an_empty_body_in_an_empty_piece_is_empty() -> None:
    body = Chunks(b"")
    body.parts = [b""]
    assert await read_bounded(body, "gzip") == b""


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_a_compressed_body_that_ends_early_is_refused(
    encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    with pytest.raises(DecodeError, match="ends early") as caught:
        await read_bounded(Chunks(pack(TEXT)[:-9]), encoding)
    assert caught.value.transient


async def test_a_body_that_is_not_compressed_as_it_says_is_refused() -> None:
    with pytest.raises(DecodeError, match="compress") as caught:
        await read_bounded(Chunks(TEXT), "gzip")
    assert caught.value.transient


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, br", "x" * 1000])
async def test_an_encoding_that_was_not_accepted_is_refused(encoding: str) -> None:
    with pytest.raises(DecodeError, match="not accepted") as caught:
        await read_bounded(Chunks(TEXT), encoding)
    assert len(str(caught.value)) < 200


async def test_gzip_in_several_members_is_read_whole() -> None:
    body = gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:])
    assert await read_bounded(Chunks(body), "gzip") == TEXT


def test_every_accepted_encoding_can_be_inflated() -> None:
    assert ACCEPT_ENCODING == "gzip, deflate"
    assert MAX_BODY == 16 * 1024 * 1024
