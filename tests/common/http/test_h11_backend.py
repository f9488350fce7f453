"""Requests over our own connections: what is sent, how responses are read, sources that nobody closes."""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
import logging
import ssl
import sys
import weakref
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from anyio.from_thread import start_blocking_portal

from bluexp_jobs import BlueXPJobs
from bluexp_jobs.simulator import BlueXPSimulator
from cfjobs import CFJobs
from cfjobs.simulator import CFSimulator
from common import PollPolicy
from common.http.direct.h11_backend import H11Backend
from common.http.over_httpx.httpx_backend import HttpxBackend
from common.http.selection import BACKEND_VARIABLE, MOCK_LIBRARIES
from common.model.errors import ActionUncertain, ApiError, DecodeError, TransportError, UsageError
from common.model.states import Action
from common.response.body import MAX_BODY
from ontapjobs import Bearer, OntapJobs
from ontapjobs.simulator import OntapSimulator
from tests.common.http.dripping_server import check_a_dripping_server
from tests.common.http.hung_up import hung_up
from tests.loopback import Loopback, raw, server_tls

AUTH = ("admin", "hunter2")
QUICK = PollPolicy(initial=0.01)
JOB = {"uuid": "j1", "state": "success"}
asynchronous = pytest.mark.anyio


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default, also where the suite runs over httpx, and behind a proxy."""
    monkeypatch.setenv(BACKEND_VARIABLE, "direct")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def client_of(source: Any) -> object:
    return source._client._loop_state().backend


def answering(*answers: list[bytes]) -> Loopback:
    """A server that gives these answers in turn, the last one for ever."""
    return Loopback(lambda number, _: answers[min(number, len(answers) - 1)])


def values(head: str, name: str) -> list[str]:
    """What a request's head says under a name."""
    lines = [line.split(": ", 1) for line in head.split("\r\n")[1:] if line]
    return [value for key, value in lines if key.lower() == name.lower()]


# --- which library sends


