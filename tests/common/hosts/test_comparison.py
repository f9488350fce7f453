"""Which calls of `shared_source` mean the same source: those of equal values, secrets included."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import Basic, Bearer, JobRef, JobState, PollPolicy, UsageError, shared_source
from common.config.connect import resolve
from common.hosts.comparison import SettingsKey, settings_key
from ontapjobs import ClientCredentials
from ontapjobs.simulator import OntapSimulator
from tests.profiles import PASSWORD, TOKEN, UserEnv, words

ONTAP = "ontap://cluster1"


def key(
    target: str | JobRef | None = ONTAP,
    *,
    profile: str | None = None,
    auth: Any = None,
    settings: dict[str, Any] | None = None,
    **options: Any,
) -> SettingsKey:
    return settings_key(resolve(target, profile=profile, auth=auth, settings=settings, options=options))


async def token() -> str:
    return TOKEN


EQUAL: dict[str, tuple[Callable[[], SettingsKey], Callable[[], SettingsKey]]] = {
    "a pair": (partial(key, auth=("admin", PASSWORD)), partial(key, auth=("admin", PASSWORD))),
    "a pair and Basic": (partial(key, auth=("a", "b")), lambda: key(auth=Basic("a", "b"))),
    "two Bearers": (lambda: key(auth=Bearer(TOKEN)), lambda: key(auth=Bearer(f"bearer {TOKEN}"))),
    "a job and its system": (key, partial(key, f"{ONTAP}/job-1?results=/api/storage/luns")),
    "a ref and its text": (
        partial(key, "bluexp://h/account-x1/job-1?agent=a1"),
        partial(key, JobRef("bluexp", "h", "job-2", {"account": "account-x1", "agent": "a1"})),
    ),
    "the order of keys": (
        partial(key, settings={"user": "a", "password": "b"}),
        partial(key, settings={"password": "b", "user": "a"}),
    ),
    "what is empty": (
        partial(key, settings={"token": "t"}),
        partial(key, settings={"token": "t", "user": ""}),
    ),
    "None": (key, partial(key, observer=None, concurrency=None)),
    "policies": (lambda: key(policy=PollPolicy(initial=2)), lambda: key(policy=PollPolicy(initial=2))),
    "paths": (partial(key, verify="ca.pem"), partial(key, verify=Path("ca.pem"))),
    "tables": (
        partial(key, states={"A": JobState.FAILED, "B": JobState.PARTIAL}),
        partial(key, states={"B": JobState.PARTIAL, "A": JobState.FAILED}),
    ),
    "lists": (partial(key, aliases=["a", "b"]), partial(key, aliases=("a", "b"))),
    "sets": (partial(key, aliases={"a", "b"}), partial(key, aliases=frozenset({"b", "a"}))),
}


@pytest.mark.parametrize("pair", EQUAL.values(), ids=list(EQUAL))
def test_equal_values_are_one_source(
    pair: tuple[Callable[[], SettingsKey], Callable[[], SettingsKey]], user_env: UserEnv
) -> None:
    del user_env
    one, other = pair
    assert one() == other()
    assert hash(one()) == hash(other())


DIFFERENT: dict[str, Callable[[], SettingsKey]] = {
    "nothing": key,
    "another system": partial(key, "ontap://cluster2"),
    "plain http": partial(key, "ontap+http://cluster1"),
    "another provider": partial(key, "cf://cluster1"),
    "an account": partial(key, "bluexp://h/a?agent=b"),
    "another account": partial(key, "bluexp://h/a2?agent=b"),
    "another agent": partial(key, "bluexp://h/a?agent=b2"),
    "hermetic": partial(key, settings={}),
    "a user": partial(key, settings={"user": "a"}),
    "another user": partial(key, settings={"user": "b"}),
    "a user as a keyword": partial(key, user="a"),
    "a token": partial(key, settings={"token": "a"}),
    "a pair": partial(key, auth=("a", "b")),
    "another pair": partial(key, auth=("ab", "")),
    "a Bearer": lambda: key(auth=Bearer("a")),
    "a number": partial(key, concurrency=1),
    "a flag": partial(key, verify=True),
    "another flag": partial(key, verify=False),
    "a text": partial(key, verify="True"),
    "bytes": partial(key, verify=b"True"),
    "a list": partial(key, aliases=["a", "b"]),
    "a shorter list": partial(key, aliases=["a,b"]),
    "nested lists": partial(key, aliases=[["a"], "b"]),
    "a policy": lambda: key(policy=PollPolicy(initial=2)),
    "another policy": lambda: key(policy=PollPolicy(initial=3)),
}


def test_different_values_are_different_sources(user_env: UserEnv) -> None:
    del user_env
    assert len({make() for make in DIFFERENT.values()}) == len(DIFFERENT)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.slow
@given(VALUES, VALUES)
def test_two_values_have_one_key_only_where_they_are_equal(one: Any, other: Any) -> None:
    same = key(settings={"token": [one]}) == key(settings={"token": [other]})
    assert same == (repr(one) == repr(other) or (one == other and isinstance(one, dict)))


# --- profiles and variables count by their values too


def test_changed_credentials_of_a_profile_are_another_source(user_env: UserEnv) -> None:
    table = f'endpoint = "{ONTAP}"\nuser = "admin"\npassword = {{ env = "SECRET" }}'
    user_env.profile(table)
    first = key()
    assert key() == key(f"{ONTAP}/job-1") == first
    user_env.set(SECRET="another")
    second = key()
    user_env.profile(table.replace("admin", "bob"))
    third = key()
    user_env.set(ONTAP_HOST="cluster1", ONTAP_USER="eve")
    fourth = key()
    user_env.set(JOBSOURCE_ENDPOINT=ONTAP, JOBSOURCE_CONCURRENCY="2")
    fifth = key()
    user_env.set(JOBSOURCE_CONCURRENCY="3")
    assert len({first, second, third, fourth, fifth, key()}) == 6


def test_changed_credentials_in_a_file_are_another_source(user_env: UserEnv) -> None:
    user_env.secret("pw", PASSWORD)
    user_env.profile(
        f'endpoint = "{ONTAP}"\nuser = "a"\npassword = {{ file = "pw" }}\npolicy = {{ initial = 2 }}'
    )
    first = key()
    assert key() == first
    user_env.secret("pw", "another")
    assert key() != first
    user_env.secret("pw", PASSWORD)
    assert key() == first


# --- what has no value


@attrs.frozen
class Counter:
    """An observer that says what it is."""

    name: str

    def __call__(self, event: object) -> None: ...


class Plain:
    """An observer that equals itself alone."""

    def __call__(self, event: object) -> None: ...

    def observe(self, event: object) -> None: ...


@attrs.define(hash=False)
class Unhashable(Plain):
    """An observer whose value may change."""

    name: str = ""


NO_VALUE: dict[str, tuple[str, Callable[[], Any]]] = {
    "a client": ("http", httpx.AsyncClient),
    "a transport": ("transport", lambda: OntapSimulator().transport()),
    "a lambda": ("observer", lambda: lambda _: None),
    "a function": ("observer", lambda: test_changed_credentials_in_a_file_are_another_source),
    "a bound method": ("observer", lambda: Plain().observe),
    "a partial": ("observer", lambda: partial(print)),
    "an observer": ("observer", Plain),
    "an observer that may change": ("observer", Unhashable),
    "a generator": ("aliases", lambda: (name for name in "ab")),
    "an httpx.Auth": ("auth", lambda: httpx.BasicAuth("a", PASSWORD)),
    "a token function": ("auth", lambda: Bearer(token)),
    "a sign-in": ("auth", lambda: ClientCredentials("https://issuer/token", "id", PASSWORD)),
    "within a list": ("aliases", lambda: ["a", object()]),
}


@pytest.mark.parametrize(("name", "make"), NO_VALUE.values(), ids=list(NO_VALUE))
def test_what_equals_itself_alone_is_refused_by_name(
    name: str, make: Callable[[], Any], user_env: UserEnv
) -> None:
    del user_env
    value = make()
    with pytest.raises(
        UsageError, match=f"^{name}= cannot be compared by value, because a .* equals only itself"
    ) as caught:
        shared_source(ONTAP, **{name: value})
    assert PASSWORD not in words(caught.value)


def test_an_object_that_says_what_it_is_will_do(user_env: UserEnv) -> None:
    del user_env
    assert key(observer=Counter("a")) == key(observer=Counter("a"))
    assert key(observer=Counter("a")) != key(observer=Counter("b"))


def test_an_auth_that_is_none_is_refused_as_by_connect(user_env: UserEnv) -> None:
    del user_env
    for auth in ("text", ("a",), Basic, 7):
        with pytest.raises(UsageError, match="auth= "):
            key(auth=auth)


# --- no secret can be read from it


def test_a_key_holds_no_secret_in_clear(user_env: UserEnv) -> None:
    user_env.set(ONTAP_HOST="cluster1", ONTAP_PASSWORD=PASSWORD)
    for made in (
        key(auth=("admin", PASSWORD)),
        key(auth=Bearer(PASSWORD)),
        key(settings={"password": PASSWORD}),
        key(user="a", key_password=PASSWORD),
        key(),
    ):
        assert PASSWORD not in repr(made) + repr(attrs.asdict(made))
        assert PASSWORD.encode() not in made.digest
    assert PASSWORD not in repr(shared_source(ONTAP, auth=("admin", PASSWORD)))
