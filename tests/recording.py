"""A transport that keeps every request and answers from a list: no socket, no patching."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

import httpx

Answer = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


class Recorder(httpx.AsyncBaseTransport):
    """Gives its answers in their order, the last one for ever; an exception is raised instead."""

    def __init__(self, *answers: Answer) -> None:
        self.requests: list[httpx.Request] = []
        self._headers: list[httpx.Headers] = []
        self._answers = answers

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._answers[min(len(self.requests), len(self._answers) - 1)]
        self.requests.append(request)
        self._headers.append(request.headers.copy())  # an httpx.Auth may change them afterwards
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else answer(request)

    @property
    def lines(self) -> list[str]:
        """Method and target of each request, percent-encoded as they went out."""
        return [f"{request.method} {request.url.raw_path.decode()}" for request in self.requests]

    @property
    def hosts(self) -> set[str]:
        """Every host that was asked."""
        return {request.url.host for request in self.requests}

    def sent(self, header: str) -> list[str | None]:
        """One header of each request."""
        return [headers.get(header) for headers in self._headers]


class Chunks(httpx.AsyncByteStream):
    """A body that arrives piece by piece; ``taken`` is how many pieces were asked for."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self.taken = 0
        self._chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            self.taken += 1
            yield chunk


def reply(
    data: Any, status: int = 200, *, headers: dict[str, str] | None = None
) -> Callable[[httpx.Request], httpx.Response]:
    """A reply read from the stream as one from a socket is; ``data`` is its bytes, or becomes JSON."""
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    return lambda _: httpx.Response(status, headers=headers, stream=Chunks([body]))


def in_turn(*answers: Callable[[httpx.Request], httpx.Response]) -> Callable[[httpx.Request], httpx.Response]:
    """These answers one after the other, the last one for ever."""
    left = list(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        given = left.pop(0) if len(left) > 1 else left[0]
        return given(request)

    return answer


def bomb() -> Iterator[bytes]:
    """10 GiB of zeros in 10 MiB of gzip, in pieces of 256 KiB."""
    header = gzip.compress(b"")[:10]
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    block = deflate.compress(bytes(2**20)) + deflate.flush(zlib.Z_FULL_FLUSH)
    yield header
    for _ in range(40):
        yield block * 256
