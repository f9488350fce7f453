"""BlueXP's keys: an account and an agent, and a token."""

from __future__ import annotations

import pytest

from bluexp_jobs import BlueXPJobs
from common import UsageError
from common import connect
from tests.profiles import PASSWORD
from tests.profiles import Desk
from tests.profiles import auth_of

ID = "6f0c2a4e-8a9e-4f6e-9b61-0d7a0c1c8a11"


def test_a_token_for_todays_host(desk: Desk) -> None:
    desk.profile('provider = "bluexp"\naccount = "account-x1"\nagent = "a1"\ntoken = { env = "SECRET" }')
    source = connect(profile="prod")
    assert isinstance(source, BlueXPJobs)
    assert repr(source) == "<BlueXPJobs 'https://api.bluexp.netapp.com', account='account-x1', agent='a1'>"
    assert auth_of(source) == "Bearer(****)"


def test_a_target_names_what_the_profile_leaves_open(desk: Desk) -> None:
    desk.profile('provider = "bluexp"\nagent = "a1"\ntoken = { env = "SECRET" }')
    source = connect(f"bluexp://api.bluexp.netapp.com/account-x1/{ID}?agent=a1clients")
    assert dict(source.scope) == {"account": "account-x1", "agent": "a1"}
    assert dict(connect(profile="prod", account="account-x2").scope)["account"] == "account-x2"
    with pytest.raises(UsageError, match="account= is missing"):
        connect(profile="prod")


def test_of_two_accounts_the_one_of_the_reference_is_used(desk: Desk) -> None:
    table = (
        '[profiles.{0}]\nprovider = "bluexp"\naccount = "{0}"\nagent = "a1"\ntoken = {{ env = "SECRET" }}\n'
    )
    desk.profiles(table.format("one") + table.format("two"))
    desk.set(SECRET=PASSWORD)
    assert dict(connect(f"bluexp://api.bluexp.netapp.com/two/{ID}").scope)["account"] == "two"
    with pytest.raises(UsageError, match=r"several profiles are of .*: pass profile= with one of one, two"):
        connect("bluexp://api.bluexp.netapp.com")


def test_private_mode_is_another_endpoint(desk: Desk) -> None:
    table = 'endpoint = "bluexp://agent.internal"\naccount = "account-x1"\nagent = "a1"\n'
    desk.profile(table + 'token = { env = "SECRET" }')
    assert connect("https://agent.internal").endpoint == "https://agent.internal"
