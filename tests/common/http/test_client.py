"""Requests of `ApiClient`: what is sent, how responses are read, and connections that break."""

from __future__ import annotations

import gc
import gzip
import itertools
import json
import tracemalloc
import zlib
from collections.abc import Iterable
from importlib import metadata
from typing import Any

import anyio
import httpx
import pytest

from cfjobs import CFJobs
from common.http.over_httpx.httpx_backend import HttpxBackend
from common.http.user_agent import user_agent
from common.model.errors import (
    ActionUncertain,
    ApiError,
    AuthenticationError,
    DecodeError,
    JobNotFound,
    TransportError,
    UsageError,
)
from common.model.states import Action
from common.response.body import MAX_BODY
from ontapjobs import Bearer, OntapJobs
from tests.common.http.dripping_server import check_a_dripping_server
from tests.loopback import Loopback, raw
from tests.recording import Answer, Chunks, Recorder, bomb, reply

pytestmark = pytest.mark.anyio

AUTH = ("admin", "hunter2")
JOB = {"uuid": "j1", "state": "success"}
DROPS = [
    httpx.RemoteProtocolError("Server disconnected without sending a response."),
    httpx.ReadError(""),
    httpx.WriteError(""),
]


# httpx leaves its own generators to the garbage collector where a body is not read to its end.
unread = pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")


def ontap(*answers: Answer, **options: Any) -> tuple[OntapJobs, Recorder]:
    """A source whose requests are recorded."""
    wire = Recorder(*answers)
    return OntapJobs("https://cluster1", auth=options.pop("auth", AUTH), transport=wire, **options), wire


# --- the caller's own client


async def test_the_callers_client_is_never_closed() -> None:
    async with httpx.AsyncClient(transport=Recorder(reply(JOB))) as client:
        async with OntapJobs("cluster1", auth=AUTH, http=client) as source:
            await source.get("j1")
        await source.aclose()
        assert not client.is_closed


async def test_the_callers_base_url_and_redirect_rule_are_not_used() -> None:
    wire = Recorder(reply(b"", 302, headers={"Location": "https://elsewhere/"}))
    async with httpx.AsyncClient(
        transport=wire, base_url="https://elsewhere/base/", follow_redirects=True
    ) as client:
        source = OntapJobs("cluster1", auth=AUTH, http=client)
        with pytest.raises(ApiError, match="302"):
            await source.get("j1")
    assert [str(request.url) for request in wire.requests] == [
        "https://cluster1/api/cluster/jobs/j1?fields=*"
    ]


async def test_the_callers_query_parameters_do_not_replace_a_requests_own() -> None:
    wire = Recorder(reply(JOB))
    async with httpx.AsyncClient(transport=wire, params={"tenant": "t"}) as client:
        await OntapJobs("cluster1", auth=AUTH, http=client).act("j1", Action.CANCEL)
    assert "action=cancel" in wire.lines[0]
    assert "fields=*" in wire.lines[1]


async def test_the_callers_own_credentials_are_used_where_auth_is_left_out() -> None:
    wire = Recorder(reply(JOB))
    async with httpx.AsyncClient(transport=wire, auth=("own", "secret")) as client:
        await OntapJobs("cluster1", http=client).get("j1")
    assert wire.sent("Authorization") == [httpx.BasicAuth("own", "secret")._auth_header]


async def test_auth_goes_before_the_credentials_of_the_callers_client() -> None:
    wire = Recorder(reply(JOB))
    headers = {"Authorization": "Bearer of-the-client"}
    async with httpx.AsyncClient(transport=wire, auth=("own", "secret"), headers=headers) as client:
        await OntapJobs("cluster1", auth=Bearer("ours"), http=client).get("j1")
        await OntapJobs("cluster1", auth=httpx.BasicAuth("a", "b"), http=client).get("j1")
    assert wire.sent("Authorization") == ["Bearer ours", httpx.BasicAuth("a", "b")._auth_header]


@pytest.mark.parametrize(("status", "transient"), [(401, False), (403, False), (409, False), (503, True)])
async def test_a_hook_that_raises_for_status_does_not_hide_the_status(status: int, transient: bool) -> None:
    async def hook(response: httpx.Response) -> None:
        await response.aread()
        response.raise_for_status()

    wire = Recorder(reply({"error": {"message": "no", "code": "1"}}, status))
    async with httpx.AsyncClient(transport=wire, event_hooks={"response": [hook]}) as client:
        source = OntapJobs("cluster1", auth=AUTH, http=client)
        with pytest.raises(ApiError) as caught:
            await source.get("j1")
    assert (caught.value.status, caught.value.transient) == (status, transient)


