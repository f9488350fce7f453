"""The token holder: when it signs in, how often, who waits for it, and what it keeps to itself."""

from __future__ import annotations

import asyncio
import copy
import json
import logging
import pickle
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest
import sniffio

from cfjobs import CFJobs, UAAPassword
from cfjobs.simulator import CFSimulator
from common import (
    Action,
    ActionUncertain,
    AuthenticationError,
    RateLimited,
    ServerError,
    SourceError,
    TransportError,
    UsageError,
)
from common.auth.client_credentials import ClientCredentials
from common.auth.oauth2 import Token, TokenRequest
from common.auth.token_auth import REJECTION_KEPT, TRIES, TokenAuth
from common.model.errors import DecodeError
from ontapjobs import OntapJobs
from tests.common.auth.signing import (
    FIRST_REFRESH,
    PASSWORD,
    Answered,
    Asked,
    FakeTokenHttp,
    Plain,
    Rotating,
    Said,
    said,
    token,
)
from tests.common.virtual import (
    Backend,
    cancelled_at,
    count_awaits,
    stepped,
    virtual_asyncio,
    virtual_trio,
)

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

REFUSED = said({"error": "unauthorized", "error_description": "Bad credentials"}, 401)
AWAY = said(b"<html>down for a moment</html>", 503)


def everything(error: BaseException) -> str:
    """All that a log, a queue or an error tracker keeps of an exception."""
    kept: list[str] = [pickle.dumps(error).decode("latin-1")]
    chain: BaseException | None = error
    while chain is not None:
        kept += [str(chain), repr(chain), repr(vars(chain)), *traceback.format_exception(chain)]
        chain = chain.__cause__ or chain.__context__
    return "\n".join(kept)


async def outcomes(*works: Coroutine[Any, Any, str]) -> list[str | Exception]:
    """What became of several requests for a token that were made at the same time."""
    found: dict[int, str | Exception] = {}

    async def run(number: int, work: Coroutine[Any, Any, str]) -> None:
        try:
            found[number] = await work
        except Exception as error:  # what became of it
            found[number] = error

    async with anyio.create_task_group() as group:
        for number, work in enumerate(works):
            group.start_soon(run, number, work)
    return [found[number] for number in range(len(works))]


def numbered(asked: Asked, http: FakeTokenHttp, **fields: Any) -> Answered:
    del asked
    return token(f"access-{len(http.asked)}", **fields)


def issuing(**fields: Any) -> tuple[FakeTokenHttp, Plain]:
    """A http that gives a new token each time."""
    http = FakeTokenHttp(lambda asked: numbered(asked, http, **fields))
    return http, Plain(http)


# --- when a token is renewed


@pytest.mark.parametrize(
    ("expires_in", "seconds"),
    [(600, 540), (43_199, 43_139), (120, 60), (119, 59.5), (10, 5), ("600", 540), (0.5, 0.25)],
)
async def test_a_token_is_renewed_a_minute_ahead_or_at_half_of_a_short_life(
    expires_in: Any, seconds: float
) -> None:
    http, auth = issuing(expires_in=expires_in)
    start = anyio.current_time()
    assert await auth.token(http) == "access-1"
    await anyio.sleep_until(start + seconds - 0.01)
    assert await auth.token(http) == "access-1"
    await anyio.sleep_until(start + seconds + 0.01)
    assert await auth.token(http) == "access-2"


@pytest.mark.parametrize(
    "expires_in", ["null", '"soon"', '""', "-5", "0", "NaN", "Infinity", "1e400", "true", "[600]", "{}", None]
)
async def test_a_life_that_makes_no_sense_is_an_unknown_one(expires_in: str | None) -> None:
    life = "" if expires_in is None else f', "expires_in": {expires_in}'
    http = FakeTokenHttp(said(f'{{"access_token": "a"{life}}}'.encode()), token("b"))
    auth = Plain(http)
    assert await auth.token(http) == "a"
    await anyio.sleep(86_000)
    assert await auth.token(http) == "a"  # until a server refuses it
    assert await auth.token(http, refused="a") == "b"


