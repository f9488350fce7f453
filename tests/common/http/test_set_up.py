"""On real sockets, over each HTTP library: what a wrong set-up looks like, and what the error says to do."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Generator
from typing import Any

import anyio
import httpx
import httpx2
import pytest

from common.model.errors import ApiError, TransportError
from common.options import InsecureConnectionWarning
from common.polling.policy import PollPolicy
from ontapjobs import OntapJobs
from tests.loopback import Loopback, raw, server_tls

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("library")]

AUTH = ("admin", "hunter2")
JOB = {"uuid": "j1", "state": "success"}
QUICK = PollPolicy(initial=0.01, maximum=0.05)
ALERT = b"\x15\x03\x01\x00\x02\x02\x46"
PLAIN_REFUSED = {
    "nginx": b"<center>The plain HTTP request was sent to HTTPS port</center>",
    "Go": b"Client sent an HTTP request to an HTTPS server.\n",
    "Apache": b"Reason: You're speaking plain HTTP to an SSL-enabled server port.<br />",
    "Tomcat": b"Bad Request\r\nThis combination of host and port requires TLS.\r\n",
    "Cheroot": b"The client sent a plain HTTP request, but this server only speaks HTTPS on this port.",
}


@contextlib.contextmanager
def saying(data: bytes) -> Generator[str, None, None]:
    """A server that says this to whatever comes first, and closes; its host and port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    line, _ = listener.accept()
                    with line:
                        line.recv(65536)
                        line.sendall(data)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


async def failure_of_a_wait(url: str, **options: Any) -> TransportError:
    async with OntapJobs(url, auth=AUTH, policy=QUICK, **options) as source:
        with anyio.fail_after(5), pytest.raises(TransportError) as caught:
            await source.wait("j1")
    assert (caught.value.misconfigured, caught.value.transient) == (True, False)
    assert "ssl:" not in str(caught.value)
    return caught.value


async def test_a_certificate_of_an_unknown_authority(ca: str, key: str) -> None:
    with Loopback(lambda *_: raw(JOB), tls=server_tls(ca, key)) as server:
        assert "; pass verify='ca.pem'" in str(await failure_of_a_wait(server.url))
        assert server.heads == []


async def test_a_certificate_for_another_name(ca: str, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(_: object, port: int, *__: object, **___: object) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with Loopback(lambda *_: raw(JOB), tls=server_tls(ca, key)) as server:
        error = await failure_of_a_wait(server.url.replace("127.0.0.1", "cluster1.example"), verify=ca)
        assert (server.connections, server.heads) == (1, [])
    assert "the certificate is for other names" in str(error)


@pytest.mark.parametrize("host", ["nosuch.example", "a" * 63 + ".example"])
@pytest.mark.parametrize("scheme", ["https", "http"])
async def test_a_host_that_does_not_exist(host: str, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*_: object, **__: object) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    warned = pytest.warns(InsecureConnectionWarning) if scheme == "http" else contextlib.nullcontext()
    with warned:
        error = await failure_of_a_wait(f"{scheme}://{host}")
    assert "the host does not exist: check the spelling" in str(error)


@pytest.mark.parametrize(
    "data", [*raw(b"", "400 Bad Request"), b"<!DOCTYPE HTML>", b"SSH-2.0-x\r\n"], ids=["HTTP", "0.9", "SSH"]
)
async def test_tls_against_a_server_without_it(data: bytes) -> None:
    with saying(data) as where:
        assert f"; the server does not use TLS on this port: use http://{where} for" in str(
            await failure_of_a_wait(f"https://{where}")
        )


@pytest.mark.parametrize("text", PLAIN_REFUSED.values(), ids=PLAIN_REFUSED)
async def test_plain_http_against_a_server_that_says_it_expects_tls(text: bytes) -> None:
    with Loopback(lambda *_: raw(text, "400 Bad Request")) as server:
        error = await failure_of_a_wait(server.url)
    assert f"the server expects TLS on this port: use {server.url.replace('http', 'https')}" in str(error)
    assert not error.sent


async def test_plain_http_against_a_server_that_asks_for_an_upgrade_to_tls() -> None:
    with Loopback(lambda *_: raw(b"", "426 Upgrade Required", Upgrade="TLS/1.2, HTTP/1.1")) as server:
        assert "expects TLS" in str(await failure_of_a_wait(server.url))


async def test_plain_http_against_a_server_that_answers_in_tls() -> None:
    with saying(ALERT) as where:
        assert f"use https://{where}" in str(await failure_of_a_wait(f"http://{where}"))


@pytest.mark.parametrize("make", [httpx.AsyncClient, httpx2.AsyncClient])
async def test_over_a_client_of_the_callers_own_it_is_the_same(make: Any, ca: str, key: str) -> None:
    async with make() as client:
        with Loopback(lambda *_: raw(JOB), tls=server_tls(ca, key)) as server:
            assert "verify=" in str(await failure_of_a_wait(server.url, http=client))
        with saying(b"SSH-2.0-x\r\n") as where:
            assert "does not use TLS" in str(await failure_of_a_wait(f"https://{where}", http=client))
        with saying(ALERT) as where:
            assert "expects TLS" in str(await failure_of_a_wait(f"http://{where}", http=client))


async def test_a_400_that_says_something_else_is_no_matter_of_tls() -> None:
    with Loopback(lambda *_: raw(b"<html>TLS 1.0 is out of date</html>", "400 Bad Request")) as server:
        async with OntapJobs(server.url, auth=AUTH) as source:
            with pytest.raises(ApiError, match="400"):
                await source.get("j1")


async def test_after_a_good_reply_such_an_answer_is_waited_out() -> None:
    running, refused = raw({**JOB, "state": "running"}), raw(PLAIN_REFUSED["nginx"], "400 Bad Request")
    answers = [running, refused, raw(JOB)]
    with Loopback(lambda number, _: answers[number]) as server:
        async with OntapJobs(server.url, auth=AUTH, policy=QUICK) as source:
            with anyio.fail_after(20):
                assert (await source.wait("j1")).succeeded
        assert len(server.heads) == 3


async def test_a_write_that_only_met_the_wrong_protocol_was_not_carried_out() -> None:
    with Loopback(lambda *_: raw(PLAIN_REFUSED["Go"], "400 Bad Request")) as server:
        async with OntapJobs(server.url, auth=AUTH) as source:
            with pytest.raises(TransportError, match="expects TLS") as caught:
                await source.start("DELETE", "/api/storage/volumes/1")
    assert not caught.value.sent


async def test_the_words_of_aiohttp_below_a_callers_client_do_not_speak_of_tls_for_a_plain_url() -> None:
    def handle(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("Cannot connect to host 127.0.0.1:9 ssl:default [refused]")

    async with OntapJobs("http://127.0.0.1:9", auth=AUTH, transport=httpx.MockTransport(handle)) as source:
        with pytest.raises(TransportError, match=r"host 127\.0\.0\.1:9 \[refused\]"):
            await source.get("j1")
