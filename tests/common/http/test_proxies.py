"""Proxies of the environment and of ``proxy=``: which can be used, and the errors for the others."""

from __future__ import annotations

import contextlib
import importlib.util
import socket
import sys
import threading
from collections.abc import Callable, Generator
from typing import Any

import anyio
import pytest

from bluexp_jobs import BlueXPJobs, RefreshToken
from cfjobs import CFJobs, UAAClientCredentials
from common.http.selection import BACKEND_VARIABLE
from common.model.errors import TransportError, UsageError
from ontapjobs import Bearer, ClientCredentials, OntapJobs
from tests.loopback import Loopback, raw, server_tls

AUTH = ("admin", "hunter2")
JOB = {"uuid": "j1", "state": "success"}
asynchronous = pytest.mark.anyio
with_socks = pytest.mark.skipif(importlib.util.find_spec("socksio") is None, reason="needs httpx[socks]")

UNUSABLE = {
    "ssh+socks5://jumpbox@127.0.0.1:22?private-key=/home/me/key": "a tunnel that is not opened here",
    "ssh+socks5://jumpbox:hunter2@127.0.0.1:22": "a tunnel that is not opened here",
    "socks://me:hunter2@127.0.0.1:1080": "must be a proxy's URL",
    "socks4://127.0.0.1:1080": "must be a proxy's URL",
    "ftp://me:hunter2@proxy:21": "must be a proxy's URL",
    "http://me:hunter2@proxy:3128/path": "must be a proxy's URL",
    "http://me:hunter2@:3128": "must be a proxy's URL",
    "none of them hunter2": "must be a proxy's URL",
    "socks5://me:" + "hunter2" * 37 + "@proxy:1080": "too long for SOCKS",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, no_proxies: None) -> None:
    """No proxies, and the library that is used by default."""
    monkeypatch.setenv(BACKEND_VARIABLE, "direct")


def ontap() -> object:
    return OntapJobs("cluster1.example.com", auth=AUTH)


def bluexp() -> object:
    return BlueXPJobs(account="account-1", agent="a1", auth=Bearer("t"))


def cf() -> object:
    return CFJobs("api.example.org", auth=Bearer("t"))


# --- those that cannot be used


@pytest.mark.parametrize("make", [ontap, bluexp, cf])
@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY", "Https_Proxy", "all_proxy", "ALL_PROXY"])
@pytest.mark.parametrize(("url", "complaint"), UNUSABLE.items(), ids=range(len(UNUSABLE)))
def test_a_proxy_of_the_environment_that_cannot_be_used_is_an_error_that_names_its_variable(
    make: Callable[[], object], name: str, url: str, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, url)
    with pytest.raises(UsageError, match=f"^the environment's {name} .*{complaint}") as caught:
        make()
    for secret in ("hunter2", "jumpbox", "/home"):
        assert secret not in str(caught.value)


@pytest.mark.parametrize(("url", "complaint"), UNUSABLE.items(), ids=range(len(UNUSABLE)))
def test_as_a_keyword_it_is_the_same_error(url: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=f"^proxy= .*{complaint}") as caught:
        OntapJobs("cluster1", auth=AUTH, proxy=url)
    assert "hunter2" not in str(caught.value)


def test_of_two_variables_the_one_in_lower_case_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("https_proxy", "ssh+socks5://127.0.0.1:9")
    with pytest.raises(UsageError, match="environment's https_proxy "):
        ontap()
    monkeypatch.setenv("HTTPS_PROXY", "ssh+socks5://127.0.0.1:9")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    ontap()


