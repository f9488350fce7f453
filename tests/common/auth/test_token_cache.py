"""How long a token counts, how long a refused sign-in does, and what a refusal of a new token means."""

from __future__ import annotations

import time

import anyio
import pytest

from common.auth.oauth2 import Token
from common.auth.token_auth import MAX_TRIES, TokenSigner
from common.auth.token_cache import CachedToken, Rejection
from common.concurrency import running_loop
from common.model.errors import AuthenticationError, ServerError
from tests.common.auth.signing import FakeTokenHttp, PasswordAuth, response, token

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

REFUSED = response({"error": "unauthorized", "error_description": "Bad credentials"}, 401)


def cached(lifetime: float | None, *, after: CachedToken | None = None) -> CachedToken:
    return CachedToken.of(Token("access", lifetime), after=after)


@pytest.mark.parametrize(("lifetime", "fresh"), [(600.0, 540.0), (120.0, 60.0), (100.0, 50.0)])
async def test_a_token_is_due_for_a_refresh_before_it_expires(lifetime: float, fresh: float) -> None:
    its = cached(lifetime)
    await anyio.sleep(fresh - 0.5)
    assert (its.fresh, its.unexpired) == (True, True)
    await anyio.sleep(0.5)
    assert (its.fresh, its.unexpired) == (False, True)
    await anyio.sleep(lifetime - fresh - 0.5)
    assert its.unexpired
    await anyio.sleep(0.5)
    assert not its.unexpired


async def test_a_token_without_a_lifetime_is_fresh_for_ever_and_never_known_to_be_good() -> None:
    its = cached(None)
    its.postpone_refresh()
    await anyio.sleep(86_400)
    assert (its.fresh, its.unexpired, its.refresh_at, its.expires_at) == (True, False, None, None)


async def test_a_token_that_was_refused_is_neither_fresh_nor_good() -> None:
    for lifetime in (600.0, None):
        its = cached(lifetime)
        assert not its.rejected
        its.rejected = True
        assert (its.fresh, its.unexpired) == (False, False)


async def test_a_refresh_that_failed_is_tried_again_soon_and_before_the_token_expires() -> None:
    its, fresh = cached(600.0), list[bool]()
    await anyio.sleep(550)
    its.postpone_refresh()
    for seconds in (0, 4.5, 0.5):
        await anyio.sleep(seconds)
        fresh.append(its.fresh)
    assert fresh == [True, True, False]
    await anyio.sleep(42)
    its.postpone_refresh()
    assert its.refresh_at == its.expires_at


async def test_a_token_in_place_of_a_refused_one_is_given_ten_seconds() -> None:
    first = cached(600.0)
    assert first.settled
    assert cached(600.0, after=first).settled
    first.rejected = True
    second = cached(600.0, after=first)
    assert not second.settled
    await anyio.sleep(9.5)
    assert not second.settled
    await anyio.sleep(0.5)
    assert second.settled


async def test_all_times_of_a_token_go_along_to_another_loop() -> None:
    refused = cached(600.0)
    refused.rejected = True
    its = cached(600.0, after=refused)
    before = its.refresh_at, its.expires_at, its.settled_at
    its.move_to(running_loop())
    assert (its.refresh_at, its.expires_at, its.settled_at) == before
    its.loop = None
    its.skew = anyio.current_time() - time.monotonic() - 1000.0  # that loop's clock was behind
    its.move_to(running_loop())
    after = its.refresh_at, its.expires_at, its.settled_at
    assert [late - early for late, early in zip(after, before, strict=True) if late and early] == [
        pytest.approx(1000.0, abs=60.0)
    ] * 3
    assert its.loop is running_loop()
    its.move_to(running_loop())
    assert (its.refresh_at, its.expires_at, its.settled_at) == after
    its.loop = None
    its.move_to(running_loop())
    assert its.settled_at == pytest.approx(after[2], abs=60.0)


async def test_a_token_without_a_lifetime_goes_along_too() -> None:
    its = cached(None)
    its.loop = None
    its.move_to(running_loop())
    assert (its.refresh_at, its.expires_at) == (None, None)


async def test_a_refused_sign_in_counts_for_ten_seconds_on_its_own_loop() -> None:
    error = AuthenticationError("no", status=401)
    rejection = Rejection.of(error)
    assert rejection.error is error
    assert rejection.active
    assert not Rejection(error, None, rejection.until).active
    await anyio.sleep(9.5)
    assert rejection.active
    await anyio.sleep(0.5)
    assert not rejection.active


# --- what a refusal leads to