async def test_a_closed_client_of_the_caller_is_a_usage_error() -> None:
    client = httpx.AsyncClient(transport=Recorder(reply(JOB)))
    await client.aclose()
    with pytest.raises(UsageError, match="closed"):
        await OntapJobs("cluster1", auth=AUTH, http=client).get("j1")


# --- redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("action", [None, Action.CANCEL])
async def test_a_redirect_is_never_followed(status: int, action: Action | None) -> None:
    source, wire = ontap(reply(b"", status, headers={"Location": "https://evil.example/take"}))
    with pytest.raises(ApiError) as caught:
        await (source.act("j1", action) if action else source.get("j1"))
    assert caught.value.status == status
    assert len(wire.requests) == 1
    assert wire.hosts == {"cluster1"}


async def test_cookies_are_not_kept() -> None:
    source, wire = ontap(reply(JOB, headers={"Set-Cookie": "session=1; Path=/"}))
    await source.get("j1")
    await source.get("j1")
    assert wire.sent("Cookie") == [None, None]
    backend = source._client._loop_state().backend
    assert isinstance(backend, HttpxBackend)
    assert not backend._client.cookies


# --- bodies


async def test_a_body_of_exactly_the_bound_is_read() -> None:
    body = json.dumps(JOB).encode()
    source, _ = ontap(reply(body + b" " * (MAX_BODY - len(body))))
    assert (await source.get("j1")).succeeded


@unread
async def test_a_body_over_the_bound_is_refused_as_it_arrives() -> None:
    endless = Chunks(b" " * 2**20 for _ in range(1000))
    source, _ = ontap(lambda _: httpx.Response(200, stream=endless))
    with pytest.raises(DecodeError, match=f"larger than {MAX_BODY} bytes") as caught:
        await source.get("j1")
    assert endless.taken == 17
    assert caught.value.transient


@unread
async def test_a_small_body_that_inflates_to_gigabytes_is_refused_in_its_first_piece() -> None:
    body = Chunks(bomb())
    source, _ = ontap(lambda _: httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=body))
    tracemalloc.start()
    try:
        with pytest.raises(DecodeError, match=f"larger than {MAX_BODY} bytes"):
            await source.get("j1")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert body.taken == 2  # the header, and one piece that holds 256 MiB
    assert peak < 4 * MAX_BODY


@unread
async def test_a_compressed_body_that_inflates_to_nothing_is_bounded_too() -> None:
    header, nothing = gzip.compress(b"")[:10], b"\x00\x00\x00\xff\xff"  # an empty block of deflate
    body = Chunks(itertools.chain([header], itertools.repeat(nothing * 2**18, 100)))
    source, _ = ontap(lambda _: httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=body))
    with pytest.raises(DecodeError, match=f"larger than {MAX_BODY} bytes"):
        await source.get("j1")
    assert body.taken <= 16


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [("gzip", gzip.compress), ("GZIP", gzip.compress), ("x-gzip", gzip.compress), ("deflate", zlib.compress)],
)
async def test_a_compressed_body_is_inflated(encoding: str, encode: Any) -> None:
    packed = encode(json.dumps(JOB).encode())
    pieces = Chunks(packed[n : n + 1] for n in range(len(packed)))
    source, wire = ontap(lambda _: httpx.Response(200, headers={"Content-Encoding": encoding}, stream=pieces))
    assert (await source.get("j1")).succeeded
    assert wire.sent("Accept-Encoding") == ["gzip, deflate"]


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "nonsense", "x" * 1000])
async def test_an_encoding_that_was_not_accepted_is_refused(encoding: str) -> None:
    source, _ = ontap(reply(JOB, headers={"Content-Encoding": encoding}))
    with pytest.raises(DecodeError, match="which was not accepted") as caught:
        await source.get("j1")
    assert caught.value.transient
    assert len(str(caught.value)) < 200