@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "SOCKS5"])
def test_a_socks_proxy_needs_a_package_that_the_error_names(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    with pytest.raises(UsageError, match=r"^proxy= .*pip install 'httpx\[socks\]'"):
        OntapJobs("cluster1", auth=AUTH, proxy=f"{scheme}://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", f"{scheme}://127.0.0.1:9")
    with pytest.raises(UsageError, match=r"^the environment's ALL_PROXY .*pip install 'httpx\[socks\]'"):
        ontap()


def test_a_proxy_for_a_token_endpoint_is_looked_at_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "ssh+socks5://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "cluster1.example.com,api.bluexp.netapp.com,api.example.org")
    ontap()
    bluexp()
    cf()
    with pytest.raises(UsageError, match="environment's https_proxy"):
        OntapJobs("cluster1.example.com", auth=ClientCredentials("https://idp.example.com/token", "c", "s"))
    with pytest.raises(UsageError, match="environment's https_proxy"):
        BlueXPJobs(account="account-1", agent="a1", auth=RefreshToken("r"))
    with pytest.raises(UsageError, match="environment's https_proxy"):
        CFJobs("api.example.org", auth=UAAClientCredentials("c", "s", login_url="https://login.example.org"))


@asynchronous
async def test_where_it_is_for_a_login_server_that_is_found_later_the_wait_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("https_proxy", "ssh+socks5://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    links = {"links": {"login": {"href": "https://login.example.org"}}}
    with Loopback(lambda *_: raw(links)) as server:
        monkeypatch.setattr("cfjobs.auth.discovery.trusted_token_url", lambda link, _: f"{link}/oauth/token")
        async with CFJobs(server.url, auth=UAAClientCredentials("c", "s")) as jobs:
            with anyio.fail_after(5), pytest.raises(UsageError, match="environment's https_proxy"):
                await jobs.wait("j1")


@asynchronous
@pytest.mark.parametrize("library", ["direct", "httpx"])
async def test_a_proxy_that_no_request_goes_through_does_not_matter(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BACKEND_VARIABLE, library)
    with Loopback(lambda *_: raw(JOB)) as server:
        for proxies in (
            {"https_proxy": "ssh+socks5://127.0.0.1:9"},
            {"http_proxy": "socks4://127.0.0.1:9", "no_proxy": "127.0.0.1"},
            {"all_proxy": "nonsense", "no_proxy": "*"},
        ):
            with pytest.MonkeyPatch.context() as patch:
                for name, value in proxies.items():
                    patch.setenv(name, value)
                async with OntapJobs(server.url, auth=AUTH) as source:
                    assert (await source.get("j1")).succeeded


# --- SOCKS

OPENED = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00"
"""The reply of a proxy that has connected."""


@contextlib.contextmanager
def socks(*replies: bytes, hangs: bool = False) -> Generator[tuple[str, list[bytes]], None, None]:
    """A SOCKS 5 proxy (RFC 1928), where to find it, and what was asked of it.

    It gives these replies and closes, or says no more; without any it connects to this machine.
    """
    asked: list[bytes] = []

    def serve(line: socket.socket) -> None:
        with contextlib.suppress(OSError), line:
            if replies or hangs:
                for reply in replies:
                    asked.append(line.recv(65536))
                    line.sendall(reply)
                while hangs and (data := line.recv(65536)):
                    asked.append(data)
                return
            asked.append(line.recv(65536))
            line.sendall(b"\x05\x00")
            asked.append(line.recv(65536))
            with socket.create_connection(("127.0.0.1", int.from_bytes(asked[-1][-2:], "big"))) as target:
                line.sendall(OPENED)
                back = threading.Thread(target=relay, args=(target, line))
                back.start()
                relay(line, target)
                back.join()

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    serve(listener.accept()[0])

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield f"socks5://127.0.0.1:{listener.getsockname()[1]}", asked
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def relay(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@asynchronous
@with_socks
@pytest.mark.parametrize("variable", [None, "https_proxy", "ALL_PROXY"])
async def test_a_socks_proxy_is_used(
    variable: str | None, ca: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        Loopback(lambda *_: raw(JOB, Connection="close"), tls=server_tls(ca, key)) as server,
        socks() as (url, asked),
    ):
        options: dict[str, Any] = {"verify": ca}
        if variable is None:
            options["proxy"] = url
        else:
            monkeypatch.setenv(variable, url)
        endpoint = server.url.replace("127.0.0.1", "localhost")
        async with OntapJobs(endpoint, auth=AUTH, **options) as source:
            assert (await source.wait("j1", timeout=20)).succeeded
    assert b"localhost" in asked[1]  # the proxy resolves it


@asynchronous
@with_socks
@pytest.mark.parametrize(
    "replies",
    [
        [b"HTTP/1.1 400 Bad Request\r\n\r\n"],
        [b""],
        [b"\x05"],
        [b"\x05\xff"],
        [b"\x05\x00", b"\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00"],
        [b"\x05\x00", b"\x05\x01"],
        [b"\x05\x00", b"\x05\xaa\x00\x09"],
    ],
    ids=["HTTP", "nothing", "half", "no method", "refused", "half a reply", "nonsense"],
)
async def test_what_a_socks_proxy_says_instead_is_passing_trouble_before_which_nothing_was_sent(
    replies: list[bytes],
) -> None:
    with socks(*replies) as (url, _):
        async with OntapJobs("cluster1", auth=AUTH, proxy=url) as source:
            with pytest.raises(TransportError) as caught:
                await source.start("DELETE", "/api/storage/volumes/1")
    assert (caught.value.transient, caught.value.sent) == (True, False)


@asynchronous
@with_socks
@pytest.mark.parametrize(
    "replies", [[], [b"\x05\x00"], [b"\x05\x00", OPENED]], ids=["at first", "later", "in TLS"]
)
async def test_a_request_cancelled_below_a_socks_proxy_leaves_no_place_occupied(
    replies: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socks(*replies, hangs=True) as (url, asked):
        async with OntapJobs("cluster1", auth=AUTH, proxy=url, concurrency=2) as source:
            for number in range(5):
                async with anyio.create_task_group() as group:
                    group.start_soon(source.get, "j1")
                    with anyio.fail_after(10):
                        # Looked at now and then: the proxy is a thread, which sets no event of this loop.
                        while len(asked) < (number + 1) * (len(replies) + 1):  # noqa: ASYNC110
                            await anyio.sleep(0.001)
                    group.cancel_scope.cancel()
