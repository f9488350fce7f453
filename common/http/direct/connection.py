"""A connection of our own: a non-blocking socket, with TLS if that is wanted, and no stream in between.

A response must belong to the request that was sent before it on the same connection. So bytes that follow a
response must be detected before the connection is used again, and the streams of an event loop hide them:
they read ahead into a buffer of their own. Here bytes are read from the socket only when they are wanted, and
`is_clean` asks the operating system for any others.

A server may answer before it has the whole request, and read no more of it: it refuses a large body, say. So
what the socket does not take at once is sent while `receive` waits, and a response counts although the rest
of the request could not be sent.

Closing is a single system call without an await, which no cancellation can interrupt. The owner of a
connection closes it in a ``finally``, so that none is left open.
"""

from __future__ import annotations

import errno
import ipaddress
import math
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from common.concurrency import restore_message
from common.http.backend import TlsMismatch
from common.http.direct.tls_records import RecordBoundary

CHUNK = 64 * 1024
"""Bytes that are read at a time."""
ATTEMPT_DELAY = 0.25
"""Seconds until the next address of a host is tried too (RFC 8305, "Connection Attempt Delay")."""
TLS_RECORDS = range(20, 24)
"""The first byte of anything that is TLS: the type of a record (RFC 8446, section 5.1)."""
_NOTHING = memoryview(b"")
_IN_PROGRESS = frozenset({errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EINTR})


