"""Going on with the cf command's login: what is read, what is refused, and what is written back."""

from __future__ import annotations

import base64
import json
import logging
import time
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from cfjobs import AuthenticationError, CFJobs, InsecureConnectionWarning, UsageError
from cfjobs.auth.cf_cli import seconds_left
from cfjobs.simulator import CFSimulator
from common.simulator.clock import Clock
from tests.cfjobs.foundation import LOGIN, Foundation, basic, granted, refused

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

TARGET = "https://api.example.org"
ACCESS, REFRESH, SECRET = "0paque-access-token", "refresh-token-of-cf", "s3cret-of-the-client"


def jwt(name: str, *, left: float) -> str:
    """An access token as UAA makes them, with so many seconds left."""
    parts = [{"alg": "none"}, {"user_name": name, "exp": int(time.time() + left)}]
    coded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*coded, "c2lnbmF0dXJl"])


class Login:
    """A ``config.json`` as cf 8 writes it, in a folder of the test's own."""

    def __init__(self, home: Path, **changes: Any) -> None:
        self.home = home
        self.path = home / ".cf" / "config.json"
        self.path.parent.mkdir(exist_ok=True)
        self.write(**changes)

    def write(self, **changes: Any) -> None:
        data = {
            "AccessToken": f"bearer {ACCESS}",
            "AsyncTimeout": 0,
            "AuthorizationEndpoint": LOGIN,
            "ColorEnabled": "",
            "ConfigVersion": 4,
            "OrganizationFields": {"GUID": "1", "Name": "Örg <1>"},
            "RefreshToken": REFRESH,
            "SSLDisabled": False,
            "Target": TARGET,
            "UAAGrantType": "",
            "UAAOAuthClient": "cf",
            "UAAOAuthClientSecret": "",
            "UaaEndpoint": "https://uaa.example.org",
            **changes,
        }
        kept = {name: value for name, value in data.items() if value is not None}
        self.path.write_text(json.dumps(kept, indent=2))
        self.path.chmod(0o600)

    @property
    def data(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.path.read_text())
        return found

    def jobs(self, wire: httpx.AsyncBaseTransport | None = None, **options: Any) -> CFJobs:
        return CFJobs.from_cf_config(self.path, transport=wire or Foundation(), **options)


@pytest.fixture
def login(tmp_path: Path) -> Login:
    return Login(tmp_path)


# --- logins by an assertion, as cf 9 writes them


async def test_a_users_login_by_an_assertion_is_renewed_by_its_refresh_token(login: Login) -> None:
    grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    login.write(UAAGrantType=grant, UAAOAuthClient="svc", AccessToken=f"bearer {jwt('u', left=1)}")
    wire = Foundation()
    async with login.jobs(wire) as jobs:
        assert (await jobs.get("j")).succeeded
    assert wire.form() == {"grant_type": "refresh_token", "refresh_token": REFRESH}
    assert wire.posts[0].headers["authorization"] == basic("svc", "")


async def test_a_clients_login_by_an_assertion_is_good_until_it_expires_and_nothing_is_sent_then(
    login: Login,
) -> None:
    by_assertion = {"UAAGrantType": "client_credentials", "UAAOAuthClient": "svc", "RefreshToken": ""}
    login.write(**by_assertion, AccessToken=f"bearer {jwt('svc', left=50)}")
    wire = Foundation()
    async with login.jobs(wire) as jobs:
        assert (await jobs.get("j")).succeeded
    login.write(**by_assertion, AccessToken=f"bearer {jwt('svc', left=-1)}")
    async with login.jobs(wire) as jobs:
        with pytest.raises(AuthenticationError, match="has expired and has no client secret: log in again"):
            await jobs.get("j")
    assert wire.posts == []


# --- finding and reading it


def test_the_file_is_that_of_the_cf_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, other = tmp_path / "home", tmp_path / "other"
    home.mkdir()
    other.mkdir()
    monkeypatch.delenv("CF_HOME", raising=False)
    monkeypatch.setattr(Path, "home", lambda: home)
    Login(home, Target="https://api.home")
    Login(other, Target="https://api.other")
    assert CFJobs.from_cf_config().endpoint == "https://api.home"
    monkeypatch.setenv("CF_HOME", str(other))
    assert CFJobs.from_cf_config().endpoint == "https://api.other"
    for path in (home, home / ".cf", home / ".cf" / "config.json", str(home)):
        assert CFJobs.from_cf_config(path).endpoint == "https://api.home"


async def test_the_token_in_the_file_is_sent_without_a_sign_in(login: Login) -> None:
    wire = Foundation()
    async with login.jobs(wire) as jobs:
        assert (await jobs.get("j")).succeeded
    assert wire.lines == [f"GET {TARGET}/v3/jobs/j"]
    assert wire.requests[0].headers["authorization"] == f"Bearer {ACCESS}"