async def test_one_sign_in_serves_a_thousand_requests() -> None:
    http = FakeTokenHttp(token("access"), latency=2)
    auth = Plain(http)
    found = await outcomes(*(auth.token(http) for _ in range(1000)))
    assert (found, len(http.asked)) == (["access"] * 1000, 1)


async def test_a_token_that_all_were_refused_with_is_replaced_once() -> None:
    http, auth = issuing()
    http.latency = 2
    first = await auth.token(http)
    found = await outcomes(*(auth.token(http, refused=first) for _ in range(1000)))
    assert (set(found), len(http.asked)) == ({"access-2"}, 2)
    assert await auth.token(http, refused=first) == "access-2"  # somebody was before


# --- passing trouble

TROUBLE: dict[str, Answered] = {
    "503": AWAY,
    "502 in JSON": said({"error": "bad_gateway"}, 502),
    "429": said({"error": "too_many"}, 429, Retry_After="3"),
    "no connection": TransportError("connection refused"),
    "half a reply": DecodeError("half a body", transient=True),
    "a page": said(b"<html>please wait</html>"),
    "no token": said({"hello": "world"}),
    "a token for no header": said({"access_token": "a\r\nb"}),
    "another kind of token": said({"access_token": "a", "token_type": "mac"}),
    "a redirect": said(b"", 302, Location="https://evil.example"),
    "a page of 404": said(b"<html>no such page</html>", 404),
}


@pytest.mark.parametrize("trouble", TROUBLE.values(), ids=TROUBLE)
async def test_passing_trouble_is_borne_with(trouble: Answered) -> None:
    http = FakeTokenHttp(trouble, trouble, token("access"))
    assert await Plain(http).token(http) == "access"
    pauses = [later - earlier for earlier, later in zip(http.times, http.times[1:], strict=False)]
    floor = 3.0 if trouble is TROUBLE["429"] else 0.25
    assert all(floor <= pause <= 10 for pause in pauses)


@pytest.mark.parametrize("trouble", TROUBLE.values(), ids=TROUBLE)
async def test_trouble_that_stays_ends_the_sign_in_as_trouble_that_passes(trouble: Answered) -> None:
    http = FakeTokenHttp(trouble)
    with pytest.raises(SourceError) as caught:
        await Plain(http).token(http)
    assert len(http.asked) == TRIES
    assert caught.value.transient
    assert not isinstance(caught.value, AuthenticationError)
    if isinstance(caught.value, TransportError):
        assert not caught.value.sent  # no write that waits for the token was
    assert "login.example.org" in str(caught.value)


async def test_a_server_that_asks_for_a_long_pause_is_left_alone() -> None:
    http = FakeTokenHttp(said(b"", 429, Retry_After="120"))
    with pytest.raises(RateLimited) as caught:
        await Plain(http).token(http)
    assert (len(http.asked), caught.value.retry_after) == (1, 120)


async def test_a_token_that_is_still_good_is_used_while_its_renewal_fails() -> None:
    http = FakeTokenHttp(token("first"), *[AWAY] * 12, token("second"))
    auth = Plain(http)
    start = anyio.current_time()
    assert await auth.token(http) == "first"
    await anyio.sleep_until(start + 545)
    assert await auth.token(http) == "first"
    failed = len(http.asked)
    assert await auth.token(http) == "first"
    assert len(http.asked) == failed  # not tried again with each request
    await anyio.sleep_until(start + 601)
    with pytest.raises(ServerError):
        await auth.token(http)
    assert len(http.asked) == 1 + 2 * TRIES
    with pytest.raises(ServerError):
        await auth.token(http)
    assert await auth.token(http) == "second"


async def test_a_renewal_ahead_of_time_holds_up_none_but_who_carries_it() -> None:
    http, auth = issuing()
    start = anyio.current_time()
    await auth.token(http)
    await anyio.sleep_until(start + 550)
    http.latency = 20
    async with anyio.create_task_group() as group:
        group.start_soon(auth.token, http)
        await anyio.sleep(1)
        assert await auth.token(http) == "access-1"
        assert anyio.current_time() < start + 552
    assert (await auth.token(http), len(http.asked)) == ("access-2", 2)


