"""When a `TokenAuth` signs in and how often, which requests wait for it, and what it keeps secret."""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
import logging
import pickle
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from contextvars import ContextVar
from random import Random
from typing import Any

import anyio
import anyio.lowlevel
import attrs
import httpx
import pytest
import sniffio

from cfjobs import CFJobs, UAAPassword
from cfjobs.simulator import CFSimulator
from common import (
    Action,
    ActionUncertain,
    ApiError,
    AuthenticationError,
    RateLimited,
    ServerError,
    SourceError,
    TransportError,
    UsageError,
)
from common.auth.client_credentials import ClientCredentials
from common.auth.oauth2 import Token, TokenHttp, TokenRequest
from common.auth.rotation import OnRotate
from common.auth.token_auth import MAX_TRIES
from common.auth.token_cache import REJECTION_KEPT
from common.model.errors import DecodeError
from ontapjobs import OntapJobs
from tests.common.auth.signing import (
    FIRST_REFRESH,
    PASSWORD,
    FakeTokenHttp,
    Outcome,
    PasswordAuth,
    RotatingServer,
    ScriptedResponse,
    SentRequest,
    response,
    token,
)
from tests.common.virtual import Backend, virtual_asyncio, virtual_trio

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

REFUSED = response({"error": "unauthorized", "error_description": "Bad credentials"}, 401)
AWAY = response(b"<html>down for a moment</html>", 503)


def everything(error: BaseException) -> str:
    """Return all that a log, a queue or an error tracker keeps of an exception."""
    texts: list[str] = [pickle.dumps(error).decode("latin-1")]
    chain: BaseException | None = error
    while chain is not None:
        texts += [str(chain), repr(chain), repr(vars(chain)), *traceback.format_exception(chain)]
        chain = chain.__cause__ or chain.__context__
    return "\n".join(texts)


async def outcomes(*works: Coroutine[Any, Any, str]) -> list[str | Exception]:
    """Return the results of several requests for a token that are made at the same time."""
    results: dict[int, str | Exception] = {}

    async def run(number: int, work: Coroutine[Any, Any, str]) -> None:
        try:
            results[number] = await work
        except Exception as error:  # a result too
            results[number] = error

    async with anyio.create_task_group() as group:
        for number, work in enumerate(works):
            group.start_soon(run, number, work)
    return [results[number] for number in range(len(works))]


def numbered(request: SentRequest, http: FakeTokenHttp, **fields: Any) -> Outcome:
    del request
    return token(f"access-{len(http.requests)}", **fields)


def issuing(**fields: Any) -> tuple[FakeTokenHttp, PasswordAuth]:
    """Return a server that issues a new token each time, and a sign-in at it."""
    http = FakeTokenHttp(lambda request: numbered(request, http, **fields))
    return http, PasswordAuth(http)


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
    "expires_in",
    ["null", '"soon"', '""', "-5", "0", "NaN", "Infinity", "1e400", "1e9", "true", "[600]", "{}", None],
)
async def test_a_life_that_makes_no_sense_is_an_unknown_one(expires_in: str | None) -> None:
    life = "" if expires_in is None else f', "expires_in": {expires_in}'
    http = FakeTokenHttp(response(f'{{"access_token": "a"{life}}}'.encode()), token("b"))
    auth = PasswordAuth(http)
    assert await auth.token(http) == "a"
    await anyio.sleep(86_000)
    assert await auth.token(http) == "a"  # until a server refuses it
    assert await auth.token(http, refused="a") == "b"


@pytest.mark.parametrize(("expires_in", "then"), [(999_999_999.5, "access-2"), (1e9, "access-1")])
async def test_a_life_of_up_to_thirty_years_is_believed(expires_in: float, then: str) -> None:
    http, auth = issuing(expires_in=expires_in)
    assert await auth.token(http) == "access-1"
    await anyio.sleep_until(anyio.current_time() + 1.1e9)
    assert await auth.token(http) == then


@pytest.mark.slow
async def test_one_sign_in_serves_a_thousand_requests() -> None:
    http = FakeTokenHttp(token("access"), latency=2)
    auth = PasswordAuth(http)
    results = await outcomes(*(auth.token(http) for _ in range(1000)))
    assert (results, len(http.requests)) == (["access"] * 1000, 1)


@pytest.mark.slow
async def test_a_token_that_all_were_refused_with_is_replaced_once() -> None:
    http, auth = issuing()
    http.latency = 2
    first = await auth.token(http)
    results = await outcomes(*(auth.token(http, refused=first) for _ in range(1000)))
    assert (set(results), len(http.requests)) == ({"access-2"}, 2)
    assert await auth.token(http, refused=first) == "access-2"  # it was replaced already


# --- transient failures