@pytest.mark.parametrize("left", [-100, 0, 59])
async def test_a_token_that_has_expired_or_is_about_to_is_not_sent(login: Login, left: float) -> None:
    login.write(AccessToken=f"bearer {jwt('old', left=left)}")
    wire = Foundation()
    async with login.jobs(wire) as jobs:
        await jobs.get("j")
    assert wire.lines == [f"POST {LOGIN}/oauth/token", f"GET {TARGET}/v3/jobs/j"]
    assert wire.form() == {"grant_type": "refresh_token", "refresh_token": REFRESH}
    assert wire.posts[0].headers["authorization"] == basic("cf", "")


async def test_a_token_is_renewed_a_minute_before_its_own_exp(login: Login) -> None:
    login.write(AccessToken=f"bearer {jwt('young', left=600)}")
    wire = Foundation()
    async with login.jobs(wire) as jobs:
        await jobs.get("j")
        await anyio.sleep(500)
        await jobs.get("j")
        assert wire.posts == []
        await anyio.sleep(60)
        await jobs.get("j")
    assert len(wire.posts) == 1


async def test_a_login_of_a_client_signs_in_again_with_its_secret(login: Login) -> None:
    login.write(
        AccessToken=f"bearer {jwt('svc', left=-1)}",
        RefreshToken="",
        UAAGrantType="client_credentials",
        UAAOAuthClient="svc",
        UAAOAuthClientSecret=SECRET,
    )
    wire = Foundation()
    async with login.jobs(wire) as jobs:
        await jobs.get("j")
    assert wire.form() == {"grant_type": "client_credentials"}
    assert wire.posts[0].headers["authorization"] == basic("svc", SECRET)


async def test_the_clients_name_is_cf_unless_the_file_says_otherwise(login: Login) -> None:
    login.write(AccessToken="", UAAOAuthClient=None, UAAOAuthClientSecret=None, UAAGrantType=None)
    wire = Foundation()
    async with login.jobs(wire) as jobs:
        await jobs.get("j")
    assert wire.posts[0].headers["authorization"] == basic("cf", "")


async def test_the_uaas_endpoint_stands_in_for_the_login_servers_and_discovery_for_both(login: Login) -> None:
    for changes, host in (
        ({"AuthorizationEndpoint": ""}, "https://uaa.example.org"),
        ({"AuthorizationEndpoint": None, "UaaEndpoint": None}, LOGIN),
    ):
        login.write(AccessToken="", **changes)
        wire = Foundation()
        async with login.jobs(wire) as jobs:
            await jobs.get("j")
        assert f"POST {host}/oauth/token" in wire.lines


async def test_a_login_that_can_no_longer_be_renewed_says_so(login: Login) -> None:
    login.write(AccessToken=f"bearer {jwt('old', left=-1)}", RefreshToken="")
    wire = Foundation()
    async with login.jobs(wire) as jobs:
        with pytest.raises(AuthenticationError, match="cf login"):
            await jobs.get("j")
    assert wire.requests == []
    login.write(AccessToken="")
    async with login.jobs(Foundation(None, refused("invalid_token", description=REFRESH))) as jobs:
        with pytest.raises(AuthenticationError, match="cf login") as caught:
            await jobs.get("j")
    assert REFRESH not in str(caught.value)


def test_skipped_tls_checks_are_skipped_here_too_with_the_usual_warning(login: Login) -> None:
    login.write(SSLDisabled=True)
    with pytest.warns(InsecureConnectionWarning, match="verify=False") as caught:
        jobs = CFJobs.from_cf_config(login.path)
    assert len(caught) == 1
    assert jobs._client._options.verify is False
    assert CFJobs.from_cf_config(login.path, verify=True)._client._options.verify is True
    assert login.jobs()._client._options.verify is True  # the transport's own matter


def test_options_are_those_of_every_source(login: Login) -> None:
    jobs = login.jobs(concurrency=3, aliases=["api.internal"])
    assert (jobs._throttle.max_in_flight, jobs.resolver.aliases) == (3, frozenset({"https://api.internal"}))
    with pytest.raises(UsageError, match="unknown keyword"):
        login.jobs(verfy=False)


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "no target": ({"Target": ""}, "cf api"),
    "a target that is none": ({"Target": f"https://user:{SECRET}@api"}, "cf api"),
    "logged out": ({"AccessToken": "", "RefreshToken": ""}, "cf login"),
    "an old version": ({"ConfigVersion": 2}, "version"),
    "a future version": ({"ConfigVersion": 99}, "version"),
    "no version": ({"ConfigVersion": "four"}, "version"),
    "a broken token": ({"AccessToken": f"bearer {SECRET}\nx"}, "cf login"),
    "a korifi, and tokens of an older login": ({"CFOnK8s": {"Enabled": True}}, "cert="),
    "a korifi": ({"AccessToken": "", "RefreshToken": "", "CFOnK8s": {"Enabled": True}}, "Korifi"),
    "plain http": ({"AuthorizationEndpoint": "http://login.example.org"}, "http://login.example.org"),
    "a login with a password": ({"AuthorizationEndpoint": f"https://u:{SECRET}@x"}, "user name"),
}