@pytest.mark.parametrize("age", [10, 550], ids=["young", "due for renewal"])
async def test_a_token_that_was_refused_is_not_used_again_though_there_is_no_other_yet(age: float) -> None:
    http = FakeTokenHttp(token("first"), *[AWAY] * 2 * TRIES, token("second"))
    auth = Plain(http)
    await auth.token(http)
    await anyio.sleep(age)
    found = await outcomes(auth.token(http), auth.token(http, refused="first"))
    assert [type(each) for each in found[1:]] == [ServerError]
    with pytest.raises(ServerError):
        await auth.token(http)
    assert await auth.token(http) == "second"


# --- refusals


@pytest.mark.parametrize(
    "refusal",
    [
        REFUSED,
        said({"error": "invalid_client", "error_description": "Bad client credentials"}, 401),
        said({"error": "invalid_grant", "error_description": "Wrong client"}, 400),
        said({"error": "unsupported_grant_type"}, 400),
        said({"error": "access_denied"}, 403),
        said(b"", 401),
    ],
)
async def test_a_refusal_ends_it_at_once_and_says_what_to_do(refusal: Said) -> None:
    http = FakeTokenHttp(refusal)
    with pytest.raises(AuthenticationError, match="say the magic word") as caught:
        await Plain(http).token(http)
    assert (len(http.asked), caught.value.status, caught.value.transient) == (1, 401, False)


@pytest.mark.parametrize("answer", [REFUSED, AWAY, said(b"<html>")], ids=["refused", "away", "page"])
async def test_those_that_wait_share_a_failure_each_with_an_instance_of_its_own(answer: Said) -> None:
    http = FakeTokenHttp(answer, latency=1)
    auth = Plain(http)
    found = await outcomes(*(auth.token(http) for _ in range(50)))
    assert len(http.asked) <= TRIES
    assert len({type(each) for each in found}) == 1
    assert len({id(each) for each in found}) == 50
    assert all(isinstance(each, SourceError) for each in found)


async def test_a_wrong_password_is_not_sent_again_for_each_of_many_requests() -> None:
    http = FakeTokenHttp(REFUSED, token("access"))
    auth = Plain(http)
    found = []
    for _ in range(100):
        found += await outcomes(auth.token(http))
    assert all(isinstance(each, AuthenticationError) for each in found)
    assert len({id(each) for each in found}) == 100
    assert len(http.asked) == 1
    await anyio.sleep(REJECTION_KEPT)
    assert await auth.token(http) == "access"


async def test_a_401_is_met_with_exactly_one_new_token_and_then_is_the_answer() -> None:
    paths: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.path)
        if request.url.path == "/oauth/token":
            return httpx.Response(200, json={"access_token": f"t{len(paths)}", "expires_in": 600})
        return httpx.Response(401, json={"errors": [{"code": 1000, "title": "CF-InvalidAuthToken"}]})

    auth = UAAPassword("admin", PASSWORD, login_url="https://login.example.org")
    async with CFJobs("https://api.example.org", auth=auth, transport=httpx.MockTransport(answer)) as jobs:
        with pytest.raises(AuthenticationError) as caught:
            await jobs.get("j")
    assert paths == ["/oauth/token", "/v3/jobs/j", "/oauth/token", "/v3/jobs/j"]
    assert caught.value.code == "1000"


# --- refresh tokens


async def test_client_credentials_are_sent_once_and_keep_no_refresh_token() -> None:
    answers = [token("a", refresh_token=FIRST_REFRESH), REFUSED]
    http = FakeTokenHttp(*answers)
    auth = ClientCredentials("https://login.example.org/oauth/token", "svc", PASSWORD)
    await auth.token(http)
    await anyio.sleep(600)
    with pytest.raises(AuthenticationError):
        await auth.token(http)
    assert [dict(asked.form) for asked in http.asked] == [{"grant_type": "client_credentials"}] * 2


