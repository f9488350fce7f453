"""Between a client and a server: pass on every byte, and keep who answered whom.

The server behind it speaks plain HTTP. With ``tls`` the relay is the end of the client's TLS, so that it
reads what is inside, and decides where one record ends and the next begins.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import ssl
import threading
import time
from collections.abc import Iterable

from tests.sockets.servers.peer import LoopThread, reset
from tests.sockets.servers.strict_reader import ConnectionReader, Exchange


class Relay(LoopThread):
    """Passes on to ``port``. With ``apart``, bytes behind a response are a TLS record of their own."""

    def __init__(self, port: int, *, tls: ssl.SSLContext | None = None, apart: bool = False) -> None:
        super().__init__()
        self.scheme = "https" if tls else "http"
        self._port = port
        self._context = tls
        self._apart = apart
        self._readers: list[ConnectionReader] = []
        self._order = itertools.count()
        self._lock = threading.Lock()

    def mark(self) -> int:
        """A point in the order of requests: now."""
        return next(self._order)

    def exchanges(self, since: int = 0) -> list[Exchange]:
        """The requests that came since a mark, in their order, and what answers them."""
        with self._lock:
            found = [exchange for reader in self._readers for exchange in reader.exchanges]
        return sorted((each for each in found if each.order >= since), key=lambda each: each.order)

    @property
    def unasked(self) -> int:
        """How many bytes answered nothing."""
        with self._lock:
            return sum(len(reader.unasked) for reader in self._readers)

    def wait_for_unasked(self, size: int) -> bool:
        """Whether that many bytes came within two seconds."""
        end = time.monotonic() + 2
        while self.unasked < size and time.monotonic() < end:
            time.sleep(0.002)
        return self.unasked >= size

    async def talk(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, downstream = await asyncio.open_connection("127.0.0.1", self._port, limit=2**20)
        log = ConnectionReader(number)
        with self._lock:
            self._readers.append(log)
        tls = Tls(self._context) if self._context else None
        ended: list[bool] = []

        async def requests() -> None:
            while data := await reader.read(2**18):
                if tls is not None:
                    data, answer = tls.take(data)
                    if answer and not ended:
                        writer.write(answer)
                if data:
                    with self._lock:
                        log.request_bytes(data, next(self._order))
                    downstream.write(data)

        async def received() -> bytes:
            try:
                return await upstream.read(2**18)
            except ConnectionError:
                with self._lock:
                    log.end(reset=True)
                reset(writer)
                raise

        async def replies() -> None:
            while data := await received():
                with self._lock:
                    known = len(log.unasked)
                    log.reply_bytes(data)
                    behind = len(log.unasked) - known
                pieces = [data]
                if self._apart and 0 < behind < len(data):
                    pieces = [data[:-behind], data[-behind:]]
                writer.write(tls.seal(pieces) if tls else data)
                await writer.drain()
            with self._lock:
                log.end()
            writer.write(tls.end() if tls else b"")
            ended.append(True)
            writer.write_eof()

        both = [asyncio.ensure_future(way) for way in (requests(), replies())]
        try:
            # The client may go at any time; after the server, it is waited for.
            await asyncio.wait(both[:1])
            both[0].result()
        finally:
            downstream.transport.abort()  # before anything is awaited, which may be cancelled
            for way in both:
                way.cancel()
            await asyncio.gather(*both, return_exceptions=True)


class Tls:
    """The server's side of TLS, without a socket."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._session = context.wrap_bio(self._in, self._out, server_side=True)
        self._greeted = False

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        """From the client's bytes to what is in them, and what is to be sent back."""
        self._in.write(data)
        plain = b""
        try:
            if not self._greeted:
                self._session.do_handshake()
                self._greeted = True
            while piece := self._session.read(2**18):
                plain += piece
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            raise ConnectionError(str(error)) from error
        return plain, self._out.read()

    def seal(self, pieces: Iterable[bytes]) -> bytes:
        """Each piece in records of its own, all in one go."""
        for piece in pieces:
            self._session.write(piece)
        return self._out.read()

    def end(self) -> bytes:
        """The alert that says that no more will come."""
        if self._greeted:
            with contextlib.suppress(ssl.SSLError):  # the client has not said so yet
                self._session.unwrap()
        return self._out.read()
