"""A connection of our own: what is sent arrives, what is left behind is found, and nothing stays open."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import sys
import threading
from collections.abc import AsyncGenerator, Generator, Iterator
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from common.http.backend import TlsMismatch
from common.http.direct import connection as connections
from common.http.direct.connection import Connection
from tests.loopback import server_tls

pytestmark = pytest.mark.anyio

MUCH = bytes(range(256)) * 40_000
"""More than any buffer of a socket takes at once."""


class Pair:
    """A connection and the socket at its other end, which blocks."""

    def __init__(self) -> None:
        ours, self.peer = socket.socketpair()
        ours.setblocking(False)
        self.peer.settimeout(10)
        self.connection = Connection(ours)
        self.socket = ours


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.connection.close()
    made.peer.close()


def read_all(sock: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length and (piece := sock.recv(65536)):
        data += piece
    return data


# --- bytes


async def test_what_is_sent_arrives_however_much_it_is(pair: Pair) -> None:
    pair.connection.send(MUCH)
    async with anyio.create_task_group() as group:
        group.start_soon(pair.connection.receive)
        assert await anyio.to_thread.run_sync(read_all, pair.peer, len(MUCH)) == MUCH
        await anyio.wait_all_tasks_blocked()
        assert pair.connection.all_sent
        group.cancel_scope.cancel()


async def test_an_idle_connection_keeps_nothing_of_what_it_has_sent(pair: Pair) -> None:
    body = b"x" * 1000
    before = sys.getrefcount(body)
    pair.connection.send(body)
    assert pair.connection.all_sent
    assert sys.getrefcount(body) == before


async def test_what_comes_is_received_while_the_peer_reads_no_more(pair: Pair) -> None:
    pair.connection.send(MUCH)
    pair.peer.sendall(b"enough")
    with anyio.fail_after(10):
        assert await pair.connection.receive() == b"enough"
    assert not pair.connection.all_sent


async def test_what_came_before_the_peer_hung_up_is_received(pair: Pair) -> None:
    pair.peer.sendall(b"no")
    pair.peer.close()
    pair.connection.send(b"x")
    assert not pair.connection.all_sent
    assert await pair.connection.receive() == b"no"
    assert await pair.connection.receive() == b""  # the end of the stream, since something came


async def test_what_comes_is_received_as_soon_as_it_is_there_and_then_nothing(pair: Pair) -> None:
    received: list[bytes] = []

    async def receive() -> None:
        while data := await pair.connection.receive():
            received.append(data)

    async with anyio.create_task_group() as group:
        group.start_soon(receive)
        await anyio.wait_all_tasks_blocked()
        pair.peer.sendall(b"one")
        while not received:
            await anyio.lowlevel.checkpoint()
        pair.peer.sendall(b"two")
        pair.peer.close()
    assert b"".join(received) == b"onetwo"
    assert received[0] == b"one"


async def test_no_more_is_read_at_a_time_than_a_chunk(pair: Pair) -> None:
    pair.peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * connections.CHUNK)
    pair.peer.sendall(b"x" * (connections.CHUNK + 1))
    assert len(await pair.connection.receive()) == connections.CHUNK == 65_536
    assert await pair.connection.receive() == b"x"


async def test_a_lost_connection_is_an_os_error(pair: Pair) -> None:
    pair.peer.close()
    pair.connection.send(b"x")
    with pytest.raises(OSError, match="Broken pipe"):
        await pair.connection.receive()


# --- what is left behind


async def test_a_connection_is_clean_until_something_comes_or_it_ends(pair: Pair) -> None:
    assert pair.connection.is_clean()
    assert pair.connection.is_clean()
    pair.peer.sendall(b"x")
    assert not pair.connection.is_clean()


async def test_a_connection_that_has_ended_is_not_clean(pair: Pair) -> None:
    pair.peer.close()
    assert not pair.connection.is_clean()


async def test_a_connection_that_was_closed_is_not_clean(pair: Pair) -> None:
    pair.connection.close()
    assert not pair.connection.is_clean()


# --- closing


async def test_closing_hangs_up_and_may_be_repeated(pair: Pair) -> None:
    pair.connection.close()
    pair.connection.close()
    assert pair.peer.recv(1) == b""


@pytest.mark.parametrize("unsent", [b"", MUCH], ids=["receives", "sends, too"])
async def test_aborting_wakes_the_task_that_waits_and_hangs_up(pair: Pair, unsent: bytes) -> None:
    async def wait() -> None:
        pair.connection.send(unsent)
        with pytest.raises(anyio.ClosedResourceError):
            await pair.connection.receive()

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            pair.connection.abort()
    assert pair.socket.fileno() == -1


@pytest.mark.parametrize("turns", range(1, 6))
async def test_aborting_in_any_turn_of_the_loop_is_the_same(pair: Pair, turns: int) -> None:
    async def wait() -> None:
        pair.connection.send(MUCH)
        with pytest.raises((anyio.ClosedResourceError, OSError)):  # also before it waits for anything
            await pair.connection.receive()

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            for _ in range(turns):
                await anyio.lowlevel.checkpoint()
            pair.connection.abort()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_cancellation_keeps_its_message_in_the_turn_in_which_the_socket_is_ready(pair: Pair) -> None:
    messages: list[object] = []

    async def wait() -> None:
        pair.connection.send(MUCH)
        try:
            await pair.connection.receive()
        except asyncio.CancelledError as error:
            messages.append(*error.args)
            raise

    async def cancelled_after(turns: int) -> bool:
        task = asyncio.create_task(wait())
        await anyio.wait_all_tasks_blocked()
        pair.peer.recv(len(MUCH))  # so that it can be written
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel("a person did it")
        await asyncio.wait([task])
        return task.cancelled()

    assert all([await cancelled_after(turns) for turns in range(8)])
    assert messages == ["a person did it"] * 8


# --- connecting


@contextlib.contextmanager
def listening(host: str = "127.0.0.1") -> Generator[socket.socket, None, None]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:
        listener.settimeout(10)
        yield listener


def unused_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


@contextlib.asynccontextmanager
async def connected(host: str, port: int) -> AsyncGenerator[Connection, None]:
    connection = await Connection.open(host, port, None)
    try:
        yield connection
    finally:
        connection.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
async def test_a_host_is_an_address_or_a_name(host: str) -> None:
    with listening("::1" if ":" in host else "127.0.0.1") as listener:
        async with connected(host, listener.getsockname()[1]) as connection:
            connection.send(b"hello")
            line, _ = listener.accept()
            with line:
                assert line.recv(5) == b"hello"
            assert connection._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_a_refused_connection_is_an_os_error_that_says_so() -> None:
    with pytest.raises(ConnectionRefusedError, match="Connection refused"):
        await Connection.open("127.0.0.1", unused_port(), None)


class Addresses:
    """A resolver and a connector of a host with several addresses: what becomes of each, and when."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **ends: float | OSError | None) -> None:
        self.started: dict[str, float] = {}
        self.sockets: dict[str, socket.socket] = {}
        self._ends = ends
        monkeypatch.setattr(connections, "_resolve", self.resolve)
        monkeypatch.setattr(connections, "_connect_to", self.connect_to)

    async def resolve(self, host: str, port: int) -> list[tuple[int, Any]]:
        assert (host, port) == ("example.org", 443)
        await anyio.lowlevel.checkpoint()
        return [(socket.AF_INET, name) for name in self._ends]

    async def connect_to(self, family: int, address: str) -> socket.socket:
        assert family == socket.AF_INET
        self.started[address] = anyio.current_time()
        end = self._ends[address]
        if end is None:
            await anyio.sleep_forever()
        if isinstance(end, OSError):
            await anyio.lowlevel.checkpoint()
            raise end
        if isinstance(end, float):
            await anyio.sleep(end)
        self.sockets[address] = socket.socket()
        return self.sockets[address]

    @property
    def left_open(self) -> list[str]:
        return [name for name, sock in self.sockets.items() if sock.fileno() != -1]