@unread
@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (gzip.compress(json.dumps(JOB).encode())[:-9], "ends early"),
        (gzip.compress(json.dumps(JOB).encode())[:5], "ends early"),
        (json.dumps(JOB).encode(), "cannot be inflated"),
    ],
    ids=["without its trailer", "within its header", "plain"],
)
async def test_a_body_that_is_not_the_gzip_it_claims_to_be_is_refused(body: bytes, complaint: str) -> None:
    source, _ = ontap(reply(body, headers={"Content-Encoding": "gzip"}))
    with pytest.raises(DecodeError, match=complaint) as caught:
        await source.get("j1")
    assert caught.value.transient


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" \r\n",
        b"<!doctype html><title>Sign in</title>",
        b"{",
        b"\xff\xfe\xfd",
        b"null",
        b"[]",
        b"7",
        b'"a text"',
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b"9" * 5000,
    ],
    ids=lambda body: repr(body[:12]),
)
async def test_a_success_that_is_no_json_object_is_not_the_apis(body: bytes) -> None:
    source, _ = ontap(reply(body))
    with pytest.raises(DecodeError) as caught:
        await source.get("j1")
    assert caught.value.transient
    assert caught.value.ref == source.ref("j1")


@pytest.mark.parametrize("kind", ["application/hal+json", "text/plain; charset=utf-8", "text/html", ""])
async def test_json_is_read_whatever_its_content_type(kind: str) -> None:
    source, _ = ontap(reply(JOB, headers={"Content-Type": kind}))
    assert (await source.get("j1")).succeeded


async def test_an_error_sent_as_plain_text_is_read_as_the_json_that_it_is() -> None:
    wire = Recorder(
        reply(
            {"errors": [{"code": 10013, "title": "CF-RateLimitExceeded", "detail": "Rate Limit Exceeded"}]},
            429,
            headers={"Content-Type": "text/plain; charset=utf-8", "Retry-After": "77"},
        )
    )
    with pytest.raises(ApiError, match="Rate Limit Exceeded") as caught:
        await CFJobs("api.example.org", auth=Bearer("t0ken"), transport=wire).get("j1")
    assert (caught.value.code, caught.value.retry_after) == ("10013", 77.0)


# --- broken connections


def dropping(*numbers: int) -> Any:
    """A server's script that reads the requests of these numbers and hangs up on them."""
    return lambda number, _: [] if number in numbers else raw(JOB)


async def test_a_get_on_a_dropped_connection_is_sent_once_more() -> None:
    with Loopback(dropping(1)) as server:
        async with OntapJobs(server.url, auth=AUTH) as source:
            await source.get("j1")
            assert (await source.get("j1")).succeeded
        assert len(server.heads) == 3
        assert server.connections == 2


async def test_a_get_is_not_sent_a_third_time() -> None:
    with Loopback(dropping(0, 1, 2, 3)) as server:
        async with OntapJobs(server.url, auth=AUTH) as source:
            with pytest.raises(TransportError) as caught:
                await source.get("j1")
        assert len(server.heads) == 2
    assert caught.value.sent
    assert caught.value.transient


async def test_in_an_outage_each_get_is_one_request_until_a_reply_comes() -> None:
    with Loopback(dropping(0, 1, 2, 3, 5)) as server:
        async with OntapJobs(server.url, auth=AUTH) as source:
            for sent in (2, 3, 4):
                with pytest.raises(TransportError):
                    await source.get("j1")
                assert len(server.heads) == sent
            assert (await source.get("j1")).succeeded
            assert (await source.get("j1")).succeeded
        assert len(server.heads) == 7


async def test_a_write_on_a_dropped_connection_is_never_sent_again() -> None:
    with Loopback(dropping(0)) as server:
        async with OntapJobs(server.url, auth=AUTH) as source:
            with pytest.raises(ActionUncertain, match="may have been carried out"):
                await source.act("j1", Action.CANCEL)
        assert [head.split(" ")[0] for head in server.heads] == ["PATCH"]


@pytest.mark.parametrize("drop", DROPS, ids=lambda drop: type(drop).__name__)
async def test_every_way_of_dropping_a_connection_is_retried_for_a_get_alone(drop: Exception) -> None:
    source, wire = ontap(drop, reply(JOB))
    assert (await source.get("j1")).succeeded
    assert len(wire.requests) == 2
    source, wire = ontap(drop, reply(JOB))
    with pytest.raises(ActionUncertain):
        await source.act("j1", Action.PAUSE)
    assert wire.lines == ["PATCH /api/cluster/jobs/j1?action=pause"]


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout(""),
        httpx.UnsupportedProtocol("x"),
        UnicodeError("label too long"),  # from trio's resolver
    ],
)
async def test_a_write_that_never_left_is_a_transport_error_and_not_uncertain(error: Exception) -> None:
    source, wire = ontap(error)
    with pytest.raises(TransportError) as caught:
        await source.act("j1", Action.CANCEL)
    assert not caught.value.sent
    assert len(wire.requests) == 1


