"""Signing in to BlueXP: the exact token requests, their renewal, and the messages where one is refused."""

from __future__ import annotations

import json
import logging
import os
import pickle
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bluexp_jobs import (
    AgentPassword,
    AuthenticationError,
    Bearer,
    BlueXPJobs,
    InsecureConnectionWarning,
    PermissionDenied,
    RefreshToken,
    ServiceAccount,
    SourceError,
    UsageError,
    UserPassword,
)
from bluexp_jobs.auth import assertion_audience
from tests.bluexp_jobs.keys import PKCS1, elliptic_pem, private_pem, public_pem, small_pem
from tests.common.auth.test_credentials import everything
from tests.recording import Recorder, in_turn, reply

pytestmark = pytest.mark.anyio

ID = "6f0c2a4e-8a9e-4f6e-9b61-0d7a0c1c8a11"
HOST = "https://api.bluexp.netapp.com"
JOB = {"job": [{"id": ID, "status": "COMPLETED"}]}
AUTH0 = "https://netapp-cloud-account.auth0.com/oauth/token"
TENANT = "https://netapp-cloud-account.auth0.com/"
AUDIENCE = "https://api.cloud.netapp.com"
REFRESH, SECRET, PASSWORD = "v1.r3fresh-token_of-a-user", "s3cret+of %an:account/ü", 'p%20w "ü" of: a+user'
ACCESS = "eyJ.an-access-token.c2ln"
TOKEN = {"access_token": ACCESS, "expires_in": 86400, "token_type": "Bearer"}

Handler = Callable[[httpx.Request], httpx.Response]

texts = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1)


def bluexp(
    auth: Any, *tokens: Handler, job: Handler | None = None, endpoint: str = HOST
) -> tuple[BlueXPJobs, Recorder]:
    """An account with one job, and an issuer that gives these answers in turn."""
    issuer, api = in_turn(*(tokens or (reply(TOKEN),))), job or reply(JOB)
    wire = Recorder(lambda request: (api if request.method == "GET" else issuer)(request))
    return BlueXPJobs(
        account="account-x1", agent="agent-1", auth=auth, transport=wire, endpoint=endpoint
    ), wire


def fields_of(request: httpx.Request) -> dict[str, str]:
    fields: dict[str, str] = json.loads(request.content)
    return fields


# --- what is sent


@pytest.mark.parametrize(
    ("make", "endpoint", "url", "fields"),
    [
        (
            lambda: RefreshToken(REFRESH),
            HOST,
            AUTH0,
            {
                "grant_type": "refresh_token",
                "refresh_token": REFRESH,
                "client_id": "Mu0V1ywgYteI6w1MbD15fKfVIUrNXGWC",
                "audience": AUDIENCE,
            },
        ),
        (
            lambda: RefreshToken(
                REFRESH, client_id="mine", audience="urn:a", token_url="https://login.example.com/t"
            ),
            HOST,
            "https://login.example.com/t",
            {
                "grant_type": "refresh_token",
                "refresh_token": REFRESH,
                "client_id": "mine",
                "audience": "urn:a",
            },
        ),
        (
            lambda: ServiceAccount("TvPPs4SeM5", SECRET),
            HOST,
            AUTH0,
            {
                "grant_type": "client_credentials",
                "audience": AUDIENCE,
                "client_id": "TvPPs4SeM5",
                "client_secret": SECRET,
            },
        ),
        (
            lambda: UserPassword("user@example.com", PASSWORD),
            HOST,
            AUTH0,
            {
                "grant_type": "password",
                "username": "user@example.com",
                "password": PASSWORD,
                "client_id": "QC3AgHk6qdbmC7Yyr82ApBwaaJLwRrNO",
                "Realm": "Username-Password-Authentication",
                "audience": AUDIENCE,
                "scope": "openid profile",
            },
        ),
        (
            lambda: AgentPassword("admin@example.com", PASSWORD),
            "https://agent.example.com",
            "https://agent.example.com/oauth/token",
            {"grant_type": "password", "username": "admin@example.com", "password": PASSWORD},
        ),
    ],
    ids=["user", "user elsewhere", "service account", "password", "agent"],
)
async def test_a_sign_in_is_one_request_in_json_and_its_token_signs_the_rest(
    make: Callable[[], Any], endpoint: str, url: str, fields: dict[str, str]
) -> None:
    source, wire = bluexp(make(), endpoint=endpoint)
    await source.get(ID)
    await source.get(ID)
    token_request, *read = wire.requests
    assert (token_request.method, str(token_request.url)) == ("POST", url)
    assert fields_of(token_request) == fields
    assert token_request.headers["Content-Type"] == token_request.headers["Accept"] == "application/json"
    assert [name for name in ("Authorization", "x-agent-id") if name in token_request.headers] == []
    assert [request.headers["Authorization"] for request in read] == [f"Bearer {ACCESS}"] * 2
    assert [request.headers["x-agent-id"] for request in read] == ["agent-1clients"] * 2


