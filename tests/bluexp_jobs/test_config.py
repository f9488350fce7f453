"""BlueXP's keys: an account and an agent, and a token."""

from __future__ import annotations

import pytest

from bluexp_jobs import BlueXPJobs
from bluexp_jobs.auth import PUBLIC_CLIENT, USER_CLIENT
from common import UsageError, connect
from tests.profiles import PASSWORD, UserEnv, auth_in, auth_of, words

ID = "6f0c2a4e-8a9e-4f6e-9b61-0d7a0c1c8a11"


def test_a_token_for_todays_host(user_env: UserEnv) -> None:
    user_env.profile('provider = "bluexp"\naccount = "account-x1"\nagent = "a1"\ntoken = { env = "SECRET" }')
    source = connect(profile="prod")
    assert isinstance(source, BlueXPJobs)
    assert repr(source) == "<BlueXPJobs 'https://api.bluexp.netapp.com', account='account-x1', agent='a1'>"
    assert auth_of(source) == "Bearer(****)"


def test_a_target_names_what_the_profile_leaves_open(user_env: UserEnv) -> None:
    user_env.profile('provider = "bluexp"\nagent = "a1"\ntoken = { env = "SECRET" }')
    source = connect(f"bluexp://api.bluexp.netapp.com/account-x1/{ID}?agent=a1clients")
    assert dict(source.resolver.scope) == {"account": "account-x1", "agent": "a1"}
    assert dict(connect(profile="prod", account="account-x2").resolver.scope)["account"] == "account-x2"
    with pytest.raises(UsageError, match="account= is missing"):
        connect(profile="prod")


def test_a_target_with_one_segment_names_the_account(user_env: UserEnv) -> None:
    user_env.profile('provider = "bluexp"\nagent = "a1"\ntoken = { env = "SECRET" }')
    source = connect("bluexp://api.bluexp.netapp.com/account-x1")
    assert dict(source.resolver.scope) == {"account": "account-x1", "agent": "a1"}


def test_of_two_accounts_the_one_of_the_reference_is_used(user_env: UserEnv) -> None:
    table = (
        '[profiles.{0}]\nprovider = "bluexp"\naccount = "{0}"\nagent = "a1"\ntoken = {{ env = "SECRET" }}\n'
    )
    user_env.profiles(table.format("one") + table.format("two"))
    user_env.set(SECRET=PASSWORD)
    assert dict(connect(f"bluexp://api.bluexp.netapp.com/two/{ID}").resolver.scope)["account"] == "two"
    with pytest.raises(UsageError, match=r"several profiles match .*: use profile= with one of one, two"):
        connect("bluexp://api.bluexp.netapp.com")


def test_private_mode_is_another_endpoint(user_env: UserEnv) -> None:
    table = 'endpoint = "bluexp://agent.internal"\naccount = "account-x1"\nagent = "a1"\n'
    user_env.profile(table + 'token = { env = "SECRET" }')
    assert connect("https://agent.internal").endpoint == "https://agent.internal"


BASE = 'provider = "bluexp"\naccount = "account-x1"\nagent = "a1"\n'


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        ('refresh_token = { env = "SECRET" }', "RefreshToken"),
        ('refresh_token = { env = "SECRET" }\nclient_id = "own"', "RefreshToken"),
        ('client_id = "jobs"\nclient_secret = { env = "SECRET" }', "ServiceAccount"),
        (
            'endpoint = "https://agent.internal"\nuser = "jobs"\npassword = { env = "SECRET" }',
            "AgentPassword",
        ),
        ('user = "jobs"\npassword = { env = "SECRET" }', "UserPassword"),
        ('user = "jobs"\npassword = { env = "SECRET" }\nclient_id = "own"\nrealm = "r"', "UserPassword"),
    ],
)
def test_each_auth_method(keys: str, name: str, user_env: UserEnv) -> None:
    user_env.profile(BASE + keys)
    auth = auth_in(connect(profile="prod"))
    assert type(auth).__name__ == name
    assert PASSWORD not in repr(auth)
    assert getattr(auth, "client_id", None) in (None, "own", "jobs", PUBLIC_CLIENT, USER_CLIENT)
    assert ("own" in keys) == (getattr(auth, "client_id", "") == "own")
    if name != "AgentPassword":
        user_env.profile(f'{BASE}{keys}\ntoken_url = "https://issuer.example.com/token"')
        assert auth_in(connect(profile="prod")).token_url == "https://issuer.example.com/token"


def test_a_private_key_that_is_none_is_not_taken_for_a_path(user_env: UserEnv) -> None:
    pytest.importorskip("cryptography")
    user_env.profile(BASE + 'client_id = "jobs"\nprivate_key = { env = "SECRET" }\nkey_id = "k1"')
    with pytest.raises(UsageError) as caught:
        connect(profile="prod")
    assert PASSWORD not in words(caught.value)


def test_a_secret_and_a_private_key_are_two_auth_methods(user_env: UserEnv) -> None:
    secrets = 'client_secret = { env = "SECRET" }\nprivate_key = { env = "SECRET" }'
    user_env.profile(f'{BASE}client_id = "jobs"\n{secrets}')
    with pytest.raises(UsageError, match="are 2 ways to sign in: keep one"):
        connect(profile="prod")


@pytest.mark.parametrize(
    ("endpoint", "name"),
    [
        ("https://api.bluexp.netapp.com", "UserPassword"),
        ("https://cloudmanager.cloud.netapp.com", "UserPassword"),
        ("https://agent.internal", "AgentPassword"),
    ],
)
def test_a_password_goes_to_the_issuer_or_to_the_agent_itself(
    endpoint: str, name: str, user_env: UserEnv
) -> None:
    user_env.profile(f'{BASE}endpoint = "{endpoint}"\nuser = "jobs"\npassword = {{ env = "SECRET" }}')
    assert type(auth_in(connect(profile="prod"))).__name__ == name
