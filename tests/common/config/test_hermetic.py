"""``connect(target, settings={…})``: what is in the mapping counts, and nothing that a machine has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio
import pytest

from bluexp_jobs import BlueXPJobs
from cfjobs import CFJobs
from common import Bearer, Fleet, InsecureConnectionWarning, JobRef, JobState, PollPolicy, UsageError, connect
from common.http.tls import tls_context
from common.sources.http import HttpSource
from ontapjobs import OntapJobs
from tests.cfjobs.test_config import log_in
from tests.loopback import Loopback, raw
from tests.profiles import PASSWORD, TOKEN, UserEnv, auth_of, words

ID = "b5145e1d-b53b-11e8-8252-005056bbd8f5"
TARGETS = {
    "ontap": "ontap://cluster1",
    "bluexp": "bluexp://api.bluexp.netapp.com/account-x1?agent=a1",
    "cf": "cf://api.example.org",
}
on_each = pytest.mark.parametrize("target", TARGETS.values(), ids=list(TARGETS))

PROFILES = """
[profiles.one]
endpoint = "ontap://cluster1"
token = { env = "SECRET" }

[profiles.two]
provider = "bluexp"
account = "account-x1"
agent = "a1"
token = { env = "SECRET" }

[profiles.three]
endpoint = "cf://api.example.org"
token = { env = "SECRET" }
"""


def has_profiles(user_env: UserEnv) -> None:
    user_env.profiles(PROFILES)


def has_a_profile_by_name(user_env: UserEnv) -> None:
    user_env.profiles(PROFILES)
    user_env.set(JOBSOURCE_PROFILE="one")


def has_variables_of_ours(user_env: UserEnv) -> None:
    user_env.set(JOBSOURCE_TOKEN=TOKEN, JOBSOURCE_USER="admin", JOBSOURCE_PASSWORD=PASSWORD)
    user_env.set(JOBSOURCE_ENDPOINT="ontap://cluster1")


def has_variables_of_the_systems_users(user_env: UserEnv) -> None:
    user_env.set(ONTAP_HOST="cluster1", ONTAP_USER="admin", ONTAP_PASSWORD=PASSWORD)
    user_env.set(CF_HOME=log_in(user_env, "other"), CF_USERNAME="ci", CF_PASSWORD=PASSWORD)


def is_logged_in_by_the_cf_command(user_env: UserEnv) -> None:
    log_in(user_env, "home")


LAYERS = (
    has_profiles,
    has_a_profile_by_name,
    has_variables_of_ours,
    has_variables_of_the_systems_users,
    is_logged_in_by_the_cf_command,
)


@on_each
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: str(layer.__name__))
@pytest.mark.parametrize(
    "settings", [{}, {"token": ""}, {"token": None, "password": ""}, {"concurrency": "2"}]
)
def test_a_forgotten_password_is_an_error_whatever_else_there_is(
    target: str, layer: Any, settings: Mapping[str, Any], user_env: UserEnv
) -> None:
    user_env.set(SECRET=PASSWORD)
    layer(user_env)
    with pytest.raises(UsageError, match=r"no credentials for https://.*: settings= needs .*token") as caught:
        connect(target, settings=settings)
    said = words(caught.value)
    assert not [word for word in (PASSWORD, TOKEN, "profile", "_HOST", "cf login", "cf_home") if word in said]


@on_each
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: str(layer.__name__))
def test_no_other_value_is_seen_either(target: str, layer: Any, user_env: UserEnv) -> None:
    user_env.set(SECRET=PASSWORD, JOBSOURCE_CONCURRENCY="3", JOBSOURCE_VERIFY="false")
    layer(user_env)
    source = connect(target, settings={"token": TOKEN})
    assert (auth_of(source), source._throttle.max_in_flight) == ("Bearer(****)", 8)


@on_each
def test_what_the_environment_has_wrong_does_no_harm(target: str, user_env: UserEnv) -> None:
    user_env.set(JOBSOURCE_CONFIG=str(user_env.folder / "none"), JOBSOURCE_ENDPOINT="not an endpoint")
    user_env.set(ONTAP_HOST="not one either", JOBSOURCE_HTTP="nonsense", HTTPS_PROXY="nonsense://")
    user_env.set(SSL_CERT_FILE=str(user_env.folder / "none.pem"), JOBSOURCE_PROFILE="none")
    assert connect(target, settings={"token": TOKEN}).endpoint.startswith("https://")
    with pytest.raises(UsageError):
        connect(target, token=TOKEN)


def test_the_authorities_of_the_environment_are_not_trusted(user_env: UserEnv, ca: str) -> None:
    known = len(tls_context(trust_env=False).get_ca_certs())
    user_env.set(SSL_CERT_FILE=ca)
    assert len(tls_context(trust_env=False).get_ca_certs()) == known > 1
    assert len(tls_context().get_ca_certs()) == 1
    assert len(tls_context(ca, public=True, trust_env=False).get_ca_certs()) == known + 1
    assert tls_context(ca) is tls_context(ca, trust_env=False)


@pytest.mark.anyio
async def test_the_proxies_of_the_environment_are_not_used(user_env: UserEnv) -> None:
    with (
        Loopback(lambda *_: raw({"uuid": ID, "state": "success"})) as server,
        Loopback(lambda *_: []) as proxy,
    ):
        user_env.set(HTTP_PROXY=proxy.url, http_proxy=proxy.url, NO_PROXY="", no_proxy="")
        target = server.url.replace("http://", "ontap+http://")
        async with connect(target, settings={"token": TOKEN}) as source:
            with anyio.fail_after(10):
                assert (await source.get(ID)).succeeded
    assert (len(server.heads), proxy.connections) == (1, 0)


# --- values are text


def test_text_is_read_by_the_kind_of_its_key(user_env: UserEnv) -> None:
    del user_env
    settings = {
        "user": "admin",
        "password": " 007 ",
        "verify": "False",
        "concurrency": "4",
        "request_timeout": "12.5",
        "aliases": "10.0.0.1, cluster2",
        "policy": '{"initial": 0.5}',
        "states": '{"DONE": "succeeded"}',
        "user_agent": "acme/7",
    }
    with pytest.warns(InsecureConnectionWarning, match="verify=False"):
        source = connect("ontap://cluster1", settings=settings)
    assert isinstance(source, OntapJobs)
    assert (auth_of(source), source._throttle.max_in_flight) == ("Basic('admin', ****)", 4)
    assert source.resolver.aliases == {"https://10.0.0.1", "https://cluster2"}
    assert source.policy == PollPolicy(initial=0.5, maximum=60.0)
    assert source._states == {"done": JobState.SUCCEEDED}
    assert vars(source)["_request_timeout"] == 12.5


def test_values_of_the_right_kind_will_do_too(user_env: UserEnv) -> None:
    del user_env
    settings: dict[str, Any] = {
        "token": TOKEN,
        "verify": True,
        "concurrency": 4,
        "request_timeout": 10,
        "aliases": ["10.0.0.1"],
        "policy": {"initial": 0.5},
    }
    source = connect("ontap://cluster1", settings=settings)
    assert (source._throttle.max_in_flight, set(source.resolver.aliases)) == (4, {"https://10.0.0.1"})


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("verify", 7, "must be true, false, or the path of a CA file"),
        ("concurrency", PASSWORD, "must be a whole number"),
        ("concurrency", "1.5", "must be a whole number"),
        ("concurrency", True, "must be a whole number"),
        ("request_timeout", PASSWORD, "must be a number"),
        ("policy", PASSWORD, "must be a table, as a JSON object"),
        ("policy", "[" * 100_000, "must be a table, as a JSON object"),
        ("policy", '{"initially": 1}', "unknown key 'initially'"),
        ("states", '{"DONE": "ended"}', "must map the server's words to states"),
        ("aliases", [7], "must be a list of texts"),
        ("user", 7, "must be text"),
        ("token", {"env": "SECRET"}, "must be text"),
        ("token", {"file": "/run/secrets/token"}, "must be text"),
        ("proxy", {"keyring": "a", "user": "b"}, "must be text"),
        ("verify", ["ca.pem"], "must be true, false, or the path of a CA file"),
    ],
)
def test_a_value_of_another_kind_is_refused_by_its_key(
    key: str, value: Any, message: str, user_env: UserEnv
) -> None:
    user_env.set(SECRET=TOKEN)
    with pytest.raises(UsageError, match=f"^setting '{key}'.* {message}") as caught:
        connect("ontap://cluster1", settings={"token": TOKEN, key: value})
    assert PASSWORD not in words(caught.value)


@pytest.mark.parametrize(
    ("target", "key", "message"),
    [
        ("ontap", "pasword", "unknown setting 'pasword' (did you mean 'password'?): ontap takes aliases, "),
        ("ontap", "host", "unknown setting 'host': ontap takes aliases, "),
        ("ontap", "account", "unknown setting 'account'"),
        ("ontap", "Password", "unknown setting 'Password' (did you mean 'password'?)"),
        ("bluexp", "acount", "unknown setting 'acount' (did you mean 'account'?): bluexp takes account, "),
        ("cf", "client_Id", "unknown setting 'client_Id' (did you mean 'client_id'?): cf takes "),
        ("cf", "x" * 500, f"unknown setting '{'x' * 40}': cf takes "),
    ],
)
def test_an_unknown_key_names_the_one_that_was_meant(target: str, key: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        connect(TARGETS[target], settings={"token": TOKEN, key: PASSWORD})
    assert str(caught.value).startswith(message)
    assert PASSWORD not in words(caught.value)


def test_half_a_login_names_its_missing_half() -> None:
    with pytest.raises(UsageError, match="setting 'user' is not enough to sign in: password is missing"):
        connect("ontap://cluster1", settings={"user": "admin", "password": ""})
    with pytest.raises(UsageError, match="setting 'key' belongs to a client certificate"):
        connect("ontap://cluster1", settings={"key": "client.key", "token": TOKEN})


def test_a_path_is_taken_as_it_is(user_env: UserEnv) -> None:
    (user_env.folder / "home").mkdir()
    (user_env.folder / "home/ca.pem").write_text("no certificate")
    with pytest.raises(UsageError, match=r"verify='~/ca\.pem' cannot be loaded as a CA file: .*No such file"):
        connect("ontap://cluster1", settings={"token": TOKEN, "verify": "~/ca.pem"})


# --- what may stand beside


def test_arguments_of_the_caller_count_before_the_settings() -> None:
    settings = {"user": "admin", "password": PASSWORD, "concurrency": "4"}
    source = connect("ontap://cluster1", settings=settings, auth=Bearer(TOKEN), concurrency=2)
    assert (auth_of(source), source._throttle.max_in_flight) == ("Bearer(****)", 2)
    assert auth_of(connect("ontap://cluster1", settings=settings, user="eve")) == "Basic('eve', ****)"


@pytest.mark.parametrize(
    ("target", "more", "message"),
    [
        (None, {}, "settings= needs a target"),
        ("ontap://h", {"profile": "one"}, "profile= and settings= cannot be combined"),
        ("https://h", {}, "which provider https://h belongs to: use one of bluexp://h, cf://h, ontap://h$"),
        ("ontap://h", {"settings": "token"}, "settings= must be a mapping"),
        ("ontap://h", {"settings": {7: TOKEN}}, "settings= must be a mapping"),
        ("ontap://h", {"settings": [("token", TOKEN)]}, "settings= must be a mapping"),
        ("ontap://", {}, "the endpoint is missing"),
        (
            "cf://h",
            {"settings": {"cf_home": "/home/me"}},
            "cf_home cannot be combined with settings=",
        ),
        ("cf://h", {"cf_home": "/home/me"}, "cf_home cannot be combined with settings="),
    ],
)
def test_what_makes_no_sense_beside_settings_is_refused(
    target: Any, more: dict[str, Any], message: str, user_env: UserEnv
) -> None:
    has_profiles(user_env)
    arguments: dict[str, Any] = {"settings": {"token": TOKEN}, **more}
    with pytest.raises(UsageError, match=message) as caught:
        connect(target, **arguments)
    assert TOKEN not in words(caught.value)


def test_a_fleet_is_connected_hermetically_too(user_env: UserEnv) -> None:
    user_env.set(SECRET=PASSWORD)
    has_profiles(user_env)
    fleet = Fleet.connect([f"ontap://cluster1/{ID}", f"cf://api.example.org/{ID}"], settings={"token": TOKEN})
    assert [type(source) for source in fleet.sources] == [OntapJobs, CFJobs]
    with pytest.raises(UsageError, match="no credentials for https://cluster1: settings= needs"):
        Fleet.connect([f"ontap://cluster1/{ID}"], settings={})


# --- the account in a target


@pytest.mark.parametrize(
    "target",
    [
        "bluexp://api.bluexp.netapp.com/account-x1?agent=a1",
        "bluexp://api.bluexp.netapp.com/account-x1/?agent=a1clients",
        f"bluexp://api.bluexp.netapp.com/account-x1/{ID}?agent=a1",
        "bluexp:///account-x1?agent=a1",
        "bluexp://api.bluexp.netapp.com/account-x1",
        JobRef("bluexp", "api.bluexp.netapp.com", ID, {"account": "account-x1", "agent": "a1"}),
    ],
)
def test_one_segment_of_a_target_is_the_account(target: str | JobRef) -> None:
    source = connect(target, settings={"token": TOKEN, "agent": "a1"})
    assert isinstance(source, BlueXPJobs)
    assert repr(source) == "<BlueXPJobs 'https://api.bluexp.netapp.com', account='account-x1', agent='a1'>"


def test_below_an_endpoints_path_it_is_the_account_too() -> None:
    source = connect("bluexp://proxy/bluexp//account-x1?agent=a1", settings={"token": TOKEN})
    assert (source.endpoint, dict(source.resolver.scope)["account"]) == ("https://proxy/bluexp", "account-x1")


def test_elsewhere_one_segment_is_a_job() -> None:
    for target in (f"ontap://cluster1/{ID}", f"cf://api.example.org/{ID}"):
        source = connect(target, settings={"token": TOKEN})
        assert isinstance(source, HttpSource)
        assert source.resolver.scope == ()


def test_an_account_that_is_missing_is_named() -> None:
    with pytest.raises(UsageError, match="account= is missing"):
        connect("bluexp://", settings={"token": TOKEN, "agent": "a1"})