async def test_the_refresh_token_is_used_and_then_the_password_where_it_is_refused() -> None:
    http = FakeTokenHttp(
        token("a", refresh_token="r1"), token("b"), said({"error": "invalid_token"}, 401), token("c")
    )
    auth = Plain(http)
    for expected in ("a", "b", "c"):
        assert await auth.token(http) == expected
        await anyio.sleep(550)
    assert [dict(asked.form) for asked in http.asked] == [
        {"password": PASSWORD},
        {"refresh_token": "r1"},
        {"refresh_token": "r1"},
        {"password": PASSWORD},
    ]


async def test_without_a_password_a_refused_refresh_token_is_the_end() -> None:
    http = FakeTokenHttp(said({"error": "invalid_token"}, 401))
    with pytest.raises(AuthenticationError):
        await Plain(http, refresh_token="r", can_reauthenticate=False).token(http)
    assert len(http.asked) == 1


async def test_a_refresh_token_is_not_lost_over_trouble_that_passes() -> None:
    http = FakeTokenHttp(*[AWAY] * TRIES, token("a"))
    auth = Plain(http, refresh_token="r")
    with pytest.raises(ServerError):
        await auth.token(http)
    assert await auth.token(http) == "a"
    assert {asked.form.get("refresh_token") for asked in http.asked} == {"r"}


def told_plainly(told: list[str]) -> Callable[[str], object]:
    return told.append


def told_later(told: list[str]) -> Callable[[str], object]:
    async def tell(refresh: str) -> None:
        await anyio.sleep(1)
        told.append(refresh)

    return tell


@pytest.mark.parametrize("teller", [told_plainly, told_later], ids=["sync", "async"])
async def test_a_rotated_refresh_token_is_kept_and_told(
    teller: Callable[[list[str]], Callable[[str], object]],
) -> None:
    told: list[str] = []
    server = Rotating()
    http = FakeTokenHttp(server)
    auth = Plain(http, refresh_token=FIRST_REFRESH, on_rotate=teller(told), can_reauthenticate=False)
    for _ in range(3):
        await auth.token(http)
        await anyio.sleep(550)
    assert told == [f"refresh-{number}-{FIRST_REFRESH}" for number in (1, 2, 3)]
    assert [asked.form["refresh_token"] for asked in http.asked] == [FIRST_REFRESH, *told[:2]]
    assert server.respent == []


async def test_a_refresh_token_that_stays_the_same_is_not_told_again() -> None:
    told: list[str] = []
    http = FakeTokenHttp(token("a", refresh_token="r"))
    auth = Plain(http, refresh_token="r", on_rotate=told.append)
    await auth.token(http)
    assert told == []


async def fails_later(refresh: str) -> None:
    await anyio.lowlevel.checkpoint()
    raise OSError(f"no space left for {refresh}")


def fails(refresh: str) -> None:
    raise OSError(f"no space left for {refresh}")


@pytest.mark.parametrize("teller", [fails, fails_later], ids=["sync", "async"])
async def test_who_cannot_keep_a_refresh_token_is_logged_without_it(
    teller: Callable[[str], object], caplog: pytest.LogCaptureFixture
) -> None:
    http = FakeTokenHttp(Rotating())
    auth = Plain(http, refresh_token=FIRST_REFRESH, on_rotate=teller, can_reauthenticate=False)
    assert await auth.token(http) == "access-1"
    await anyio.sleep(550)
    assert await auth.token(http) == "access-2"
    assert "no space left for ****" in caplog.text
    assert FIRST_REFRESH not in caplog.text


def test_who_is_told_must_be_a_function() -> None:
    with pytest.raises(UsageError, match="on_rotate="):
        Plain(on_rotate="r")  # type: ignore[arg-type]


# --- cancellation


async def two_requests(
    http: FakeTokenHttp, auth: TokenAuth, first: Callable[[], Coroutine[Any, Any, Any]]
) -> str:
    """The token that a second request gets where the first one, which signs in, comes to grief."""
    found: list[str] = []

    async def second() -> None:
        await anyio.sleep(0.01)
        found.append(await auth.token(http))

    with anyio.fail_after(1000):
        async with anyio.create_task_group() as group:
            group.start_soon(second)
            await first()
    return found[0]