class Connection:
    """A connected socket, and the TLS session on it if there is one."""

    def __init__(self, sock: socket.socket) -> None:
        self.expires_at: float = math.inf
        """When it will have been idle for too long, on the loop's clock."""
        self._socket = sock
        self._tls: ssl.SSLObject | None = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._boundary = RecordBoundary()
        self._unsent = _NOTHING
        self.send_error: OSError | None = None
        """Why the rest could not be sent. It also hides whether the stream of the peer ended or was reset."""
        self._heard = False  # whether anything came since `send`

    @classmethod
    async def open(cls, host: str, port: int, context: ssl.SSLContext | None) -> Connection:
        """Connect to a host, with a TLS handshake if there is a ``context``. Raise `OSError`."""
        connection = cls(await _connect(host, port))
        try:
            if context is not None:
                await connection._handshake(context, host)
        except BaseException:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """Close the socket at once. Unread and unsent bytes are lost."""
        self._socket.close()

    def abort(self) -> None:
        """`close`, and wake the task that reads or writes, if any; it gets a `ClosedResourceError`."""
        anyio.notify_closing(self._socket)
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send what the socket takes of these bytes at once, and let `receive` send the rest."""
        if self._tls is not None:
            self._tls.write(data)
            data = self._outgoing.read()
        self._unsent, self._heard = memoryview(data), False
        self._push()

    @property
    def all_sent(self) -> bool:
        """Whether the socket has taken everything."""
        return not self._unsent and self.send_error is None

    async def receive(self, size: int = CHUNK) -> bytes:
        """Return up to ``size`` bytes as soon as there are any; none at the end of the stream.

        Raise `OSError`, also where not everything could be sent and nothing comes.
        """
        if self._tls is None:
            return await self._receive(size)
        while True:
            try:
                return self._tls.read(size)
            except ssl.SSLWantReadError:
                if not await self._receive_record():
                    return b""
            except ssl.SSLZeroReturnError:
                return b""

    def is_clean(self) -> bool:
        """Whether the peer has sent no data that was not read, and has not closed the connection."""
        while True:
            try:
                data = self._socket.recv(CHUNK)
            except (BlockingIOError, InterruptedError):
                return self._has_no_data()
            except OSError:
                return False
            if not data or self._tls is None:
                return False
            # On an idle TLS connection this may be a session ticket, which is not data.
            self._feed(data)
            if not self._has_no_data():
                return False

    def _has_no_data(self) -> bool:
        if self._tls is None:
            return True
        try:
            self._tls.read(1)
        except ssl.SSLWantReadError:
            return not self._boundary.within_record  # the rest of a record may be data
        except ssl.SSLError:
            pass
        return False

    async def _handshake(self, context: ssl.SSLContext, host: str) -> None:
        tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        began = False
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._send(self._outgoing.read())
                data = await self._receive()
                if not data:
                    raise ConnectionResetError(
                        errno.ECONNRESET, "the server closed the connection during the TLS handshake"
                    ) from None
                if not began and data[0] not in TLS_RECORDS:
                    raise TlsMismatch("the reply to the TLS handshake is not TLS") from None
                began = True
                self._feed(data)
            except ssl.SSLError:
                await self._send(self._outgoing.read())  # the alert, which tells the server why
                raise
            else:
                break
        await self._send(self._outgoing.read())
        self._tls = tls

    async def _receive_record(self) -> bool:
        if self._outgoing.pending:  # the answer to a message of the TLS session, such as new keys
            self._unsent = memoryview(bytes(self._unsent) + self._outgoing.read())
            self._push()
        data = await self._receive()
        self._feed(data)
        return bool(data)

    def _feed(self, data: bytes) -> None:
        self._boundary.feed(data)
        self._incoming.write(data)

    async def _receive(self, size: int = CHUNK) -> bytes:
        while True:
            try:
                data = self._socket.recv(size)
            except (BlockingIOError, InterruptedError):
                data = None
            if self.send_error is not None and (data is None or (not data and not self._heard)):
                raise self.send_error
            if data is not None:
                self._heard = self._heard or bool(data)
                return data
            if self._unsent:
                await _wait_until_ready(self._socket)
                self._push()
            else:
                await anyio.wait_readable(self._socket)

    def _push(self) -> None:
        try:
            while self._unsent:
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
            self._unsent = _NOTHING  # the last part, though empty, would keep all of the bytes
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:  # kept: the server may have answered before
            self.send_error = error

    async def _send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[self._socket.send(view) :]
            except (BlockingIOError, InterruptedError):
                await anyio.wait_writable(self._socket)


async def _wait_until_ready(sock: socket.socket) -> None:
    """Wait until a socket can be read or written. Raise `ClosedResourceError` if it is closed meanwhile."""
    closed = False

    async def wait(ready: Callable[[socket.socket], Awaitable[None]]) -> None:
        nonlocal closed
        try:
            if sock.fileno() == -1:  # closed since this task was started
                raise anyio.ClosedResourceError
            await ready(sock)
        except anyio.ClosedResourceError:
            closed = True
        group.cancel_scope.cancel()

    group = anyio.create_task_group()
    try:
        async with group:
            group.start_soon(wait, anyio.wait_readable)
            group.start_soon(wait, anyio.wait_writable)
    except BaseException as error:
        restore_message(error, group.cancel_scope)
        raise
    if closed:
        raise anyio.ClosedResourceError


async def _connect(host: str, port: int) -> socket.socket:
    """Return a socket that is connected to one of the host's addresses, the first that answers.

    They are tried in the order of the resolver, each a moment after the one before, or at once where that has
    failed ("Happy Eyeballs", RFC 8305).
    """
    addresses = await _resolve(host, port)
    if len(addresses) == 1:
        return await _connect_to(*addresses[0])
    connected: list[socket.socket] = []
    errors: list[OSError] = []

    async def attempt(family: int, address: Any, failed: anyio.Event) -> None:
        try:
            connected.append(await _connect_to(family, address))
        except OSError as error:
            errors.append(error)
            failed.set()
        else:
            group.cancel_scope.cancel()

    try:
        async with anyio.create_task_group() as group:
            for family, address in addresses:
                failed = anyio.Event()
                group.start_soon(attempt, family, address, failed)
                with anyio.move_on_after(ATTEMPT_DELAY):
                    await failed.wait()
        if not connected:
            raise errors[0]
    except BaseException:
        for sock in connected:
            sock.close()
        raise
    winner, *others = connected  # more than one where two were connected in the same turn of the loop
    for sock in others:
        sock.close()
    return winner


async def _resolve(host: str, port: int) -> list[tuple[int, Any]]:
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        infos = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return [(family, address) for family, _, _, _, address in infos]
    return [(socket.AF_INET if version == 4 else socket.AF_INET6, (host, port))]


async def _connect_to(family: int, address: Any) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = sock.connect_ex(address)
        if code in _IN_PROGRESS:
            await anyio.wait_writable(sock)
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
    except BaseException:
        sock.close()
        raise
    return sock