FAILURES: dict[str, Outcome] = {
    "503": AWAY,
    "502 in JSON": response({"error": "bad_gateway"}, 502),
    "429": response({"error": "too_many"}, 429, Retry_After="3"),
    "no connection": TransportError("connection refused"),
    "half a reply": DecodeError("half a body", transient=True),
    "a page": response(b"<html>please wait</html>"),
    "no token": response({"hello": "world"}),
    "a token for no header": response({"access_token": "a\r\nb"}),
    "an error of its own in place of a token": response({"error": "temporarily_unavailable"}),
    "an error that is no code": response({"error": {"code": "invalid_grant"}}),
    "another kind of token": response({"access_token": "a", "token_type": "mac"}),
    "a redirect on the same server": response(b"", 302, Location="/login"),
    "a page of 404": response(b"<html>no such page</html>", 404),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
async def test_a_transient_failure_is_retried(failure: Outcome) -> None:
    http = FakeTokenHttp(failure, failure, token("access"))
    assert await PasswordAuth(http).token(http) == "access"
    pauses = [later - earlier for earlier, later in zip(http.times, http.times[1:], strict=False)]
    floor = 3.0 if failure is FAILURES["429"] else 0.25
    assert all(floor <= pause <= 10 for pause in pauses)


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
async def test_a_transient_failure_that_lasts_ends_the_sign_in_and_stays_transient(failure: Outcome) -> None:
    http = FakeTokenHttp(failure)
    with pytest.raises(SourceError) as caught:
        await PasswordAuth(http).token(http)
    assert len(http.requests) == MAX_TRIES
    assert caught.value.transient
    assert not isinstance(caught.value, AuthenticationError)
    if isinstance(caught.value, TransportError):
        assert not caught.value.sent  # a write that waits for the token has not been sent
    assert "login.example.org" in str(caught.value)


@pytest.mark.parametrize(("worked", "tries"), [(False, 1), (True, MAX_TRIES)])
async def test_a_connection_that_is_set_up_wrongly_is_tried_again_only_where_it_has_worked(
    worked: bool, tries: int
) -> None:
    failure = TransportError("the certificate does not verify", misconfigured=True)
    failure.transient = worked
    http = FakeTokenHttp(failure)
    with pytest.raises(TransportError, match=r"signing in at .* failed: the certificate") as caught:
        await PasswordAuth(http).token(http)
    assert (caught.value.misconfigured, caught.value.transient) == (True, worked)
    assert len(http.requests) == tries


class Drawn(Random):
    """Chance that draws the same number each time."""

    def __init__(self, number: float) -> None:
        super().__init__()
        self._number = number

    def random(self) -> float:
        return self._number


@pytest.mark.parametrize(("drawn", "pauses"), [(0.0, [0.5, 1.0, 2.0]), (0.5, [0.375, 0.75, 1.5])])
async def test_the_pause_before_each_try_doubles_less_up_to_a_half_of_it(
    drawn: float, pauses: list[float]
) -> None:
    http = FakeTokenHttp(AWAY)
    auth = PasswordAuth(http)
    auth._random = Drawn(drawn)
    with pytest.raises(ServerError):
        await auth.token(http)
    assert [after - before for before, after in itertools.pairwise(http.times)] == pytest.approx(pauses)


@pytest.mark.parametrize(("asked", "tries"), [("10", MAX_TRIES), ("11", 1)])
async def test_a_server_is_given_the_pause_that_it_asks_for_up_to_ten_seconds(asked: str, tries: int) -> None:
    http = FakeTokenHttp(response(b"", 429, Retry_After=asked))
    with pytest.raises(RateLimited):
        await PasswordAuth(http).token(http)
    assert [later - earlier for earlier, later in itertools.pairwise(http.times)] == [10.0] * (tries - 1)


async def test_a_server_that_asks_for_a_long_pause_is_left_alone() -> None:
    http = FakeTokenHttp(response(b"", 429, Retry_After="120"))
    with pytest.raises(RateLimited) as caught:
        await PasswordAuth(http).token(http)
    assert (len(http.requests), caught.value.retry_after) == (1, 120)


async def test_a_token_that_is_still_good_is_used_while_its_renewal_fails() -> None:
    http = FakeTokenHttp(token("first"), *[AWAY] * 12, token("second"))
    auth = PasswordAuth(http)
    start = anyio.current_time()
    assert await auth.token(http) == "first"
    await anyio.sleep_until(start + 545)
    assert await auth.token(http) == "first"
    failed = len(http.requests)
    assert await auth.token(http) == "first"
    assert len(http.requests) == failed  # not tried again with each request
    await anyio.sleep_until(start + 601)
    with pytest.raises(ServerError):
        await auth.token(http)
    assert len(http.requests) == 1 + 2 * MAX_TRIES
    with pytest.raises(ServerError):
        await auth.token(http)
    assert await auth.token(http) == "second"


async def test_a_token_that_is_still_good_does_not_hide_that_its_renewal_is_refused() -> None:
    http = FakeTokenHttp(token("first"), REFUSED)
    auth = PasswordAuth(http)
    await auth.token(http)
    await anyio.sleep(545)
    with pytest.raises(AuthenticationError):
        await auth.token(http)
    assert len(http.requests) == 2


async def test_a_refresh_ahead_of_time_delays_only_the_request_that_leads_it() -> None:
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
    assert (await auth.token(http), len(http.requests)) == ("access-2", 2)


@pytest.mark.parametrize("age", [10, 550], ids=["young", "due for renewal"])
async def test_a_token_that_was_refused_is_not_used_again_though_there_is_no_other_yet(age: float) -> None:
    http = FakeTokenHttp(token("first"), *[AWAY] * 2 * MAX_TRIES, token("second"))
    auth = PasswordAuth(http)
    await auth.token(http)
    await anyio.sleep(age)
    results = await outcomes(auth.token(http), auth.token(http, refused="first"))
    assert [type(each) for each in results[1:]] == [ServerError]
    with pytest.raises(ServerError):
        await auth.token(http)
    assert await auth.token(http) == "second"


# --- refusals


@pytest.mark.parametrize(
    "refusal",
    [
        REFUSED,
        response({"error": "invalid_client", "error_description": "Bad client credentials"}, 401),
        response({"error": "invalid_grant", "error_description": "Wrong client"}, 400),
        response({"error": "unsupported_grant_type"}, 400),
        response({"error": "access_denied"}, 403),
        response(b"", 401),
        response({"error": "invalid_grant", "error_description": "Bad credentials"}),
        response({"error": "invalid_client", "access_token": None}),
        response({"error": "access_denied", "access_token": ""}),
    ],
)
async def test_a_refusal_ends_it_at_once_and_says_what_to_do(refusal: ScriptedResponse) -> None:
    http = FakeTokenHttp(refusal)
    with pytest.raises(AuthenticationError, match="say the magic word") as caught:
        await PasswordAuth(http).token(http)
    assert (len(http.requests), caught.value.transient) == (1, False)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": "invalid_client", "error_description": "Bad credentials"}, "Bad credentials"),
        ({"error": "invalid_client", "message": "no such client"}, "no such client"),
        ({"error": "x", "error_description": "described", "message": "messaged"}, "described"),
    ],
)
async def test_a_refusal_has_the_issuers_own_words(body: dict[str, str], said: str) -> None:
    for status in (401, 200) if body["error"] == "invalid_client" else (401,):
        http = FakeTokenHttp(response(body, status))
        with pytest.raises(AuthenticationError, match=said) as caught:
            await PasswordAuth(http).token(http)
        error = caught.value
        assert (error.code, error.message, error.status) == (body["error"], said, status)