@pytest.mark.parametrize("refresh", [None, FIRST_REFRESH], ids=["password", "refresh token"])
async def test_a_cancelled_sign_in_is_taken_over_whenever_it_is_cancelled(refresh: str | None) -> None:
    def rig() -> tuple[FakeTokenHttp, Rotating, Plain]:
        server = Rotating()
        http = FakeTokenHttp(server, latency=0.8)
        return http, server, Plain(http, refresh_token=refresh)

    http, _, auth = rig()
    awaits = await count_awaits(auth.token(http))
    assert awaits >= 2
    for number in range(1, awaits + 1):
        http, server, auth = rig()
        work = auth.token(http)
        got = await two_requests(http, auth, partial(cancelled_at, number, work))
        assert got.startswith("access-")
        assert server.respent == []
        assert auth._refresh is None
        assert await auth.token(http) == got


@pytest.mark.parametrize("refresh", [None, FIRST_REFRESH], ids=["password", "refresh token"])
async def test_a_task_that_asyncio_cancels_hands_its_sign_in_over(refresh: str | None) -> None:
    if sniffio.current_async_library() != "asyncio":
        pytest.skip("trio has no such way")

    def rig() -> tuple[FakeTokenHttp, Rotating, Plain]:
        server = Rotating()
        http = FakeTokenHttp(server, latency=0.8)
        return http, server, Plain(http, refresh_token=refresh)

    http, _, auth = rig()
    awaits = await count_awaits(auth.token(http))
    for number in range(1, awaits + 1):
        http, server, auth = rig()

        async def first(number: int = number, http: FakeTokenHttp = http, auth: Plain = auth) -> None:
            async def run() -> None:
                await stepped(auth.token(http), lambda count: count == number and task.cancel())

            task = asyncio.ensure_future(run())
            with pytest.raises(asyncio.CancelledError):
                await task

        got = await two_requests(http, auth, first)
        assert got.startswith("access-")
        assert server.respent == []
        assert auth._refresh is None


async def test_a_refresh_token_whose_reply_is_under_way_is_not_spent_again() -> None:
    server = Rotating()
    http = FakeTokenHttp(server, latency=1.6)
    auth = Plain(http, refresh_token=FIRST_REFRESH, can_reauthenticate=False)
    with anyio.move_on_after(1) as scope:
        await auth.token(http)
    assert scope.cancelled_caught
    assert await auth.token(http) == "access-1"
    assert (len(http.asked), server.respent) == (1, [])


async def test_a_cancelled_sign_in_is_not_sheltered_for_long() -> None:
    http = FakeTokenHttp(Rotating(), latency=1000)
    start = anyio.current_time()
    with anyio.move_on_after(5):
        await Plain(http, refresh_token=FIRST_REFRESH).token(http)
    assert anyio.current_time() == pytest.approx(start + 6)


async def test_many_that_wait_for_a_sign_in_are_cancelled_without_harm() -> None:
    http = FakeTokenHttp(token("access"), latency=10)
    auth = Plain(http)
    async with anyio.create_task_group() as group:
        for _ in range(100):
            group.start_soon(auth.token, http)
        await anyio.sleep(1)
        group.cancel_scope.cancel()
    assert (await auth.token(http), auth._refresh) == ("access", None)


# --- event loops and sources


@pytest.mark.parametrize("later", [virtual_asyncio, virtual_trio], ids=["asyncio", "trio"])
@pytest.mark.parametrize("earlier", [virtual_asyncio, virtual_trio], ids=["asyncio", "trio"])
def test_a_token_is_carried_to_another_event_loop(
    earlier: Callable[[float], Backend], later: Callable[[float], Backend]
) -> None:
    http, auth = issuing()

    async def young() -> None:
        assert await auth.token(http) == "access-1"

    async def older() -> None:
        assert await auth.token(http) == "access-1"
        await anyio.sleep(530)
        assert await auth.token(http) == "access-1"
        await anyio.sleep(15)
        assert await auth.token(http) == "access-2"

    for work, (backend, options) in ((young, earlier(7.0)), (older, later(1e6))):
        anyio.run(work, backend=backend, backend_options=options)