async def test_a_server_that_is_not_there_is_a_transport_error() -> None:
    with Loopback(dropping()) as server:
        url = server.url
    async with OntapJobs(url, auth=AUTH) as source:
        with pytest.raises(TransportError, match="refused") as caught:
            await source.get("j1")
    assert not caught.value.sent
    assert caught.value.transient


async def test_a_body_that_breaks_off_is_a_transport_error() -> None:
    def script(_: int, __: str) -> Iterable[bytes]:
        yield b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"uuid": '
        raise OSError

    with Loopback(script) as server:
        async with OntapJobs(server.url, auth=AUTH) as source:
            with pytest.raises(TransportError):
                await source.get("j1")
        assert len(server.heads) == 2


@pytest.mark.parametrize("host", ["a..b.invalid", f"{'a' * 64}.invalid"])
async def test_a_host_name_that_no_resolver_takes_is_a_typed_error(host: str) -> None:
    with pytest.raises((UsageError, TransportError)):
        await OntapJobs(host, auth=AUTH, request_timeout=5).get("j1")


# --- time


@pytest.mark.slow
async def test_request_timeout_bounds_the_whole_reply_of_a_dripping_server() -> None:
    await check_a_dripping_server()


@pytest.mark.virtual
async def test_the_turn_in_the_queue_is_not_counted_as_time_of_the_request() -> None:
    async def handle(_: httpx.Request) -> httpx.Response:
        await anyio.sleep(0.25)
        return httpx.Response(200, json=JOB)

    source = OntapJobs(
        "cluster1", auth=AUTH, transport=httpx.MockTransport(handle), concurrency=1, request_timeout=0.6
    )
    async with anyio.create_task_group() as group:
        for _ in range(4):  # the last one has waited for 0.75 s when it is sent
            group.start_soon(source.get, "j1")


async def test_a_token_function_that_hangs_is_bounded_by_request_timeout() -> None:
    calls = 0

    async def token() -> str:
        nonlocal calls
        calls += 1
        if calls > 1:  # what is asked for the fresh token after the 401
            await anyio.sleep_forever()
        return "stale"

    source, _ = ontap(reply(b"", 401), auth=Bearer(token), request_timeout=0.05)
    with anyio.fail_after(2), pytest.raises(TransportError):
        await source.get("j1")


@pytest.mark.virtual
async def test_a_request_of_a_sign_in_is_bounded_by_request_timeout_too() -> None:
    async def hang(_: httpx.Request) -> httpx.Response:
        await anyio.sleep_forever()
        raise AssertionError

    source = OntapJobs("cluster1", auth=AUTH, transport=httpx.MockTransport(hang), request_timeout=7)
    start = anyio.current_time()
    text = "^POST https://login.example.org/token: no complete response within 7 s$"
    with pytest.raises(TransportError, match=text):
        await source._client.request("POST", "https://login.example.org/token?key=k3y", form={"a": "b"})
    assert anyio.current_time() == start + source._client.request_timeout == start + 7


# --- requests of a sign-in


async def test_a_request_of_a_sign_in_has_nothing_of_the_source_but_its_user_agent() -> None:
    source, wire = ontap(reply({}), user_agent="acme/7")
    given: list[Any] = [
        {},
        {"form": {"a": "b c"}},
        {"json": {"a": [1]}},
        {"headers": {"Accept": "text/plain"}},
    ]
    for options in given:
        await source._client.request("POST", "https://login.example.org/token", **options)
    assert [request.content for request in wire.requests] == [b"", b"a=b+c", b'{"a": [1]}', b""]
    kinds = [None, "application/x-www-form-urlencoded", "application/json", None]
    assert wire.sent("Content-Type") == kinds
    assert wire.sent("Accept") == [*["application/json"] * 3, "text/plain"]
    assert wire.sent("Authorization") == wire.sent("X-Dot-Client-App") == [None] * 4
    assert {str(agent).split(" ")[0] for agent in wire.sent("User-Agent")} == {"acme/7"}


# --- in flight


