"""Starting work: one write, never two, and its jobs; and an honest word where the reply was lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import anyio
import httpx
import pytest

from cfjobs import CFJobs
from common import (
    ActionUncertain,
    ApiError,
    AuthenticationError,
    Bearer,
    DecodeError,
    JobFailed,
    JobState,
    PermissionDenied,
    RateLimited,
    TransportError,
    Unsupported,
    UsageError,
    wait_all,
)
from common.simulator import NewJob
from ontapjobs import OntapJobs
from tests.cases import case
from tests.common.scripted import Answer, after, raising, reply
from tests.common.virtual import cancelled_at, count_awaits
from tests.contract.systems import BLUEXP, CF, ONTAP, PAGE, SOURCES, Rig, System, name_of
from tests.recording import Chunks, Recorder

pytestmark = pytest.mark.anyio
on_each = pytest.mark.parametrize("system", SOURCES, ids=name_of)
but_ontap = pytest.mark.parametrize("system", [BLUEXP, CF], ids=name_of)

RUNNING, SUCCEEDED, FAILED = JobState.RUNNING, JobState.SUCCEEDED, JobState.FAILED
WRITES = ("POST", "PUT", "PATCH", "DELETE")


def lasting(system: System, seconds: float, end: JobState = SUCCEEDED, **more: Any) -> NewJob:
    """A job that runs for so long, and then ends like this."""
    fields = system.failure if end is FAILED else {}
    return NewJob([(system.words[RUNNING], seconds), (system.words[end], None)], fields=fields, **more)


def written(rig: Rig) -> list[str]:
    """The methods of the writes that left."""
    return [method for method in rig.wire.sent if method != "GET"]


# --- the way it goes


@on_each
async def test_a_write_gives_its_job_which_is_waited_for(system: System) -> None:
    async with system.rig() as rig:
        rig.simulator.on_write = lasting(system, 30)
        started = await rig.member.start(*system.write)
        [job] = await wait_all(rig.source, started.waitable)
        assert job is not None
        assert (job.ref, job.state) == (started.refs[0], SUCCEEDED)
        assert job.ref == rig.member.ref(next(iter(rig.simulator.jobs)))
        assert written(rig) == [system.write[0]]


@on_each
async def test_a_job_that_fails_raises_all_that_it_says(system: System) -> None:
    async with system.rig() as rig:
        rig.simulator.on_write = lasting(system, 30, FAILED)
        started = await rig.member.start(*system.write)
        with pytest.raises(JobFailed) as caught:
            await rig.source.wait(started.waitable[0])
        assert all(message in str(caught.value) for message in system.messages)


@on_each
async def test_a_write_without_a_job_gives_none_to_wait_for(system: System) -> None:
    async with system.rig() as rig:
        rig.wire.writes += [reply(204), reply(200, {})]
        for _ in range(2):
            started = await rig.member.start(*system.write)
            assert (started.refs, started.jobs, started.waitable) == ((), (), ())
            assert await wait_all(rig.source, started.waitable) == []
        assert "GET" not in rig.wire.sent


@pytest.mark.parametrize("inline", [15, 15.0])
async def test_a_write_that_ends_inline_costs_one_request_in_all(inline: float) -> None:
    async with ONTAP.rig() as rig:
        rig.simulator.on_write = lasting(ONTAP, 3)
        started = await rig.member.start("DELETE", "/api/storage/volumes/1", inline=inline)
        job = await rig.source.wait(started.waitable[0])
        assert job.succeeded
        assert job is started.jobs[0]
        assert anyio.current_time() == pytest.approx(3, abs=0.5)
        [request] = rig.simulator.journal
        assert request.target == "/api/storage/volumes/1?return_timeout=15"


async def test_a_write_that_fails_inline_costs_one_request_too() -> None:
    async with ONTAP.rig() as rig:
        rig.simulator.on_write = lasting(ONTAP, 3, FAILED)
        started = await rig.member.start("DELETE", "/api/storage/volumes/1", inline=15)
        with pytest.raises(JobFailed, match="the aggregate is full"):
            await rig.source.wait(started.waitable[0])
        assert rig.wire.sent == ["DELETE"]


async def test_a_write_that_takes_longer_than_inline_is_polled_for() -> None:
    async with ONTAP.rig() as rig:
        rig.simulator.on_write = lasting(ONTAP, 30)
        started = await rig.member.start("PATCH", "/api/storage/volumes/1?x=1", json={}, inline=2)
        assert (started.jobs, started.waitable) == ((), started.refs)
        assert (await rig.source.wait(started.refs[0])).succeeded
        assert rig.simulator.journal[0].raw_query == "x=1&return_timeout=2"


async def test_a_job_that_came_along_but_has_not_ended_is_waited_for_by_its_ref() -> None:
    async with ONTAP.rig() as rig:
        id = rig.simulator.add_job([("running", 30), ("success", None)])
        rig.wire.writes += [reply(202, {"job": {"uuid": id, "state": "running"}})]
        started = await rig.member.start(*ONTAP.write)
        assert [job.state for job in started.jobs] == [RUNNING]
        assert started.waitable == started.refs == (rig.member.ref(id),)


@pytest.mark.slow
async def test_the_time_that_the_server_may_take_is_added_to_the_requests_own() -> None:
    async with ONTAP.rig(request_timeout=5) as rig:
        rig.simulator.on_write = lasting(ONTAP, 50)
        started = await rig.member.start(*ONTAP.write, inline=60)
        assert [job.state for job in started.jobs] == [SUCCEEDED]
        for path in ("/api/x?return_timeout=60", "/api/x?return%5Ftimeout=60"):  # said in ONTAP's own words
            assert (await rig.member.start("POST", path)).jobs[0].succeeded
        rig.wire.writes += [after(1e9, reply(200))]
        begun = anyio.current_time()
        with pytest.raises(ActionUncertain, match="within 65 s"):
            await rig.member.start(*ONTAP.write, inline=60)
        assert anyio.current_time() - begun == pytest.approx(65, abs=0.1)


async def test_the_warnings_of_a_write_are_kept() -> None:
    async with CF.rig() as rig:
        rig.simulator.on_write = lasting(CF, 1, warnings=("the stack is old", "so is the buildpack"))
        started = await rig.member.start(*CF.write)
        assert started.warnings == ("the stack is old", "so is the buildpack")
        assert len(started.refs) == 1


@pytest.mark.parametrize("name", ["job-id", "jobId", "job_id"])
async def test_the_job_of_a_backup_is_known_by_any_of_its_names(name: str) -> None:
    async with BLUEXP.rig() as rig:
        rig.wire.writes += [reply(200, {name: "6f0c"})]
        assert (await rig.member.start(*BLUEXP.write)).refs == (rig.member.ref("6f0c"),)


async def test_a_path_below_the_accounts_api_need_not_say_so() -> None:
    async with BLUEXP.rig() as rig:
        await rig.member.start("POST", "/backup/working-environment/we-1?x=%7C")
        await rig.member.start(*BLUEXP.write)
        first, second = rig.simulator.journal
        assert first.raw_path == second.raw_path == BLUEXP.write[1]
        assert first.raw_query == "x=%7C"


async def test_a_manifest_is_sent_as_it_is() -> None:
    async with CF.rig() as rig:
        kind = {"content-type": "application/x-yaml"}
        path = "/v3/spaces/1/actions/apply_manifest"
        await rig.member.start("POST", path, content="applications:\n- name: ä\n", headers=kind)
        await rig.member.start("POST", path, content=b"\xff\x00", headers=kind)
        first, second = rig.simulator.journal
        assert first.body == "applications:\n- name: ä\n".encode()
        assert second.body == b"\xff\x00"
        assert first.headers["content-type"] == "application/x-yaml"


@on_each
async def test_json_and_no_body_go_with_any_method(system: System) -> None:
    for method in [*WRITES, "post", "Delete"]:
        with case(method):
            wire = Recorder(httpx.Response(204))
            async with system.connect(transport=wire) as source:
                await source.start(method, system.write[1], json={"name": "ä", "size": 0})
                await source.start(
                    method, system.write[1], json=[], headers={"Content-Type": "application/x+json"}
                )
                await source.start(method, system.write[1], headers={"accept": "text/plain", "X-Own": "1"})
            assert [request.method for request in wire.requests] == [method.upper()] * 3
            assert json.loads(wire.requests[0].content) == {"name": "ä", "size": 0}
            assert wire.requests[2].content == b""
            assert wire.sent("Content-Type") == ["application/json", "application/x+json", None]
            assert [request.headers.get_list("Accept") for request in wire.requests][2] == ["text/plain"]
            assert wire.sent("X-Own") == [None, None, "1"]


TAILS = [
    "/a%2Fb",
    "/a%2fb",
    "/%25%41",
    "/%c3%A4",
    "/a|b;c=1,2(3)[4]'!*$&@:~",
    "?q=%7C|a%20b+c&empty=&y=/../",
    "/",
]


@on_each
async def test_a_path_goes_out_as_it_was_given(system: System) -> None:
    for tail in TAILS:
        with case(tail):
            wire = Recorder(httpx.Response(204))
            async with system.connect(transport=wire) as source:
                await source.start("POST", system.write[1] + tail)
            assert wire.lines == [f"POST {system.write[1]}{tail}"]
            assert [request.url.host for request in wire.requests] == [httpx.URL(source.endpoint).host]


# --- what is refused before anything is sent

BAD_PATHS: list[Any] = [
    "",
    "api/storage/volumes",
    "//evil.example/api",
    "///evil.example",
    "https://evil.example/api",
    "\\\\evil.example\\api",
    "/\\evil.example",
    "@evil.example/",
    ":80/",
    "/api/../secret",
    "/api/..",
    "/..",
    "/.",
    "/api/./x",
    "/api/%2e%2e/x",
    "/api/%2E./x",
    "/api/.%2e",
    "/api/%252e%252e/x",
    "/api/x%2f..%2fy",
    "/api/x%5c..%5cy",
    "/api/..;a=b/x",
    "/api/x#fragment",
    "/api/a b",
    "/api/a\tb",
    "/api/x HTTP/1.1\r\nX-Evil: 1\r\n\r\n",
    "/api/x\n",
    "/api/\x00",
    "/api/\x7f",
    "/api/ä",
    "/api/\udc80",
    "/api/%",
    "/api/%4",
    "/api/%zz",
    '/api/"',
    "/api/<x>",
    "/api/{x}",
    "/api/x?a={b}",
    "/api/x?a=^`",
    None,
    7,
    b"/api/x",
    ["/api/x"],
]


async def refused(call: Callable[[], Any], rig: Rig, match: str, kind: type[Exception] = UsageError) -> None:
    with pytest.raises(kind, match=match) as caught:
        await call()
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) <= 400
    assert "evil" not in said
    assert "hunter2" not in said
    assert caught.value.__cause__ is None
    assert rig.wire.sent == []


@pytest.mark.slow
@on_each
@pytest.mark.parametrize("path", BAD_PATHS, ids=lambda path: repr(path)[:30])
async def test_a_path_that_leaves_its_place_or_is_not_encoded_is_refused(system: System, path: Any) -> None:
    async with system.rig() as rig:
        await refused(lambda: rig.member.start("POST", path), rig, "^path=")


async def test_a_fragment_is_explained() -> None:
    async with CF.rig() as rig:
        await refused(lambda: rig.member.start("POST", "/v3/apps/1#x"), rig, "a fragment is never sent")


NO_WRITES: list[Any] = ["GET", "get", "HEAD", "OPTIONS", "CONNECT", "", "POST ", "P\r\n", None, 7, b"POST"]


@on_each
async def test_a_method_that_writes_nothing_is_refused(system: System) -> None:
    async with system.rig() as rig:
        for method in NO_WRITES:
            with case(method):
                start = partial(rig.member.start, method, system.write[1])
                await refused(start, rig, r"method= must be one of POST")


BAD_HEADERS: dict[str, Any] = {
    **{
        name: {name: "hunter2"}
        for name in (
            "Authorization",
            "authorization",
            "Host",
            "CONTENT-LENGTH",
            "Transfer-Encoding",
            "Cookie",
        )
    },
    **{
        name: {name: "hunter2"}
        for name in ("Proxy-Authorization", "Connection", "User-Agent", "Accept-Encoding", "X-Api-Key")
    },
    "twice": {"X-A": "1", "x-a": "2"},
    "no name": {"": "1"},
    "a name in two": {"X-A: 1\r\nX-B": "evil"},
    "a name with a space": {"X A": "1"},
    "a name that is no text": {7: "1"},
    "a value in two": {"X-A": "hunter2\r\nX-B: evil"},
    "a value with a null": {"X-A": "hunter2\0"},
    "a value beyond ASCII": {"X-A": "hünter"},
    "a value that is no text": {"X-A": 7},
    "pairs": [("X-A", "1")],
    "text": "X-A: 1",
}


@on_each
@pytest.mark.parametrize("headers", BAD_HEADERS.values(), ids=BAD_HEADERS)
async def test_a_header_that_is_the_sources_own_or_none_at_all_is_refused(
    system: System, headers: Any
) -> None:
    async with system.rig() as rig:
        await refused(lambda: rig.member.start(*system.write, headers=headers), rig, "^headers=")


@pytest.mark.parametrize(
    ("system", "name"), [(ONTAP, "x-dot-client-app"), (BLUEXP, "X-Agent-Id")], ids=["ontap", "bluexp"]
)
async def test_the_providers_own_header_cannot_be_replaced(system: System, name: str) -> None:
    async with system.rig() as rig:
        await refused(lambda: rig.member.start(*system.write, headers={name: "x"}), rig, "sets it itself")


def circle() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


@on_each
@pytest.mark.parametrize(
    "body",
    [
        {"json": {}, "content": b""},
        {"json": b"bytes"},
        {"json": float("nan")},
        pytest.param({"json": object()}, id="{'json': object()}"),
        {"json": circle()},
        {"content": 7},
        {"content": {}},
        {"content": "hunter2\udc80"},
    ],
    ids=lambda body: repr(body)[:30],
)
async def test_a_body_that_cannot_be_sent_is_refused(system: System, body: dict[str, Any]) -> None:
    async with system.rig() as rig:
        await refused(lambda: rig.member.start(*system.write, **body), rig, "^(json|content)=")


@pytest.mark.parametrize("inline", [-1, 121, 1.5, float("nan"), float("inf"), True, "15", [15]])
async def test_inline_is_whole_seconds_that_the_server_takes(inline: Any) -> None:
    async with ONTAP.rig() as rig:
        await refused(lambda: rig.member.start(*ONTAP.write, inline=inline), rig, "^inline=")


@pytest.mark.parametrize("query", ["return_timeout=5", "a=b&return_timeout=", "return%5ftimeout=5"])
async def test_inline_is_said_once(query: str) -> None:
    async with ONTAP.rig() as rig:
        path = f"/api/x?{query}"
        await refused(lambda: rig.member.start("POST", path, inline=15), rig, "return_timeout in the path")


@but_ontap
@pytest.mark.parametrize("inline", [0, 15])
async def test_where_the_server_has_no_such_thing_inline_is_unsupported(system: System, inline: int) -> None:
    async with system.rig() as rig:
        await refused(lambda: rig.member.start(*system.write, inline=inline), rig, "^inline=", Unsupported)


@pytest.mark.parametrize("path", ["/account/other/x", "/account/", "/account//x", "/account/account-sim2/x"])
async def test_another_account_is_refused(path: str) -> None:
    async with BLUEXP.rig() as rig:
        await refused(lambda: rig.member.start("POST", path), rig, "another account")


# --- a reply that was lost


async def unreadable(_: httpx.Request) -> httpx.Response:
    return httpx.Response(202, headers={"Content-Encoding": "br"}, stream=Chunks([b"?"]))


LOST: dict[str, Answer] = {
    "dropped": raising(httpx.RemoteProtocolError("server disconnected without a response")),
    "reset": raising(httpx.ReadError("connection reset")),
    "write broke off": raising(httpx.WriteError("broken pipe")),
    "hangs": after(1e9, reply(202)),
    "502": reply(502, text=PAGE),
    "504": reply(504, {"error": {"message": "gateway timeout", "code": "1"}}),
    "500 of a gateway": reply(500, text=PAGE),
    "503 of a gateway": reply(503),
    "a page": reply(200, text=PAGE),
    "half a reply": reply(202, text='{"job": {"uuid": '),
    "an encoding nobody asked for": unreadable,
}
TO_LOOK_FOR = {"ontap": "by a description such as", "bluexp": "those of the account", "cf": "audit_events"}


@on_each
@pytest.mark.parametrize("answer", LOST.values(), ids=LOST)
async def test_a_reply_that_was_lost_leaves_it_open_and_nothing_is_sent_again(
    system: System, answer: Answer
) -> None:
    async with system.rig(request_timeout=10) as rig:
        rig.wire.writes += [answer]
        with pytest.raises(ActionUncertain, match="the work may have started") as caught:
            await rig.member.start(*system.write)
        await anyio.sleep(100)
        assert caught.match(TO_LOOK_FOR[system.provider])
        assert caught.match(" ".join(system.write))
        assert (caught.value.ref, caught.value.job) == (None, None)
        assert rig.wire.sent == [system.write[0]]


BAD_IDS: dict[str, str] = {"dots": "..", "long": "x" * 10_000}


@on_each
@pytest.mark.parametrize("id", BAD_IDS.values(), ids=BAD_IDS)
async def test_a_job_that_cannot_be_one_leaves_it_open_too(system: System, id: str) -> None:
    async with system.rig() as rig:
        location = "/v3/jobs/" + id.replace(".", "%2e")
        rig.wire.writes += [reply(202, {"job": {"uuid": id}, "job-id": id}, Location=location)]
        with pytest.raises(ActionUncertain, match="names an invalid job"):
            await rig.member.start(*system.write)


@on_each
@pytest.mark.parametrize(
    "failure", [httpx.ConnectError("refused"), httpx.ConnectTimeout("slow"), httpx.PoolTimeout("full")]
)
async def test_what_never_left_is_a_failure_and_no_doubt(system: System, failure: Exception) -> None:
    async with system.rig() as rig:
        rig.wire.writes += [raising(failure)]
        with pytest.raises(TransportError) as caught:
            await rig.member.start(*system.write)
        assert not caught.value.sent
        assert rig.wire.sent == [system.write[0]]


MISSING: Mapping[str, Any] = {
    "ontap": {"error": {"message": "entry doesn't exist", "code": "4"}},
    "bluexp": {"statusCode": 404, "message": "no such working environment"},
    "cf": {"errors": [{"code": 10010, "title": "CF-ResourceNotFound", "detail": "App not found"}]},
}


@on_each
async def test_a_404_is_about_the_resource_and_never_about_a_job(system: System) -> None:
    async with system.rig() as rig:
        rig.wire.writes += [reply(404, MISSING[system.provider])]
        with pytest.raises(ApiError, match=f"{' '.join(system.write)} answered 404") as caught:
            await rig.member.start(*system.write)
        assert caught.value.ref is None
        assert rig.wire.sent == [system.write[0]]


@on_each
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (lambda system: system.unauthorized, AuthenticationError),
        (lambda system: system.forbidden, PermissionDenied),
        (lambda system: system.refused, ApiError),
        (lambda _: reply(429, {}), RateLimited),
        (lambda _: reply(302, Location="https://evil.example/"), ApiError),
    ],
    ids=["401", "403", "refused", "429", "redirect"],
)
async def test_a_refusal_is_what_it_always_is(system: System, answer: Any, expected: type[ApiError]) -> None:
    async with system.rig() as rig:
        rig.wire.writes += [answer(system)]
        with pytest.raises(expected):
            await rig.member.start(*system.write)
        assert rig.wire.sent == [system.write[0]]


@pytest.mark.slow
@on_each
async def test_what_a_refused_write_asks_for_holds_for_the_polls_too(system: System) -> None:
    async with system.rig() as rig:
        rig.wire.writes += [reply(429, {}, Retry_After="60")]
        with pytest.raises(RateLimited) as caught:
            await rig.member.start(*system.write)
        assert caught.value.retry_after == 60
        await rig.source.wait(rig.job((SUCCEEDED, None)))
        assert anyio.current_time() >= 60


async def test_a_write_counts_in_the_foundations_budget() -> None:
    async with CF.rig() as rig:
        rig.wire.writes += [
            reply(202, X_RateLimit_Limit="100", X_RateLimit_Remaining="0", X_RateLimit_Reset="99999999999")
        ]
        await rig.member.start(*CF.write)
        throttle = rig.member._throttle.current()
        assert throttle.interval(anyio.current_time()) > 60


async def test_a_401_was_not_carried_out_and_is_met_with_one_new_token() -> None:
    tokens = ["old", "new"]

    async def token() -> str:
        await anyio.lowlevel.checkpoint()
        return tokens.pop(0) if len(tokens) > 1 else tokens[0]

    wire = Recorder(httpx.Response(401), httpx.Response(401), httpx.Response(204))
    async with OntapJobs("cluster1", auth=Bearer(token), transport=wire) as source:
        with pytest.raises(AuthenticationError):
            await source.start("POST", "/api/x", content=b"body")
    assert wire.sent("Authorization") == ["Bearer old", "Bearer new"]
    assert [request.content for request in wire.requests] == [b"body", b"body"]


TOKEN_TROUBLE = [TransportError("the login server hung up"), DecodeError("no token"), None]


@on_each
@pytest.mark.parametrize("trouble", TOKEN_TROUBLE, ids=["lost", "unreadable", "hangs"])
@pytest.mark.parametrize("refused_before", [False, True])
async def test_a_write_without_its_credentials_was_not_sent(
    system: System, trouble: Exception | None, refused_before: bool
) -> None:
    tokens = ["old"] if refused_before else []

    async def token() -> str:
        if tokens:
            return tokens.pop()
        if trouble is not None:
            raise trouble
        await anyio.sleep_forever()
        raise AssertionError

    async with system.rig() as rig:
        rig.wire.writes += [reply(401)] * 5
        rig.member._client._auth = rig.member._client._signer = Bearer(token)
        with pytest.raises(type(trouble) if trouble else TransportError) as caught:
            await rig.member.start(*system.write)
        assert not getattr(caught.value, "sent", True)
        assert rig.wire.sent == [system.write[0]] * refused_before


@on_each
async def test_a_cancelled_write_is_not_sent_again(system: System) -> None:
    async with system.rig() as rig:
        rig.wire.latency = lambda: 1.0
        awaits = await count_awaits(rig.member.start(*system.write))
        assert awaits >= 2
        for number in range(1, awaits + 1):
            before = len(rig.wire.sent)
            assert await cancelled_at(number, rig.member.start(*system.write))
            await anyio.sleep(100)
            assert len(rig.wire.sent) - before <= 1
        assert rig.wire.in_flight == 0


async def test_a_closed_source_starts_nothing() -> None:
    async with CF.rig() as rig:
        await rig.member.aclose()
        with pytest.raises(UsageError, match="closed"):
            await rig.member.start(*CF.write)
        assert rig.wire.sent == []


async def test_an_error_about_a_write_does_not_show_its_query() -> None:
    async with CFJobs("api.example.org", auth=Bearer("t"), transport=Recorder(httpx.Response(409))) as source:
        with pytest.raises(ApiError, match="POST /v3/x answered 409") as caught:
            await source.start("POST", "/v3/x?password=hunter2")
    assert "hunter2" not in str(caught.value)
