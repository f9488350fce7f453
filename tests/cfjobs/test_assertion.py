"""Signing in to UAA without a stored secret: by an assertion, or by a one-time passcode."""

from __future__ import annotations

from typing import Any

import anyio
import anyio.lowlevel
import pytest

from cfjobs import AuthenticationError, CFJobs, UAAAssertion, UAAPasscode, UsageError
from cfjobs.simulator import CFSimulator
from tests.cfjobs.foundation import API, LOGIN, Foundation, basic, granted, refused

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

JWT, OTHER = "eyJ.a-users-assertion.c2ln", "eyJ.another.c2ln"
CODE, SECRET = "pAsS-c0de/%", "s3cret of a client"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def issuing(*assertions: str) -> tuple[Any, list[str]]:
    """An async function that returns each of these in turn, and what it has returned."""
    given: list[str] = []

    async def assertion() -> str:
        await anyio.lowlevel.checkpoint()
        given.append(assertions[len(given)])
        return given[-1]

    return assertion, given


async def test_a_users_assertion_is_the_jwt_bearer_grant_by_the_cf_client() -> None:
    wire = Foundation()
    async with wire.jobs(UAAAssertion(f"{JWT}\n")) as jobs:
        assert (await jobs.get("j")).succeeded
    assert wire.lines[:2] == [f"GET {API}/", f"POST {LOGIN}/oauth/token"]
    assert wire.form() == {"grant_type": JWT_BEARER, "assertion": JWT}
    assert wire.posts[0].headers["authorization"] == basic("cf", "")


async def test_an_assertion_goes_by_the_client_that_may_use_it() -> None:
    wire = Foundation()
    async with wire.jobs(UAAAssertion(JWT, client_id="svc:1", client_secret=SECRET)) as jobs:
        await jobs.get("j")
    assert wire.posts[0].headers["authorization"] == basic("svc%3A1", "s3cret+of+a+client")
    assert "client_id" not in wire.form()


async def test_a_clients_assertion_takes_the_place_of_its_secret() -> None:
    wire = Foundation(None, granted(refresh_token="not-in-this-grant"))
    assertion, _ = issuing(JWT, OTHER)
    async with wire.jobs(UAAAssertion(assertion, client_id="svc", as_client=True)) as jobs:
        await jobs.get("j")
        await anyio.sleep(600)
        await jobs.get("j")
    for number, jwt in enumerate((JWT, OTHER)):
        assert wire.form(number) == {
            "grant_type": "client_credentials",
            "client_id": "svc",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": jwt,
        }
        assert "authorization" not in wire.posts[number].headers


async def test_after_an_assertion_the_refresh_token_is_used_and_a_new_assertion_where_it_is_refused() -> None:
    rotated: list[str] = []
    wire = Foundation(None, granted(refresh_token="r1"), granted(), refused("invalid_token"), granted())
    assertion, given = issuing(JWT, OTHER)
    auth = UAAAssertion(assertion, on_rotate=rotated.append)
    async with wire.jobs(auth) as jobs:
        for _ in range(3):
            await jobs.get("j")
            await anyio.sleep(600)
    assert {JWT, OTHER} <= set(auth.secrets())
    grants = [wire.form(number)["grant_type"] for number in range(4)]
    assert grants == [JWT_BEARER, "refresh_token", "refresh_token", JWT_BEARER]
    assert (given, rotated) == ([JWT, OTHER], ["r1"])


async def test_an_assertion_that_is_refused_says_what_to_pass_and_shows_no_secret() -> None:
    wire = Foundation(None, refused("invalid_token", description=f"not trusted: {JWT}"))
    async with wire.jobs(UAAAssertion(JWT)) as jobs:
        with pytest.raises(AuthenticationError, match="use a new one, or a function") as caught:
            await jobs.get("j")
    assert JWT not in str(caught.value)
    assert len(wire.posts) == 1


@pytest.mark.parametrize("bad", [lambda: "x", lambda: None])
async def test_a_function_that_is_not_async_is_a_usage_error(bad: Any) -> None:
    wire = Foundation()
    async with wire.jobs(UAAAssertion(bad)) as jobs:
        with pytest.raises(UsageError, match="must be async"):
            await jobs.get("j")
    assert wire.posts == []


