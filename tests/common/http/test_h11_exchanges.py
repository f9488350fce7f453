"""`H11Backend`, request by request: which bytes go out, what is read, which connection comes next."""

from __future__ import annotations

import gc
import itertools
import threading
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import h11
import pytest

from common.http.backend import HEAD_PART, STEP, HttpFailure, HttpRequest, HttpResult, TlsMismatch
from common.http.direct import h11_backend
from common.http.direct.connection import Connection
from common.http.direct.h11_backend import MAX_HEAD, H11Backend
from common.options import Options
from tests.loopback import Loopback, raw, server_tls
from tests.turns import counted

pytestmark = pytest.mark.anyio

EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def get(url: str, method: str = "GET", content: bytes | None = None, **headers: str) -> HttpRequest:
    return HttpRequest(method, url, headers, content)


def always(*pieces: bytes) -> Callable[[int, str], Iterable[bytes]]:
    return lambda _, __: pieces


@asynccontextmanager
async def backend_of(
    endpoint: str, *, keepalive: float = 60.0, **options: Any
) -> AsyncGenerator[H11Backend, None]:
    backend = H11Backend(Options(**options), endpoint=endpoint, keepalive=keepalive)
    with anyio.fail_after(30):
        yield backend
        await backend.aclose()


async def status_of(backend: H11Backend, url: str) -> int:
    result = await backend.send(get(url))
    assert isinstance(result, HttpResult), result
    return result.response.status


async def failure_of(backend: H11Backend, url: str) -> HttpFailure:
    result = await backend.send(get(url))
    assert isinstance(result, HttpFailure), result
    return result


# --- what goes out


@pytest.mark.parametrize(
    ("path", "target"),
    [("", "/"), ("?a=1", "/?a=1"), ("/a%2Fb", "/a%2Fb"), ("/a?b=c?d", "/a?b=c?d"), ("/a?", "/a")],
)
async def test_the_target_is_the_path_with_its_query(path: str, target: str) -> None:
    with Loopback(always(EMPTY)) as server:
        async with backend_of(server.url) as backend:
            assert await status_of(backend, server.url + path) == 200
        assert server.heads[0].startswith(f"GET {target} HTTP/1.1\r\nHost: {server.url[7:]}\r\n")


@pytest.mark.parametrize(
    ("method", "content", "length"),
    [
        ("GET", None, None),
        ("DELETE", None, None),
        ("POST", None, "0"),
        ("PUT", b"", "0"),
        ("PATCH", None, "0"),
        ("POST", b"abc", "3"),
        ("DELETE", b"abc", "3"),
    ],
)
async def test_a_method_with_a_body_tells_its_length(
    method: str, content: bytes | None, length: str | None
) -> None:
    with Loopback(always(EMPTY)) as server:
        async with backend_of(server.url) as backend:
            result = await backend.send(get(server.url, method, content, Via="us"))
        assert isinstance(result, HttpResult)
        assert result.sent_headers == {"Via": "us"}
        assert ("content-length" in server.heads[0].lower()) is (length is not None)
        assert length is None or f"\r\nContent-Length: {length}\r\n" in server.heads[0]
        assert server.bodies == [content or b""]