@pytest.mark.parametrize(("status", "code"), [(404, "not_found"), (422, "invalid_request")])
async def test_what_the_issuer_does_not_understand_is_neither_a_refusal_nor_sent_again(
    status: int, code: str
) -> None:
    http = FakeTokenHttp(response({"error": code}, status))
    with pytest.raises(ApiError, match=code) as caught:
        await PasswordAuth(http).token(http)
    assert not isinstance(caught.value, AuthenticationError)
    assert (len(http.requests), caught.value.status, caught.value.transient) == (1, status, False)


@pytest.mark.parametrize("scripted", [REFUSED, AWAY, response(b"<html>")], ids=["refused", "away", "page"])
async def test_waiting_requests_share_a_failure_but_not_its_instance(
    scripted: ScriptedResponse,
) -> None:
    http = FakeTokenHttp(scripted, latency=1)
    auth = PasswordAuth(http)
    results = await outcomes(*(auth.token(http) for _ in range(50)))
    assert len(http.requests) <= MAX_TRIES
    assert len({type(each) for each in results}) == 1
    assert len({id(each) for each in results}) == 50
    assert all(isinstance(each, SourceError) for each in results)


async def test_a_wrong_password_is_not_sent_again_for_each_of_many_requests() -> None:
    http = FakeTokenHttp(REFUSED, token("access"))
    auth = PasswordAuth(http)
    results = []
    for _ in range(100):
        results += await outcomes(auth.token(http))
    assert all(isinstance(each, AuthenticationError) for each in results)
    assert len({id(each) for each in results}) == 100
    assert len(http.requests) == 1
    await anyio.sleep(REJECTION_KEPT)
    assert await auth.token(http) == "access"