@pytest.mark.virtual
async def test_the_next_address_is_tried_a_quarter_of_a_second_later(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = Addresses(monkeypatch, silent=None, slow=1.0, quick=0.1, last=None)
    start = anyio.current_time()
    made = await Connection.open("example.org", 443, None)
    assert made._socket is addresses.sockets["quick"]
    times = {name: at - start for name, at in addresses.started.items()}
    assert times == pytest.approx({"silent": 0.0, "slow": 0.25, "quick": 0.5})
    assert anyio.current_time() == pytest.approx(start + 0.6)
    assert addresses.left_open == ["quick"]
    made.close()


@pytest.mark.virtual
async def test_an_address_that_fails_is_followed_by_the_next_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = Addresses(monkeypatch, refused=OSError("no"), reached=0.5)
    start = anyio.current_time()
    made = await Connection.open("example.org", 443, None)
    assert anyio.current_time() == pytest.approx(start + 0.5)
    assert addresses.left_open == ["reached"]
    made.close()


@pytest.mark.virtual
async def test_where_no_address_answers_the_first_failure_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    Addresses(monkeypatch, one=OSError("the first"), two=OSError("the second"))
    with pytest.raises(OSError, match="the first"):
        await Connection.open("example.org", 443, None)


@pytest.mark.virtual
async def test_of_two_that_connect_at_once_one_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = Addresses(monkeypatch, one=0.5, other=0.25)
    made = await Connection.open("example.org", 443, None)
    assert len(addresses.left_open) == 1
    made.close()
    assert addresses.left_open == []


@pytest.mark.virtual
async def test_a_cancelled_attempt_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = Addresses(monkeypatch, one=None, other=None)
    with anyio.move_on_after(1) as scope:
        await Connection.open("example.org", 443, None)
    assert scope.cancelled_caught
    assert addresses.left_open == []


@pytest.mark.virtual
async def test_a_connection_that_is_made_just_when_it_is_cancelled_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    addresses = Addresses(monkeypatch, one=0.5, other=None)
    with anyio.CancelScope() as scope:
        connect_to = addresses.connect_to

        async def cancelled_then(family: int, address: str) -> socket.socket:
            made = await connect_to(family, address)
            scope.cancel()
            return made

        monkeypatch.setattr(connections, "_connect_to", cancelled_then)
        await Connection.open("example.org", 443, None)
    assert scope.cancelled_caught
    assert (list(addresses.sockets), addresses.left_open) == (["one"], [])


async def test_a_connection_that_is_cancelled_while_it_is_made_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[socket.socket] = []

    class Socket(socket.socket):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            made.append(self)

        def connect_ex(self, address: Any) -> int:
            return 115  # in progress, for ever

    with monkeypatch.context() as patch:
        patch.setattr(socket, "socket", Socket)
        patch.setattr(anyio, "wait_writable", lambda _: anyio.sleep_forever())
        with anyio.move_on_after(0.01):
            await Connection.open("127.0.0.1", 9, None)
    assert [sock.fileno() for sock in made] == [-1]


# --- TLS


class TlsPeer:
    """A server of one TLS connection, in a thread; ``line`` is its end."""

    def __init__(self, ca: str, key: str) -> None:
        self.context = server_tls(ca, key)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(10)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self) -> None:
        plain, _ = self._listener.accept()
        plain.settimeout(10)
        try:
            self._line = self.context.wrap_socket(plain, server_side=True)
        except OSError as error:
            self._error = error
            plain.close()

    @property
    def line(self) -> ssl.SSLSocket:
        self._thread.join()
        return self._line

    @property
    def error(self) -> OSError:
        """Why there was no handshake."""
        self._thread.join()
        return self._error

    def close(self) -> None:
        self._thread.join()
        self._listener.close()
        if hasattr(self, "_line"):
            self._line.close()