async def test_a_key_signs_an_assertion_for_each_sign_in_and_no_secret_is_sent() -> None:
    jwt = pytest.importorskip("jwt")
    auth = ServiceAccount("TvPPs4SeM5", private_key=private_pem(), key_id="key-7")
    source, wire = bluexp(
        auth,
        reply(TOKEN),
        reply({**TOKEN, "access_token": "another"}),
        job=in_turn(reply(b"", 401), reply(JOB)),
    )
    await source.get(ID)
    signed = [request for request in wire.requests if request.method == "POST"]
    assert [str(request.url) for request in signed] == [AUTH0] * 2
    seen = []
    for request in signed:
        fields = fields_of(request)
        assertion = fields.pop("client_assertion")
        assert fields == {
            "grant_type": "client_credentials",
            "audience": AUDIENCE,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        }
        assert jwt.get_unverified_header(assertion) == {"alg": "RS256", "kid": "key-7", "typ": "JWT"}
        claims = jwt.decode(assertion, public_pem(), algorithms=["RS256"], audience=TENANT)
        assert claims.keys() == {"iss", "sub", "aud", "iat", "exp", "jti"}
        assert (claims["iss"], claims["sub"], claims["aud"]) == ("TvPPs4SeM5", "TvPPs4SeM5", TENANT)
        assert 0 < claims["exp"] - claims["iat"] <= 300  # the most that Auth0 takes
        seen.append(claims["jti"])
    assert len(set(seen)) == 2


async def test_what_a_service_account_sent_last_is_a_secret() -> None:
    pytest.importorskip("jwt")
    assert SECRET in ServiceAccount("TvPPs4SeM5", SECRET).secrets()
    auth = ServiceAccount("TvPPs4SeM5", private_key=private_pem())
    answers = [reply({**TOKEN, "access_token": f"access-{number}"}) for number in range(3)]
    source, wire = bluexp(auth, *answers, job=in_turn(*[reply(b"", 401), reply(JOB)] * 2))
    for _ in range(2):
        await source.get(ID)
        signer = source._client._token_signer
        assert signer is not None
        signer.accepted({"Authorization": "Bearer access-1"})
    signed = [request for request in wire.requests if request.method == "POST"]
    assertions = [fields_of(request)["client_assertion"] for request in signed]
    assert len(assertions) == 3
    assert set(assertions) & set(auth.secrets()) == set(assertions[1:])


@pytest.mark.parametrize("kind", [ServiceAccount, UserPassword, AgentPassword])
async def test_a_refresh_token_that_comes_with_a_password_or_a_secret_is_not_used(kind: Any) -> None:
    # With it, a wrong secret would be sent twice.
    given = reply({**TOKEN, "refresh_token": "of-no-use"})
    refusal = reply({"error": "invalid_client"}, 401)
    source, wire = bluexp(kind("admin", SECRET), given, refusal, job=reply(b"", 401))
    with pytest.raises(AuthenticationError):
        await source.get(ID)
    first, second = (fields_of(request) for request in wire.requests if request.method == "POST")
    assert first == second


@pytest.mark.parametrize(
    ("token_url", "audience"),
    [
        (AUTH0, TENANT),
        ("https://api.bluexp.netapp.com/auth/oauth/token", TENANT),
        ("https://staging.auth0.com/oauth/token", "https://staging.auth0.com/"),
        ("http://127.0.0.1:8080/oauth/token", "http://127.0.0.1:8080/"),
    ],
)
def test_an_assertion_is_made_out_to_the_tenant(token_url: str, audience: str) -> None:
    assert assertion_audience(token_url) == audience


