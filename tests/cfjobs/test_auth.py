"""Signing in to UAA: its discovery, the requests, and its responses."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

import anyio
import httpx
import pytest

from cfjobs import (
    AuthenticationError,
    Bearer,
    CFJobs,
    InsecureConnectionWarning,
    ServerError,
    SourceError,
    TransportError,
    UAAClientCredentials,
    UAAPassword,
    UAARefreshToken,
    UsageError,
    WaitTimeout,
)
from cfjobs.simulator import CFSimulator
from common.auth.token_auth import TokenAuth
from tests.cfjobs.foundation import API, LOGIN, Foundation, Links, basic, granted, refused

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

PASSWORD, SECRET, REFRESH = "pa ss+wörd/%", "s3cret of a client", "r3fresh-token"


# --- what is sent


async def test_a_password_signs_in_where_the_api_says_and_the_token_reads_the_job() -> None:
    wire = Foundation()
    async with wire.jobs(UAAPassword("admin", PASSWORD)) as jobs:
        assert (await jobs.get("j")).succeeded
    assert wire.lines == [f"GET {API}/", f"POST {LOGIN}/oauth/token", f"GET {API}/v3/jobs/j"]
    root, post, get = wire.requests
    assert "authorization" not in root.headers
    assert wire.form() == {"grant_type": "password", "username": "admin", "password": PASSWORD}
    assert post.headers["authorization"] == basic("cf", "")
    assert post.headers["content-type"] == "application/x-www-form-urlencoded"
    assert post.headers["accept"] == "application/json"
    assert get.headers["authorization"] == "Bearer t0ken"


async def test_a_users_origin_is_uaas_login_hint() -> None:
    wire = Foundation()
    async with wire.jobs(UAAPassword("admin", PASSWORD, origin="ldap")) as jobs:
        await jobs.get("j")
    assert wire.form()["login_hint"] == '{"origin":"ldap"}'


async def test_a_client_signs_in_with_its_own_id_and_secret_form_encoded_in_basic() -> None:
    wire = Foundation(None, granted(refresh_token="not-in-this-grant"))
    async with wire.jobs(UAAClientCredentials("svc:1", SECRET)) as jobs:
        await jobs.get("j")
        await anyio.sleep(600)
        await jobs.get("j")
    assert [wire.form(0), wire.form(1)] == [{"grant_type": "client_credentials"}] * 2
    for post in wire.posts:
        assert post.headers["authorization"] == basic("svc%3A1", "s3cret+of+a+client")
        assert post.headers["x-cf-encoded-credentials"] == "true"


async def test_a_refresh_token_is_used_and_its_successor_is_reported() -> None:
    rotated: list[str] = []
    wire = Foundation(None, granted(refresh_token="r2"), granted(refresh_token="r3"))
    auth = UAARefreshToken(f" {REFRESH}\n", client_id="own", client_secret=SECRET, on_rotate=rotated.append)
    async with wire.jobs(auth) as jobs:
        await jobs.get("j")
        await anyio.sleep(600)
        await jobs.get("j")
    assert [wire.form(0)["refresh_token"], wire.form(1)["refresh_token"]] == [REFRESH, "r2"]
    assert wire.form() == {"grant_type": "refresh_token", "refresh_token": REFRESH}
    assert wire.posts[0].headers["authorization"] == basic("own", "s3cret+of+a+client")
    assert rotated == ["r2", "r3"]


async def test_after_a_password_the_refresh_token_is_used_and_the_password_where_it_is_refused() -> None:
    wire = Foundation(None, granted(refresh_token="r1"), granted(), refused("invalid_token"), granted())
    async with wire.jobs(UAAPassword("admin", PASSWORD)) as jobs:
        for _ in range(3):
            await jobs.get("j")
            await anyio.sleep(600)
    grants = [wire.form(number)["grant_type"] for number in range(4)]
    assert grants == ["password", "refresh_token", "refresh_token", "password"]


async def test_a_login_url_of_ones_own_is_used_without_asking() -> None:
    for given in ("https://uaa.example.org/uaa", "https://uaa.example.org/uaa/oauth/token/"):
        wire = Foundation()
        async with wire.jobs(UAAPassword("admin", PASSWORD, login_url=given)) as jobs:
            await jobs.get("j")
        assert wire.lines[0] == "POST https://uaa.example.org/uaa/oauth/token"
        assert (
            UAARefreshToken(REFRESH, login_url=given).token_url == "https://uaa.example.org/uaa/oauth/token"
        )
    assert UAARefreshToken(REFRESH).token_url is None


@pytest.mark.parametrize(
    "url", ["", "login.example.org", "ftp://x", "https://u:p4ss@x", "https://x?a=p4ss", "https://x#p4ss", 7]
)
def test_a_login_url_that_is_none_is_a_usage_error(url: Any) -> None:
    with pytest.raises(UsageError, match="login_url=") as caught:
        UAAPassword("admin", PASSWORD, login_url=url)
    assert "p4ss" not in str(caught.value)


def test_a_login_url_on_plain_http_is_warned_about_unless_it_is_this_machine() -> None:
    UAAClientCredentials("svc", SECRET, login_url="http://127.0.0.1:8080/uaa")
    for make in (
        lambda url: UAAPassword("admin", PASSWORD, login_url=url),
        lambda url: UAAClientCredentials("svc", SECRET, login_url=url),
        lambda url: UAARefreshToken(REFRESH, login_url=url),
    ):
        with pytest.warns(InsecureConnectionWarning, match="plain http") as caught:
            make("http://uaa.internal")
        assert caught[0].filename == __file__


NO_TEXT: Any = None
NO_FUNCTION: Any = "x"


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("user", lambda: UAAPassword("", PASSWORD)),
        ("password", lambda: UAAPassword("admin", "")),
        ("password", lambda: UAAPassword("admin", f"{PASSWORD}\n")),
        ("password", lambda: UAAPassword("admin", NO_TEXT)),
        ("origin", lambda: UAAPassword("admin", PASSWORD, origin="")),
        ("client_id", lambda: UAAPassword("admin", PASSWORD, client_id="")),
        ("on_rotate", lambda: UAAPassword("admin", PASSWORD, on_rotate=NO_FUNCTION)),
        ("client_secret", lambda: UAAClientCredentials("svc", NO_TEXT)),
        ("token", lambda: UAARefreshToken("")),
        ("token", lambda: UAARefreshToken(f"{REFRESH}\r\nX: 1")),
    ],
)
def test_what_cannot_be_sent_is_a_usage_error_that_names_and_does_not_quote_it(
    name: str, make: Callable[[], TokenAuth]
) -> None:
    with pytest.raises(UsageError, match=f"^{name}=") as caught:
        make()
    assert [secret for secret in (PASSWORD, SECRET, REFRESH) if secret in str(caught.value)] == []


def test_sign_ins_show_no_secret() -> None:
    auths = [
        UAAPassword("admin", PASSWORD, client_secret=SECRET),
        UAAClientCredentials("svc", SECRET),
        UAARefreshToken(REFRESH, client_secret=SECRET),
    ]
    assert [repr(auth) for auth in auths] == [
        "UAAPassword('admin', ****)",
        "UAAClientCredentials('svc', ****)",
        "UAARefreshToken(****)",
    ]


# --- discovery of the token endpoint


@pytest.mark.parametrize(
    ("links", "host"),
    [
        ({"login": {"href": LOGIN}, "uaa": {"href": "https://uaa.x"}}, LOGIN),
        ({"login": {"href": f"{LOGIN}/"}, "uaa": None}, LOGIN),
        ({"login": None, "uaa": {"href": "https://uaa.x/uaa"}}, "https://uaa.x/uaa"),
        ({"uaa": {"href": "HTTPS://UAA.x:443"}}, "https://uaa.x"),
        ({"login": {"href": None}, "uaa": {"href": "https://uaa.x"}}, "https://uaa.x"),
        ({"login": "https://odd.x", "uaa": {"href": "https://uaa.x"}}, "https://uaa.x"),
    ],
)
async def test_the_login_link_is_used_else_the_uaas(links: Links, host: str) -> None:
    wire = Foundation(links)
    async with wire.jobs(UAAPassword("admin", PASSWORD)) as jobs:
        await jobs.get("j")
    assert wire.lines[1] == f"POST {host}/oauth/token"


@pytest.mark.parametrize("links", [{"login": None, "uaa": None}, {}, {"login": None}, {"uaa": {"href": ""}}])
async def test_an_api_without_a_uaa_says_what_to_pass_instead(links: Links) -> None:
    wire = Foundation(links)
    async with wire.jobs(UAAPassword("admin", PASSWORD)) as jobs:
        with pytest.raises(AuthenticationError, match=r"no UAA.*Korifi.*Bearer\(token\).*cert=") as caught:
            await jobs.wait("j")
    assert (wire.lines, caught.value.transient) == ([f"GET {API}/"], False)


@pytest.mark.parametrize(
    "auth",
    [
        lambda: UAAPassword("admin", PASSWORD),
        lambda: UAAClientCredentials("svc", SECRET),
        lambda: UAARefreshToken(REFRESH),
    ],
)
@pytest.mark.parametrize("said", [True, "true", 1, {}])
async def test_no_credential_of_a_uaa_is_sent_to_a_korifi(auth: Callable[[], TokenAuth], said: Any) -> None:
    wire = Foundation({"login": {"href": API}, "uaa": None})  # Korifi names itself, as the cf command expects
    wire.root = lambda: httpx.Response(200, json={"links": wire.links, "cf_on_k8s": said})
    async with wire.jobs(auth()) as jobs:
        with pytest.raises(AuthenticationError, match=r"Korifi.*certificate or a bearer token") as caught:
            await jobs.wait("j")
    assert (wire.lines, caught.value.transient) == ([f"GET {API}/"], False)


@pytest.mark.parametrize("said", [False, None])
async def test_a_korifi_with_a_uaa_is_signed_in_to_like_any_other(said: Any) -> None:
    wire = Foundation()
    wire.root = lambda: httpx.Response(200, json={"links": wire.links, "cf_on_k8s": said})
    async with wire.jobs(UAAPassword("admin", PASSWORD)) as jobs:
        assert (await jobs.get("j")).succeeded
    assert wire.lines[1] == f"POST {LOGIN}/oauth/token"


TRUSTED = [
    (API, "https://another.example"),
    (API, "https://127.0.0.1:8443"),
    ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ("http://127.0.0.1:8080", "http://localhost:9090/uaa"),
    ("http://127.0.0.1:8080", "https://[::1]:9090"),
]
FOREIGN = [
    (API, "http://login.example.org", "http://login.example.org"),
    (API, "http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ("http://127.0.0.1:8080", "http://evil.example", "http://evil.example"),
    ("http://127.0.0.1:8080", "https://evil.example", "https://evil.example"),
    (API, "https://evil.example?next=https://login.example.org", "https://evil.example"),
    (API, "https://evil.example#@login.example.org", "https://evil.example"),
    (API, "https://evil.example/a b", "https://evil.example"),
    pytest.param(API, "https://evil.example/" + "a" * 200, "https://evil.example", id="too long"),
    (API, "https://user:pass@login.example.org", "not an http or https URL"),
    (API, "https://login.example.org\\@evil.example", "not an http or https URL"),
    (API, "//evil.example", "not an http or https URL"),
    (API, "/oauth", "not an http or https URL"),
    (API, "ftp://evil.example", "not an http or https URL"),
    (API, "https://[evil", "not an http or https URL"),
]


@pytest.mark.parametrize(("endpoint", "link"), TRUSTED)
async def test_a_login_server_that_the_endpoint_may_name_is_used(endpoint: str, link: str) -> None:
    wire = Foundation({"login": {"href": link}})
    async with wire.jobs(UAAPassword("admin", PASSWORD), endpoint) as jobs:
        await jobs.get("j")
    assert wire.lines[1] == f"POST {link}/oauth/token"


@pytest.mark.parametrize(("endpoint", "link", "named"), FOREIGN)
async def test_no_secret_goes_to_another_login_server(endpoint: str, link: str, named: str) -> None:
    wire = Foundation({"login": {"href": link}})
    async with wire.jobs(UAAPassword("admin", PASSWORD), endpoint) as jobs:
        with pytest.raises(AuthenticationError) as caught:
            await jobs.get("j")
    assert named in str(caught.value)
    assert len(str(caught.value)) < 300
    assert "login_url=" in str(caught.value) or "its path is not plain" in str(caught.value)
    assert wire.lines == [f"GET {endpoint}/"]


async def test_a_plain_http_endpoint_on_another_host_may_name_only_itself() -> None:
    for link, trusted in (("http://api.internal", True), ("http://127.0.0.1", False)):
        wire = Foundation({"login": {"href": link}})
        with pytest.warns(InsecureConnectionWarning):
            jobs = wire.jobs(UAAPassword("admin", PASSWORD), "http://api.internal")
        if trusted:
            await jobs.get("j")
        else:
            with pytest.raises(AuthenticationError, match="not trusted"):
                await jobs.get("j")
        assert len(wire.posts) == int(trusted)
        await jobs.aclose()


@pytest.mark.parametrize(
    ("status", "text"),
    [(503, "<html>"), (200, "<html>"), (200, "[]"), (200, '{"ok": true}'), (404, "no route"), (302, "")],
)
async def test_discovery_is_retried_after_a_transient_failure(status: int, text: str) -> None:
    wire = Foundation()
    good, redirect = wire.root, {"Location": "/login"}

    def root() -> httpx.Response:
        if len(wire.requests) < 3:
            return httpx.Response(status, text=text, headers=redirect)
        return good()

    wire.root = root
    async with wire.jobs(UAAPassword("admin", PASSWORD)) as jobs:
        assert (await jobs.get("j")).succeeded
    assert {request.url.host for request in wire.requests} == {"api.example.org", "login.example.org"}
    assert wire.lines.count(f"GET {API}/") == 3


async def test_discovery_happens_once_and_again_after_a_failed_sign_in() -> None:
    away = httpx.Response(503, text="<html>")
    wire = Foundation(None, granted(), granted(), away, away, away, away, granted())
    async with wire.jobs(UAAPassword("admin", PASSWORD)) as jobs:
        for _ in range(2):
            await jobs.get("j")
            await anyio.sleep(600)
        assert wire.lines.count(f"GET {API}/") == 1
        with pytest.raises(ServerError):
            await jobs.get("j")
        wire.links = {"login": {"href": "https://moved.example.org"}}
        await jobs.get("j")
    assert wire.lines[-2:] == ["POST https://moved.example.org/oauth/token", f"GET {API}/v3/jobs/j"]
    assert wire.lines.count(f"GET {API}/") == 2


async def test_one_sign_in_gives_no_foundation_the_token_of_another() -> None:
    wire = Foundation()
    auth = UAAPassword("admin", PASSWORD)
    async with wire.jobs(auth) as first, wire.jobs(auth, "https://api.other.example") as second:
        await first.get("j")
        for _ in range(2):
            with pytest.raises(UsageError, match=r"api\.other\.example"):
                await second.get("j")
            await anyio.sleep(600)  # once the token has expired, too
    assert len(wire.posts) == 1
    assert {request.url.host for request in wire.requests} == {"api.example.org", "login.example.org"}


async def test_two_foundations_that_begin_together_do_not_share_a_token() -> None:
    wire = Foundation()
    auth = UAAPassword("admin", PASSWORD)
    ends: list[object] = []

    async def run(jobs: CFJobs) -> None:
        try:
            ends.append((await jobs.get("j")).succeeded)
        except UsageError as error:
            ends.append(type(error))

    async with (
        wire.jobs(auth) as first,
        wire.jobs(auth, "https://api.other.example") as second,
        anyio.create_task_group() as group,
    ):
        group.start_soon(run, first)
        group.start_soon(run, second)
    assert sorted(map(str, ends)) == sorted(map(str, [True, UsageError]))
    assert len({request.url.host for request in wire.requests if "/v3/" in str(request.url)}) == 1


async def test_with_a_login_url_one_sign_in_serves_two_names() -> None:
    wire = Foundation()
    auth = UAAPassword("admin", PASSWORD, login_url=LOGIN)
    async with wire.jobs(auth) as first, wire.jobs(auth, "https://api.other.example") as second:
        await first.get("j")
        await second.get("j")
    assert len(wire.posts) == 1


# --- the responses of UAA


@pytest.mark.parametrize(
    ("auth", "hint"),
    [
        (lambda: UAAPassword("admin", PASSWORD), "check the user name and the password"),
        (lambda: UAAClientCredentials("svc", SECRET), "check the client id and its secret"),
        (lambda: UAARefreshToken(REFRESH), "sign in again for a new one"),
    ],
    ids=["password", "client", "refresh token"],
)
@pytest.mark.parametrize(
    "refusal",
    [
        refused("unauthorized", description=f"Bad credentials {PASSWORD} {SECRET} {REFRESH}"),
        refused("invalid_client", description=f"Bad credentials {basic('svc', SECRET)}"),
        refused("invalid_token", description=f"Invalid refresh token: {REFRESH}"),
        refused("invalid_grant", 400),
    ],
)
async def test_a_refusal_has_uaas_message_and_a_hint(
    auth: Callable[[], TokenAuth], hint: str, refusal: httpx.Response
) -> None:
    wire = Foundation(None, refusal)
    async with wire.jobs(auth()) as jobs:
        with pytest.raises(AuthenticationError) as caught:
            await jobs.wait("j")
    text = str(caught.value)
    assert hint in text
    assert text.startswith(f"signing in at {LOGIN}/oauth/token answered {refusal.status_code} ")
    assert caught.value.status == refusal.status_code
    assert caught.value.code == json.loads(refusal.content)["error"]
    secrets = {"UAAPassword": PASSWORD, "UAAClientCredentials": SECRET, "UAARefreshToken": REFRESH}
    assert secrets[type(auth()).__name__] not in text + repr(vars(caught.value))
    assert len(wire.posts) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_of_a_sign_in_is_not_followed_and_ends_a_wait(status: int) -> None:
    wire = Foundation(None, httpx.Response(status, headers={"Location": "https://evil.example/token?t=1"}))
    async with wire.jobs(UAAPassword("admin", PASSWORD)) as jobs:
        with pytest.raises(SourceError, match=rf"{status} .* to https://evil\.example, ") as caught:
            await jobs.wait("j")
    assert {request.url.host for request in wire.requests} == {"api.example.org", "login.example.org"}
    assert len(wire.posts) == 1
    assert "t=1" not in str(caught.value)


async def test_a_redirect_of_the_discovery_ends_a_wait() -> None:
    wire = Foundation()
    wire.root = lambda: httpx.Response(301, headers={"Location": "http://api.example.org/"})
    async with wire.jobs(UAAPassword("admin", PASSWORD)) as jobs:
        with pytest.raises(SourceError, match=r"301 .* to http://api\.example\.org, "):
            await jobs.wait("j")
    assert wire.lines == [f"GET {API}/"]


def unknown_host() -> httpx.ConnectError:
    error = httpx.ConnectError("[Errno -2] Name or service not known")
    error.__cause__ = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return error


async def test_a_login_server_that_does_not_exist_ends_a_wait_though_the_api_was_reached() -> None:
    wire = Foundation(None, unknown_host())
    async with wire.jobs(UAAPassword("admin", PASSWORD)) as jobs:
        with pytest.raises(TransportError, match=r"signing in at .* check the spelling"):
            await jobs.wait("j")
    assert len(wire.posts) == 1


async def test_a_sign_in_is_a_good_reply_after_which_such_trouble_passes() -> None:
    wire = Foundation()
    wire.failures = [unknown_host() for _ in range(5)]
    async with wire.jobs(UAAPassword("admin", PASSWORD)) as jobs:
        assert (await jobs.wait("j")).succeeded
    assert wire.failures == []


async def test_of_two_sources_with_one_sign_in_each_counts_its_own_good_replies() -> None:
    wire = Foundation(None, granted(), *[unknown_host()] * 100)
    auth = UAAPassword("admin", PASSWORD, login_url=LOGIN)
    async with wire.jobs(auth) as first, wire.jobs(auth) as second:
        await first.get("j")
        await anyio.sleep(600)  # the token has expired
        with pytest.raises(TransportError, match="check the spelling"):
            await second.wait("j", timeout=100)
        with pytest.raises(WaitTimeout):
            await first.wait("j", timeout=100)


async def test_a_wait_goes_on_while_uaa_is_away() -> None:
    wire = Foundation(None, *[httpx.Response(503, text="<html>")] * 9, httpx.ConnectError("no"), granted())
    async with wire.jobs(UAAPassword("admin", PASSWORD)) as jobs:
        assert (await jobs.wait("j", timeout=300)).succeeded


async def test_an_uaa_that_cannot_be_reached_is_a_transport_error_without_a_secret() -> None:
    wire = Foundation(None, httpx.ConnectError(f"no way to {PASSWORD}"))
    async with wire.jobs(UAAPassword("admin", PASSWORD)) as jobs:
        with pytest.raises(TransportError, match="signing in at") as caught:
            await jobs.get("j")
    assert PASSWORD not in str(caught.value)


# --- the simulator


async def test_every_way_to_sign_in_works_with_the_simulator() -> None:
    simulator = CFSimulator(
        users={"admin": PASSWORD}, clients={"cf": "", "svc": SECRET}, strict=True, rotate=True
    )
    guid = simulator.add_job([("COMPLETE", None)])
    rotated: list[str] = []
    password = UAAPassword("admin", PASSWORD, on_rotate=rotated.append)
    options: dict[str, Any] = {"transport": simulator.transport()}
    async with CFJobs(API, auth=password, **options) as jobs:
        assert (await jobs.get(guid)).succeeded
    async with CFJobs(API, auth=UAARefreshToken(rotated[0]), **options) as jobs:
        assert (await jobs.get(guid)).succeeded
    async with CFJobs(API, auth=UAARefreshToken(rotated[0]), **options) as jobs:
        with pytest.raises(AuthenticationError, match="sign in again"):
            await jobs.get(guid)
    async with CFJobs(API, auth=UAAClientCredentials("svc", SECRET), **options) as jobs:
        assert (await jobs.get(guid)).succeeded
    wrong: list[TokenAuth] = [
        UAAPassword("admin", "guess"),
        UAAPassword("nobody", PASSWORD),
        UAAClientCredentials("svc", "guess"),
    ]
    for auth in wrong:
        async with CFJobs(API, auth=auth, **options) as jobs:
            with pytest.raises(AuthenticationError):
                await jobs.get(guid)


async def test_a_token_that_the_server_revokes_is_renewed_once() -> None:
    simulator = CFSimulator(users={"admin": PASSWORD}, strict=True)
    guid = simulator.add_job([("COMPLETE", None)])
    async with CFJobs(API, auth=UAAPassword("admin", PASSWORD), transport=simulator.transport()) as jobs:
        await jobs.get(guid)
        simulator.tokens.revoke()
        assert (await jobs.get(guid)).succeeded
    assert [request.status for request in simulator.journal] == [200, 200, 200, 401, 200, 200]


async def test_a_korifi_takes_a_bearer_token_or_a_client_certificate_and_no_password(
    ca: str, key: str
) -> None:
    simulator = CFSimulator(korifi=True)
    guid = simulator.add_job([("COMPLETE", None)])
    transport = simulator.transport()
    async with CFJobs(API, auth=Bearer("k8s-token"), transport=transport) as jobs:
        assert (await jobs.get(guid)).succeeded
    async with CFJobs(API, auth=UAAPassword("admin", PASSWORD), transport=transport) as jobs:
        with pytest.raises(AuthenticationError, match="Korifi"):
            await jobs.get(guid)
    async with CFJobs(API, cert=(ca, key)) as jobs:
        assert jobs.endpoint == API
