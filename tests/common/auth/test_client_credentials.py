"""Client credentials at any token issuer: the exact requests, and the connections that they use."""

from __future__ import annotations

import base64
import json
import logging
import pickle
import warnings
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

import anyio
import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from common import from_dict, to_dict
from common.auth.client_credentials import ClientCredentials, read_text
from common.http.tls import tls_context
from common.model.errors import AuthenticationError, SourceError, TransportError, UsageError
from common.options import InsecureConnectionWarning
from ontapjobs import OntapJobs
from tests.common.auth.test_credentials import everything
from tests.loopback import Loopback, raw, server_tls
from tests.recording import Recorder, in_turn, reply

pytestmark = pytest.mark.anyio

ISSUER = "https://login.example.com/realms/lab/token"
SECRET = "s3cret+of %a:client/ü"
JOB = {"uuid": "j1", "state": "success"}
TOKEN = {"access_token": "an-access-token", "token_type": "Bearer", "expires_in": 3600}

# Whatever can be sent at all: half characters cannot, and control characters are refused.
texts = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1)


def ontap(auth: Any, *tokens: Callable[[httpx.Request], httpx.Response]) -> tuple[OntapJobs, Recorder]:
    """A cluster with one job, and an issuer that gives these answers in turn."""
    issuer = in_turn(*(tokens or (reply(TOKEN),)))
    wire = Recorder(lambda request: (reply(JOB) if request.method == "GET" else issuer)(request))
    return OntapJobs("https://cluster1", auth=auth, transport=wire), wire


def basic_of(request: httpx.Request) -> tuple[str, str]:
    """Client id and secret as a server reads them from HTTP Basic (RFC 6749, section 2.3.1)."""
    scheme, _, value = request.headers["Authorization"].partition(" ")
    user, _, password = base64.b64decode(value).decode().partition(":")
    assert scheme == "Basic"
    return unquote_plus(user), unquote_plus(password)


# --- what is sent


async def test_the_secret_goes_as_basic_and_the_rest_as_a_form() -> None:
    auth = ClientCredentials(
        ISSUER, "a:client", SECRET, scope="jobs:read jobs:act", audience="https://cluster1"
    )
    source, wire = ontap(auth)
    await source.get("j1")
    token_request, read = wire.requests
    assert (token_request.method, str(token_request.url)) == ("POST", ISSUER)
    assert token_request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert token_request.headers["Accept"] == "application/json"
    assert token_request.content == (
        b"grant_type=client_credentials&scope=jobs%3Aread+jobs%3Aact&audience=https%3A%2F%2Fcluster1"
    )
    assert basic_of(token_request) == ("a:client", SECRET)
    assert "X-Dot-Client-App" not in token_request.headers
    assert read.headers["Authorization"] == "Bearer an-access-token"


async def test_id_and_secret_can_be_sent_as_form_fields() -> None:
    source, wire = ontap(ClientCredentials(ISSUER, "c", "a b+%ü", send="body"))
    await source.get("j1")
    token_request = wire.requests[0]
    assert "Authorization" not in token_request.headers
    assert token_request.content == (
        b"grant_type=client_credentials&client_id=c&client_secret=a+b%2B%25%C3%BC"
    )


@pytest.mark.slow
@given(client=texts, secret=texts)
@example(client="a:b", secret='p%20w + "ü":\\&=#;')
@example(client="ü", secret="\u00a0 %+:")
def test_odd_secrets_arrive_as_they_are(client: str, secret: str) -> None:
    async def ask() -> None:
        for send in ("header", "body"):
            source, wire = ontap(ClientCredentials(ISSUER, client, secret, send=send))
            await source.get("j1")
            form = dict(parse_qsl(wire.requests[0].content.decode(), strict_parsing=True))
            fields = (
                (form["client_id"], form["client_secret"]) if send == "body" else basic_of(wire.requests[0])
            )
            assert fields == (client, secret)

    anyio.run(ask)


async def test_one_sign_in_serves_all_requests_until_it_is_refused() -> None:
    auth = ClientCredentials(ISSUER, "c", SECRET)
    second = {**TOKEN, "access_token": "another"}
    source, wire = ontap(auth, reply(TOKEN), reply(second))
    await source.get("j1")
    await source.get("j1")
    assert [request.method for request in wire.requests] == ["POST", "GET", "GET"]


async def test_a_refused_secret_is_sent_once_though_a_refresh_token_came_with_the_last() -> None:
    # Issuers should not send one with this grant (RFC 6749, section 4.4.3), and some count failures.
    auth = ClientCredentials(ISSUER, "c", SECRET)
    first = reply({**TOKEN, "refresh_token": "of-no-use", "expires_in": 0.001})
    source, wire = ontap(auth, first, reply({"error": "invalid_client"}, 401))
    await source.get("j1")
    await anyio.sleep(0.002)
    with pytest.raises(AuthenticationError, match="check the client id and its secret"):
        await source.get("j1")
    assert [request.method for request in wire.requests] == ["POST", "GET", "POST"]