@pytest.mark.slow
def test_a_key_may_be_text_bytes_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(private_pem(form=PKCS1))
    for key in (private_pem(), private_pem().decode(), b"a comment\n" + private_pem(), file, str(file)):
        assert ServiceAccount("c", private_key=key)._key is not None


@pytest.mark.slow
@given(secret=texts)
@example(secret="a b+%20:ü\"\\'")
def test_odd_secrets_arrive_as_they_are(secret: str) -> None:
    async def ask() -> None:
        for auth, name in (
            (RefreshToken(secret), "refresh_token"),
            (ServiceAccount("c", secret), "client_secret"),
            (AgentPassword(secret, "x"), "username"),
            (AgentPassword("u", secret), "password"),
        ):
            source, wire = bluexp(auth)
            await source.get(ID)
            assert fields_of(wire.requests[0])[name] == secret

    anyio.run(ask)


# --- renewal


async def test_a_rotated_refresh_token_is_reported_and_used_from_then_on() -> None:
    rotated: list[str] = []

    async def store(token: str) -> None:
        await anyio.lowlevel.checkpoint()
        rotated.append(token)

    source, wire = bluexp(
        RefreshToken(REFRESH, on_rotate=store),
        reply({**TOKEN, "refresh_token": "the-second"}),
        reply({**TOKEN, "access_token": "newer", "refresh_token": "the-third"}),
        job=in_turn(reply(b"", 401), reply(JOB)),
    )
    await source.get(ID)
    sent = [fields_of(request)["refresh_token"] for request in wire.requests if request.method == "POST"]
    assert sent == [REFRESH, "the-second"]
    assert rotated == ["the-second", "the-third"]


# --- refusals, explained


@pytest.mark.parametrize(
    ("auth", "status", "body", "hint"),
    [
        (
            RefreshToken(REFRESH),
            403,
            {"error": "invalid_grant", "error_description": "Unknown or invalid refresh token."},
            r"Unknown or invalid refresh token.*create a new one at https://services.cloud.netapp.com/refresh-token",
        ),
        (
            ServiceAccount("c", SECRET),
            401,
            {"error": "access_denied", "error_description": "Unauthorized"},
            "check the client id, and that its secret or key is the one registered",
        ),
        (
            AgentPassword("u", PASSWORD),
            403,
            {"error": "invalid_grant", "error_description": "Wrong email or password."},
            "Wrong email or password.*check the user name and the password of this agent's local user",
        ),
        (UserPassword("u", PASSWORD), 403, {"error": "invalid_grant"}, "check the user name"),
        (AgentPassword("u", PASSWORD), 401, {"message": "Unauthorized"}, "check the user name"),
    ],
)
async def test_a_refused_sign_in_says_what_to_do_and_is_not_tried_again(
    auth: Any, status: int, body: Any, hint: str
) -> None:
    source, wire = bluexp(auth, reply(body, status))
    with pytest.raises(AuthenticationError, match=hint) as caught:
        await source.wait(ID)
    assert not caught.value.transient
    assert [request.method for request in wire.requests] == ["POST"]
    assert str(caught.value).startswith(f"signing in at {wire.requests[0].url} answered {status} ")
    assert caught.value.status == status


USER_TOKEN = "documented for user tokens only.*use RefreshToken"


@pytest.mark.parametrize(
    ("body", "hints"),
    [
        (b"", USER_TOKEN),
        ({"statusCode": 403, "error": "Forbidden", "message": "Forbidden"}, f"Forbidden; .*{USER_TOKEN}"),
        (b"Action not allowed for user", f"account= may be the account's name.*{USER_TOKEN}"),
        (b"User is not allowed to do operation", f"agent= may be wrong.*{USER_TOKEN}"),
    ],
)
async def test_a_service_account_that_is_refused_learns_that_the_reference_names_a_users_token(
    body: Any, hints: str
) -> None:
    source, _ = bluexp(ServiceAccount("c", SECRET), job=reply(body, 403))
    for ask in (source.get(ID), source.wait(ID), anext(aiter(source.list()))):
        with pytest.raises(PermissionDenied, match=hints):
            await ask