async def test_a_401_leads_to_exactly_one_new_token_and_then_to_an_error() -> None:
    paths: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.path)
        if request.url.path == "/oauth/token":
            return httpx.Response(200, json={"access_token": f"t{len(paths)}", "expires_in": 600})
        return httpx.Response(401, json={"errors": [{"code": 1000, "title": "CF-InvalidAuthToken"}]})

    auth = UAAPassword("admin", PASSWORD, login_url="https://login.example.org")
    async with CFJobs("https://api.example.org", auth=auth, transport=httpx.MockTransport(handler)) as jobs:
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
    assert [dict(request.form) for request in http.requests] == [{"grant_type": "client_credentials"}] * 2


async def test_the_refresh_token_is_used_and_then_the_password_where_it_is_refused() -> None:
    http = FakeTokenHttp(
        token("a", refresh_token="r1"), token("b"), response({"error": "invalid_token"}, 401), token("c")
    )
    auth = PasswordAuth(http)
    for expected in ("a", "b", "c", "c"):
        assert await auth.token(http) == expected
        await anyio.sleep(550)
    assert [dict(request.form) for request in http.requests] == [
        {"password": PASSWORD},
        {"refresh_token": "r1"},
        {"refresh_token": "r1"},
        {"password": PASSWORD},
        {"password": PASSWORD},
    ]
    assert "r1" in auth.secrets()  # the server may still quote it


async def test_a_refresh_token_that_is_refused_with_status_200_is_refused() -> None:
    refused = response({"error": "invalid_grant"})
    http = FakeTokenHttp(token("first", refresh_token="r1"), refused, token("second"))
    auth = PasswordAuth(http)
    assert await auth.token(http) == "first"
    assert await auth.token(http, refused="first") == "second"
    assert [request.form for request in http.requests] == [
        {"password": PASSWORD},
        {"refresh_token": "r1"},
        {"password": PASSWORD},
    ]


async def test_a_refresh_token_beside_a_refusal_with_status_200_is_kept() -> None:
    refused = response({"error": "invalid_grant", "refresh_token": "r2-rotated"})
    http = FakeTokenHttp(token("first", refresh_token="r1"), refused, token("second"), token("third"))
    auth = PasswordAuth(http)
    for number, access in enumerate(["first", "second", "third"]):
        assert await auth.token(http, refused=[None, "first", "second"][number]) == access
    assert [request.form for request in http.requests] == [
        {"password": PASSWORD},
        {"refresh_token": "r1"},
        {"password": PASSWORD},
        {"refresh_token": "r2-rotated"},
    ]
    assert {"r1", "r2-rotated"} <= set(auth.secrets())


async def test_an_error_beside_a_token_does_not_matter() -> None:
    http = FakeTokenHttp(token("access", error="invalid_grant"))
    assert await PasswordAuth(http).token(http) == "access"


async def test_without_a_password_a_refused_refresh_token_is_the_end() -> None:
    http = FakeTokenHttp(response({"error": "invalid_token"}, 401))
    with pytest.raises(AuthenticationError):
        await PasswordAuth(http, refresh_token="r", can_reauthenticate=False).token(http)
    assert len(http.requests) == 1


async def test_a_refresh_token_is_not_lost_over_a_transient_failure() -> None:
    http = FakeTokenHttp(*[AWAY] * MAX_TRIES, token("a"))
    auth = PasswordAuth(http, refresh_token="r")
    with pytest.raises(ServerError):
        await auth.token(http)
    assert await auth.token(http) == "a"
    assert {request.form.get("refresh_token") for request in http.requests} == {"r"}


def sync_callback(rotated: list[str]) -> Callable[[str], object]:
    return rotated.append


def async_callback(rotated: list[str]) -> Callable[[str], object]:
    async def tell(refresh: str) -> None:
        await anyio.sleep(1)
        rotated.append(refresh)

    return tell


@pytest.mark.parametrize("make_callback", [sync_callback, async_callback], ids=["sync", "async"])
async def test_a_rotated_refresh_token_is_stored_and_reported(
    make_callback: Callable[[list[str]], Callable[[str], object]],
) -> None:
    rotated: list[str] = []
    server = RotatingServer()
    http = FakeTokenHttp(server)
    auth = PasswordAuth(
        http, refresh_token=FIRST_REFRESH, on_rotate=make_callback(rotated), can_reauthenticate=False
    )
    for _ in range(3):
        await auth.token(http)
        await anyio.sleep(550)
    assert rotated == [f"refresh-{number}-{FIRST_REFRESH}" for number in (1, 2, 3)]
    assert [request.form["refresh_token"] for request in http.requests] == [FIRST_REFRESH, *rotated[:2]]
    assert server.respent == []
    assert {FIRST_REFRESH, *rotated} <= set(auth.secrets())