def test_a_sign_in_that_an_event_loop_left_undone_holds_up_no_other() -> None:
    http = FakeTokenHttp(token("access"))
    auth = Plain(http)
    loop = asyncio.new_event_loop()
    left = auth.token(http)
    task = loop.create_task(left)
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    backend, options = virtual_asyncio()
    assert anyio.run(auth.token, http, backend=backend, backend_options=options) == "access"
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    left.close()


def test_one_source_serves_several_event_loops_in_turn() -> None:
    posts: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            posts.append(request.url.path)
            return httpx.Response(200, json={"access_token": "t", "expires_in": 600})
        return httpx.Response(200, json={"guid": "j", "state": "COMPLETE"})

    auth = UAAPassword("admin", PASSWORD, login_url="https://login.example.org")
    jobs = CFJobs("https://api.example.org", auth=auth, transport=httpx.MockTransport(answer))
    for backend in ("asyncio", "trio", "asyncio"):
        assert anyio.run(jobs.get, "j", backend=backend).succeeded
    assert posts == ["/oauth/token"]


async def test_one_sign_in_serves_two_sources_of_one_foundation() -> None:
    simulator = CFSimulator(users={"admin": PASSWORD}, strict=True)
    guid = simulator.add_job([("PROCESSING", 2000), ("COMPLETE", None)])
    auth = UAAPassword("admin", PASSWORD)
    options: dict[str, Any] = {"auth": auth, "transport": simulator.transport()}
    async with (
        CFJobs("https://api.sim", **options) as first,
        CFJobs("https://api.sim", **options) as second,
        anyio.create_task_group() as group,
    ):
        group.start_soon(first.wait, guid)
        group.start_soon(second.wait, guid)
    posts = [request for request in simulator.journal if request.method == "POST"]
    assert len(posts) == 4  # at 0, 540, 1080 and 1620 s
    assert {request.status for request in simulator.journal} == {200}


@pytest.mark.slow
@pytest.mark.parametrize("rotate", [False, True], ids=["kept", "rotated"])
async def test_a_wait_of_a_day_outlives_tokens_of_ten_minutes(rotate: bool) -> None:
    simulator = CFSimulator(users={"admin": PASSWORD}, clients={"cf": ""}, strict=True, rotate=rotate)
    guid = simulator.add_job([("PROCESSING", 86_400), ("COMPLETE", None)])
    transport = simulator.transport()
    async with CFJobs("https://api.sim", auth=UAAPassword("admin", PASSWORD), transport=transport) as jobs:
        job = await jobs.wait(guid)
    assert job.succeeded
    assert {request.status for request in simulator.journal} == {200}  # no token was ever refused
    posts = [request for request in simulator.journal if request.method == "POST"]
    assert 86_400 / 600 <= len(posts) <= 86_400 / 540 + 1
    assert [b"grant_type=password" in post.body for post in posts] == [True] + [False] * (len(posts) - 1)


# --- writes


class Piece(httpx.AsyncByteStream):
    """A body in one piece, read as one from a socket is."""

    def __init__(self, body: bytes) -> None:
        self._left = [body]

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()


@pytest.mark.parametrize("when", ["before it", "after a 401"])
@pytest.mark.parametrize(
    "trouble",
    [
        (503, b"<html>", {}),
        (200, b"<html>", {}),
        (401, b'{"error": "invalid_client"}', {}),
        (200, b"no gzip at all", {"Content-Encoding": "gzip"}),
        httpx.ConnectError("refused"),
        httpx.ReadError("reset"),
        None,
    ],
    ids=["503", "page", "refused", "undecodable", "no connection", "reset", "silence"],
)
async def test_trouble_with_a_sign_in_never_leaves_a_write_uncertain(
    trouble: tuple[int, bytes, dict[str, str]] | Exception | None, when: str
) -> None:
    patches: list[str] = []
    posts: list[str] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "PATCH":
            patches.append(request.headers["Authorization"])
            return httpx.Response(401, json={"error": {"message": "no", "code": "6691623"}})
        posts.append(request.url.path)
        if when == "after a 401" and len(posts) == 1:
            return httpx.Response(200, json={"access_token": "t", "expires_in": 600})
        if trouble is None:
            await anyio.sleep_forever()
        if isinstance(trouble, Exception):
            raise trouble
        assert trouble is not None
        status, body, headers = trouble
        return httpx.Response(status, headers=headers, stream=Piece(body))

    auth = ClientCredentials("https://login.example.org/token", "svc", PASSWORD)
    async with OntapJobs("cluster1", auth=auth, transport=httpx.MockTransport(answer)) as jobs:
        with pytest.raises(SourceError) as caught:
            await jobs.act("7c8a7d5e-0000-4000-8000-000000000001", Action.CANCEL)
    assert not isinstance(caught.value, ActionUncertain)
    assert getattr(caught.value, "sent", False) is False
    assert len(patches) == (1 if when == "after a 401" else 0)