@pytest.mark.parametrize("auth", [Bearer(ACCESS), RefreshToken(REFRESH), AgentPassword("u", PASSWORD)])
async def test_a_refused_user_gets_no_hint_to_sign_in_as_a_user(auth: Any) -> None:
    source, _ = bluexp(auth, job=reply(b"Action not allowed for user", 403))
    with pytest.raises(PermissionDenied) as caught:
        await source.get(ID)
    assert "RefreshToken" not in str(caught.value)


async def test_other_refusals_of_a_service_account_are_not_blamed_on_it() -> None:
    source, _ = bluexp(ServiceAccount("c", SECRET), job=reply({"message": "no"}, 400))
    with pytest.raises(SourceError) as caught:
        await source.get(ID)
    assert "RefreshToken" not in str(caught.value)


# --- invalid arguments are refused by the constructor

PEM = private_pem()


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("token", RefreshToken),
        ("client_id", lambda bad: RefreshToken(SECRET, client_id=bad)),
        ("audience", lambda bad: RefreshToken(SECRET, audience=bad)),
        ("client_id", lambda bad: ServiceAccount(bad, "s")),
        ("client_secret", lambda bad: ServiceAccount("c", bad)),
        ("audience", lambda bad: ServiceAccount("c", "s", audience=bad)),
        ("key_id", lambda bad: ServiceAccount("c", private_key=PEM, key_id=bad)),
        ("user", lambda bad: UserPassword(bad, "p")),
        ("password", lambda bad: UserPassword("u", bad)),
        ("realm", lambda bad: UserPassword("u", "p", realm=bad)),
        ("client_id", lambda bad: UserPassword("u", "p", client_id=bad)),
        ("audience", lambda bad: UserPassword("u", "p", audience=bad)),
        ("user", lambda bad: AgentPassword(bad, "p")),
        ("password", lambda bad: AgentPassword("u", bad)),
    ],
)
@pytest.mark.parametrize("bad", ["", 7, b"raw", f"{SECRET}\n", f"{SECRET}\udcff"])
def test_what_is_no_text_that_can_be_sent_is_refused_by_name_and_not_quoted(
    name: str, make: Any, bad: Any
) -> None:
    with pytest.raises(UsageError, match=f"^{name}=") as caught:
        make(bad)
    assert SECRET not in everything(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"client_secret": "s", "private_key": b"k"},
        {"client_secret": "s", "key_id": "k"},
        {"audience": "a"},
    ],
)
def test_a_service_account_has_a_secret_or_a_key(options: Any) -> None:
    with pytest.raises(UsageError, match="private_key="):
        ServiceAccount("c", **options)


