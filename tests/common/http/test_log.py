"""The log at DEBUG: requests and responses, with secrets redacted."""

from __future__ import annotations

import base64
import importlib
import logging
import re
from collections.abc import Mapping, Set
from contextlib import suppress
from typing import Any

import anyio
import httpx
import pytest

from cfjobs import CFJobs
from common.auth.credentials import Bearer
from common.http.backend import HttpRequest
from common.http.log import logged
from common.http.selection import BACKEND_VARIABLE
from common.model.errors import ApiError, DecodeError, TransportError
from common.response.redaction import redacted, redacted_url
from ontapjobs import ClientCredentials, OntapJobs
from tests.loopback import Loopback, raw
from tests.recording import Answer, Chunks, Recorder, reply

pytestmark = pytest.mark.anyio

USER, PASSWORD, TOKEN = "backup-admin", "correct-horse-battery", "t0ken-of-a-session"
BASIC = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
COOKIE, SESSION = "c00kie-of-the-server", "s3ssion-of-the-server"
JOB = {"uuid": "j1", "state": "success"}
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"


@pytest.fixture(autouse=True)
def at_debug(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What our own logger said."""
    result = [record for record in caplog.records if record.name == "jobsource.http"]
    assert {record.levelno for record in result} <= {logging.DEBUG}
    return [record.getMessage() for record in result]


def ontap(*answers: Answer, **options: Any) -> OntapJobs:
    auth = options.pop("auth", (USER, PASSWORD))
    return OntapJobs("https://cluster1", auth=auth, transport=Recorder(*answers), **options)


# --- what is logged


@pytest.mark.parametrize("name", ["X-VCAP-Request-ID", "OnCloud-Request-Id", "X-Response_Id"])
async def test_a_request_is_a_line_and_its_headers_are_another(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with ontap(reply(JOB, headers={name: "r-1::2"}), user_agent="acme/7") as source:
        await source.get("j1")
    first, second = lines(caplog)
    pattern = r"GET https://cluster1/api/cluster/jobs/j1\?fields=\*: 200, \d+ bytes, request 'r-1::2', \d+ ms"
    assert re.fullmatch(pattern, first)
    assert "user-agent: acme/7 jobsource" in second
    assert "authorization: ****" in second


async def test_a_reply_without_a_request_id_and_a_refusal_are_lines_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with ontap(reply(b"", 503)) as source:
        with pytest.raises(Exception, match="503"):
            await source.get("j1")
    assert re.fullmatch(r"GET \S+: 503, 0 bytes, \d+ ms", lines(caplog)[0])


async def test_every_attempt_is_a_line(caplog: pytest.LogCaptureFixture) -> None:
    async with ontap(httpx.ReadError("reset by a peer"), reply(JOB)) as source:
        await source.get("j1")
    assert re.fullmatch(r"GET \S+: no complete response \(ReadError\), \d+ ms", lines(caplog)[0])
    assert ": 200, " in lines(caplog)[2]


async def test_no_reply_and_one_too_many_are_lines(caplog: pytest.LogCaptureFixture) -> None:
    async with ontap(httpx.ConnectError("refused")) as source:
        with pytest.raises(TransportError):
            await source.get("j1")
    brotli = httpx.Response(200, headers={"Content-Encoding": "br"}, stream=Chunks([b"?"]))
    async with ontap(brotli) as source:
        with pytest.raises(DecodeError):
            await source.get("j1")
    assert "(ConnectError)" in lines(caplog)[0]
    assert "(DecodeError)" in lines(caplog)[2]


async def test_a_cancelled_request_is_a_line(caplog: pytest.LogCaptureFixture) -> None:
    async def hang(_: httpx.Request) -> httpx.Response:
        await anyio.sleep_forever()
        raise AssertionError

    async with OntapJobs("cluster1", auth=(USER, PASSWORD), transport=httpx.MockTransport(hang)) as source:
        with anyio.move_on_after(0.01):
            await source.get("j1")
    assert "(Cancelled" in lines(caplog)[0]


def as_it_is(text: str, limit: int | None = None, *, also: Set[str] = frozenset()) -> str:
    """Redact nothing."""
    return text if not also else text[:limit]


class Never:
    """An exchange that is only looked at."""

    on_current_loop = True

    async def send(self, request: HttpRequest) -> Any:
        raise AssertionError(request)

    async def aclose(self) -> None:
        raise AssertionError


def test_where_nobody_reads_it_a_request_goes_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    client = Never()
    assert logged(client, as_it_is) != client.send
    caplog.set_level(logging.WARNING)
    assert logged(client, as_it_is) == client.send


# --- what is not logged


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Authorization", "x"),
        ("proxy-authorization", "x"),
        ("Cookie", "a=b"),
        ("Set-Cookie", "a=b"),
        ("X-Api-Key", "x"),
        ("x-apikey", "x"),
        ("X-Auth-Token", "x"),
        ("X-Subject-Token", "x"),
        ("X-Client-Secret", "x"),
        ("X-Session-Id", "x"),
        ("X-Amz-Signature", "x"),
        ("X-Anything", f"Bearer {TOKEN}"),
        ("X-Anything", f"basic {BASIC}"),
        ("X-Anything", JWT),
        ("X-Anything", f"said {JWT}"),
        ("X-Anything", "0123456789abcdef0123456789abcdef"),
    ],
)
def test_what_is_called_or_looks_like_a_secret_is_not_shown(name: str, value: str) -> None:
    assert redacted(name, value) == "****"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("User-Agent", "acme/7 jobsource/0.1.0"),
        ("Content-Type", "multipart/form-data; boundary=0123456789abcdef0123456789abcdef"),
        ("X-Dot-Client-App", "jobsource/0.1.0"),
        ("x-agent-id", "agent-1clients"),
        ("X-VCAP-Request-ID", "b5145e1d-b53b-11e8-8252-005056bbd8f5::1b34b6f6-8f43-40fb-9a52-485b0dfe893a"),
        ("X-RateLimit-Remaining", "17"),
    ],
)
def test_what_helps_is_shown(name: str, value: str) -> None:
    assert redacted(name, value) == value


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://h/p", "https://h/p"),
        ("https://h/p?a=b&c", "https://h/p?a=b&c"),
        (f"https://h/p?access_token={TOKEN}&a=b", "https://h/p?access_token=****&a=b"),
        (f"https://h/p?a=1&q={JWT}", "https://h/p?a=1&q=****"),
        ("https://h/p?uuid=a%7Cb|c=d", "https://h/p?uuid=a%7Cb|c=d"),
    ],
)
def test_a_secret_in_a_query_is_not_shown(url: str, shown: str) -> None:
    assert redacted_url(url) == shown


class Custom:
    """Credentials under names that nobody would guess."""

    async def headers(self) -> Mapping[str, str]:
        return {"X-Badge": TOKEN}

    async def refresh(self, refused: Mapping[str, str]) -> bool:
        del refused
        return False

    def secrets(self) -> tuple[str, ...]:
        return (TOKEN,)


async def test_what_the_credentials_call_secret_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    async with ontap(reply(JOB), auth=Custom()) as source:
        await source.get("j1")
        await source.start("POST", f"/api/{TOKEN}?x={TOKEN}", json={"name": TOKEN})
    assert "x-badge: ****" in lines(caplog)[1]
    assert TOKEN not in caplog.text


def everything_said(_: int, head: str) -> list[bytes]:
    """A reply that repeats the request's credentials, and has secrets of its own."""
    sent = re.findall(r"(?mi)^authorization: (.*?)\r?$", head)
    said = {"access_token": TOKEN, "sent": sent, **JOB}
    return raw(
        said, Set_Cookie=f"id={COOKIE}; Path=/", X_Subject_Token=SESSION, X_Echo=sent[0], X_Sent=PASSWORD
    )


@pytest.mark.parametrize("library", ["httpx", "direct"])
@pytest.mark.parametrize(
    "auth",
    [(USER, PASSWORD), Bearer(TOKEN), httpx.BasicAuth(USER, PASSWORD)],
    ids=["pair", "bearer", "httpx"],
)
async def test_no_logger_at_all_shows_a_secret(
    library: str, auth: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BACKEND_VARIABLE, library)
    with Loopback(everything_said) as server:
        async with OntapJobs(server.url, auth=auth) as source:
            await source.get("j1")
            await source.start("DELETE", "/api/storage/volumes/1")
    assert len(lines(caplog)) == 4
    secrets = [TOKEN] if isinstance(auth, Bearer) else [BASIC]
    secrets += [PASSWORD] if isinstance(auth, tuple) else []
    assert [secret for secret in (COOKIE, SESSION, *secrets) if secret in caplog.text] == []
    assert TOKEN not in caplog.text  # which was in a body


@pytest.mark.parametrize("library", ["httpx", "direct"])
@pytest.mark.parametrize("send", ["header", "body"])
@pytest.mark.parametrize("status", ["200 OK", "400 Bad Request"])
async def test_signing_in_is_a_line_too_and_shows_neither_what_is_sent_nor_what_is_given(
    library: str,
    send: Any,
    status: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(BACKEND_VARIABLE, library)
    given = {"access_token": TOKEN, "refresh_token": SESSION, "error": "invalid_client"}
    login = raw(given, status, Set_Cookie=f"id={COOKIE}")
    with Loopback(lambda number, _: raw(JOB) if number else login) as server:
        auth = ClientCredentials(f"{server.url}/oauth/token", USER, PASSWORD, send=send)
        async with OntapJobs(server.url, auth=auth) as source:
            with suppress(ApiError):
                await source.get("j1")
    assert lines(caplog)[0].startswith(f"POST {server.url}/oauth/token: {status[:3]}, ")
    assert [secret for secret in (COOKIE, SESSION, TOKEN, PASSWORD, BASIC) if secret in caplog.text] == []


async def test_the_library_is_kept_quiet_where_only_its_own_logger_is_read(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BACKEND_VARIABLE, "httpx")
    caplog.set_level(logging.INFO)
    caplog.set_level(logging.DEBUG, logger="httpcore")
    with Loopback(everything_said) as server:
        async with OntapJobs(server.url, auth=(USER, PASSWORD)) as source:
            await source.get("j1")
    assert lines(caplog) == []
    assert "receive_response_headers.complete" in caplog.text
    assert "X-Subject-Token" in caplog.text
    assert [secret for secret in (COOKIE, SESSION, BASIC, PASSWORD) if secret in caplog.text] == []


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
async def test_the_text_behind_a_status_is_redacted_in_the_librarys_line_at_info_too(
    library: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    client = importlib.import_module(library).AsyncClient()
    with Loopback(lambda *_: raw(JOB, f"200 you sent {PASSWORD}")) as server:
        async with client, OntapJobs(server.url, auth=(USER, PASSWORD), http=client) as source:
            await source.get("j1")
    assert "200 you sent ****" in caplog.text
    assert PASSWORD not in caplog.text


async def test_what_others_send_is_logged_as_it_always_was(caplog: pytest.LogCaptureFixture) -> None:
    with Loopback(lambda *_: raw(JOB, Set_Cookie=COOKIE)) as server:
        async with OntapJobs(server.url, auth=(USER, PASSWORD)) as source:
            await source.get("j1")
        assert COOKIE not in caplog.text
        async with httpx.AsyncClient() as theirs:
            await theirs.get(server.url, headers={"Authorization": "Basic x"})
        assert COOKIE in caplog.text


async def test_a_header_with_quotes_and_brackets_hides_nothing_behind_it(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BACKEND_VARIABLE, "httpx")
    odd = f"""a='b", (b'X', b'y') \\" {COOKIE}"""
    with Loopback(lambda *_: raw(JOB, Set_Cookie=odd, X_After="plain")) as server:
        async with CFJobs(server.url, auth=Bearer(TOKEN)) as source:
            await source._client.send("GET", "/")
    assert COOKIE not in caplog.text
    assert "(b'X-After', b'plain')" in caplog.text