# --- what stays inside


async def test_a_failure_tells_no_secret_though_the_server_repeats_them_all() -> None:
    def answer(asked: Asked) -> Answered:
        quoted = " ".join(asked.form.values())
        description = "x" * 490 + quoted  # where the text is cut
        return said({"error": f"no {quoted}", "error_description": description}, 401)

    for refresh in (None, FIRST_REFRESH):
        http = FakeTokenHttp(answer)
        with pytest.raises(AuthenticationError) as caught:
            await Plain(http, refresh_token=refresh, can_reauthenticate=False).token(http)
        text = everything(caught.value)
        assert "****" in text
        assert [secret for secret in (PASSWORD, FIRST_REFRESH) if secret[:8] in text] == []


async def test_tokens_and_sign_ins_show_nothing_and_are_not_pickled() -> None:
    http = FakeTokenHttp(Rotating(), latency=1)
    auth = Plain(http, refresh_token=FIRST_REFRESH)
    attempt: object = None
    async with anyio.create_task_group() as group:
        group.start_soon(auth.token, http)
        await anyio.sleep(0.1)
        attempt = auth._refresh
    kept = Token("access-1", 600.0, FIRST_REFRESH)
    grant = TokenRequest(url="https://login", fields={"password": PASSWORD})
    things = [auth, auth.bind(http), attempt, auth._cached, kept, grant]
    shown = [text for thing in things for text in (repr(thing), str(thing))]
    assert [word for word in (PASSWORD, "access-1", FIRST_REFRESH) if word in " ".join(shown)] == []
    for thing in (auth, kept, grant):
        with pytest.raises(TypeError, match="holds a secret") as caught:
            pickle.dumps(thing)
        assert PASSWORD not in str(caught.value)
        assert copy.copy(thing) is copy.deepcopy(thing) is thing


async def test_nothing_secret_is_logged_over_a_sign_in(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    simulator = CFSimulator(users={"admin": PASSWORD}, strict=True, rotate=True)
    guid = simulator.add_job([("PROCESSING", 700), ("COMPLETE", None)])
    transport = simulator.transport()
    async with CFJobs("https://api.sim", auth=UAAPassword("admin", PASSWORD), transport=transport) as jobs:
        await jobs.wait(guid)
    assert "api.sim" in caplog.text
    tokens = [
        json.loads(request.response.body)
        for request in simulator.journal
        if "oauth" in request.path and request.response
    ]
    secrets = [PASSWORD, *(each[name] for each in tokens for name in ("access_token", "refresh_token"))]
    assert [secret for secret in secrets if secret in caplog.text] == []


async def test_the_callers_own_client_adds_no_secret_of_its_own_to_a_sign_in() -> None:
    seen: list[dict[str, str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            seen.append(dict(request.headers))
            return httpx.Response(200, json={"access_token": "t"})
        return httpx.Response(200, json={"uuid": "j1", "state": "success"})

    headers = {
        "Authorization": "Bearer of-another-api",
        "Cookie": "session=1",
        "X-Api-Key": "k",
        "X-Team": "t",
    }
    auth = ClientCredentials("https://login.example.org/token", "svc", PASSWORD, send="body")
    transport = httpx.MockTransport(answer)
    async with (
        httpx.AsyncClient(headers=headers, transport=transport) as own,
        OntapJobs("cluster1", auth=auth, http=own) as jobs,
    ):
        await jobs.get("j1")
    assert [name for name in ("authorization", "cookie", "x-api-key") if name in seen[0]] == []
    assert seen[0]["x-team"] == "t"
