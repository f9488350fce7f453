"""A server in a thread of its own that sends the very bytes of a script, piece after piece."""

from __future__ import annotations

import asyncio
import enum
import json
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Self

import attrs


class End(enum.Enum):
    """How a script ends its connection."""

    CLOSE = "after all that was sent"
    ABORT = "with a reset"


Piece = bytes | float | End
"""Bytes to send, seconds to wait, or the end of the connection."""


@attrs.frozen
class Request:
    """What a client sent; ``connection`` and ``number`` on it count from 1."""

    method: str
    target: str
    head: bytes
    body: bytes
    connection: int
    number: int


Script = Callable[[Request], Iterable[Piece]]


class LoopThread:
    """An asyncio loop in a thread of its own, for as long as it is entered, with one server on loopback."""

    scheme = "http"

    def __init__(self) -> None:
        self.open = 0
        """How many connections are open."""
        self.accepted = 0
        self.errors: list[str] = []
        """What went wrong in here, so that no test takes it for the client's doing."""
        self.port = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._tls: ssl.SSLContext | None = None

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._loop.set_exception_handler(lambda _, context: self._note(context))
        talks: set[asyncio.Task[None]] = set()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            talks.add(task)
            self.accepted += 1
            self.open += 1
            try:
                await self.talk(self.accepted, reader, writer)
            except (OSError, EOFError, asyncio.CancelledError):
                pass  # the client has gone, or the test is over
            except Exception as error:
                self.errors.append(repr(error))
            finally:
                talks.discard(task)
                self.open -= 1
                writer.transport.abort()

        server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=self._tls, limit=2**20, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in list(talks):
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
        await asyncio.sleep(0)  # aborted transports close their sockets in the next iteration

    def _note(self, context: dict[str, Any]) -> None:
        if not isinstance(context.get("exception"), (OSError, asyncio.CancelledError)):
            self.errors.append(f"{context.get('message')}: {context.get('exception')!r}")

    def talk(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Coroutine[Any, Any, None]:
        """Serve one connection."""
        raise NotImplementedError


class Peer(LoopThread):
    """Answers each request with the pieces of ``script``; ``early`` answers the head, before the body."""

    def __init__(
        self,
        script: Script,
        *,
        tls: ssl.SSLContext | None = None,
        early: Callable[[Request], Iterable[Piece]] | None = None,
    ) -> None:
        super().__init__()
        self.requests: list[Request] = []
        self.scheme = "https" if tls else "http"
        self._tls = tls
        self._script = script
        self._early = early

    async def talk(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        count = 0
        while True:
            count += 1
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, _ = head.decode("latin-1").split(" ", 2)
            request = Request(method, target, head, b"", number, count)
            if self._early is not None and not await self._send(self._early(request), writer):
                return
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            body = await reader.readexactly(int(length[1])) if length else b""
            request = attrs.evolve(request, body=body)
            self.requests.append(request)
            if not await self._send(self._script(request), writer):
                return

    async def _send(self, pieces: Iterable[Piece], writer: asyncio.StreamWriter) -> bool:
        for piece in pieces:
            if isinstance(piece, bytes):
                writer.write(piece)
                await writer.drain()
            elif isinstance(piece, float):
                await asyncio.sleep(piece)
            elif piece is End.ABORT:
                reset(writer)
                return False
            else:
                writer.close()
                await writer.wait_closed()
                return False
        return True


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with a reset, not in good order."""
    line = writer.get_extra_info("socket")
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def whole(data: Any, status: str = "200 OK", *, version: str = "1.1", **headers: str) -> bytes:
    """A reply with a Content-Length; ``data`` is its bytes, or becomes JSON."""
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    fields = {"Content-Length": str(len(body)), **headers}
    lines = [f"HTTP/{version} {status}", *(f"{name.replace('_', '-')}: {fields[name]}" for name in fields)]
    return "\r\n".join([*lines, "", ""]).encode() + body