BARE = b"".join(PEM.splitlines()[1:-1])
HERE = Path(__file__).parent
BROKEN: dict[str, tuple[Any, str]] = {
    "encrypted": (private_pem(password=b"opensesame"), "is encrypted: remove its password"),
    "encrypted, older": (private_pem(form=PKCS1, password=b"opensesame"), "is encrypted"),
    "elliptic": (elliptic_pem(), "not an RSA key"),
    "short": (small_pem(), "1024 bits, but RS256 needs 2048"),
    "public": (public_pem(), "public key or a certificate"),
    "certificate": (
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "public key or a certificate",
    ),
    "half": (PEM[: len(PEM) // 2], "not a private key in PEM form"),
    "bare": (BARE, "not a private key in PEM form"),
    "bare text": (BARE.decode(), "nor the path of a readable file"),
    "one line": (PEM.decode().replace("\n", "\\n"), "not a private key in PEM form"),
    "missing": ("missing.pem", "nor the path of a readable file"),
    "missing path": (HERE / "missing.pem", "nor the path of a readable file"),
    "nul": ("a\0b", "nor the path of a readable file"),
    "folder": (HERE, "nor the path of a readable file"),
    "empty file": (os.devnull, "not a private key in PEM form"),
    "empty": ("", "must be a key in PEM form"),
    "number": (7, "must be a key in PEM form"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_key_is_a_usage_error_that_does_not_quote_it(name: str) -> None:
    key, complaint = BROKEN[name]
    with pytest.raises(UsageError, match=complaint) as caught:
        ServiceAccount("c", private_key=key)
    text = everything(caught.value)
    assert [line for line in PEM.decode().splitlines()[1:-1] if line[:20] in text] == []


@pytest.mark.parametrize("module", ["jwt", "cryptography.hazmat.primitives.serialization"])
def test_a_key_without_its_extra_says_what_to_install(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match=r'pip install "jobsource\[jwt\]"'):
        ServiceAccount("c", private_key=private_pem())
    ServiceAccount("c", SECRET)


# --- private mode


async def test_a_password_on_plain_http_warns_once_where_the_source_is_made() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        source, wire = bluexp(AgentPassword("u", PASSWORD), endpoint="http://10.0.0.7")
        await source.get(ID)
        await source.get(ID)
    assert [warning.category for warning in seen] == [InsecureConnectionWarning]
    assert seen[0].filename == __file__
    assert str(wire.requests[0].url) == "http://10.0.0.7/oauth/token"


async def test_a_password_on_loopback_does_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        source, _ = bluexp(AgentPassword("u", PASSWORD), endpoint="http://127.0.0.1:8080")
        await source.get(ID)


async def test_an_agents_password_and_token_go_to_no_other_agent() -> None:
    auth = AgentPassword("u", PASSWORD)
    first, wire = bluexp(auth, endpoint="https://one.example.com")
    again, other_wire = bluexp(auth, endpoint="https://one.example.com:443/")
    with pytest.raises(UsageError, match=r"is for https://one\.example\.com: create another one") as caught:
        bluexp(auth, endpoint="https://two.example.com")
    await first.get(ID)
    await again.get(ID)
    assert PASSWORD not in everything(caught.value)
    assert [len(wire.requests), len(other_wire.requests)] == [2, 1]  # one token for both


# --- what stays secret


def quoting(status: int, shape: str) -> Handler:
    """A server that repeats what it was sent."""

    def handler(request: httpx.Request) -> httpx.Response:
        quoted = f"{list(fields_of(request).values())} {request.content.decode()}"
        text = (
            quoted if shape == "page" else json.dumps({"error": f"x {quoted}", "error_description": quoted})
        )
        return httpx.Response(status, text=text)

    return handler


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["page", "json"])
@pytest.mark.parametrize("status", [200, 400, 401, 500])
@pytest.mark.parametrize("kind", ["refresh", "secret", "key", "password"])
async def test_what_the_issuer_repeats_reaches_no_message(
    kind: str, status: int, shape: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.auth.token_auth.MAX_TRIES", 1)
    caplog.set_level(logging.DEBUG)
    make: Callable[[], Any] = {
        "refresh": lambda: RefreshToken(REFRESH),
        "secret": lambda: ServiceAccount("c", SECRET),
        "key": lambda: ServiceAccount("c", private_key=private_pem()),
        "password": lambda: AgentPassword("u", PASSWORD),
        "user": lambda: UserPassword("u", PASSWORD),
    }[kind]
    auth = make()
    source, wire = bluexp(auth, quoting(status, shape))
    with pytest.raises(SourceError) as caught:
        await source.get(ID)
    text = everything(caught.value) + caplog.text + repr([auth, source, source._client]) + str(auth)
    secrets = [REFRESH, SECRET, PASSWORD, fields_of(wire.requests[0]).get("client_assertion", SECRET)]
    forms = [form for secret in secrets for form in (secret, json.dumps(secret)[1:-1])]
    assert [form for form in forms if form in text] == []


async def test_former_refresh_tokens_are_redacted_in_errors() -> None:
    source, _ = bluexp(
        RefreshToken(REFRESH),
        reply({**TOKEN, "refresh_token": "the-second"}),
        job=reply(f"{REFRESH} the-second {ACCESS}".encode(), 500),
    )
    with pytest.raises(SourceError) as caught:
        await source.get(ID)
    text = everything(caught.value)
    assert [secret for secret in (REFRESH, "the-second", ACCESS) if secret in text] == []
    assert "****" in text


@pytest.mark.parametrize(
    ("auth", "shown"),
    [
        (RefreshToken(REFRESH), "RefreshToken(****)"),
        (ServiceAccount("an-id", SECRET), "ServiceAccount('an-id', ****)"),
        (AgentPassword("admin", PASSWORD), "AgentPassword('admin', ****)"),
        (UserPassword("me@x.org", PASSWORD), "UserPassword('me@x.org', ****)"),
    ],
)
def test_they_show_no_secret_and_are_not_pickled(auth: Any, shown: str) -> None:
    assert repr(auth) == str(auth) == shown
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(auth)
