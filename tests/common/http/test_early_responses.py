"""A server that answers a write before it has all of it, and reads no more: its answer is the outcome."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Generator
from typing import Any

import anyio
import pytest

from common import ActionUncertain, ApiError, JobsError
from common.http.selection import BACKEND_VARIABLE
from ontapjobs import OntapJobs
from tests.loopback import raw, server_tls

pytestmark = pytest.mark.anyio

LARGE = b"x" * 20_000_000
"""More than the buffers of two sockets take."""
REFUSED = raw({"error": {"message": "too much", "code": "7"}}, "413 Content Too Large")[0]
STARTED = raw({"job": {"uuid": "j1"}}, "202 Accepted")[0]
EARLY_HINTS = b"HTTP/1.1 102 Processing\r\n\r\n"
UNTIL_THE_END = b"HTTP/1.1 413 Content Too Large\r\n\r\n" + REFUSED.partition(b"\r\n\r\n")[2]


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default, also where the suite runs over httpx."""
    monkeypatch.setenv(BACKEND_VARIABLE, "direct")


def hold(line: socket.socket, stopping: threading.Event) -> None:
    stopping.wait(30)


def hang_up(line: socket.socket, stopping: threading.Event) -> None:
    line.close()  # with the rest of the request unread, which resets the connection


def reset(line: socket.socket, stopping: threading.Event) -> None:
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.close()


def end(line: socket.socket, stopping: threading.Event) -> None:
    line.shutdown(socket.SHUT_WR)
    stopping.wait(30)


def read_on(line: socket.socket, stopping: threading.Event) -> None:
    while line.recv(65536):
        pass


Then = Callable[[socket.socket, threading.Event], None]


@contextlib.contextmanager
def answering(
    answer: bytes, then: Then, *, read: int = 1, tls: ssl.SSLContext | None = None
) -> Generator[str, None, None]:
    """A server of one connection that reads the beginning of a request, answers, and then does something."""
    stopping = threading.Event()

    def talk() -> None:
        line, _ = listener.accept()
        with contextlib.suppress(OSError):
            if tls is not None:
                line = tls.wrap_socket(line, server_side=True)
            line.settimeout(10)
            left = read
            while left > 0:
                left -= len(line.recv(min(left, 65536)))
            line.sendall(answer)
            then(line, stopping)
        line.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        thread = threading.Thread(target=talk)
        thread.start()
        try:
            yield f"{'https' if tls else 'http'}://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            stopping.set()
            thread.join()


async def outcome(url: str, **options: Any) -> object:
    """What a large write ends with, soon."""
    with anyio.fail_after(10):
        async with OntapJobs(url, auth=("admin", "x"), **options) as jobs:
            try:
                return await jobs.start("POST", "/api/storage/volumes", content=LARGE)
            except JobsError as error:
                return error


@pytest.mark.parametrize("then", [hold, hang_up, reset, end, read_on], ids=lambda each: each.__name__)
@pytest.mark.parametrize("before", [b"", EARLY_HINTS], ids=["", "behind a 102"])
async def test_a_write_that_is_refused_before_it_is_complete_is_refused(before: bytes, then: Then) -> None:
    with answering(before + REFUSED, then) as url:
        error = await outcome(url)
    assert isinstance(error, ApiError), error
    assert (error.status, error.message) == (413, "too much")


@pytest.mark.parametrize("then", [hold, read_on], ids=lambda each: each.__name__)
async def test_over_tls_too(then: Then, ca: str, key: str) -> None:
    with answering(REFUSED, then, tls=server_tls(ca, key)) as url:
        error = await outcome(url, verify=ca)
    assert isinstance(error, ApiError), error
    assert error.status == 413


async def test_a_refusal_may_last_until_the_end_of_the_connection() -> None:
    with answering(UNTIL_THE_END, end) as url:
        error = await outcome(url)
    assert isinstance(error, ApiError), error
    assert error.message == "too much"


@pytest.mark.parametrize("then", [hang_up, reset], ids=lambda each: each.__name__)
async def test_a_success_without_a_length_counts_only_where_it_surely_ended(then: Then) -> None:
    with answering(b"HTTP/1.1 202 Accepted\r\n\r\n", then) as url:
        error = await outcome(url)
    assert isinstance(error, ActionUncertain), error


async def test_a_job_that_begins_while_the_write_is_still_read_is_its_job() -> None:
    with answering(STARTED, read_on) as url:
        started: Any = await outcome(url)
    assert [ref.id for ref in started.refs] == ["j1"]


async def test_a_write_goes_on_behind_an_interim_response() -> None:
    with answering(EARLY_HINTS, lambda line, _: answer_at_the_end(line)) as url:
        started: Any = await outcome(url)
    assert [ref.id for ref in started.refs] == ["j1"]


def answer_at_the_end(line: socket.socket) -> None:
    left = len(LARGE) - 65536  # and more, of which the head is a part
    while left > 0:
        left -= len(line.recv(65536))
    line.sendall(STARTED)


@pytest.mark.parametrize("answer", [b"", EARLY_HINTS, REFUSED[:-1]], ids=["nothing", "a 102", "a part"])
@pytest.mark.parametrize("then", [hang_up, reset], ids=lambda each: each.__name__)
async def test_a_write_that_breaks_off_without_a_whole_answer_is_uncertain(answer: bytes, then: Then) -> None:
    with answering(answer, then) as url:
        assert isinstance(await outcome(url), ActionUncertain)


async def test_the_next_request_has_a_connection_of_its_own() -> None:
    with answering(REFUSED, hold) as url:
        async with OntapJobs(url, auth=("admin", "x")) as jobs:
            with pytest.raises(ApiError):
                await jobs.start("POST", "/api/storage/volumes", content=LARGE)
            backend: Any = jobs._client._loop_state().backend
            assert backend._idle == []
            assert not backend._in_use