async def test_a_function_that_gives_no_text_is_a_usage_error_that_does_not_quote_it() -> None:
    async def broken() -> Any:
        await anyio.lowlevel.checkpoint()
        return f"{JWT}\x00"

    async with Foundation().jobs(UAAAssertion(broken)) as jobs:
        with pytest.raises(UsageError, match="assertion= contains") as caught:
            await jobs.get("j")
    assert JWT not in str(caught.value)


NO_TEXT: Any = 7


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: UAAAssertion(""), "assertion= is missing"),
        (lambda: UAAAssertion(NO_TEXT), "a JWT as text, or an async function"),
        (lambda: UAAAssertion(JWT, as_client=True), "needs client_id="),
        (lambda: UAAAssertion(JWT, as_client=True, client_id="svc", client_secret=SECRET), "takes the place"),
        (lambda: UAAAssertion(JWT, login_url="ftp://x"), "login_url="),
        (lambda: UAAPasscode(" "), "passcode= is missing"),
        (lambda: UAAPasscode(NO_TEXT), "passcode= is missing"),
    ],
)
def test_what_cannot_be_sent_is_a_usage_error(make: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        make()
    assert [secret for secret in (JWT, SECRET) if secret in str(caught.value)] == []


def test_they_show_no_secret() -> None:
    auths = [UAAAssertion(JWT, client_id="svc", client_secret=SECRET), UAAPasscode(CODE)]
    assert [repr(auth) for auth in auths] == ["UAAAssertion('svc', ****)", "UAAPasscode(****)"]
    assert [{JWT, SECRET} <= set(auths[0].secrets()), CODE in auths[1].secrets()] == [True, True]


async def test_a_passcode_is_sent_once_and_then_the_refresh_token_is_used() -> None:
    rotated: list[str] = []
    wire = Foundation(None, granted(refresh_token="r1"), granted(refresh_token="r2"))
    async with wire.jobs(UAAPasscode(f"{CODE} ", on_rotate=rotated.append)) as jobs:
        await jobs.get("j")
        await anyio.sleep(600)
        await jobs.get("j")
    assert wire.form(0) == {"grant_type": "password", "passcode": CODE}
    assert wire.form(1) == {"grant_type": "refresh_token", "refresh_token": "r1"}
    assert wire.posts[0].headers["authorization"] == basic("cf", "")
    assert rotated == ["r1", "r2"]


@pytest.mark.parametrize("refresh", [{"refresh_token": "r1"}, {}])
async def test_a_spent_passcode_is_not_sent_again(refresh: dict[str, str]) -> None:
    wire = Foundation(None, granted(**refresh), refused("invalid_token"))
    async with wire.jobs(UAAPasscode(CODE)) as jobs:
        await jobs.get("j")
        await anyio.sleep(600)
        with pytest.raises(AuthenticationError, match="get a new one"):
            await jobs.get("j")
    assert [wire.form(n)["grant_type"] for n in range(len(wire.posts))].count("password") == 1


@pytest.mark.parametrize(
    ("auth", "good"),
    [
        (lambda: UAAAssertion(JWT), True),
        (lambda: UAAAssertion(OTHER), False),
        (lambda: UAAAssertion(JWT, client_id="svc", as_client=True), True),
        (lambda: UAAAssertion(OTHER, client_id="svc", as_client=True), False),
        (lambda: UAAAssertion(JWT, client_id="unknown", as_client=True), False),
        (lambda: UAAPasscode(CODE), True),
        (lambda: UAAPasscode("another"), False),
    ],
)
async def test_the_simulated_uaa_knows_assertions_and_passcodes(auth: Any, good: bool) -> None:
    simulator = CFSimulator(
        assertions=[JWT], passcodes=[CODE], clients={"cf": "", "svc": SECRET}, users={}, strict=True
    )
    guid = simulator.add_job([("COMPLETE", None)])
    async with CFJobs(API, auth=auth(), transport=simulator.transport()) as jobs:
        if good:
            assert (await jobs.get(guid)).succeeded
        else:
            with pytest.raises(AuthenticationError):
                await jobs.get(guid)


async def test_the_simulated_uaa_takes_a_passcode_once() -> None:
    simulator = CFSimulator(strict=True)
    guid = simulator.add_job([("COMPLETE", None)])
    async with CFJobs(API, auth=UAAPasscode(CODE), transport=simulator.transport()) as jobs:
        assert (await jobs.get(guid)).succeeded
    async with CFJobs(API, auth=UAAPasscode(CODE), transport=simulator.transport()) as jobs:
        with pytest.raises(AuthenticationError):
            await jobs.get(guid)