async def test_an_unchanged_refresh_token_is_not_reported() -> None:
    rotated: list[str] = []
    http = FakeTokenHttp(token("a", refresh_token="r"))
    auth = PasswordAuth(http, refresh_token="r", on_rotate=rotated.append)
    await auth.token(http)
    assert rotated == []


@pytest.mark.parametrize("value", ["", "\ud800", 7, ["r2"], None], ids=repr)
async def test_what_is_no_refresh_token_replaces_none(value: Any) -> None:
    http = FakeTokenHttp(token("a", refresh_token=value))
    auth = PasswordAuth(http, refresh_token="r")
    for _ in range(2):
        assert await auth.token(http) == "a"
        await anyio.sleep(600)
    assert [request.form for request in http.requests] == [{"refresh_token": "r"}] * 2


async def test_a_refresh_token_is_kept_though_the_access_token_beside_it_is_of_no_use() -> None:
    rotated: list[str] = []
    http = FakeTokenHttp(
        response({"token_type": "mac", "access_token": "m", "refresh_token": "r2"}), token("a")
    )
    auth = PasswordAuth(http, refresh_token="r1", on_rotate=rotated.append)
    assert await auth.token(http) == "a"
    assert [request.form["refresh_token"] for request in http.requests] == ["r1", "r2"]
    assert rotated == ["r2"]


async def fails_later(refresh: str) -> None:
    await anyio.lowlevel.checkpoint()
    raise OSError(f"no space left for {refresh}")


def fails(refresh: str) -> None:
    raise OSError(f"no space left for {refresh}")


@pytest.mark.parametrize("make_callback", [fails, fails_later], ids=["sync", "async"])
async def test_a_failing_on_rotate_is_logged_without_the_refresh_token(
    make_callback: Callable[[str], object], caplog: pytest.LogCaptureFixture
) -> None:
    http = FakeTokenHttp(RotatingServer())
    auth = PasswordAuth(http, refresh_token=FIRST_REFRESH, on_rotate=make_callback, can_reauthenticate=False)
    assert await auth.token(http) == "access-1"
    await anyio.sleep(550)
    assert await auth.token(http) == "access-2"
    assert "no space left for ****" in caplog.text
    assert FIRST_REFRESH not in caplog.text


async def test_an_on_rotate_that_does_not_return_holds_a_sign_in_up_for_one_request_timeout(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def hangs(refresh: str) -> None:
        del refresh
        await anyio.sleep_forever()

    http = FakeTokenHttp(RotatingServer())
    start = anyio.current_time()
    assert await PasswordAuth(http, refresh_token=FIRST_REFRESH, on_rotate=hangs).token(http) == "access-1"
    assert anyio.current_time() == pytest.approx(start + http.request_timeout)
    assert "on_rotate failed (it did not return within 30 s)" in caplog.text


async def test_an_on_rotate_that_returns_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    http, _, auth = rotating(on_rotate=async_callback([]))
    assert await auth.token(http) == "access-1"
    assert caplog.records == []


async def test_an_on_rotate_that_awaits_something_cancelled_is_a_failed_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    if sniffio.current_async_library() != "asyncio":
        pytest.skip("trio lets nobody cancel another's task")

    async def awaits_it(refresh: str) -> None:
        del refresh
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    http, _, auth = rotating(on_rotate=awaits_it)
    assert await auth.token(http) == "access-1"
    assert "on_rotate failed (what it waited for was cancelled)" in caplog.text


async def test_a_task_that_is_cancelled_in_on_rotate_keeps_its_tokens(
    caplog: pytest.LogCaptureFixture,
) -> None:
    if sniffio.current_async_library() != "asyncio":
        pytest.skip("trio lets nobody cancel another's task")

    async def cancels_its_task(refresh: str) -> None:
        del refresh
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await anyio.lowlevel.checkpoint()

    http, server, auth = rotating(on_rotate=cancels_its_task)
    assert await auth.token(http) == "access-1"
    assert auth._refresh_token == server.current
    assert len(http.requests) == 1
    assert caplog.records == []


def test_on_rotate_must_be_a_function() -> None:
    no_function: Any = "r"
    with pytest.raises(UsageError, match="on_rotate="):
        PasswordAuth(on_rotate=no_function)


# --- cancellation


@attrs.frozen
class Moment:
    """A time of a sign-in, and how many steps of the event loop after it."""

    seconds: float
    steps: int

    async def reach(self) -> None:
        await anyio.sleep(self.seconds)
        for _ in range(self.steps):
            await anyio.lowlevel.cancel_shielded_checkpoint()


LATENCY = 0.8
MOMENTS = [Moment(seconds, steps) for seconds in (0.0, 0.2, LATENCY / 2, 0.6, LATENCY) for steps in range(8)]
"""Before, between and after the awaits of a sign-in: the request arrives at half of the latency."""

Cancel = Callable[[Coroutine[Any, Any, Any], Moment], Coroutine[Any, Any, None]]


async def by_scope(work: Coroutine[Any, Any, Any], moment: Moment) -> None:
    """Cancel as anyio does."""
    with suppress(Exception):
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: work)
            await moment.reach()
            group.cancel_scope.cancel()