# --- what is refused, and what stays secret


@pytest.mark.parametrize(
    ("status", "phrase"), [(400, "Bad Request"), (401, "Unauthorized"), (403, "Forbidden")]
)
async def test_a_refused_sign_in_tells_the_issuers_own_status(status: int, phrase: str) -> None:
    refusal = {"error": "invalid_client", "error_description": "no such client"}
    source, _ = ontap(ClientCredentials(ISSUER, "c", SECRET), reply(refusal, status))
    with pytest.raises(AuthenticationError) as caught:
        await source.wait("j1")
    assert str(caught.value).startswith(f"signing in at {ISSUER} answered {status} {phrase}: no such client ")
    assert caught.value.status == status
    assert from_dict(to_dict(caught.value)).status == status


@pytest.mark.parametrize(
    ("refusal", "said"),
    [({"error": "invalid_client"}, "the body is not shown (code invalid_client)"), (b"", "no body")],
)
async def test_a_refusal_without_a_message_tells_whether_there_was_more(refusal: Any, said: str) -> None:
    source, _ = ontap(ClientCredentials(ISSUER, "c", SECRET), reply(refusal, 401))
    with pytest.raises(AuthenticationError) as caught:
        await source.wait("j1")
    assert f" answered 401 Unauthorized: {said}; check the client id" in str(caught.value)
    assert caught.value.body == ""


@pytest.mark.parametrize(
    "url",
    [
        "",
        "login.example.com/token",
        "ftp://login.example.com/token",
        "https://",
        "https://user:pw@host/token",
        "https://host/token#part",
        "https://host/to ken",
        "https://host/token\x7f",
        "https://hö.example/tökén",
        None,
        7,
        b"https://host",
    ],
)
def test_what_is_no_token_url_is_refused_and_not_quoted(url: Any) -> None:
    with pytest.raises(UsageError, match="token URL") as caught:
        ClientCredentials(url, "c", SECRET)
    assert "user:pw" not in everything(caught.value)


@pytest.mark.parametrize("secret", ["", None, 7, b"raw", "line\n", "nul\0", "half \udcff"])
def test_a_secret_that_cannot_be_sent_is_refused_and_not_quoted(secret: Any) -> None:
    with pytest.raises(UsageError, match="client_secret="):
        ClientCredentials(ISSUER, "c", secret)


@pytest.mark.parametrize("code", [0, 10, 31, 127, 0xD800, 0xDBFF, 0xDFFF])
def test_a_control_character_or_a_lone_surrogate_cannot_be_part_of_a_secret(code: int) -> None:
    with pytest.raises(UsageError, match="password= contains"):
        read_text("password", f"a{chr(code)}b")


def test_what_cannot_be_sent_is_named() -> None:
    with pytest.raises(UsageError, match="client_id="):
        ClientCredentials(ISSUER, "", SECRET)
    with pytest.raises(UsageError, match="audience="):
        ClientCredentials(ISSUER, "c", SECRET, audience="")
    unknown: Any = "query"
    with pytest.raises(UsageError, match="send= must be 'header'"):
        ClientCredentials(ISSUER, "c", SECRET, send=unknown)


def test_a_token_url_may_have_any_printable_character() -> None:
    url = "https://host/!path~?a={b}"
    assert ClientCredentials(url, "c", SECRET).token_url == url


@pytest.mark.parametrize("character", " ~\x80\u00a0\u200d\u3000\ud7ff\ue000😀")
def test_a_character_that_is_not_printable_can_be_part_of_a_secret(character: str) -> None:
    assert read_text("password", f"a{character}b") == f"a{character}b"


def test_a_token_url_in_the_clear_warns_where_it_is_written() -> None:
    with pytest.warns(InsecureConnectionWarning, match="token endpoint unencrypted") as seen:
        ClientCredentials("http://login.example.com/token", "c", SECRET)
    assert [warning.filename for warning in seen] == [__file__]


def test_a_token_url_on_loopback_does_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ClientCredentials("http://127.0.0.1:8080/token", "c", SECRET)


def quoting(status: int, shape: Callable[[str], Any]) -> Callable[[httpx.Request], httpx.Response]:
    """An issuer that repeats what it was sent, as debugging proxies do."""

    def handler(request: httpx.Request) -> httpx.Response:
        sent = f"{request.headers.get('Authorization')} {request.content.decode()} {SECRET}"
        return reply(shape(sent), status)(request)

    return handler


