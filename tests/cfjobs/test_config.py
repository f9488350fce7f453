"""Cloud Foundry's keys, and the login that the cf command keeps."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cfjobs import CFJobs
from common import UsageError, WrongSource, connect
from tests.profiles import PASSWORD, TOKEN, UserEnv, auth_in, auth_of, words

API = "https://api.example.org"
GUID = "space.delete~cf-space-1"


def log_in(user_env: UserEnv, folder: str, target: str = API, **more: Any) -> str:
    """The cf command's login in a folder; gives the folder."""
    home = user_env.folder / folder
    (home / ".cf").mkdir(parents=True)
    config = {
        "ConfigVersion": 4,
        "Target": target,
        "AccessToken": f"bearer {TOKEN}",
        "RefreshToken": PASSWORD,
        "UAAOAuthClient": "cf",
        "UaaEndpoint": target.replace("api", "uaa"),
        "AuthorizationEndpoint": target.replace("api", "login"),
        **more,
    }
    (home / ".cf/config.json").write_text(json.dumps(config))
    return str(home)


def test_a_token(user_env: UserEnv) -> None:
    user_env.profile('endpoint = "cf://api.example.org"\ntoken = { env = "SECRET" }')
    source = connect(f"cf://api.example.org/{GUID}")
    assert isinstance(source, CFJobs)
    assert auth_of(source) == "Bearer(****)"


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        ('user = "jobs"\npassword = { env = "SECRET" }', "UAAPassword"),
        ('user = "jobs"\npassword = { env = "SECRET" }\norigin = "ldap"', "UAAPassword"),
        ('client_id = "jobs"\nclient_secret = { env = "SECRET" }', "UAAClientCredentials"),
        ('refresh_token = { env = "SECRET" }', "UAARefreshToken"),
        ('assertion = { env = "SECRET" }', "UAAAssertion"),
        (
            'assertion = { env = "SECRET" }\nclient_id = "jobs"\nclient_secret = { env = "SECRET" }',
            "UAAAssertion",
        ),
        ('client_id = "jobs"\nclient_assertion = { env = "SECRET" }', "UAAAssertion"),
        ('passcode = { env = "SECRET" }', "UAAPasscode"),
        (
            'refresh_token = { env = "SECRET" }\nclient_id = "jobs"\nclient_secret = { env = "SECRET" }',
            "UAARefreshToken",
        ),
    ],
)
def test_each_auth_method_of_uaa(keys: str, name: str, user_env: UserEnv) -> None:
    user_env.profile(f'endpoint = "cf://api.example.org"\n{keys}')
    auth = auth_in(connect(profile="prod"))
    assert type(auth).__name__ == name
    assert PASSWORD in auth.credential_secrets() or PASSWORD in auth.secrets()
    assert PASSWORD not in repr(auth)
    user_env.profile(f'endpoint = "cf://api.example.org"\nlogin_url = "https://uaa.example.org"\n{keys}')
    assert auth_in(connect(profile="prod"))._configured_url == "https://uaa.example.org/oauth/token"


@pytest.mark.parametrize("by", ["CF_HOME", "the home folder", "cf_home"])
def test_the_cf_commands_login(by: str, user_env: UserEnv) -> None:
    home = log_in(user_env, "home" if by == "the home folder" else "other")
    options: dict[str, Any] = {"cf_home": home} if by == "cf_home" else {}
    if by == "CF_HOME":
        user_env.set(CF_HOME=home)
    for target in (f"cf://api.example.org/{GUID}", "cf://api.example.org", "cf://"):
        source = connect(target, **options)
        assert isinstance(source, CFJobs)
        assert source.endpoint == API
        assert "CfCliLogin" in type(auth_in(source)).__name__


def test_a_profile_may_name_the_folder_of_a_login(user_env: UserEnv) -> None:
    log_in(user_env, "elsewhere")
    user_env.profile('provider = "cf"\ncf_home = "elsewhere"\nconcurrency = 2')
    source = connect(profile="prod")
    assert (source.endpoint, source._throttle.max_in_flight) == (API, 2)
    assert connect(f"cf://api.example.org/{GUID}", profile="prod").endpoint == API
    with pytest.raises(
        WrongSource, match=r"this job is of https://evil, but the source is for https://api\.example\.org"
    ):
        connect(f"cf://evil/{GUID}", profile="prod")
    user_env.profile('endpoint = "cf://evil"\ncf_home = "elsewhere"')
    with pytest.raises(
        UsageError, match=r"the cf command is logged in to https://api\.example\.org: run cf login"
    ):
        connect(profile="prod")
    user_env.profile('endpoint = "cf://cf"\naliases = ["api.example.org"]\ncf_home = "elsewhere"')
    assert connect(f"cf://cf/{GUID}").endpoint == API


