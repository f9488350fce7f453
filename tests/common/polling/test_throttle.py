"""How fast polls leave a source whose server counts requests."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.model.errors import RateLimited
from common.polling.throttle import Budget, Throttle


def rate_limited(retry_after: float | None = None) -> RateLimited:
    return RateLimited("busy", status=429, transient=True, retry_after=retry_after)


def test_as_many_as_allowed_are_in_flight_and_the_next_waits_for_one_to_complete() -> None:
    throttle = Throttle(2)
    assert [throttle.next_send_at(5.0, in_flight) for in_flight in (0, 1, 2)] == [5.0, 5.0, math.inf]


def test_a_429_halves_the_limit_and_good_replies_raise_it_again() -> None:
    throttle = Throttle(8)
    throttle.on_failure(rate_limited(), 0.0)
    assert throttle.limit == 4
    throttle.on_failure(rate_limited(), 0.0)
    throttle.on_failure(rate_limited(), 0.0)
    throttle.on_failure(rate_limited(), 0.0)
    assert throttle.limit == 1
    for _ in range(40):
        throttle.on_success(float)
    assert throttle.limit == 8


def test_retry_after_is_a_floor_that_a_shorter_one_does_not_lower() -> None:
    throttle = Throttle(8)
    throttle.on_failure(rate_limited(60.0), 0.0)
    throttle.on_failure(rate_limited(30.0), 0.0)
    assert throttle.next_send_at(10.0, 0) == 60.0


def test_a_budget_of_which_most_is_left_slows_nothing() -> None:
    assert Budget(limit=2000, remaining=1001, seconds=3600).interval() == 0.0


def test_of_a_budget_that_is_half_used_up_half_of_the_rest_is_left_to_others() -> None:
    assert Budget(limit=2000, remaining=1000, seconds=3600).interval() == pytest.approx(7.2)


def test_a_budget_that_begins_anew_ends_the_spacing() -> None:
    throttle = Throttle(8)
    throttle.update_budget(Budget(100, 10, 500), now=0.0)
    throttle.request_sent(0.0)
    assert throttle.next_send_at(0.0, 0) == 100.0
    throttle.update_budget(Budget(100, 99, 3600), now=1.0)
    assert throttle.next_send_at(1.0, 0) == 1.0


@given(st.integers(1, 10_000), st.floats(1, 7200), st.integers(0, 10_000))
def test_polls_alone_never_use_a_budget_up(limit: int, window: float, used: int) -> None:
    throttle, now, left = Throttle(8), 0.0, max(1, limit - used)
    for _ in range(300):
        throttle.update_budget(Budget(limit, left, window - now), now)
        now = max(now, throttle.next_send_at(now, 0))
        if now >= window or left <= 1:
            break
        throttle.request_sent(now)
        left -= 1
    assert left >= 1


def test_a_retry_after_is_capped() -> None:
    throttle, error = Throttle(8, retry_after_cap=50.0), rate_limited(9000.0)
    throttle.on_failure(error, 10.0)
    assert (throttle.retry_after_until, error.retry_after) == (60.0, 50.0)