async def test_no_more_requests_are_in_flight_than_concurrency_says() -> None:
    now = most = 0

    async def handle(_: httpx.Request) -> httpx.Response:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await anyio.lowlevel.checkpoint()
        await anyio.sleep(0.001)
        now -= 1
        return httpx.Response(200, json=JOB)

    source = OntapJobs("cluster1", auth=AUTH, transport=httpx.MockTransport(handle), concurrency=3)
    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(source.get, "j1")
    assert most == 3


async def test_a_cancelled_request_gives_its_turn_back() -> None:
    async def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("slow"):
            await anyio.sleep_forever()
        return httpx.Response(200, json=JOB)

    source = OntapJobs("cluster1", auth=AUTH, transport=httpx.MockTransport(handle), concurrency=1)
    for _ in range(3):
        with anyio.move_on_after(0.01):
            await source.get("slow")
    with anyio.fail_after(5):
        assert (await source.get("j1")).succeeded


# --- 401


async def rotating(*tokens: str) -> Any:
    """A token function that gives the next one at each call, the last one for ever."""
    left = list(tokens)

    async def token() -> str:
        await anyio.lowlevel.checkpoint()
        return left.pop(0) if len(left) > 1 else left[0]

    return token


async def test_a_401_leads_to_one_new_token() -> None:
    auth = Bearer(await rotating("old", "new"))
    source, wire = ontap(reply(b"", 401), reply(JOB), auth=auth)
    assert (await source.get("j1")).succeeded
    assert wire.sent("Authorization") == ["Bearer old", "Bearer new"]


async def test_a_second_401_is_fatal() -> None:
    auth = Bearer(await rotating("first", "second", "third", "fourth"))
    source, wire = ontap(reply({"error": {"message": "expired", "code": "6691623"}}, 401), auth=auth)
    with pytest.raises(AuthenticationError, match="check the credentials") as caught:
        await source.get("j1")
    assert len(wire.requests) == 2
    assert not caught.value.transient


@pytest.mark.parametrize("auth", [AUTH, Bearer("static"), Bearer("bearer static")])
async def test_credentials_that_cannot_be_refreshed_are_sent_once(auth: Any) -> None:
    source, wire = ontap(reply(b"", 401), auth=auth)
    with pytest.raises(AuthenticationError):
        await source.get("j1")
    assert len(wire.requests) == 1


async def test_a_function_without_a_better_token_is_not_tried_again() -> None:
    source, wire = ontap(reply(b"", 401), auth=Bearer(await rotating("same")))
    with pytest.raises(AuthenticationError):
        await source.get("j1")
    assert len(wire.requests) == 1


async def test_the_token_function_is_called_for_each_request() -> None:
    source, wire = ontap(reply(JOB), auth=Bearer(await rotating("one", "bearer two", "three")))
    for _ in range(3):
        await source.get("j1")
    assert wire.sent("Authorization") == ["Bearer one", "Bearer two", "Bearer three"]


async def test_a_401_is_refreshed_although_another_request_has_the_new_token_already() -> None:
    current = "old"
    old_is_out, new_is_out = anyio.Event(), anyio.Event()

    async def token() -> str:
        await anyio.lowlevel.checkpoint()
        return current

    async def handle(request: httpx.Request) -> httpx.Response:
        if request.headers["Authorization"] == "Bearer old":
            old_is_out.set()
            await new_is_out.wait()
            return httpx.Response(401)
        new_is_out.set()
        return httpx.Response(200, json=JOB)

    source = OntapJobs("cluster1", auth=Bearer(token), transport=httpx.MockTransport(handle))
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(source.get, "j1")
            await old_is_out.wait()
            current = "new"
            group.start_soon(source.get, "j1")


# --- closing, and several event loops


async def test_a_closed_source_says_so_before_any_request() -> None:
    source, wire = ontap(reply({"records": [], "num_records": 0}))
    await source.aclose()
    await source.aclose()
    for call in (source.get("j1"), source.wait("j1"), source.act("j1", Action.CANCEL), source.count()):
        with pytest.raises(UsageError, match="closed"):
            await call
    with pytest.raises(UsageError, match="closed"):
        await anext(source.list())
    assert wire.requests == []


async def test_a_source_closes_the_client_that_it_made() -> None:
    with Loopback(dropping()) as server:
        async with OntapJobs(server.url, auth=AUTH) as source:
            await source.get("j1")
            backend: Any = source._client._loop_state().backend
            assert len(backend._idle) == 1
        assert not backend._idle