@pytest.fixture
def tls_peer(ca: str, key: str) -> Iterator[TlsPeer]:
    server = TlsPeer(ca, key)
    yield server
    server.close()


@pytest.fixture
def context(ca: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca)


@pytest.mark.slow
async def test_over_tls_much_arrives_in_both_directions(tls_peer: TlsPeer, context: ssl.SSLContext) -> None:
    connection = await Connection.open("127.0.0.1", tls_peer.port, context)
    connection.send(MUCH)
    async with anyio.create_task_group() as group:
        group.start_soon(connection.receive)
        assert await anyio.to_thread.run_sync(read_all, tls_peer.line, len(MUCH)) == MUCH
        group.cancel_scope.cancel()
    received = b""

    async def answer() -> None:
        await anyio.to_thread.run_sync(tls_peer.line.sendall, MUCH)

    async with anyio.create_task_group() as group:
        group.start_soon(answer)
        while len(received) < len(MUCH):
            received += await connection.receive()
    assert received == MUCH
    connection.close()


async def test_a_handshake_may_come_in_pieces(
    tls_peer: TlsPeer, context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive = Connection._receive

    async def receive_a_piece(self: Connection, size: int = 7) -> bytes:
        return await receive(self, min(size, 7))

    monkeypatch.setattr(Connection, "_receive", receive_a_piece)
    connection = await Connection.open("127.0.0.1", tls_peer.port, context)
    tls_peer.line.sendall(b"in pieces too")
    received = b""
    while len(received) < len(b"in pieces too"):
        received += await connection.receive()
    assert received == b"in pieces too"
    assert connection.is_clean()
    connection.close()


async def test_a_certificate_that_is_asked_for_after_the_handshake_is_sent(
    tls_peer: TlsPeer, context: ssl.SSLContext, ca: str, key: str
) -> None:
    context.post_handshake_auth = True
    context.load_cert_chain(ca, key)
    asks = tls_peer.context
    asks.verify_mode = ssl.CERT_REQUIRED
    asks.load_verify_locations(ca)
    connection = await Connection.open("127.0.0.1", tls_peer.port, context)
    connection.send(b"hello")

    def ask() -> None:
        assert tls_peer.line.recv(5) == b"hello"
        tls_peer.line.verify_client_post_handshake()
        tls_peer.line.sendall(b"who?")
        assert tls_peer.line.recv(2) == b"me"
        assert tls_peer.line.getpeercert()
        tls_peer.line.sendall(b"welcome")

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.to_thread.run_sync, ask)
            assert await connection.receive() == b"who?"
            connection.send(b"me")
            assert await connection.receive() == b"welcome"
    connection.close()