async def by_task(work: Coroutine[Any, Any, Any], moment: Moment) -> None:
    """Cancel as asyncio does."""
    task = asyncio.ensure_future(work)
    await moment.reach()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def by_timeout(work: Coroutine[Any, Any, Any], moment: Moment) -> None:
    """Cancel by the timeout of asyncio's own."""
    with suppress(TimeoutError):
        async with asyncio.timeout(moment.seconds):
            await work


async def by_wait_for(work: Coroutine[Any, Any, Any], moment: Moment) -> None:
    """Cancel by ``wait_for``."""
    with suppress(TimeoutError):
        await asyncio.wait_for(work, moment.seconds)


WAYS: dict[str, Cancel] = {"scope": by_scope, "task": by_task, "timeout": by_timeout, "wait_for": by_wait_for}
ways = pytest.mark.parametrize("cancel", WAYS.values(), ids=WAYS)


def needs_asyncio(cancel: Cancel) -> None:
    if cancel is not by_scope and sniffio.current_async_library() != "asyncio":
        pytest.skip("trio has no such way")


def rotating(
    refresh: str | None = FIRST_REFRESH, *, latency: float = LATENCY, on_rotate: OnRotate | None = None
) -> tuple[FakeTokenHttp, RotatingServer, PasswordAuth]:
    server = RotatingServer()
    http = FakeTokenHttp(server, latency=latency)
    return http, server, PasswordAuth(http, refresh_token=refresh, on_rotate=on_rotate)


@ways
@pytest.mark.parametrize("refresh", [None, FIRST_REFRESH], ids=["password", "refresh token"])
async def test_others_get_the_token_whenever_the_request_that_began_is_cancelled(
    refresh: str | None, cancel: Cancel
) -> None:
    needs_asyncio(cancel)
    for moment in MOMENTS:
        http, server, auth = rotating(refresh)
        results: list[str] = []

        async def second(auth: PasswordAuth, http: FakeTokenHttp, results: list[str]) -> None:
            await anyio.lowlevel.checkpoint()
            results.append(await auth.token(http))

        with anyio.fail_after(1000):
            async with anyio.create_task_group() as group:
                group.start_soon(second, auth, http, results)
                await cancel(auth.token(http), moment)
        assert (results, server.respent) == ([await auth.token(http)], [])
        assert len(http.requests) == 1
        assert auth._sign_in is None


@ways
async def test_a_refresh_token_is_kept_whenever_the_only_request_is_cancelled(cancel: Cancel) -> None:
    needs_asyncio(cancel)
    sent = 0
    for moment in MOMENTS:
        rotated: list[str] = []
        http, server, auth = rotating(on_rotate=rotated.append)
        start = anyio.current_time()
        await cancel(auth.token(http), moment)
        assert anyio.current_time() <= start + moment.seconds + 1e-6  # it did not wait for the sign-in
        await anyio.sleep(2 * LATENCY)
        assert auth._sign_in is None
        assert auth._refresh_token == server.current
        assert rotated == [server.current] * len(http.requests)
        sent += len(http.requests)
        await auth.token(http)
        assert (len(http.requests), server.respent) == (1, [])
    assert sent


async def test_a_slow_sign_in_neither_holds_a_cancelled_request_up_nor_is_lost() -> None:
    http, server, auth = rotating(latency=25)
    start = anyio.current_time()
    with anyio.move_on_after(5):
        await auth.token(http)
    assert anyio.current_time() == pytest.approx(start + 5)
    assert await auth.token(http) == "access-1"
    assert anyio.current_time() == pytest.approx(start + 25)
    assert (len(http.requests), server.respent) == (1, [])


class Discovering(PasswordAuth):
    """A sign-in that takes a second before it sends anything."""

    discovered = 0

    async def token_request(self, http: TokenHttp, refresh_token: str | None) -> TokenRequest:
        self.discovered += 1
        await anyio.sleep(1)
        return await super().token_request(http, refresh_token)


async def test_a_sign_in_that_nobody_waits_for_any_more_is_not_sent() -> None:
    http = FakeTokenHttp(token("access"))
    auth = Discovering(http)
    with anyio.move_on_after(0.5):
        await auth.token(http)
    await anyio.sleep(10)
    assert (http.requests, auth._sign_in) == ([], None)
    assert await auth.token(http) == "access"