@pytest.mark.parametrize(("changes", "words"), BROKEN.values(), ids=BROKEN)
def test_what_is_wrong_with_a_file_is_one_clear_error(
    login: Login, changes: dict[str, Any], words: str
) -> None:
    login.write(**changes)
    with pytest.raises(UsageError) as caught:
        login.jobs()
    text = str(caught.value)
    assert str(login.path) in text
    assert words in text
    assert [secret for secret in (ACCESS, REFRESH, SECRET) if secret in text] == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "JSON"),
        (f'{{"AccessToken": "{ACCESS}'.encode(), "JSON"),
        (b"[1]", "JSON"),
        (b"\xff\xfe\x00", "JSON"),
    ],
)
def test_a_file_of_something_else_is_one_clear_error(login: Login, content: bytes, words: str) -> None:
    login.path.write_bytes(content)
    with pytest.raises(UsageError, match=words) as caught:
        login.jobs()
    assert ACCESS not in str(caught.value)
    assert caught.value.__cause__ is None


def test_no_file_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cf login"):
        CFJobs.from_cf_config(tmp_path)
    for no_file in ("a" * 300, tmp_path / ("a" * 300), "a/" * 3000):
        with pytest.raises(UsageError, match="too long"):
            CFJobs.from_cf_config(no_file)
    no_path: Any = 7
    with pytest.raises(UsageError, match="path="):
        CFJobs.from_cf_config(no_path)


@pytest.mark.parametrize(
    "token", ["opaque", "a.b", "a.b.c", "a.e30.c", "a.bnVsbA.c", "a.eyJleHAiOiAieCJ9.c", "ä.ö.ü", "...", ""]
)
def test_a_token_without_an_exp_has_an_unknown_life(token: str) -> None:
    assert seconds_left(token) is None


# --- the command goes on meanwhile


async def test_what_the_command_renewed_meanwhile_is_used_in_place_of_a_refresh(login: Login) -> None:
    login.write(AccessToken=f"bearer {jwt('first', left=600)}")
    wire = Foundation()
    async with login.jobs(wire) as jobs:
        await jobs.get("j")
        on_token = jwt("second", left=3600)
        login.write(AccessToken=f"bearer {on_token}")
        await anyio.sleep(560)
        await jobs.get("j")
    assert wire.posts == []
    assert wire.requests[-1].headers["authorization"] == f"Bearer {on_token}"


async def test_a_refresh_token_that_the_command_got_meanwhile_is_the_one_to_spend(login: Login) -> None:
    wire = Foundation()
    async with login.jobs(wire) as jobs:
        login.write(AccessToken=f"bearer {jwt('old', left=-1)}", RefreshToken="newer-refresh")
        await jobs.get("j")
    assert wire.form()["refresh_token"] == "newer-refresh"


@pytest.mark.parametrize(
    "changes",
    [
        {"Target": "https://api.other.example", "AccessToken": "bearer other", "RefreshToken": "other"},
        {"UAAOAuthClient": "other", "AccessToken": "bearer other", "RefreshToken": "other"},
        {"AccessToken": "", "RefreshToken": ""},
        {"ConfigVersion": 99},
    ],
    ids=["another foundation", "another client", "logged out", "unreadable"],
)
async def test_another_login_in_the_file_is_not_sent_here(login: Login, changes: dict[str, Any]) -> None:
    wire = Foundation()
    async with login.jobs(wire, write=True) as jobs:
        await jobs.get("j")
        login.write(**changes)
        there = login.path.read_bytes()
        signer = jobs._client._signer
        assert signer is not None
        await signer.refresh({"Authorization": f"Bearer {ACCESS}"})
    assert wire.form()["refresh_token"] == REFRESH
    assert login.path.read_bytes() == there


async def test_a_login_after_a_refusal_is_taken_at_once(login: Login) -> None:
    login.write(AccessToken="")
    wire = Foundation(None, refused("invalid_token"))
    async with login.jobs(wire) as jobs:
        with pytest.raises(AuthenticationError):
            await jobs.get("j")
        login.write(RefreshToken="new-login")
        assert (await jobs.get("j")).succeeded
    assert len(wire.posts) == 1


# --- writing it back