def test_the_cf_commands_login_goes_to_its_own_target_alone(user_env: UserEnv) -> None:
    user_env.set(CF_HOME=log_in(user_env, "other"))
    for target in (f"cf://evil/{GUID}", "cf://evil", "cf+http://api.example.org"):
        with pytest.raises(UsageError, match="the cf command is logged in to https://api") as caught:
            connect(target)
        assert TOKEN not in words(caught.value)
    # The caller says that both are one: it is still the login's own target that is talked to.
    assert connect(f"cf://evil/{GUID}", aliases=["api.example.org"]).endpoint == API


def test_keys_beat_the_cf_commands_login(user_env: UserEnv) -> None:
    user_env.set(CF_HOME=log_in(user_env, "other"))
    assert auth_of(connect("cf://api.example.org", token=TOKEN)) == "Bearer(****)"
    user_env.profile('endpoint = "cf://api.example.org"\ntoken = { env = "SECRET" }')
    assert auth_of(connect("cf://api.example.org")) == "Bearer(****)"
    user_env.profile('endpoint = "cf://api.example.org"\ntoken = { env = "SECRET" }\ncf_home = "other"')
    with pytest.raises(UsageError, match="token and cf_home are 2 ways to sign in"):
        connect("cf://api.example.org")


def test_user_and_password_of_the_environment_go_before_the_cf_commands_tokens(user_env: UserEnv) -> None:
    home = log_in(user_env, "other")
    user_env.set(CF_HOME=home, CF_USERNAME="ci", CF_PASSWORD=PASSWORD)
    for source in (connect("cf://api.example.org"), connect("cf://"), CFJobs.from_cf_config()):
        auth = auth_in(source)
        assert repr(auth) == "UAAPassword('ci', ****)"
        assert auth._configured_url == "https://login.example.org/oauth/token"
    # The file's foundation alone gets the password, and a file that was named is the login that was meant.
    with pytest.raises(UsageError, match="the cf command is logged in to https://api"):
        connect("cf://evil")
    for source in (connect("cf://api.example.org", cf_home=home), CFJobs.from_cf_config(home)):
        assert "CfCliLogin" in type(auth_in(source)).__name__
    assert auth_of(connect("cf://api.example.org", token=TOKEN)) == "Bearer(****)"


def test_user_and_password_of_the_environment_need_no_tokens_in_the_file(user_env: UserEnv) -> None:
    user_env.set(CF_HOME=log_in(user_env, "other", AccessToken="", RefreshToken=""), CF_USERNAME="ci")
    with pytest.raises(UsageError, match="cf login"):
        connect("cf://api.example.org")
    user_env.set(CF_PASSWORD=PASSWORD)
    assert repr(auth_in(connect("cf://api.example.org"))) == "UAAPassword('ci', ****)"


@pytest.mark.anyio
async def test_an_assertion_in_a_file_is_read_again_when_the_file_is_replaced(user_env: UserEnv) -> None:
    (user_env.folder / "jwt").write_text("first\n")
    user_env.profile(f'endpoint = "cf://api.example.org"\nassertion = {{ file = "{user_env.folder}/jwt" }}')
    auth = auth_in(connect(profile="prod"))
    assert await auth._current() == "first"
    (user_env.folder / "jwt").write_text("second, and longer\n")
    assert await auth._current() == "second, and longer"


def test_without_any_login_all_auth_methods_are_named(user_env: UserEnv) -> None:
    user_env.set(CF_HOME=str(user_env.folder / "none"))
    with pytest.raises(
        UsageError, match=r"pass auth=, or name a profile with token, or user and password, or"
    ):
        connect("cf://api.example.org")
    with pytest.raises(UsageError, match=r"none.*config\.json"):
        connect("cf://")