def in_several_loops(url: str) -> None:
    source = OntapJobs(url, auth=AUTH)

    async def once() -> bool:
        return (await source.get("j1")).succeeded

    for backend in ("asyncio", "asyncio", "trio", "asyncio"):
        assert anyio.run(once, backend=backend)
    anyio.run(source.aclose, backend="trio")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # a dead loop's connections cannot be closed
def test_a_source_serves_one_event_loop_after_another() -> None:
    with Loopback(dropping()) as server:
        in_several_loops(server.url)
        assert server.connections == 4
    gc.collect()  # here, where the warnings are expected


# --- error messages


async def test_a_transport_error_holds_nothing_of_the_http_library() -> None:
    source, _ = ontap(httpx.ConnectError("no route"))
    with pytest.raises(TransportError) as caught:
        await source.get("j1")
    error: BaseException | None = caught.value
    while error is not None:
        assert type(error).__module__.partition(".")[0] not in ("httpx", "httpcore")
        error = error.__cause__ or error.__context__


async def test_a_response_about_another_job_is_an_error() -> None:
    source, _ = ontap(reply({"uuid": "another", "state": "success"}))
    with pytest.raises(DecodeError, match="another job") as caught:
        await source.get("j1")
    assert caught.value.transient


async def test_a_jobs_id_in_other_letter_case_is_the_same_job() -> None:
    source, _ = ontap(reply({"uuid": "ABC-1", "state": "success"}))
    assert (await source.get("abc-1")).ref == source.ref("abc-1")


async def test_not_found_is_the_apis_own_word_and_never_a_proxys() -> None:
    source, _ = ontap(reply({"error": {"message": "entry doesn't exist", "code": "4"}}, 404))
    with pytest.raises(JobNotFound):
        await source.get("j1")
    source, _ = ontap(reply(b"<html>404 no such page</html>", 404))
    with pytest.raises(ApiError) as caught:
        await source.get("j1")
    assert caught.value.transient


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_statuses_that_pass_by_themselves_are_transient(status: int) -> None:
    source, _ = ontap(reply({"error": {"message": "busy", "code": "1"}}, status))
    with pytest.raises(ApiError) as caught:
        await source.get("j1")
    assert caught.value.transient


@pytest.mark.parametrize("status", [400, 401, 403, 405, 409])
async def test_statuses_that_the_api_means_are_fatal(status: int) -> None:
    source, _ = ontap(reply({"error": {"message": "no", "code": "1"}}, status))
    with pytest.raises(ApiError) as caught:
        await source.get("j1")
    assert not caught.value.transient
    assert (caught.value.status, caught.value.code, caught.value.message) == (status, "1", "no")


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refusal_is_fatal_even_where_its_body_is_a_proxys(status: int) -> None:
    source, _ = ontap(reply(b"<html>go away</html>", status))
    with pytest.raises(ApiError) as caught:
        await source.get("j1")
    assert not caught.value.transient


@unread
@pytest.mark.parametrize("status", [401, 403])
async def test_a_refusal_is_fatal_even_where_its_body_cannot_be_read(status: int) -> None:
    source, _ = ontap(reply(b"?", status, headers={"Content-Encoding": "br"}))
    with pytest.raises(ApiError) as caught:
        await source.get("j1")
    assert caught.value.status == status


async def test_the_user_agent_names_the_callers_product_first() -> None:
    source, wire = ontap(reply(JOB), user_agent="acme-portal/7")
    await source.get("j1")
    product, ours = str(wire.sent("User-Agent")[0]).split(" ")
    assert product == "acme-portal/7"
    assert ours.startswith("jobsource")


async def test_the_connection_is_asked_to_stay() -> None:
    with Loopback(lambda *_: raw(JOB)) as server:
        async with OntapJobs(server.url, auth=AUTH) as source:
            await source.get("j1")
        assert "\r\nConnection: keep-alive\r\n" in server.heads[0]


def test_the_user_agent_has_our_version_behind_the_callers_product() -> None:
    own = f"jobsource/{metadata.version('jobsource')}"
    assert user_agent(None) == own
    assert user_agent("acme/7") == f"acme/7 {own}"


def test_a_source_without_credentials_says_what_to_pass(ca: str, key: str) -> None:
    with pytest.raises(UsageError, match=r"^auth= is missing: "):
        OntapJobs("cluster1", auth=None)
    assert OntapJobs("cluster1", auth=None, cert=(ca, key)).endpoint == "https://cluster1"
    assert OntapJobs("cluster1", auth=None, http=httpx.AsyncClient()).endpoint == "https://cluster1"