@pytest.mark.parametrize("send", ["header", "body"])
@pytest.mark.parametrize(
    "handler",
    [
        quoting(401, lambda sent: {"error": "invalid_client", "error_description": f"not {sent}"}),
        quoting(400, lambda sent: {"error": f"bad {sent}"}),
        quoting(401, lambda sent: {"error": "x", "error_description": "y" * 490 + sent[-len(SECRET) :]}),
        quoting(403, lambda sent: f"<html>{sent}</html>".encode()),
        quoting(404, lambda sent: {"message": sent}),
        quoting(200, lambda sent: sent.encode()),
        quoting(200, lambda sent: {"access_token": f"{sent}\n"}),
    ],
    ids=["description", "code", "cut", "page", "message", "no JSON", "no token"],
)
async def test_a_secret_that_the_issuer_repeats_is_redacted(
    send: Any, handler: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.auth.token_auth.RETRY_DELAY", 0)
    caplog.set_level(logging.DEBUG)
    auth = ClientCredentials(ISSUER, "c", SECRET, send=send)
    source, wire = ontap(auth, handler)
    with pytest.raises(SourceError) as caught:
        await source.get("j1")
    texts = everything(caught.value) + caplog.text + repr([auth, source, source._client])
    sent = wire.requests[0]
    forms = [SECRET, json.dumps(SECRET)[1:-1], SECRET[:6], sent.content.decode().rpartition("=")[2][:8]]
    forms.append(sent.headers.get("Authorization", "Basic no-header").split(" ")[1][:8])
    assert [secret for secret in forms if secret in texts and secret != "client_c"] == []


@pytest.mark.parametrize("answer", [reply({"error": "invalid_client"}, 401), reply({})], ids=["401", "200"])
async def test_the_query_of_a_token_endpoint_is_in_no_error(
    answer: Callable[[httpx.Request], httpx.Response], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.auth.token_auth.RETRY_DELAY", 0)
    auth = ClientCredentials(f"{ISSUER}?key=k3y-of-the-gateway", "c", SECRET)
    source, _ = ontap(auth, answer)
    with pytest.raises(SourceError) as caught:
        await source.get("j1")
    assert ISSUER in str(caught.value)
    assert "k3y" not in everything(caught.value)


def test_it_shows_no_secret_and_is_not_pickled() -> None:
    auth = ClientCredentials(ISSUER, "c", SECRET)
    assert repr(auth) == f"ClientCredentials({ISSUER!r}, 'c', ****)"
    with pytest.raises(TypeError, match="holds a secret and cannot be pickled") as caught:
        pickle.dumps(auth)
    assert SECRET not in str(caught.value)


# --- over which connections


@pytest.fixture
def issuer(ca: str, key: str) -> Loopback:
    """A token endpoint behind a certificate that nobody vouches for."""
    return Loopback(lambda _, __: raw(TOKEN), tls=server_tls(ca, key))


async def test_a_plain_endpoint_says_nothing_of_whom_the_secret_is_shown_to(
    library: str, issuer: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.auth.token_auth.MAX_TRIES", 1)
    with Loopback(lambda _, __: raw(JOB)) as cluster, issuer:
        auth = ClientCredentials(f"{issuer.url}/token", "c", SECRET)
        async with OntapJobs(cluster.url, auth=auth) as source:
            with pytest.raises(TransportError, match="CERTIFICATE_VERIFY_FAILED") as caught:
                await source.get("j1")
    assert not caught.value.sent
    assert issuer.heads == cluster.heads == []


async def test_the_sources_ca_file_is_trusted_for_the_issuer_too(
    library: str, issuer: Loopback, ca: str
) -> None:
    with Loopback(lambda _, __: raw(JOB)) as cluster, issuer:
        auth = ClientCredentials(f"{issuer.url}/token", "c", SECRET)
        async with OntapJobs(cluster.url, auth=auth, verify=ca) as source:
            assert (await source.get("j1")).succeeded
    assert issuer.heads[0].startswith("POST /token HTTP/1.1\r\n")
    assert issuer.bodies == [b"grant_type=client_credentials"]
    assert "Authorization: Bearer an-access-token\r\n" in cluster.heads[0]


def test_a_ca_file_stands_beside_the_well_known_authorities_for_an_issuer(ca: str) -> None:
    alone, beside = tls_context(ca), tls_context(ca, public=True)
    assert len(alone.get_ca_certs()) == 1
    assert len(beside.get_ca_certs()) == len(tls_context().get_ca_certs()) + 1
    assert tls_context(public=True) is tls_context()


async def test_closing_the_source_closes_its_connections_to_the_issuer(library: str) -> None:
    with Loopback(lambda _, __: raw(JOB)) as cluster, Loopback(lambda _, __: raw(TOKEN)) as issuer:
        source = OntapJobs(cluster.url, auth=ClientCredentials(f"{issuer.url}/token", "c", SECRET))
        await source.get("j1")
        [backend] = source._client._loop_state().other_origins.values()
        used: Any = backend
        assert library == "httpx" or used._idle
        await source.aclose()
        assert used._client.is_closed if library == "httpx" else not used._idle