@asynchronous
@pytest.mark.parametrize("value", [None, "direct", "aiohttp"])
async def test_connections_of_our_own_are_the_default(
    value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if value is None:
        monkeypatch.delenv(BACKEND_VARIABLE)
    else:
        monkeypatch.setenv(BACKEND_VARIABLE, value)
    for name in MOCK_LIBRARIES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    async with OntapJobs("cluster1", auth=AUTH) as source:
        assert isinstance(client_of(source), H11Backend)


@asynchronous
@pytest.mark.parametrize("name", MOCK_LIBRARIES)
async def test_where_tests_stand_in_for_the_network_httpx_sends(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(BACKEND_VARIABLE)
    for other in MOCK_LIBRARIES:
        monkeypatch.delitem(sys.modules, other, raising=False)
    monkeypatch.setitem(sys.modules, name, sys)
    async with OntapJobs("cluster1", auth=AUTH) as source:
        assert isinstance(client_of(source), HttpxBackend)


@asynchronous
@pytest.mark.parametrize("value", ["httpx", " HTTPX "])
async def test_the_switch_keeps_httpx(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BACKEND_VARIABLE, value)
    async with OntapJobs("cluster1", auth=AUTH) as source:
        assert isinstance(client_of(source), HttpxBackend)


def test_a_switch_that_means_nothing_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BACKEND_VARIABLE, "curl")
    with pytest.raises(UsageError, match="JOBSOURCE_HTTP='curl'"):
        OntapJobs("cluster1", auth=AUTH)


@asynchronous
async def test_what_only_httpx_can_do_httpx_does() -> None:
    handler = httpx.MockTransport(lambda _: httpx.Response(200, json=JOB))
    async with httpx.AsyncClient(transport=handler) as client:
        sources = [
            OntapJobs("cluster1", auth=AUTH, http=client),
            OntapJobs("cluster1", auth=AUTH, transport=handler),
            OntapJobs("cluster1", auth=AUTH, proxy="http://127.0.0.1:9"),
            OntapJobs("cluster1", auth=httpx.BasicAuth(*AUTH)),
        ]
        for source in sources:
            assert isinstance(client_of(source), HttpxBackend)
            await source.aclose()


@asynchronous
@pytest.mark.parametrize(
    ("environment", "client"),
    [
        ({"HTTPS_PROXY": "http://127.0.0.1:9"}, HttpxBackend),
        ({"ALL_PROXY": "http://127.0.0.1:9"}, HttpxBackend),
        ({"HTTP_PROXY": "http://127.0.0.1:9"}, H11Backend),
        ({"HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "*"}, H11Backend),
        ({"HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "other, a.example.com"}, H11Backend),
        ({"HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": ".example.com"}, H11Backend),
        ({"HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "example.com"}, H11Backend),
        ({"HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "ample.com,b.example.com,,"}, HttpxBackend),
    ],
)
async def test_a_proxy_of_the_environment_is_httpx_to_choose(
    environment: Mapping[str, str], client: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    async with OntapJobs("a.example.com", auth=AUTH) as source:
        assert isinstance(client_of(source), client)


# --- what is sent


@asynchronous
async def test_a_target_goes_out_as_it_is_and_headers_as_over_httpx(monkeypatch: pytest.MonkeyPatch) -> None:
    target = "/v3/jobs/a%2Fb%7Cc;d=%C3%A9/../%2e%2e?x=%7c|a+b%20c&empty=&y"
    with answering(raw(JOB)) as server:
        for library in ("direct", "httpx"):
            monkeypatch.setenv(BACKEND_VARIABLE, library)
            async with OntapJobs(server.url, auth=AUTH, user_agent="acme/1") as source:
                await source._client.send("GET", target)
    ours, over_httpx = server.heads
    assert ours.split("\r\n")[0] == f"GET {target} HTTP/1.1"
    lines = [sorted(head.lower().split("\r\n")[1:]) for head in (ours, over_httpx)]
    assert lines[0] == lines[1]


@asynchronous
async def test_json_is_sent_with_its_length_and_kind() -> None:
    def script(_: int, head: str) -> list[bytes]:
        assert "content-length: 10\r\n" in head.lower()
        return raw(JOB)

    with Loopback(script) as server:
        async with OntapJobs(server.url, auth=AUTH) as source:
            await source.start("POST", "/storage/volumes", json={"a": "b"})
        assert values(server.heads[0], "content-type") == ["application/json"]


@pytest.mark.slow
@asynchronous
@pytest.mark.parametrize("library", ["direct", "httpx"])
async def test_a_body_goes_with_its_length_and_what_its_sender_says_that_it_is(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BACKEND_VARIABLE, library)
    simulator = CFSimulator()
    async with simulator.serve() as url, CFJobs(url, auth=Bearer("t")) as source:
        await source.start("POST", "/v3/apps", content=b"12345")
        await source.start("POST", "/v3/apps", content="ä", headers={"content-type": "text/plain"})
        await source.start("POST", "/v3/apps")
    sent = [request.headers for request in simulator.journal]
    assert [headers.get("content-length") for headers in sent] == ["5", "2", "0"]
    assert [headers.get("content-type") for headers in sent] == [None, "text/plain", None]


class Custom:
    """Credentials of a host's own making."""

    def __init__(self, **headers: str) -> None:
        self._headers = headers

    async def headers(self) -> Mapping[str, str]:
        return self._headers

    async def refresh(self, refused: Mapping[str, str]) -> bool:
        del refused
        return False

    def secrets(self) -> tuple[str, ...]:
        return ()


@asynchronous
@pytest.mark.parametrize(
    "headers", [{"X-Key": "a\r\nX-Admin: yes"}, {"X-Key": "a\nb"}, {"X-A: b\r\nX-B": "c"}, {"X-Key": "a\0"}]
)
async def test_a_header_that_would_begin_another_is_never_sent(headers: dict[str, str]) -> None:
    with answering(raw(JOB)) as server:
        async with OntapJobs(server.url, auth=Custom(**headers)) as source:
            with pytest.raises(TransportError, match=r"[Ii]llegal header") as caught:
                await source.act("j1", Action.CANCEL)
        assert server.heads == []
    assert not caught.value.sent


@asynchronous
@pytest.mark.parametrize("target", ["/a b", "/a\r\nX: y", "/é", "/\0"])
async def test_a_target_that_is_not_encoded_is_never_sent(target: str) -> None:
    with answering(raw(JOB)) as server:
        async with OntapJobs(server.url, auth=AUTH) as source:
            with pytest.raises(TransportError):
                await source._client.send("GET", target)
        assert server.heads == []


@asynchronous
async def test_cookies_are_not_kept_and_redirects_not_followed() -> None:
    with answering(
        raw(JOB, Set_Cookie="session=1; Path=/"), raw(b"", "302 Found", Location="/elsewhere")
    ) as server:
        async with OntapJobs(server.url, auth=AUTH) as source:
            await source.get("j1")
            with pytest.raises(ApiError, match="302"):
                await source.get("j1")
        assert len(server.heads) == 2
        assert values(server.heads[1], "cookie") == []


@asynchronous
async def test_passwords_of_the_environment_are_not_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ca: str, key: str
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login other password person\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    tls = server_tls(ca, key, ask=True)
    with Loopback(lambda _, __: raw(JOB), tls=tls) as server:
        async with OntapJobs(server.url, verify=ca, cert=(ca, key)) as source:
            await source.get("j1")
        assert values(server.heads[0], "authorization") == []


# --- responses


@asynchronous
async def test_a_header_that_comes_twice_is_kept_twice_in_order() -> None:
    head = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Cf-Warnings: b\r\nx-cf-warnings: ä\r\n\r\n{}"
    with answering([head.encode()]) as server:
        async with OntapJobs(server.url, auth=AUTH) as source:
            reply = await source._client.send("GET", "/")
    assert reply.header_values("x-cf-warnings") == ("b", "ä")


@asynchronous
async def test_a_long_header_is_read() -> None:
    with answering(raw(JOB, X_Cf_Warnings="w" * 30_000)) as server:
        async with OntapJobs(server.url, auth=AUTH) as source:
            assert len((await source._client.send("GET", "/")).header("x-cf-warnings") or "") == 30_000


@asynchronous
async def test_a_compressed_body_is_inflated_here() -> None:
    with answering(raw(gzip.compress(json.dumps(JOB).encode()), Content_Encoding="gzip")) as server:
        async with OntapJobs(server.url, auth=AUTH) as source:
            assert (await source.get("j1")).succeeded
        assert values(server.heads[0], "accept-encoding") == ["gzip, deflate"]


@pytest.mark.slow
@asynchronous
async def test_a_small_body_that_inflates_to_much_more_is_refused() -> None:
    packed = gzip.compress(bytes(4 * MAX_BODY))
    with answering(raw(packed, Content_Encoding="gzip"), raw(JOB)) as server:
        async with OntapJobs(server.url, auth=AUTH) as source:
            with pytest.raises(DecodeError, match=f"larger than {MAX_BODY} bytes"):
                await source.get("j1")
            assert (await source.get("j1")).succeeded


@asynchronous
async def test_a_body_without_end_is_refused_as_it_arrives() -> None:
    def script(_: int, __: str) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        while not server.stopping.is_set():
            yield b"10000\r\n" + bytes(0x10000) + b"\r\n"

    with Loopback(script) as server:
        async with OntapJobs(server.url, auth=AUTH) as source:
            with anyio.fail_after(20), pytest.raises(DecodeError, match=f"larger than {MAX_BODY} bytes"):
                await source.get("j1")


@asynchronous
async def test_a_refusal_is_one_even_where_its_body_cannot_be_read() -> None:
    with answering(raw(b"?", "403 Forbidden", Content_Encoding="br")) as server:
        async with OntapJobs(server.url, auth=AUTH) as source:
            with pytest.raises(ApiError) as caught:
                await source.get("j1")
    assert caught.value.status == 403


# --- what is sent again, and what never is


@asynchronous
async def test_a_connection_that_was_dropped_meanwhile_costs_a_get_nothing() -> None:
    with Loopback(lambda number, _: [] if number == 1 else raw(JOB)) as server:
        async with OntapJobs(server.url, auth=AUTH) as source:
            await source.get("j1")
            assert (await source.get("j1")).succeeded
        assert len(server.heads) == 3


@asynchronous
async def test_a_get_is_sent_twice_at_most() -> None:
    with answering([]) as server:
        async with OntapJobs(server.url, auth=AUTH) as source:
            with pytest.raises(TransportError) as caught:
                await source.get("j1")
        assert len(server.heads) == 2
    assert caught.value.sent
    assert caught.value.transient


@asynchronous
@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
async def test_a_write_is_never_sent_again_on_whatever_connection(method: str) -> None:
    with answering(raw(JOB), []) as server:
        async with OntapJobs(server.url, auth=AUTH) as source:
            await source.get("j1")
            with pytest.raises(TransportError) as caught:
                await source._client.send(method, "/api/x")
        assert [head.split(" ")[0] for head in server.heads] == ["GET", method]
    assert caught.value.sent


@asynchronous
async def test_a_write_whose_response_is_lost_is_uncertain() -> None:
    with answering([]) as server:
        async with OntapJobs(server.url, auth=AUTH) as source:
            with pytest.raises(ActionUncertain):
                await source.act("j1", Action.CANCEL)


def cut(_: int, __: str) -> Iterable[bytes]:
    yield b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"uuid": '
    raise OSError


@asynchronous
@pytest.mark.parametrize("script", [cut, lambda _, __: [b"SSH-2.0-OpenSSH_9.6\r\n\r\n"]])
async def test_half_a_reply_or_none_of_http_is_a_transport_error(script: Any) -> None:
    with Loopback(script) as server:
        async with OntapJobs(server.url, auth=AUTH, request_timeout=5) as source:
            with pytest.raises(TransportError) as caught:
                await source.get("j1")
        assert len(server.heads) == 2
    assert caught.value.sent


@asynchronous
async def test_a_server_that_is_not_there_was_sent_nothing() -> None:
    with answering() as server:
        url = server.url
    async with OntapJobs(url, auth=AUTH) as source:
        with pytest.raises(TransportError, match="refused") as caught:
            await source.act("j1", Action.CANCEL)
    assert not caught.value.sent


@asynchronous
async def test_a_transport_error_holds_nothing_of_h11() -> None:
    with answering([]) as server:
        async with OntapJobs(server.url, auth=AUTH) as source:
            with pytest.raises(TransportError) as caught:
                await source.get("j1")
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@asynchronous
@pytest.mark.parametrize("status", ["401 Unauthorized", "502 Bad Gateway"])
async def test_what_a_server_quotes_of_the_request_is_redacted(status: str) -> None:
    page = b"you sent hunter2, Basic YWRtaW46aHVudGVyMg=="
    with answering(raw({"error": {"message": page.decode(), "code": "1"}}, status)) as server:
        async with OntapJobs(server.url, auth=AUTH) as source:
            with pytest.raises(ApiError) as caught:
                await source.get("j1")
    shown = f"{caught.value} {caught.value!r} {caught.value.body!r}"
    assert "hunter2" not in shown
    assert "YWRtaW4" not in shown


@asynchronous
async def test_a_401_leads_to_one_new_token() -> None:
    tokens = ["old"]

    async def token() -> str:
        return tokens[-1]

    def script(_: int, head: str) -> list[bytes]:
        tokens.append("new")
        return raw({}, "401 Unauthorized") if "Bearer old" in head else raw(JOB)

    with Loopback(script) as server:
        async with OntapJobs(server.url, auth=Bearer(token)) as source:
            assert (await source.get("j1")).succeeded
        sent = [values(head, "authorization") for head in server.heads]
    assert sent == [["Bearer old"], ["Bearer new"]]


# --- time


@pytest.mark.slow
@asynchronous
async def test_request_timeout_bounds_the_whole_reply_of_a_dripping_server() -> None:
    await check_a_dripping_server()


@asynchronous
async def test_a_cancelled_request_gives_its_turn_and_its_connection_back() -> None:
    def script(_: int, head: str) -> Iterator[bytes]:
        if "slow" in head:
            server.stopping.wait(20)
        yield from raw(JOB)

    with Loopback(script) as server:
        async with OntapJobs(server.url, auth=AUTH, concurrency=1) as source:
            for _ in range(3):
                with anyio.move_on_after(0.02):
                    await source.get("slow")
            with anyio.fail_after(5):
                assert (await source.get("j1")).succeeded
            assert (await source.get("j1")).succeeded
        assert server.connections == 4


@asynchronous
async def test_a_burst_uses_as_many_connections_as_concurrency_says() -> None:
    with answering(raw(JOB)) as server:
        async with (
            OntapJobs(server.url, auth=AUTH, concurrency=3) as source,
            anyio.create_task_group() as group,
        ):
            for _ in range(30):
                group.start_soon(source.get, "j1")
            await anyio.wait_all_tasks_blocked()
        assert 1 <= server.connections <= 3


# --- TLS


@asynchronous
async def test_an_untrusted_certificate_is_refused_with_a_hint(ca: str, key: str) -> None:
    with Loopback(lambda _, __: raw(JOB), tls=server_tls(ca, key)) as server:
        async with OntapJobs(server.url, auth=AUTH) as source:
            with pytest.raises(TransportError, match=r"pass verify='ca\.pem'") as caught:
                await source.get("j1")
        async with OntapJobs(server.url.replace("127.0.0.1", "127.0.0.2"), auth=AUTH, verify=ca) as source:
            with pytest.raises(TransportError):
                await source.get("j1")
        assert server.heads == []
    assert not caught.value.sent


@pytest.mark.slow
@asynchronous
async def test_a_ca_file_a_context_and_a_client_certificate_work_as_over_httpx(ca: str, key: str) -> None:
    with Loopback(lambda _, __: raw(JOB), tls=server_tls(ca, key, ask=True)) as server:
        context = ssl.create_default_context(cafile=ca)
        context.load_cert_chain(ca, key)
        for source in (
            OntapJobs(server.url, auth=None, verify=ca, cert=(ca, key)),
            OntapJobs(server.url, auth=AUTH, verify=context),
        ):
            async with source:
                assert (await source.get("j1")).succeeded
                assert isinstance(client_of(source), H11Backend)
        async with OntapJobs(server.url, auth=AUTH, verify=ca) as source:
            with pytest.raises(TransportError):
                await source.get("j1")


@asynchronous
@pytest.mark.filterwarnings("ignore::common.options.InsecureConnectionWarning")
async def test_verification_is_skipped_only_by_name(ca: str, key: str) -> None:
    with Loopback(lambda _, __: raw(JOB), tls=server_tls(ca, key)) as server:
        async with OntapJobs(server.url, auth=AUTH, verify=False) as source:
            assert (await source.get("j1")).succeeded


# --- closing, dropped sources, and several event loops


@asynchronous
async def test_a_closed_source_closes_its_connections() -> None:
    with answering(raw(JOB)) as server:
        source = OntapJobs(server.url, auth=AUTH)
        await source.get("j1")
        backend: Any = source._client._loop_state().backend
        await source.aclose()
        await source.aclose()
        assert not backend._idle
        assert await anyio.to_thread.run_sync(hung_up, server)
        with pytest.raises(UsageError, match="closed"):
            await source.get("j1")


def forget(url: str) -> weakref.ref[OntapJobs]:
    """Use a source in one loop, and leave it to the garbage collector there."""

    async def main() -> weakref.ref[OntapJobs]:
        source = OntapJobs(url, auth=AUTH)
        await source.get("j1")
        return weakref.ref(source)

    return asyncio.run(main(), debug=True)


@pytest.mark.slow
def test_a_source_that_nobody_closes_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with answering(raw(JOB)) as server:
        left = forget(server.url)
        gc.collect()
        assert left() is None
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.slow
@asynchronous
async def test_a_source_dropped_in_a_running_loop_hangs_up() -> None:
    with answering(raw(JOB)) as server:
        source = OntapJobs(server.url, auth=AUTH)
        await source.get("j1")
        assert len(server._lines) == 1
        del source
        gc.collect()
        assert await anyio.to_thread.run_sync(hung_up, server)


@pytest.mark.slow
def test_a_source_dropped_in_another_thread_than_its_loops_closes_its_connections() -> None:
    with answering(raw(JOB)) as server, start_blocking_portal("asyncio") as portal:
        sources = [OntapJobs(server.url, auth=AUTH)]
        portal.call(sources[0].get, "j1")
        sources.clear()
        gc.collect()
        assert hung_up(server)


def in_several_loops(url: str) -> None:
    source = OntapJobs(url, auth=AUTH)

    async def once() -> bool:
        return (await source.get("j1")).succeeded

    for backend in ("asyncio", "asyncio", "trio", "asyncio"):
        assert anyio.run(once, backend=backend)
    anyio.run(source.aclose, backend="trio")


@pytest.mark.slow
def test_a_source_serves_one_event_loop_after_another(caplog: pytest.LogCaptureFixture) -> None:
    with answering(raw(JOB)) as server:
        in_several_loops(server.url)
        assert server.connections == 4
    gc.collect()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


# --- the simulators, on a real socket


@pytest.mark.slow
@asynchronous
async def test_a_wait_on_each_system_ends_over_h11() -> None:
    ontap, cf, bluexp = OntapSimulator(), CFSimulator(), BlueXPSimulator()
    async with ontap.serve() as url, OntapJobs(url, auth=AUTH, policy=QUICK) as jobs:
        uuid = ontap.add_job([("running", 0.1), ("success", None)])
        assert (await jobs.wait(uuid)).succeeded
        assert [job.id async for job in jobs.list()] == [uuid]
        assert isinstance(client_of(jobs), H11Backend)
    async with cf.serve() as url, CFJobs(url, auth=Bearer("t"), policy=QUICK) as jobs:
        assert (await jobs.wait(cf.add_job([("PROCESSING", 0.1), ("COMPLETE", None)]))).succeeded
    async with bluexp.serve() as url:
        source = BlueXPJobs(
            account="account-sim", agent="agent-sim", auth=Bearer("t"), endpoint=url, policy=QUICK
        )
        async with source:
            id = bluexp.add_job([("PENDING", 0.1), ("COMPLETED", None)])
            assert (await source.wait(id)).succeeded