async def test_nothing_is_written_unless_it_is_asked_for(login: Login) -> None:
    login.write(AccessToken="")
    before, folder = login.path.read_bytes(), sorted(login.path.parent.iterdir())
    async with login.jobs(Foundation(None, granted(refresh_token="rotated"))) as jobs:
        await jobs.get("j")
        await anyio.sleep(600)
        await jobs.get("j")
    assert login.path.read_bytes() == before
    assert sorted(login.path.parent.iterdir()) == folder


async def test_renewed_tokens_are_written_back_and_all_else_stays(login: Login) -> None:
    login.write(AccessToken="", Extra={"of": ["another", "version"]})
    login.path.chmod(0o640)
    before = login.data
    wire = Foundation(None, granted("a1", refresh_token="r1"), granted("a2", refresh_token="r2"))
    async with login.jobs(wire, write=True) as jobs:
        await jobs.get("j")
        assert login.data == {**before, "AccessToken": "bearer a1", "RefreshToken": "r1"}
        await anyio.sleep(600)
        await jobs.get("j")
    assert login.data == {**before, "AccessToken": "bearer a2", "RefreshToken": "r2"}
    assert list(login.data) == list(before)
    assert login.path.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in login.path.parent.iterdir()] == ["config.json"]


async def test_a_link_to_the_file_stays_a_link(login: Login, tmp_path: Path) -> None:
    login.write(AccessToken="")
    link = tmp_path / "link.json"
    link.symlink_to(login.path)
    async with CFJobs.from_cf_config(link, write=True, transport=Foundation(None, granted("a1"))) as jobs:
        await jobs.get("j")
    assert link.is_symlink()
    assert login.data["AccessToken"] == "bearer a1"
    assert login.data["RefreshToken"] == REFRESH


async def test_a_login_made_during_a_refresh_is_not_overwritten_and_is_gone_on_with(
    login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    login.write(AccessToken="")
    wire = Foundation(None, granted("ours", refresh_token="ours"), granted("theirs"))
    inner = wire.handle_async_request
    done: list[str] = []

    async def meanwhile(request: httpx.Request) -> httpx.Response:
        if request.method == "POST" and not done:
            done.append("cf login")
            login.write(AccessToken=f"bearer {jwt('them', left=-1)}", RefreshToken="theirs", Marker=1)
        return await inner(request)

    monkeypatch.setattr(wire, "handle_async_request", meanwhile)
    async with login.jobs(wire, write=True) as jobs:
        await jobs.get("j")
        assert (login.data["RefreshToken"], login.data["Marker"]) == ("theirs", 1)
        await anyio.sleep(600)
        await jobs.get("j")
    assert wire.form(1)["refresh_token"] == "theirs"
    assert login.data["AccessToken"] == "bearer theirs"


async def test_a_file_that_cannot_be_written_is_logged_without_a_secret(
    login: Login, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    login.write(AccessToken="")
    before = login.path.read_bytes()
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr("os.fsync", full)
    async with login.jobs(Foundation(None, granted("a1", refresh_token="r1-new")), write=True) as jobs:
        assert (await jobs.get("j")).succeeded
    assert "No space left" in caplog.text
    assert [secret for secret in ("r1-new", REFRESH) if secret in caplog.text] == []
    assert login.path.read_bytes() == before
    assert [path.name for path in login.path.parent.iterdir()] == ["config.json"]


async def test_a_login_shows_no_secret(login: Login) -> None:
    jobs = login.jobs()
    await jobs.get("j")
    shown = f"{jobs!r} {jobs._client._auth!r} {jobs._client._signer!r}"
    assert str(login.path) in shown
    assert [secret for secret in (ACCESS, REFRESH) if secret in shown] == []


@pytest.mark.slow
async def test_two_programs_that_share_a_file_spend_each_refresh_token_once(login: Login) -> None:
    simulator = CFSimulator(clients={"cf": ""}, rotate=True, strict=True, token_lifetime=600, clock=Clock())
    async with httpx.AsyncClient(transport=simulator.transport(), base_url=TARGET) as http:
        form = {"grant_type": "password", "username": "u", "password": "p"}
        first = (await http.post("/oauth/token", data=form, auth=("cf", ""))).json()
    login.write(
        AccessToken=f"bearer {jwt('old', left=-1)}",
        RefreshToken=first["refresh_token"],
        AuthorizationEndpoint=TARGET,
    )
    guid = simulator.add_job([("PROCESSING", 7200), ("COMPLETE", None)])
    async with (
        login.jobs(simulator.transport(), write=True) as one,
        login.jobs(simulator.transport(), write=True) as other,
        anyio.create_task_group() as group,
    ):
        group.start_soon(one.wait, guid)
        await anyio.sleep(100)
        group.start_soon(other.wait, guid)
    assert {request.status for request in simulator.journal} <= {200, 401}
    refused_ones = [
        request for request in simulator.journal if request.method == "POST" and request.status != 200
    ]
    assert refused_ones == []
