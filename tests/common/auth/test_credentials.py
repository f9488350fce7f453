"""Signing in with `Basic` and `Bearer`, and keeping credentials out of errors, logs and pickles."""

from __future__ import annotations

import base64
import copy
import json
import logging
import pickle
import traceback
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import anyio
import httpx
import pytest

from common.auth.credentials import Basic, Bearer, HeaderAuth
from common.model.errors import (
    ActionRefused,
    AlreadyFinished,
    ApiError,
    JobNotFound,
    JobsError,
    TransportError,
    UsageError,
)
from common.model.states import Action
from ontapjobs import OntapJobs
from tests.loopback import Loopback, raw
from tests.recording import Answer, Recorder, reply

pytestmark = pytest.mark.anyio

USER, PASSWORD, TOKEN = "backup-admin", "correct-horse-battery", "eyJ.t0ken-of-a-session.c2ln"
BASIC = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
PROXY_USER, PROXY_PASSWORD = "outbound", "staple-and-glue"
PROXY_BASIC = base64.b64encode(f"{PROXY_USER}:{PROXY_PASSWORD}".encode()).decode()
SECRETS = (PASSWORD, TOKEN, BASIC, PROXY_PASSWORD, PROXY_BASIC)
JOB = {"uuid": "j1", "state": "running"}


def ontap(*answers: Answer, auth: Any = (USER, PASSWORD)) -> tuple[OntapJobs, Recorder]:
    """A source whose requests are recorded."""
    wire = Recorder(*answers)
    return OntapJobs("https://cluster1", auth=auth, transport=wire), wire


def everything(error: BaseException) -> str:
    """All that a log, a queue or an error tracker keeps of an exception."""
    texts = [str(error), repr(error), repr(vars(error)), pickle.dumps(error).decode("latin-1")]
    chain: BaseException | None = error
    while chain is not None:
        texts += [repr(chain), *traceback.format_exception(chain)]
        chain = chain.__cause__ or chain.__context__
    return "\n".join(texts)


def assert_silent(text: str) -> None:
    leaked = [secret for secret in SECRETS if secret in text]
    assert leaked == []


# --- what is sent


async def test_basic_sends_user_and_password_in_utf_8() -> None:
    source, wire = ontap(reply(JOB), auth=("jürgen", "pässwörd: 你好"))
    await source.get("j1")
    scheme, _, value = str(wire.sent("Authorization")[0]).partition(" ")
    assert (scheme, base64.b64decode(value).decode()) == ("Basic", "jürgen:pässwörd: 你好")


async def test_a_pair_and_basic_are_the_same() -> None:
    pair, first = ontap(reply(JOB))
    named, second = ontap(reply(JOB), auth=Basic(USER, PASSWORD))
    await pair.get("j1")
    await named.get("j1")
    assert first.sent("Authorization") == second.sent("Authorization") == [f"Basic {BASIC}"]


@pytest.mark.parametrize("given", [TOKEN, f"bearer {TOKEN}", f"Bearer  {TOKEN}\n"])
async def test_a_bearer_token_may_come_with_its_scheme_before_it(given: str) -> None:
    source, wire = ontap(reply(JOB), auth=Bearer(given))
    await source.get("j1")
    assert wire.sent("Authorization") == [f"Bearer {TOKEN}"]