async def test_what_closes_the_connections_does_not_wait_for_what_is_not_sent() -> None:
    http = FakeTokenHttp(token("access"))
    auth = Discovering(http)
    start = anyio.current_time()
    async with anyio.create_task_group() as group:
        group.start_soon(auth.token, http)
        await anyio.sleep(0.5)
        await auth.bind(http).aclose()
        assert anyio.current_time() == pytest.approx(start + 0.5)
        assert http.requests == []
    assert auth.discovered == 2  # who still waits for a token begins anew


class Listening(PasswordAuth):
    """A sign-in that keeps what it is told."""

    def __init__(self, http: FakeTokenHttp) -> None:
        super().__init__(http)
        self.told: list[object] = []

    def on_token(self, token: Token) -> None:
        self.told.append(token.access)
        assert token.access in self.secrets()  # it is stored already

    def invalidate(self, http: TokenHttp) -> None:
        self.told.append(http)


async def test_a_sign_in_is_told_of_each_new_token_and_of_each_failure() -> None:
    http = FakeTokenHttp(token("first"), *[AWAY] * MAX_TRIES, token("second"))
    auth = Listening(http)
    for _ in range(2):
        await auth.token(http)
    with pytest.raises(ServerError):
        await auth.token(http, refused="first")
    await auth.token(http, refused="first")
    assert auth.told == ["first", http, "second"]


async def test_a_sign_in_goes_on_while_anybody_waits_for_it() -> None:
    http = FakeTokenHttp(token("access"))
    auth = Discovering(http)
    start = anyio.current_time()
    async with anyio.create_task_group() as group:
        group.start_soon(auth.token, http)
        with anyio.move_on_after(0.5):
            await auth.token(http)
    assert anyio.current_time() == pytest.approx(start + 1)
    assert (auth.discovered, len(http.requests)) == (1, 1)


async def test_a_failed_sign_in_that_nobody_waits_for_any_more_is_not_retried() -> None:
    http = FakeTokenHttp(AWAY, latency=2)
    auth = PasswordAuth(http)
    with anyio.move_on_after(1):
        await auth.token(http)
    await anyio.sleep(60)
    assert (len(http.requests), auth._sign_in) == (1, None)


async def test_a_sign_in_whose_task_is_cancelled_itself_is_begun_anew() -> None:
    if sniffio.current_async_library() != "asyncio":
        pytest.skip("trio lets nobody cancel another's task")
    for steps in range(6):
        http, _, auth = rotating(None)
        mine = set(asyncio.all_tasks())
        task = asyncio.ensure_future(auth.token(http))
        for _ in range(steps):
            await anyio.lowlevel.checkpoint()
        for other in asyncio.all_tasks() - mine - {task}:
            other.cancel()
        with anyio.fail_after(1000):
            assert (await task).startswith("access-")


async def test_what_begins_a_sign_in_gives_it_its_context() -> None:
    variable: ContextVar[str] = ContextVar("variable", default="nobody's")
    seen: list[str] = []
    http, _, auth = rotating(on_rotate=lambda _: seen.append(variable.get()))
    variable.set("the caller's")
    await auth.token(http)
    assert seen == ["the caller's"]


async def test_a_fault_of_a_sign_in_is_raised_to_the_request_that_began_it() -> None:
    class Broken(PasswordAuth):
        async def token_request(self, http: TokenHttp, refresh_token: str | None) -> TokenRequest:
            await anyio.sleep(1)
            raise ZeroDivisionError

    http = FakeTokenHttp(token("access"))
    auth = Broken(http)
    results = await outcomes(*(auth.token(http) for _ in range(3)))
    assert [type(each) for each in results] == [ZeroDivisionError] * 3
    assert len({id(each) for each in results}) == 3


async def test_many_that_wait_for_a_sign_in_are_cancelled_without_harm() -> None:
    http = FakeTokenHttp(token("access"), latency=10)
    auth = PasswordAuth(http)
    async with anyio.create_task_group() as group:
        for _ in range(100):
            group.start_soon(auth.token, http)
        await anyio.sleep(1)
        group.cancel_scope.cancel()
    assert (await auth.token(http), auth._sign_in) == ("access", None)


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


@pytest.mark.parametrize("then", ["sign in", "close"])
def test_a_sign_in_that_an_event_loop_left_undone_holds_up_no_other(then: str) -> None:
    http = FakeTokenHttp(token("access"))
    auth = PasswordAuth(http)
    loop = asyncio.new_event_loop()
    left = auth.token(http)
    task: Any = loop.create_task(left)
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()

    async def go_on() -> None:
        with anyio.fail_after(60):
            if then == "close":
                await auth.end_sign_in(http)
            assert await auth.token(http) == "access"

    backend, options = virtual_asyncio()
    anyio.run(go_on, backend=backend, backend_options=options)
    task._log_destroy_pending = False
    left.close()