@pytest.mark.parametrize(
    ("endpoint", "host", "port", "secure"),
    [
        ("http://h", "h", 80, False),
        ("https://h", "h", 443, True),
        ("https://h:80", "h", 80, True),
        ("http://[::1]:8080", "::1", 8080, False),
    ],
)
async def test_the_endpoint_says_where_to_connect_and_whether_over_tls(
    endpoint: str, host: str, port: int, secure: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    async def refuse(*where: Any) -> None:
        await anyio.lowlevel.checkpoint()
        asked.append(where)
        raise ConnectionRefusedError

    monkeypatch.setattr(Connection, "open", refuse)
    async with backend_of(endpoint) as backend:
        failure = await failure_of(backend, endpoint)
    assert [(where[:2], where[2] is not None) for where in asked] == [((host, port), secure)]
    assert (failure.sent, failure.dropped, failure.closed) == (False, False, False)


SENT: dict[str, Callable[[str], HttpRequest]] = {
    "a read": lambda url: get(f"{url}/a"),
    "of another target": lambda url: get(f"{url}/1234567/b?c=%20"),
    "of another host's name": lambda url: get(f"{url.replace('127.0.0.1', 'h')}/1234567/d"),
    "of a header": lambda url: get(f"{url}/e", Via="us"),
    "HEAD": lambda url: get(f"{url}/f", "HEAD"),
    "DELETE": lambda url: get(f"{url}/g", "DELETE"),
    "DELETE with a body": lambda url: get(f"{url}/h", "DELETE", b"abc"),
    "POST": lambda url: get(f"{url}/i", "POST"),
    "POST with a body": lambda url: get(f"{url}/j", "POST", b"abc"),
}


@pytest.mark.parametrize("first", SENT.values(), ids=SENT)
async def test_a_request_goes_out_the_same_whatever_was_sent_before(
    first: Callable[[str], HttpRequest],
) -> None:
    with Loopback(always(EMPTY)) as server:
        for second in SENT.values():
            for before in ([], [first]):
                async with backend_of(server.url) as backend:
                    for request in (*before, second):
                        assert isinstance(await backend.send(request(server.url)), HttpResult)
        sent = list(zip(server.heads, server.bodies, strict=True))
    assert sent[0::3] == sent[2::3]


async def test_what_cannot_be_sent_opens_no_connection() -> None:
    with Loopback(always(EMPTY)) as server:
        async with backend_of(server.url) as backend:
            for request in (get(server.url, X="line\r\nbreak"), get(f"{server.url}/half \udcff")):
                failure = await backend.send(request)
                assert isinstance(failure, HttpFailure)
                assert not failure.sent
        assert server.connections == 0


# --- what is read


async def test_informational_responses_are_passed_over() -> None:
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    with Loopback(always(early, EMPTY)) as server:
        async with backend_of(server.url) as backend:
            assert [await status_of(backend, server.url) for _ in range(2)] == [200, 200]
        assert server.connections == 1


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        [b"HTTP/1.1 100 Continue\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\nContent-"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"],
        [b"no HTTP at all\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\nX: " + b"x" * (2 * MAX_HEAD)],
    ],
    ids=["nothing", "only 100", "half a head", "half a body", "no HTTP", "a head without an end"],
)
async def test_without_a_whole_response_the_connection_was_dropped(pieces: list[bytes]) -> None:
    def script(_: int, __: str) -> Iterable[bytes]:
        yield from pieces
        raise OSError  # which ends the connection

    with Loopback(script) as server:
        async with backend_of(server.url) as backend:
            failure = await failure_of(backend, server.url)
    assert (failure.sent, failure.dropped, failure.closed) == (True, True, False)
    assert isinstance(failure.error, OSError | h11.RemoteProtocolError)
    assert server.connections == 1


async def test_a_head_of_128_kib_is_read() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: " + b"x" * (MAX_HEAD - 100) + b"\r\n\r\n"
    with Loopback(always(head)) as server:
        async with backend_of(server.url) as backend:
            assert await status_of(backend, server.url) == 200
    assert MAX_HEAD == 131_072


@pytest.mark.parametrize(
    ("piece", "reason", "dropped"),
    [
        (EMPTY[:-2] + b"X: y\r\n" * 2000 + b"\r\n", "more than 1000 lines came before the body", False),
        (CHUNKED + b"0\r\n" + b"X: y\r\n" * 2000, "the trailer after the last one, is too long", True),
    ],
    ids=["a head", "a trailer"],
)
async def test_a_head_or_a_trailer_of_too_many_lines_is_no_response(
    piece: bytes, reason: str, dropped: bool
) -> None:
    def script(_: int, __: str) -> Iterable[bytes]:
        yield piece
        raise OSError  # which ends the connection

    with Loopback(script) as server:
        async with backend_of(server.url) as backend:
            failure = await failure_of(backend, server.url)
    assert reason in str(failure.error)
    assert (failure.sent, failure.dropped) == (True, dropped)