@pytest.mark.parametrize("politely", [True, False], ids=["close_notify", "end of the stream"])
async def test_over_tls_the_end_is_no_bytes(
    politely: bool, tls_peer: TlsPeer, context: ssl.SSLContext
) -> None:
    connection = await Connection.open("127.0.0.1", tls_peer.port, context)
    tls_peer.line.sendall(b"last")
    assert await connection.receive() == b"last"
    if politely:
        with contextlib.suppress(OSError):
            tls_peer.line.settimeout(0.0)
            tls_peer.line.unwrap()
    else:
        tls_peer.line.shutdown(socket.SHUT_RDWR)
    with anyio.fail_after(10):
        assert await connection.receive() == b""
    assert not connection.is_clean()
    connection.close()


@pytest.mark.parametrize(
    "left",
    [b"\x17\x03\x03\x40\x00the half of a record", b"no TLS at all, but enough of it", None],
    ids=["a part of a record", "garbage", "data"],
)
async def test_over_tls_a_session_ticket_is_clean_and_anything_else_is_not(
    left: bytes | None, tls_peer: TlsPeer, context: ssl.SSLContext
) -> None:
    connection = await Connection.open("127.0.0.1", tls_peer.port, context)
    connection.send(b"hello")
    assert tls_peer.line.recv(5) == b"hello"  # so that the tickets, which end its handshake, are on their way
    with anyio.fail_after(10):
        await anyio.wait_readable(connection._socket)
    assert connection.is_clean()
    assert connection.is_clean()
    if left is None:
        tls_peer.line.sendall(b"x")
    else:
        socket.socket.sendall(tls_peer.line, left)
    await anyio.wait_readable(connection._socket)
    assert not connection.is_clean()
    connection.close()


async def test_a_certificate_that_is_not_trusted_is_told_to_the_server(tls_peer: TlsPeer) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        await Connection.open("127.0.0.1", tls_peer.port, ssl.create_default_context())
    assert "ALERT_UNKNOWN_CA" in str(tls_peer.error)


async def test_a_server_that_hangs_up_in_the_handshake_is_a_lost_connection(context: ssl.SSLContext) -> None:
    with listening() as listener:

        async def hang_up() -> None:
            line, _ = await anyio.to_thread.run_sync(listener.accept)
            line.settimeout(10)
            await anyio.to_thread.run_sync(line.recv, 65536)
            line.close()

        async with anyio.create_task_group() as group:
            group.start_soon(hang_up)
            with pytest.raises(ConnectionResetError, match="during the TLS handshake"):
                await Connection.open("127.0.0.1", listener.getsockname()[1], context)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", TlsMismatch),
        (b"\x18\x03\x03\x00\x01x", TlsMismatch),
        (b"\x13\x03\x03\x00\x01x", TlsMismatch),
        (b"\x15\x03\x03\x00\x02\x02\x28", ssl.SSLError),
        (b"\x14\x03\x03\x00\x02xx", ssl.SSLError),
        (b"\x17\x03\x03\x00\x02xx", ssl.SSLError),
    ],
    ids=["plain http", "above the types of records", "below them", "an alert", "the first", "the last"],
)
async def test_what_answers_a_handshake_without_tls_is_no_failed_handshake(
    answer: bytes, error: type[Exception], context: ssl.SSLContext
) -> None:
    with listening() as listener:

        async def speak() -> None:
            line, _ = await anyio.to_thread.run_sync(listener.accept)
            with line:
                line.settimeout(10)
                await anyio.to_thread.run_sync(line.recv, 65536)
                line.sendall(answer)
                while await anyio.to_thread.run_sync(line.recv, 65536):
                    pass

        async with anyio.create_task_group() as group:
            group.start_soon(speak)
            with pytest.raises(error) as caught:
                await Connection.open("127.0.0.1", listener.getsockname()[1], context)
            assert type(caught.value) is error
