"""The values that a provider is given: their kinds, where secrets come from, and which of several counts."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.config.auth_methods import AuthMethod, select_auth_method
from common.config.environment import jobsource_layer
from common.config.profiles import Profile
from common.config.secrets import find_secret
from common.config.settings import ResolvedSettings, Settings
from common.config.targets import SystemAddress
from common.config.values import Layer, SettingValue
from common.model.errors import UsageError
from common.model.refs import JobRef
from common.model.states import JobState
from common.polling.policy import PollPolicy
from common.providers import Provider
from ontapjobs import OntapJobs
from ontapjobs.driver import OntapDriver
from tests.profiles import PASSWORD, TOKEN, UserEnv, words

HERE = Path("/etc/jobs")
TOY = Provider(
    name="toy", title="A toy", source=lambda: OntapJobs, driver=lambda: OntapDriver, connect=lambda _: None
)  # never called


def settings(
    table: dict[str, Any] | None = None,
    *,
    folder: Path = HERE,
    address: SystemAddress | None = None,
    **keywords: Any,
) -> Settings:
    profile = None if table is None else Profile("prod", "toy", "https://toy", frozenset(), table, folder)
    return Settings(
        provider=TOY,
        known_endpoint="https://toy",
        profile=profile,
        variables=(jobsource_layer(),) if "JOBSOURCE_ENDPOINT" in os.environ else (),
        target=address,
        keywords=keywords,
    )


def read(table: dict[str, Any] | None = None, **more: Any) -> ResolvedSettings:
    return settings(table, **more).read(
        text=["user"], secret=["password", "token"], path=["home"], flag=["quick"], scope=["account"]
    )


# --- secrets


def test_a_secret_comes_from_the_environment(user_env: UserEnv) -> None:
    user_env.set(PW=PASSWORD)
    assert read({"password": {"env": "PW"}}).text("password") == PASSWORD


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("s3cret", "s3cret"),
        ("s3cret\n", "s3cret"),
        ("s3cret\r\n", "s3cret"),
        ("s3cret\n\n", "s3cret\n"),
        (" s3 cret ", " s3 cret "),
        ("-----BEGIN\nkey\n-----END\n", "-----BEGIN\nkey\n-----END"),
        ("geheim\u00fc", "geheim\u00fc"),
    ],
)
def test_a_secret_comes_from_a_file_without_one_newline_at_its_end(
    content: str, found: str, user_env: UserEnv
) -> None:
    path = user_env.secret("pw", content)
    assert read({"password": {"file": str(path)}}).text("password") == found
    assert read({"password": {"file": "pw"}}, folder=user_env.folder).text("password") == found


@pytest.mark.parametrize("text", ["\ufeffPa55", "\ufeffPa55\r\n"])
def test_a_byte_order_mark_is_no_part_of_a_secret(user_env: UserEnv, text: str) -> None:
    file = user_env.secret("pw", text)
    assert read({"password": {"file": str(file)}}).text("password") == "Pa55"


def test_a_secret_comes_from_the_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    keyring: Any = ModuleType("keyring")
    keyring.get_password = lambda service, user: {("jobs", "admin"): PASSWORD}.get((service, user))
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    assert read({"password": {"keyring": "jobs", "user": "admin"}}).text("password") == PASSWORD
    with pytest.raises(UsageError, match=r"has no password for 'bob' of 'jobs': run keyring set jobs bob"):
        read({"password": {"keyring": "jobs", "user": "bob"}}).text("password")


def test_a_keyring_that_fails_is_not_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(service: str, user: str) -> None:
        raise RuntimeError(f"locked: {service} {user} {PASSWORD}")

    keyring: Any = ModuleType("keyring")
    keyring.get_password = fail
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    with pytest.raises(UsageError, match="the keyring cannot be read: RuntimeError") as caught:
        read({"password": {"keyring": "jobs", "user": "admin"}}).text("password")
    assert PASSWORD not in words(caught.value)


def test_without_keyring_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(UsageError, match=r'pip install "jobsource\[keyring\]"'):
        read({"password": {"keyring": "jobs", "user": "admin"}}).text("password")


@pytest.mark.parametrize("key", ["password", "token", "key_password"])
def test_a_secret_in_plain_text_is_refused_and_not_quoted(key: str) -> None:
    with pytest.raises(UsageError, match=r"plain text: write \{ env = ") as caught:
        read({key: PASSWORD})
    assert PASSWORD not in words(caught.value)


def test_a_proxy_with_a_password_is_a_secret_too(user_env: UserEnv) -> None:
    assert read({"proxy": "http://proxy:3128"}).options["proxy"] == "http://proxy:3128"
    with pytest.raises(UsageError, match="proxy holds a user name or password as plain text") as caught:
        read({"proxy": f"http://me:{PASSWORD}@proxy:3128"})
    assert PASSWORD not in words(caught.value)
    user_env.set(PROXY=f"http://me:{PASSWORD}@proxy:3128")
    assert PASSWORD in read({"proxy": {"env": "PROXY"}}).options["proxy"]


@pytest.mark.parametrize(
    "reference",
    [
        {},
        {"env": "A", "file": "b"},
        {"keyring": "service"},
        {"user": "name"},
        {"keyring": "service", "user": ["name"]},
        {"keyring": "service", "user": "name", "env": "A"},
        {"vault": "path"},
        {"file": "a\0b"},
    ],
    ids=repr,
)
def test_a_reference_of_another_shape_is_refused_before_it_is_needed(reference: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"profile 'prod': password must be one of { env = "):
        read({"password": reference})


@pytest.mark.parametrize("name", ["", 7, "a b", "A=B", f"{PASSWORD}!", "ü", "A\n"])
def test_what_is_no_variables_name_is_not_quoted(name: Any) -> None:
    with pytest.raises(UsageError, match="password: env must be the name of a variable") as caught:
        read({"password": {"env": name}})
    assert PASSWORD not in words(caught.value)


def test_what_a_reference_points_to_must_be_there(user_env: UserEnv) -> None:
    missing = {
        "the variable PW is empty or not set": {"env": "PW"},
        "cannot be read: No such file": {"file": str(user_env.folder / "none")},
        "is not a file": {"file": str(user_env.folder)},
        "pw is empty": {"file": str(user_env.secret("pw", "\n"))},
        "is not text in UTF-8": {"file": str(user_env.secret("raw", b"\xff\xfe" + PASSWORD.encode()))},
        "is larger than": {"file": str(user_env.secret("big", "x" * 70_000))},
    }
    user_env.set(PW="")
    for message, reference in missing.items():
        with pytest.raises(UsageError, match=message) as caught:
            read({"password": reference}).text("password")
        assert "profile 'prod': password" in str(caught.value)
        assert PASSWORD not in words(caught.value)


@pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX's")
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o666, 0o601])
def test_a_file_of_ones_own_that_is_accessible_to_others_is_refused_as_by_ssh(
    mode: int, user_env: UserEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = user_env.secret("pw", PASSWORD, mode)
    owner = path.stat().st_uid or 1000
    real = os.stat_result
    monkeypatch.setattr(os, "getuid", lambda: owner)
    status = path.stat()
    monkeypatch.setattr(Path, "stat", lambda _: real([*status[:4], owner, *status[5:]]))
    with pytest.raises(UsageError, match=r"pw is accessible to other users: run chmod 600 .*pw$"):
        find_secret("password", {"file": str(path)}, HERE)
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)  # a mounted secret is somebody else's
    assert find_secret("password", {"file": str(path)}, HERE) == PASSWORD
    monkeypatch.setattr(os, "getuid", lambda: 0)
    assert find_secret("password", {"file": str(path)}, HERE) == PASSWORD


def test_a_secret_is_looked_up_only_where_it_is_used(user_env: UserEnv) -> None:
    methods = (AuthMethod(("user", "password"), dict), AuthMethod(("token",), str))
    resolved = read({"user": "admin", "password": {"file": "/nowhere"}}, token=TOKEN)
    assert resolved.sign_in(*methods) == TOKEN


# --- kinds


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("user", 7, "must be text"),
        ("user", "", "must be text"),
        ("user", ["a"], "must be text"),
        ("account", True, "must be text"),
        ("password", 7, "must be one of"),
        ("home", 7, "must be the path of a file"),
        ("home", "", "must be the path of a file"),
        ("home", "a\0b", "must be the path of a file"),
        ("quick", "true", "must be true or false"),
        ("quick", 1, "must be true or false"),
        ("verify", 7, "must be true, false, or the path"),
        ("verify", "", "must be true, false, or the path"),
        ("cert", ["a", "b"], "must be the path of a file"),
        ("proxy", 7, "must be text"),
        ("request_timeout", "30", "must be a number"),
        ("request_timeout", True, "must be a number"),
        ("concurrency", 1.5, "must be a whole number"),
        ("concurrency", True, "must be a whole number"),
        ("user_agent", {}, "must be one of"),
        ("aliases", "toy2", "must be a list"),
        ("aliases", [7], "must be a list"),
        ("policy", 7, "must be a table"),
        ("states", [], "must be a table"),
    ],
)
def test_a_value_of_another_kind_is_refused_with_its_place(key: str, value: Any, message: str) -> None:
    with pytest.raises(UsageError, match=f"profile 'prod': {key} {message}"):
        read({key: value})


def test_an_unknown_key_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"profile 'prod': unknown key 'usr'; known for toy are account, .*"):
        read({"usr": PASSWORD})
    with pytest.raises(UsageError, match=r"unknown keyword 'usr': toy takes account, .*"):
        read(usr=PASSWORD)


def test_a_relative_path_begins_at_the_profiles_file(user_env: UserEnv) -> None:
    assert read({"home": "a/b"}).text("home") == "/etc/jobs/a/b"
    assert read({"home": "/a/b"}).text("home") == "/a/b"
    assert read({"home": "~/b"}).text("home") == str(user_env.folder / "home/b")
    assert read({"verify": "ca.pem"}).options["verify"] == "/etc/jobs/ca.pem"
    assert read(home="a/b").text("home") == "a/b"
    assert read(home=Path("a/b")).text("home") == str(Path("a/b"))


def test_options_of_a_profile_become_those_of_a_source() -> None:
    table = {
        "verify": False,
        "request_timeout": 10,
        "concurrency": 2,
        "user_agent": "acme/7",
        "aliases": ["toy2"],
        "states": {"DONE": "succeeded"},
        "policy": {"initial": 0.5},
        "provider": "toy",
        "endpoint": "https://toy",
    }
    assert read(table).options == {
        "verify": False,
        "request_timeout": 10,
        "concurrency": 2,
        "user_agent": "acme/7",
        "aliases": ["toy2"],
        "states": {"DONE": JobState.SUCCEEDED},
        # The rest as the provider has it: ONTAP's jobs vanish if they are asked about too rarely.
        "policy": PollPolicy(initial=0.5, maximum=60.0),
    }


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            {"policy": {"initially": 1}},
            "policy: unknown key 'initially'; known are fraction, gone_grace, initial, max",
        ),
        ({"policy": {"initial": "1"}}, r"policy: PollPolicy.initial must be a number"),
        ({"policy": {"initial": 99}}, "policy: PollPolicy.maximum"),
        ({"states": {"DONE": "finished"}}, "states must map .* queued, running"),
        ({"states": {"DONE": ["failed"]}}, "states must map"),
    ],
)
def test_tables_of_a_profile_are_checked(table: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=f"profile 'prod': {message}"):
        _ = read(table).options


def test_a_certificate_comes_with_its_key_and_the_keys_password(user_env: UserEnv) -> None:
    user_env.set(KEYPW=PASSWORD)
    assert read({"cert": "c.pem"}).options["cert"] == "/etc/jobs/c.pem"
    assert read({"cert": "c.pem", "key": "k.pem"}).options["cert"] == ("/etc/jobs/c.pem", "/etc/jobs/k.pem")
    both = {"cert": "c.pem", "key_password": {"env": "KEYPW"}}
    assert read(both).options["cert"] == ("/etc/jobs/c.pem", "/etc/jobs/c.pem", PASSWORD)
    full = {**both, "key": "k.pem"}
    assert read(full).options["cert"] == ("/etc/jobs/c.pem", "/etc/jobs/k.pem", PASSWORD)
    assert read(full, cert=("a", "b")).options["cert"] == ("a", "b")
    assert read(full, cert="a").options["cert"] == "a", "a profile's key is not that of another certificate"


@pytest.mark.parametrize("key", ["key", "key_password"])
def test_a_key_without_its_certificate_is_refused(key: str) -> None:
    with pytest.raises(
        UsageError, match=f"profile 'prod': {key} belongs to a client certificate, but cert is mis"
    ):
        _ = read({key: {"env": "X"} if key == "key_password" else "k.pem"}).options
    with pytest.raises(UsageError, match=f"{key}= belongs to a client certificate"):
        _ = read(None, **{key: "x"}).options


def test_a_transport_of_the_callers_own_replaces_the_options_of_the_connection() -> None:
    table = {"verify": "ca.pem", "proxy": "http://proxy", "cert": "c.pem", "concurrency": 2}
    transport = object()
    assert read(table, transport=transport).options == {"transport": transport, "concurrency": 2}


def test_a_keyword_beats_the_environment_which_beats_the_profile(user_env: UserEnv) -> None:
    table = {"user": "file", "concurrency": 1, "quick": True, "verify": True}
    assert read(table).text("user") == "file"
    user_env.set(JOBSOURCE_ENDPOINT="toy://toy", JOBSOURCE_USER="env", JOBSOURCE_CONCURRENCY="2")
    user_env.set(JOBSOURCE_QUICK="False", JOBSOURCE_VERIFY="false", JOBSOURCE_REQUEST_TIMEOUT="1.5")
    user_env.set(JOBSOURCE_ALIASES="a, b", JOBSOURCE_TOKEN="")
    found = read(table)
    assert (found.text("user"), found.flag("quick"), found.text("token")) == ("env", False, None)
    assert found.options == {
        "concurrency": 2,
        "verify": False,
        "request_timeout": 1.5,
        "aliases": ["a", "b"],
    }
    found = read(table, user="keyword", concurrency=3, aliases=["c"])
    assert (found.text("user"), found.options["concurrency"]) == ("keyword", 3)
    assert found.options["aliases"] == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("QUICK", "maybe"), ("CONCURRENCY", "many"), ("CONCURRENCY", "1.5"), ("REQUEST_TIMEOUT", "long")],
)
def test_a_variable_of_another_kind_is_refused_by_name(name: str, value: str, user_env: UserEnv) -> None:
    user_env.set(JOBSOURCE_ENDPOINT="toy://toy", **{f"JOBSOURCE_{name}": value})
    with pytest.raises(UsageError, match=f"JOBSOURCE_{name} must be "):
        read().flag("quick") if name == "QUICK" else read().options


# --- the scope of a target


def test_a_target_names_its_scope_and_nothing_else() -> None:
    table = {"account": "mine", "user": "admin"}
    assert (
        read(table, address=SystemAddress("toy", "https://toy", (("account", "theirs"),))).text("account")
        == "theirs"
    )
    address = SystemAddress("toy", "https://toy", (("user", "evil"),))
    with pytest.raises(UsageError, match=r"has a scope that toy does not have \(it has only account"):
        read(table, address=address)


@pytest.mark.parametrize("key", ["verify", "proxy", "cert", "password", "token", "home"])
def test_a_stored_reference_sets_no_option(key: str) -> None:
    ref = JobRef.parse(f"toy://toy/id?{key}=false")
    with pytest.raises(UsageError, match="has a scope that toy does not have"):
        read({}, address=SystemAddress("toy", ref.endpoint, ref.scope, ref))


# --- methods of signing in

METHODS = (
    AuthMethod(("user", "password"), lambda *parts: parts, ("origin",)),
    AuthMethod(("token",), lambda *parts: parts),
    AuthMethod(("client_id", "client_secret"), lambda *parts: parts),
    AuthMethod(("refresh_token",), lambda *parts: parts, ("client_id", "client_secret")),
)


def chosen(**layers: int) -> AuthMethod | None:
    """The method for keys that are set in these layers."""
    values = {key: SettingValue(key, "set", Layer(layer)) for key, layer in layers.items()}
    return select_auth_method(METHODS, values)


def test_the_method_that_is_complete_is_chosen() -> None:
    assert chosen() is None
    assert chosen(user=3, password=3) is METHODS[0]
    assert chosen(token=3) is METHODS[1]
    assert chosen(refresh_token=3) is METHODS[3]
    assert chosen(client_id=3, client_secret=3) is METHODS[2]


def test_of_two_methods_the_nearer_is_chosen() -> None:
    assert chosen(user=3, password=3, token=1) is METHODS[1]
    assert chosen(user=1, password=3, token=3) is METHODS[0]
    assert chosen(user=0, token=3) is METHODS[1]


def test_a_method_that_takes_all_keys_that_are_set_beats_one_that_takes_a_part() -> None:
    assert chosen(refresh_token=3, client_id=3, client_secret=3) is METHODS[3]


def test_two_methods_in_one_layer_are_refused() -> None:
    with pytest.raises(UsageError, match=r"are 2 ways to sign in: keep one \(user, password and token\)"):
        chosen(user=3, password=3, token=3)


def test_half_a_method_names_its_missing_half() -> None:
    with pytest.raises(UsageError, match="user is not enough to sign in: password is missing"):
        chosen(user=3)
    with pytest.raises(UsageError, match="client_secret is not enough to sign in: client_id is missing"):
        chosen(client_secret=3)


def test_a_key_of_another_method_is_refused_where_it_is_as_near() -> None:
    with pytest.raises(UsageError, match="origin is not used to sign in by token: keep one way to sign in"):
        chosen(token=3, origin=3)
    assert chosen(token=2, origin=3, user=3) is METHODS[1]


KEYS = sorted({key for method in METHODS for key in method.keys})


@pytest.mark.slow
@given(st.dictionaries(st.sampled_from(KEYS), st.sampled_from(Layer)))
def test_any_set_of_keys_gives_one_method_or_one_error(layers: dict[str, int]) -> None:
    method = None
    with suppress(UsageError):
        method = chosen(**layers)
    assert method is None or all(key in layers for key in method.required)


def test_the_callers_own_auth_replaces_every_method() -> None:
    auth = object()
    assert Settings(provider=TOY, auth=auth).read(text=["user"]).sign_in(*METHODS) is auth
    with pytest.raises(UsageError, match=r"auth= cannot be combined with user=: pass one way"):
        Settings(provider=TOY, auth=auth, keywords={"user": "a"}).read(text=["user"]).sign_in(*METHODS)


def test_a_certificate_or_a_client_of_ones_own_needs_no_method() -> None:
    assert read({"cert": "c.pem"}).sign_in(*METHODS[:2]) is None
    assert read(http=object()).sign_in(*METHODS[:2]) is None
    assert read().sign_in(*METHODS[:2], required=False) is None
    with pytest.raises(UsageError, match="no credentials for https://toy: pass auth=, or name a"):
        read().sign_in(*METHODS[:2])


# --- nothing is said of a secret


def test_no_repr_shows_a_value(user_env: UserEnv) -> None:
    user_env.set(JOBSOURCE_ENDPOINT="toy://toy", JOBSOURCE_PASSWORD=PASSWORD)
    made = settings({"user": PASSWORD}, token=PASSWORD)
    resolved = made.read(text=["user"], secret=["password", "token"])
    values = resolved._values.maps
    shown = [made, resolved, *values, made.profile, made.variables]
    assert PASSWORD not in repr(shown)
    assert repr(made) == "<Settings for toy 'https://toy' of profile 'prod'>"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.slow
@given(
    st.sampled_from(
        ["text", "secret", "path", "flag", "verify", "number", "integer", "texts", "table", "proxy"]
    ),
    JSON,
)
def test_any_value_of_any_kind_is_taken_or_refused_without_being_quoted(kind: str, value: Any) -> None:
    setting = SettingValue("profile 'x': key", value, Layer.PROFILE, HERE)
    message = ""
    try:
        setting.check(kind)
    except UsageError as error:
        message = str(error)
    assert not (isinstance(value, str) and len(value) > 20 and value in message)