async def test_a_response_to_head_has_no_body_whatever_length_it_states() -> None:
    with Loopback(always(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")) as server:
        async with backend_of(server.url) as backend:
            for _ in range(2):
                result = await backend.send(get(server.url, "HEAD"))
                assert isinstance(result, HttpResult)
                assert (result.response.header("content-length"), result.response.body) == ("5", b"")
        assert server.connections == 1


async def test_a_response_in_tls_to_a_plain_request_is_no_dropped_connection() -> None:
    with Loopback(always(b"\x15\x03\x01\x00\x02\x02\x46")) as server:
        async with backend_of(server.url) as backend:
            failure = await failure_of(backend, server.url)
    assert isinstance(failure.error, TlsMismatch)
    assert (failure.sent, failure.dropped) == (False, False)


async def test_a_body_may_begin_as_a_tls_record_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(h11_backend, "CHUNK", 1)  # so that it comes by itself
    body = bytes(range(32))
    with Loopback(always(*raw(body))) as server:
        async with backend_of(server.url) as backend:
            result = await backend.send(get(server.url))
    assert isinstance(result, HttpResult)
    assert result.response.body == body


class AllAtOnce:
    """A connection on which whole responses are there already, to be read in pieces of so many bytes."""

    expires_at = 0.0
    all_sent = True

    def __init__(self, response: bytes, size: int = 1_000_000) -> None:
        self._pieces = itertools.cycle(response[at : at + size] for at in range(0, len(response), size))

    def is_clean(self) -> bool:
        return True

    def send(self, data: bytes) -> None:
        assert data

    async def receive(self, size: int) -> bytes:
        del size
        return next(self._pieces)

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("chunk", "count", "size"),
    [(1, 50 * STEP, 1_000_000), (4096, 50 * STEP // 4, 4096)],
    ids=["tiny", "large"],
)
async def test_a_body_in_chunks_gives_other_tasks_their_turns(
    chunk: int, count: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = (b"%x\r\n" % chunk + b"x" * chunk + b"\r\n") * count + b"0\r\n\r\n"

    async def open_it(*where: Any) -> AllAtOnce:
        del where
        return AllAtOnce(CHUNKED + body, size)

    monkeypatch.setattr(Connection, "open", open_it)
    async with backend_of("http://h") as backend, counted() as others:
        result = await backend.send(get("http://h"))
        assert isinstance(result, HttpResult)
        assert result.response.body == b"x" * chunk * count
        assert 48 <= others.count <= 90


async def test_a_body_in_large_parts_gives_other_tasks_a_turn_after_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    part = 1024 * STEP

    async def open_it(*where: Any) -> AllAtOnce:
        del where
        return AllAtOnce(
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (50 * part) + b"x" * 50 * part, part
        )

    monkeypatch.setattr(Connection, "open", open_it)
    async with backend_of("http://h") as backend, counted() as others:
        result = await backend.send(get("http://h"))
        assert isinstance(result, HttpResult)
        assert 48 <= others.count <= 60


# --- which connection comes next


@pytest.mark.parametrize(("keepalive", "connections"), [(60.0, 1), (0.0, 2)])
async def test_a_connection_is_used_again_until_it_has_been_idle_for_too_long(
    keepalive: float, connections: int
) -> None:
    with Loopback(always(EMPTY)) as server:
        async with backend_of(server.url, keepalive=keepalive) as backend:
            for _ in range(2):
                await status_of(backend, server.url)
        assert server.connections == connections


@pytest.mark.virtual
@pytest.mark.parametrize(("idle", "connections"), [(4.75, 1), (5.0, 2)])
async def test_idle_for_too_long_is_as_long_as_keepalive_says(
    idle: float, connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[AllAtOnce] = []

    async def open_it(*where: Any) -> AllAtOnce:
        del where
        opened.append(AllAtOnce(EMPTY))
        return opened[-1]

    monkeypatch.setattr(Connection, "open", open_it)
    async with backend_of("http://h", keepalive=5.0) as backend:
        await status_of(backend, "http://h")
        await anyio.sleep(idle)
        await status_of(backend, "http://h")
    assert len(opened) == connections


NO_CONTENT = b"HTTP/1.1 204 No Content\r\nX: ".ljust(HEAD_PART - 4, b"x") + b"\r\n\r\n"
REUSED = {
    "length": (EMPTY, True),
    "chunks": (CHUNKED + b"0\r\n\r\n", True),
    "chunks and one byte more": (CHUNKED + b"0\r\n\r\n\n", False),
    "one byte more than is parsed at a time": (NO_CONTENT + b"\n", False),
    "no body": (b"HTTP/1.1 204 No Content\r\n\r\n", True),
    "two responses": (EMPTY + EMPTY, False),
    "one byte more": (EMPTY + b"\n", False),
    "close": (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", False),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", False),
    "two lengths": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        False,
    ),
}


@pytest.mark.parametrize(("response", "again"), REUSED.values(), ids=REUSED)
async def test_a_connection_is_used_again_after_a_response_that_ends_beyond_doubt(
    response: bytes, again: bool
) -> None:
    with Loopback(always(response)) as server:
        async with backend_of(server.url) as backend:
            await status_of(backend, server.url)
            assert len(backend._idle) == again
            await status_of(backend, server.url)
        assert server.connections == 2 - again


async def test_a_body_that_nobody_reads_to_its_end_ends_the_connection() -> None:
    with Loopback(always(*raw(b"x" * 100, Content_Encoding="br"))) as server:
        async with backend_of(server.url) as backend:
            with pytest.raises(Exception, match="br"):
                await backend.send(get(server.url))
            assert (backend._idle, backend._in_use) == ([], set())


async def three_idle(backend: H11Backend, server: Loopback, url: str) -> None:
    """Let the backend have three connections."""
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(backend.send, get(url))
    assert (len(backend._idle), server.connections) == (3, 3)


def in_threes(barrier: threading.Barrier) -> Callable[[int, str], Iterable[bytes]]:
    """A script that answers its first three requests when the third has come."""

    def script(number: int, _: str) -> Iterable[bytes]:
        if number < 3:
            barrier.wait(10)
        return [EMPTY]

    return script


async def test_of_idle_connections_the_one_used_last_is_taken() -> None:
    with Loopback(in_threes(threading.Barrier(3))) as server:
        async with backend_of(server.url) as backend:
            await three_idle(backend, server, server.url)
            last = backend._idle[-1]
            await status_of(backend, server.url)
            assert backend._idle[-1] is last
            assert (len(backend._idle), server.connections) == (3, 3)


async def test_idle_connections_that_are_too_old_or_not_clean_are_closed() -> None:
    with Loopback(in_threes(threading.Barrier(3))) as server:
        async with backend_of(server.url) as backend:
            await three_idle(backend, server, server.url)
            old, good, unclean = backend._idle
            old.expires_at = anyio.current_time()
            unclean._socket.shutdown(0)  # as if the server had ended it
            await status_of(backend, server.url)
            assert backend._idle == [good]
            assert [each._socket.fileno() for each in (old, unclean)] == [-1, -1]
        assert server.connections == 3


async def test_what_comes_before_a_request_is_not_its_response(monkeypatch: pytest.MonkeyPatch) -> None:
    with Loopback(always(EMPTY)) as server:
        async with backend_of(server.url) as backend:
            await status_of(backend, server.url)
            connection = backend._idle[0]
            clean = iter([True, False])  # something comes just when it is taken
            monkeypatch.setattr(connection, "is_clean", lambda: next(clean))
            failure = await failure_of(backend, server.url)
            assert (failure.dropped, str(failure.error)) == (True, "the server sent data before the request")
            assert await status_of(backend, server.url) == 200
        assert len(server.heads) == 2


# --- the end


async def test_closing_ends_requests_in_flight_and_idle_connections() -> None:
    def script(number: int, _: str) -> Iterable[bytes]:
        if number == 1:
            server.stopping.wait(20)
        return [EMPTY]

    failures: list[HttpFailure] = []

    async def hang() -> None:
        failures.append(await failure_of(backend, server.url))

    with Loopback(script) as server:
        async with backend_of(server.url) as backend:
            await status_of(backend, server.url)
            async with anyio.create_task_group() as group:
                group.start_soon(hang)
                while len(server.heads) < 2:
                    await anyio.lowlevel.checkpoint()
                group.start_soon(status_of, backend, server.url)
                while not backend._idle:
                    await anyio.lowlevel.checkpoint()
                await backend.aclose()
    assert [(each.sent, each.dropped, each.closed) for each in failures] == [(True, False, True)]
    assert (backend._idle, backend._in_use) == ([], set())


async def test_a_connection_that_is_made_while_closing_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    open_it = Connection.open

    async def closing_meanwhile(*where: Any) -> Any:
        made.append(await open_it(*where))
        await backend.aclose()
        return made[0]

    monkeypatch.setattr(Connection, "open", closing_meanwhile)
    with Loopback(always(EMPTY)) as server:
        async with backend_of(server.url) as backend:
            failure = await failure_of(backend, server.url)
        assert (failure.sent, failure.dropped, failure.closed) == (False, False, True)
        assert made[0]._socket.fileno() == -1
        assert server.heads == []


async def test_closing_is_a_checkpoint() -> None:
    backend = H11Backend(Options(), endpoint="http://h", keepalive=60)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await backend.aclose()
    assert scope.cancelled_caught


@pytest.mark.slow
async def test_a_backend_that_nobody_closes_hangs_up_with_its_last_reference() -> None:
    with Loopback(always(EMPTY)) as server:
        backend = H11Backend(Options(), endpoint=server.url, keepalive=60)
        await status_of(backend, server.url)
        connection = backend._idle[0]
        del backend
        gc.collect()
        assert connection._socket.fileno() == -1


def test_a_backend_belongs_to_its_event_loop() -> None:
    backends: list[H11Backend] = []

    async def make() -> None:
        await anyio.lowlevel.checkpoint()
        backends.append(H11Backend(Options(), endpoint="http://h", keepalive=60))
        assert [each.on_current_loop for each in backends] == [False] * (len(backends) - 1) + [True]

    for loop in ("asyncio", "trio", "asyncio"):
        anyio.run(make, backend=loop)


async def test_tls_is_verified_as_the_options_say(ca: str, key: str) -> None:
    with Loopback(always(EMPTY), tls=server_tls(ca, key)) as server:
        async with backend_of(server.url, verify=ca) as backend:
            assert await status_of(backend, server.url) == 200
        async with backend_of(server.url) as backend:
            failure = await failure_of(backend, server.url)
    assert not failure.sent
    assert "CERTIFICATE_VERIFY_FAILED" in str(failure.error)