@pytest.mark.parametrize("refused", [True, False])
def test_how_young_a_token_is_goes_along_to_another_event_loop(refused: bool) -> None:
    http, auth = issuing()

    async def young() -> None:
        await auth.token(http)
        await auth.token(http, refused="access-1" if refused else None)

    async def older() -> None:
        assert auth.replaces_refused("access-2") is refused

    for work, clock in ((young, 7.0), (older, 1e6)):
        backend, options = virtual_asyncio(clock)
        anyio.run(work, backend=backend, backend_options=options)


def test_one_source_serves_several_event_loops_in_turn() -> None:
    posts: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            posts.append(request.url.path)
            return httpx.Response(200, json={"access_token": "t", "expires_in": 600})
        return httpx.Response(200, json={"guid": "j", "state": "COMPLETE"})

    auth = UAAPassword("admin", PASSWORD, login_url="https://login.example.org")
    jobs = CFJobs("https://api.example.org", auth=auth, transport=httpx.MockTransport(handler))
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


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before it", "after a 401"])
@pytest.mark.parametrize(
    "failure",
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
async def test_a_failing_sign_in_never_leaves_a_write_uncertain(
    failure: tuple[int, bytes, dict[str, str]] | Exception | None, when: str
) -> None:
    patches: list[str] = []
    posts: list[str] = []

    async def handler(request: httpx.Request) -> httpx.Response:
        if request.method == "PATCH":
            patches.append(request.headers["Authorization"])
            return httpx.Response(401, json={"error": {"message": "no", "code": "6691623"}})
        posts.append(request.url.path)
        if when == "after a 401" and len(posts) == 1:
            return httpx.Response(200, json={"access_token": "t", "expires_in": 600})
        if failure is None:
            await anyio.sleep_forever()
        if isinstance(failure, Exception):
            raise failure
        assert failure is not None
        status, body, headers = failure
        return httpx.Response(status, headers=headers, stream=Piece(body))

    auth = ClientCredentials("https://login.example.org/token", "svc", PASSWORD)
    async with OntapJobs("cluster1", auth=auth, transport=httpx.MockTransport(handler)) as jobs:
        with pytest.raises(SourceError) as caught:
            await jobs.act("7c8a7d5e-0000-4000-8000-000000000001", Action.CANCEL)
    assert not isinstance(caught.value, ActionUncertain)
    assert getattr(caught.value, "sent", False) is False
    assert len(patches) == (1 if when == "after a 401" else 0)


# --- what stays secret


async def test_an_error_has_no_secret_though_the_server_repeats_them_all() -> None:
    def handler(request: SentRequest) -> Outcome:
        quoted = " ".join(request.form.values())
        description = "x" * 490 + quoted  # where the text is cut
        return response({"error": f"no {quoted}", "error_description": description}, 401)

    for refresh in (None, FIRST_REFRESH):
        http = FakeTokenHttp(handler)
        with pytest.raises(AuthenticationError) as caught:
            await PasswordAuth(http, refresh_token=refresh, can_reauthenticate=False).token(http)
        text = everything(caught.value)
        assert "****" in text
        assert [secret for secret in (PASSWORD, FIRST_REFRESH) if secret[:8] in text] == []


async def test_tokens_and_sign_ins_show_nothing_and_are_not_pickled() -> None:
    http = FakeTokenHttp(RotatingServer(), latency=1)
    auth = PasswordAuth(http, refresh_token=FIRST_REFRESH)
    refresh: object = None
    async with anyio.create_task_group() as group:
        group.start_soon(auth.token, http)
        await anyio.sleep(0.1)
        refresh = auth._sign_in
    stored = Token("access-1", 600.0)
    request = TokenRequest(url="https://login", fields={"password": PASSWORD})
    things = [auth, auth.bind(http), refresh, auth._cached, stored, request]
    shown = [text for thing in things for text in (repr(thing), str(thing))]
    assert [word for word in (PASSWORD, "access-1", FIRST_REFRESH) if word in " ".join(shown)] == []
    for thing in (auth, stored, request):
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

    def handler(request: httpx.Request) -> httpx.Response:
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
    transport = httpx.MockTransport(handler)
    async with (
        httpx.AsyncClient(headers=headers, transport=transport) as client,
        OntapJobs("cluster1", auth=auth, http=client) as jobs,
    ):
        await jobs.get("j1")
    assert [name for name in ("authorization", "cookie", "x-api-key") if name in seen[0]] == []
    assert seen[0]["x-team"] == "t"
