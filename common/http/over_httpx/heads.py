"""Read the head of a response in small parts, and no more than a certain number of lines.

httpcore passes up to 64 KiB to h11 at once, and h11 parses it without a break: 3,000 informational (1xx)
responses block the event loop for 30 ms and more, and any number of them may follow. So this module wraps
httpcore's network backend, which reads and writes for it
(https://www.encode.io/httpcore/network-backends/), and learns from the ``trace`` extension when a head is
read. Both are public interfaces; how httpx passes a network backend to httpcore is not. Where that attribute
is missing, heads are read as httpcore does it; `tests/sockets` has a test for each version that can be
installed. For the caller's own client this applies to connections that it makes from now on, and to the heads
of our requests only.

The wrapper also answers a question that httpcore asks for every connection of the pool with each request:
whether it is readable, which for an idle connection means that it was closed. Through anyio the answer takes
50 µs, a fifth of a request's time with eight connections, since the socket is looked up with its addresses
each time. Here it is looked up once.
"""

from __future__ import annotations

import select
from contextvars import ContextVar
from typing import Any

import anyio.lowlevel

from common.http.backend import HEAD_PART, HeadLimit
from common.http.over_httpx.pools import pools

_head: ContextVar[HeadLimit | None] = ContextVar("jobsource head being read", default=None)


def limit_heads(client: Any) -> None:
    """Wrap the network backends of a client, for the connections that it makes from now on."""
    for pool in pools(client):
        backend = getattr(pool, "_network_backend", None)
        if backend is not None and not isinstance(backend, _Backend):
            pool._network_backend = _Backend(backend)


def follow_head(event: str) -> None:
    """Called with each event of the ``trace`` extension, in the task of the request.

    Only HTTP/1.1 is followed: over HTTP/2 one task reads the responses to all requests of a connection.
    """
    if event.startswith("http11.receive_response_headers."):
        _head.set(HeadLimit() if event.endswith(".started") else None)


class _Backend:
    """A network backend of httpcore around another one."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def connect_tcp(self, *args: Any, **keywords: Any) -> _Stream:
        return _Stream(await self._inner.connect_tcp(*args, **keywords))

    async def connect_unix_socket(self, *args: Any, **keywords: Any) -> _Stream:
        return _Stream(await self._inner.connect_unix_socket(*args, **keywords))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _Stream:
    """A network stream of httpcore around another one."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._socket: Any = None

    def get_extra_info(self, info: str) -> Any:
        if info != "is_readable" or not hasattr(select, "poll"):  # Windows has no poll()
            return self._inner.get_extra_info(info)
        if self._socket is None:
            self._socket = self._inner.get_extra_info("socket")
            if self._socket is None:  # a network backend of the caller's, without sockets
                return self._inner.get_extra_info(info)
        number = self._socket.fileno()
        if number < 0:
            return True  # closed: the next read fails
        poll = select.poll()
        poll.register(number, select.POLLIN)
        return bool(poll.poll(0))

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        head = _head.get()
        if head is None:
            data: bytes = await self._inner.read(max_bytes, timeout)
            return data
        if head.begun:
            await anyio.lowlevel.checkpoint()  # what TLS has decrypted already is read without one
        data = await self._inner.read(min(max_bytes, HEAD_PART), timeout)
        head.feed(data)
        return data

    async def start_tls(self, *args: Any, **keywords: Any) -> _Stream:
        return _Stream(await self._inner.start_tls(*args, **keywords))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