def bearer(access: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {access}"}


async def signed_in(*more: str) -> tuple[FakeTokenHttp, PasswordAuth, TokenSigner]:
    """Return a sign-in whose token is ``access-1``; the next ones are ``more``."""
    http = FakeTokenHttp(token("access-1"), *(token(access) for access in more))
    auth = PasswordAuth(http)
    signer = TokenSigner(auth, http)
    assert await signer.headers() == bearer("access-1")
    return http, auth, signer


async def test_a_refused_token_is_replaced_once_and_its_successor_not_at_once() -> None:
    http, _, signer = await signed_in("access-2", "access-3")
    assert await signer.refresh(bearer("access-1"))
    assert await signer.headers() == bearer("access-2")
    assert not await signer.refresh(bearer("access-2"))
    assert len(http.requests) == 2
    await anyio.sleep(10)
    assert await signer.refresh(bearer("access-2"))
    assert await signer.headers() == bearer("access-3")


async def test_a_new_token_that_the_api_has_accepted_is_replaced_when_it_is_refused() -> None:
    _, _, signer = await signed_in("access-2", "access-3")
    await signer.refresh(bearer("access-1"))
    signer.accepted(bearer("access-2"))
    assert await signer.refresh(bearer("access-2"))
    assert await signer.headers() == bearer("access-3")


async def test_a_slow_response_to_the_former_token_does_not_count_against_the_new_one() -> None:
    _, _, signer = await signed_in("access-2", "access-3")
    await signer.refresh(bearer("access-1"))
    signer.accepted(bearer("access-2"))
    signer.accepted(bearer("access-1"))
    assert await signer.refresh(bearer("access-2"))
    assert await signer.headers() == bearer("access-3")


async def test_a_first_token_that_is_refused_is_replaced_at_once() -> None:
    _, auth, signer = await signed_in("access-2")
    assert not auth.replaces_refused("access-1")
    assert not auth.replaces_refused("another")
    assert not PasswordAuth().replaces_refused("access-1")
    assert await signer.refresh(bearer("access-1"))


async def test_a_token_that_was_replaced_meanwhile_costs_no_sign_in() -> None:
    http, _, signer = await signed_in("access-2", "access-3")
    await signer.refresh(bearer("access-1"))
    assert await signer.refresh(bearer("access-1"))
    assert await signer.headers() == bearer("access-2")
    assert len(http.requests) == 2


async def test_of_two_that_were_refused_with_the_new_token_neither_signs_in() -> None:
    http, auth, signer = await signed_in("access-2", "access-3")
    await signer.refresh(bearer("access-1"))
    assert auth.replaces_refused("access-2")
    assert auth.replaces_refused("access-2")
    await auth.token(http, refused="access-2")
    assert not auth.replaces_refused("access-2")


async def test_a_new_token_that_was_given_up_already_is_not_taken_for_one_that_has_just_come() -> None:
    away = response(b"", 503)
    http = FakeTokenHttp(token("access-1"), token("access-2"), *[away] * MAX_TRIES, token("access-3"))
    auth = PasswordAuth(http)
    signer = TokenSigner(auth, http)
    await signer.headers()
    await signer.refresh(bearer("access-1"))
    with pytest.raises(ServerError):
        await auth.token(http, refused="access-2")
    assert await signer.refresh(bearer("access-2"))
    assert await signer.headers() == bearer("access-3")


async def test_a_token_that_is_issued_again_is_used_again() -> None:
    http, auth, _ = await signed_in("access-1")
    with anyio.fail_after(100):
        assert await auth.token(http, refused="access-1") == "access-1"
    assert len(http.requests) == 2


async def test_the_token_before_stays_a_secret() -> None:
    http, auth, _ = await signed_in("access-2")
    await auth.token(http, refused="access-1")
    assert {"access-1", "access-2"} <= set(auth.secrets())


class Finding(PasswordAuth):
    """A sign-in that may find a token which somebody else has obtained."""

    found: Token | None = None

    async def cached_token(self) -> Token | None:
        return self.found


async def test_a_token_that_is_found_ends_the_time_of_a_refused_sign_in() -> None:
    http = FakeTokenHttp(REFUSED, token("access-2"))
    auth = Finding(http)
    with pytest.raises(AuthenticationError):
        await auth.token(http)
    auth.found = Token("found", 600.0)
    assert await auth.token(http) == "found"
    auth.found = None
    assert await auth.token(http, refused="found") == "access-2"


@pytest.mark.virtual(1e6)  # where the clock's steps are larger than this lifetime
async def test_a_token_that_is_found_is_used_though_it_is_due_for_a_refresh_at_once() -> None:
    http = FakeTokenHttp(token("access"))

    class FindingOnce(Finding):
        async def cached_token(self) -> Token | None:
            found, self.found = self.found, None
            return found

    auth = FindingOnce(http)
    auth.found = Token("found", 1e-12)
    assert await auth.token(http) == "found"
    assert http.requests == []


async def test_closing_waits_for_a_sign_in_of_ones_own_connections_alone() -> None:
    http, other = FakeTokenHttp(token("access"), latency=4), FakeTokenHttp(token("access"))
    auth = PasswordAuth(http)
    start = anyio.current_time()
    async with anyio.create_task_group() as group:
        group.start_soon(auth.token, http)
        await anyio.sleep(3)
        await TokenSigner(auth, other).aclose()
        assert anyio.current_time() == pytest.approx(start + 3)
        await TokenSigner(auth, http).aclose()
        assert anyio.current_time() == pytest.approx(start + 4)
    assert await auth.token(other) == "access"
    assert (len(http.requests), other.requests) == (1, [])