async def test_an_httpx_auth_signs_in_its_own_way() -> None:
    challenge = {"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth", algorithm=MD5'}
    source, wire = ontap(
        reply(b"", 401, headers=challenge), reply(JOB), auth=httpx.DigestAuth(USER, PASSWORD)
    )
    assert (await source.get("j1")).id == "j1"
    first, second = wire.sent("Authorization")
    assert first is None
    assert str(second).startswith(f'Digest username="{USER}"')


async def test_a_way_of_signing_in_that_we_do_not_know_is_a_small_class() -> None:
    class Key:
        async def headers(self) -> dict[str, str]:
            return {"X-Api-Key": "k"}

        async def refresh(self) -> bool:
            return False

        def secrets(self) -> tuple[str, ...]:
            return ("k",)

    assert isinstance(Key(), HeaderAuth)
    source, wire = ontap(reply(JOB), auth=Key())
    await source.get("j1")
    assert (wire.sent("X-Api-Key"), wire.sent("Authorization")) == (["k"], [None])


# --- what is refused


@pytest.mark.parametrize(
    "token", ["", "   ", "bearer ", "Bearer   ", "a\r\nX-Evil: 1", "a\nb", "tökén", "a\x00b", None, 7, b"raw"]
)
def test_a_token_that_no_header_can_carry_is_refused(token: Any) -> None:
    with pytest.raises(UsageError, match="token") as caught:
        Bearer(token)
    assert "X-Evil" not in str(caught.value)


@pytest.mark.parametrize("token", ["", None, 7, "a\r\nX-Evil: 1", "bearer "])
async def test_a_token_function_that_gives_no_token_is_a_usage_error(token: Any) -> None:
    async def give() -> Any:
        await anyio.lowlevel.checkpoint()
        return token

    source, wire = ontap(reply(JOB), auth=Bearer(give))
    with pytest.raises(UsageError, match="token"):
        await source.get("j1")
    assert wire.requests == []


async def test_a_token_function_that_is_not_async_is_a_usage_error() -> None:
    def give() -> Any:
        return TOKEN

    with pytest.raises(UsageError, match="async"):
        await ontap(reply(JOB), auth=Bearer(give))[0].get("j1")


async def test_what_the_token_function_raises_comes_through() -> None:
    async def give() -> str:
        await anyio.lowlevel.checkpoint()
        raise LookupError("the vault is sealed")

    source, wire = ontap(reply(JOB), auth=Bearer(give))
    with pytest.raises(LookupError, match="the vault is sealed"):
        await source.get("j1")
    assert wire.requests == []


def test_a_colon_in_a_user_name_is_refused_and_not_quoted() -> None:
    with pytest.raises(UsageError, match="colon") as caught:
        Basic(f"{USER}:{PASSWORD}", "")
    assert_silent(everything(caught.value))


@pytest.mark.parametrize("password", [None, 7, b"bytes", f"{PASSWORD}\udcff"])
def test_a_password_that_is_no_text_is_a_usage_error(password: Any) -> None:
    with pytest.raises(UsageError) as caught:
        Basic(USER, password)
    assert_silent(everything(caught.value))


# --- what stays secret


async def test_credentials_and_sources_show_no_secret() -> None:
    basic, bearer = Basic(USER, PASSWORD), Bearer(TOKEN)
    shown: list[object] = [basic, bearer]
    proxy = f"http://{PROXY_USER}:{PROXY_PASSWORD}@127.0.0.1:9"
    for auth in (basic, bearer, (USER, PASSWORD)):
        source = OntapJobs("cluster1", auth=auth, proxy=proxy)
        shown += [source, source._client, source._client._options, source._client._loop_state()]
        await source.aclose()
    assert_silent("\n".join([*map(repr, shown), *map(str, shown)]))


@pytest.mark.parametrize("auth", [Basic(USER, PASSWORD), Bearer(TOKEN)], ids=["basic", "bearer"])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_credentials_do_not_pickle_and_a_copy_is_the_same(auth: HeaderAuth, protocol: int) -> None:
    for thing in (auth, {"auth": auth}, [auth]):
        with pytest.raises(TypeError, match="holds a secret and cannot be pickled") as caught:
            pickle.dumps(thing, protocol)
        assert_silent(everything(caught.value))
    assert copy.copy(auth) is copy.deepcopy(auth) is auth


def echoes(status: int, shape: Callable[[str], Any]) -> Answer:
    """A reply that repeats the credentials which it was sent, as debugging proxies do."""

    def handler(request: httpx.Request) -> httpx.Response:
        sent = f"{PASSWORD} {request.headers['Authorization']} {TOKEN}"
        return reply(shape(sent), status)(request)

    return handler


def ontap_error(code: str) -> Callable[[str], Any]:
    return lambda sent: {"error": {"message": f"refused {sent}", "code": code}}


@pytest.mark.parametrize(
    "auth",
    [(USER, PASSWORD), Bearer(TOKEN), httpx.BasicAuth(USER, PASSWORD)],
    ids=["basic", "bearer", "httpx"],
)
@pytest.mark.parametrize(
    ("status", "shape", "expected"),
    [
        (401, ontap_error("6691623"), ApiError),
        (500, lambda sent: f"<html><pre>{sent}</pre>".encode(), ApiError),
        (404, ontap_error("4"), JobNotFound),
        (404, ontap_error("2"), JobNotFound),
    ],
    ids=["refusal", "page", "gone", "malformed"],
)
async def test_credentials_that_the_server_repeats_are_redacted(
    auth: Any, status: int, shape: Callable[[str], Any], expected: type[JobsError]
) -> None:
    source, _ = ontap(echoes(status, shape), auth=auth)
    with pytest.raises(expected) as caught:
        await source.get("j1")
    secrets = [TOKEN] if isinstance(auth, Bearer) else [PASSWORD, BASIC]
    assert [secret for secret in secrets if secret in everything(caught.value)] == []
    assert "****" in str(caught.value)


async def test_credentials_that_a_refused_action_repeats_are_redacted() -> None:
    source, _ = ontap(echoes(409, ontap_error("458783")))
    with pytest.raises(ActionRefused) as caught:
        await source.act("j1", Action.PAUSE)
    assert PASSWORD not in everything(caught.value)


async def test_a_secret_at_the_end_of_an_excerpt_is_not_shown_in_part() -> None:
    source, _ = ontap(reply(b"x" * 490 + PASSWORD.encode(), 500))
    with pytest.raises(ApiError) as caught:
        await source.get("j1")
    assert PASSWORD[:6] not in everything(caught.value)


async def test_a_secret_is_recognised_in_its_json_form() -> None:
    password = 'a"quoted"\\secret'
    source, _ = ontap(reply({"error": {"message": f"no {password}"}}, 500), auth=(USER, password))
    with pytest.raises(ApiError) as caught:
        await source.get("j1")
    assert password not in str(caught.value)
    assert json.dumps(password)[1:-1] not in caught.value.body


@pytest.mark.parametrize("password", ["error", "code", "458"])
async def test_a_password_that_is_a_word_of_the_api_does_not_hide_what_the_api_says(password: str) -> None:
    source, _ = ontap(reply({"error": {"message": "gone", "code": "4"}}, 404), auth=(USER, password))
    with pytest.raises(JobNotFound):
        await source.get("j1")
    source, _ = ontap(reply({"error": {"message": "ended", "code": "458762"}}, 400), auth=(USER, password))
    with pytest.raises(AlreadyFinished) as caught:
        await source.act("j1", Action.CANCEL)
    assert caught.value.code == "458762"


async def test_an_older_token_of_a_rotating_function_is_redacted_too() -> None:
    tokens = iter([TOKEN, "a-newer-token", "the-newest-token"])

    async def give() -> str:
        await anyio.lowlevel.checkpoint()
        return next(tokens)

    def handler(request: httpx.Request) -> httpx.Response:
        if request.headers["Authorization"].endswith(TOKEN):
            return httpx.Response(401)
        return reply(f"the token {TOKEN} was replaced".encode(), 500)(request)

    source, _ = ontap(handler, auth=Bearer(give))
    with pytest.raises(ApiError) as caught:
        await source.get("j1")
    assert TOKEN not in everything(caught.value)


async def test_the_proxys_password_is_in_no_message() -> None:
    proxy = f"{PROXY_USER}:{quote(PROXY_PASSWORD)}"
    page = f"<html>you sent {PROXY_PASSWORD}, {proxy}, Basic {PROXY_BASIC}</html>".encode()
    with Loopback(lambda _, __: raw(page, "407 Proxy Authentication Required")) as server:
        address = server.url.removeprefix("http://")
        async with OntapJobs(
            "http://localhost:9", auth=(USER, PASSWORD), proxy=f"http://{proxy}@{address}"
        ) as source:
            with pytest.raises(ApiError) as caught:
                await source.get("j1")
        assert f"Proxy-Authorization: Basic {PROXY_BASIC}" in server.heads[0]
    assert_silent(everything(caught.value))


async def test_a_proxy_that_is_not_there_is_reported_without_its_password() -> None:
    proxy = f"http://{PROXY_USER}:{PROXY_PASSWORD}@127.0.0.1:9"
    async with OntapJobs("https://cluster1", auth=(USER, PASSWORD), proxy=proxy) as source:
        with pytest.raises(TransportError) as caught:
            await source.get("j1")
    assert_silent(everything(caught.value))


@pytest.mark.parametrize("auth", [(USER, PASSWORD), Bearer(TOKEN)], ids=["basic", "bearer"])
async def test_nothing_secret_is_logged_at_debug(auth: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    bad = raw({"error": {"message": f"{PASSWORD} {TOKEN}", "code": "1"}}, "503 Service Unavailable")
    good = raw({"uuid": "j1", "state": "success"})
    with Loopback(lambda number, _: [bad, good][number % 2]) as server:
        async with OntapJobs(server.url, auth=auth) as source:
            with pytest.raises(ApiError):
                await source.get("j1")
            await source.wait("j1")
    assert any(record.name.startswith("jobsource.") for record in caplog.records)
    secrets = [PASSWORD, BASIC] if isinstance(auth, tuple) else [TOKEN]
    assert [secret for secret in secrets if secret in caplog.text] == []


async def test_refs_jobs_and_outcomes_pickle_without_secrets() -> None:
    source, _ = ontap(reply({"uuid": "j1", "state": "failure", "message": "no space"}))
    job = await source.get("j1")
    with pytest.raises(JobsError) as caught:
        await source.wait("j1")
    for thing in (job, job.ref, caught.value):
        assert_silent(pickle.dumps(thing).decode("latin-1"))
