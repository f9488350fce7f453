"""Heads of responses that take long to parse: many lines, 1xx responses without an end, trailers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import httpx
import httpx2
import pytest

from common import TransportError
from common.http.backend import HEAD_PART, MAX_HEAD_LINES, HeadLimit, HeadTooLong
from common.http.over_httpx.heads import follow_head, limit_heads
from ontapjobs import OntapJobs
from tests.loopback import Loopback, raw, server_tls
from tests.sockets.servers.proxy import Proxy
from tests.sockets.stacks import STACKS, Stack, name_of
from tests.turns import counted

pytestmark = pytest.mark.anyio

ID = "b5145e1d-b53b-11e8-8252-005056bbe1b5"
JOB = {"uuid": ID, "state": "success"}
[WHOLE] = raw(JOB)
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n" % (
    len(json.dumps(JOB)),
    json.dumps(JOB).encode(),
)
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
LINE = b"X-A: b\r\n"

every_stack = pytest.mark.parametrize("stack", STACKS, ids=name_of)


async def got(stack: Stack, ca: str, key: str, pieces: Iterable[bytes]) -> str:
    """The state of a job that is read from a server which answers the second request with these pieces.

    The first one has been answered on the same connection.
    """

    def script(number: int, _: str) -> Iterable[bytes]:
        return pieces if number else [WHOLE]

    tls = server_tls(ca, key) if stack.tls else None
    with Loopback(script, tls=tls) as server, Proxy() as proxy:
        async with stack.source(server.url, ca=ca, proxy=proxy.url) as source:
            await source.get(ID)
            job = await source.get(ID)
            assert server.connections == 1
            return job.state.name


@pytest.mark.slow
@every_stack
async def test_some_informational_responses_and_many_headers_are_read(
    stack: Stack, ca: str, key: str
) -> None:
    lines = LINE * (MAX_HEAD_LINES - 100)
    assert await got(stack, ca, key, [HINTS * 10, OK + lines + WHOLE.removeprefix(OK)]) == "SUCCEEDED"


@pytest.mark.slow
@every_stack
async def test_one_header_may_be_as_long_as_the_warnings_of_a_job(stack: Stack, ca: str, key: str) -> None:
    long = b"X-Cf-Warnings: %s\r\n" % (b"w" * 90_000)
    assert await got(stack, ca, key, [OK + long + WHOLE.removeprefix(OK)]) == "SUCCEEDED"


@pytest.mark.slow
@every_stack
async def test_the_lines_of_a_body_are_no_lines_of_its_head(stack: Stack, ca: str, key: str) -> None:
    [many] = raw(json.dumps(JOB).encode() + b"\n" * 100_000)
    assert await got(stack, ca, key, [many]) == "SUCCEEDED"


@pytest.mark.slow
@every_stack
@pytest.mark.parametrize(
    "piece",
    [HINTS * 1000, OK + LINE * 8000 + WHOLE.removeprefix(OK), OK + b"X: a\r\n" + b" b\r\n" * 8000],
    ids=["1xx", "headers", "folded lines"],
)
async def test_a_head_of_too_many_lines_is_no_response(stack: Stack, piece: bytes, ca: str, key: str) -> None:
    with pytest.raises(TransportError, match="more than 1000 lines came before the body") as error:
        await got(stack, ca, key, [piece, WHOLE])
    assert error.value.transient
    assert not error.value.dropped


async def test_trailers_without_an_end_are_no_response(ca: str, key: str) -> None:
    for stack in STACKS:
        if stack.variable == "direct":
            with pytest.raises(TransportError, match="is too long"):
                await got(stack, ca, key, [CHUNKED + LINE * 8000, LINE * 8000 + b"\r\n"])


@pytest.mark.slow
async def test_some_trailers_are_passed_over(ca: str, key: str) -> None:
    for stack in STACKS:
        if stack.client is None:
            assert await got(stack, ca, key, [CHUNKED + LINE * 10 + b"\r\n"]) == "SUCCEEDED"


async def test_what_came_with_the_end_of_a_head_does_not_count() -> None:
    limit = HeadLimit()
    limit.feed(b"\n" * (MAX_HEAD_LINES + 1))
    with pytest.raises(HeadTooLong):
        limit.feed(b"")


class Network:
    """A network backend of httpcore and its only stream, which has all bytes that it is asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    async def connect_tcp(self) -> Network:
        return self

    async def connect_unix_socket(self) -> Network:
        return self

    async def start_tls(self) -> Network:
        return self

    async def read(self, max_bytes: int, timeout: float | None) -> bytes:
        assert timeout is None
        self.asked.append(max_bytes)
        return b"x" * max_bytes


@pytest.mark.parametrize("connect", ["connect_tcp", "connect_unix_socket"])
async def test_httpcore_reads_heads_in_small_parts_and_gives_other_tasks_their_turns(connect: str) -> None:
    network = Network()
    pool = SimpleNamespace(_network_backend=network)
    limit_heads(SimpleNamespace(_transport=SimpleNamespace(_pool=pool)))
    stream = await (await getattr(pool._network_backend, connect)()).start_tls()
    assert stream.asked is network.asked
    async with counted() as others:
        follow_head("http11.receive_response_headers.started")
        for _ in range(40):
            await stream.read(65536)
        assert others.count >= 20
        follow_head("http11.receive_response_headers.complete")
        await stream.read(65536)
    assert network.asked == [HEAD_PART] * 40 + [65536]


async def test_what_comes_on_a_connection_of_http2_is_of_other_requests_too() -> None:
    network = Network()
    pool = SimpleNamespace(_network_backend=network)
    limit_heads(SimpleNamespace(_transport=SimpleNamespace(_pool=pool)))
    stream = await pool._network_backend.connect_tcp()
    follow_head("http2.receive_response_headers.started")
    await stream.read(65536)
    assert network.asked == [65536]


async def test_a_client_whose_network_cannot_be_had_stays_as_it_is() -> None:
    limit_heads(SimpleNamespace(_transport=SimpleNamespace(_pool=object())))


@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
async def test_the_callers_own_requests_and_a_second_source_change_nothing_in_a_client(library: Any) -> None:
    many = OK + LINE * (2 * MAX_HEAD_LINES) + WHOLE.removeprefix(OK)
    with Loopback(lambda number, _: [many if number == 0 else WHOLE]) as server:
        async with library.AsyncClient(trust_env=False) as client:
            async with OntapJobs(server.url, auth=("u", "p"), http=client):
                assert len((await client.get(server.url)).headers) > MAX_HEAD_LINES
            async with OntapJobs(server.url, auth=("u", "p"), http=client) as source:
                assert (await source.get(ID)).succeeded
        assert server.connections == 1
