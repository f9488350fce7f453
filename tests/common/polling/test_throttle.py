"""How fast polls leave a source whose server counts requests."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.polling.throttle import Budget, Throttle


def test_as_many_as_allowed_fly_at_once_and_the_next_waits_for_one_to_land() -> None:
    pacer = Throttle(2)
    assert [pacer.next_send_at(5.0, flying) for flying in (0, 1, 2)] == [5.0, 5.0, math.inf]


def test_too_many_requests_halve_what_is_under_way_and_good_answers_bring_it_back() -> None:
    pacer = Throttle(8)
    pacer.rate_limited()
    assert pacer.limit == 4
    pacer.rate_limited()
    pacer.rate_limited()
    pacer.rate_limited()
    assert pacer.limit == 1
    for _ in range(40):
        pacer.request_answered(float)
    assert pacer.limit == 8


def test_retry_after_is_a_floor_that_a_shorter_one_does_not_lower() -> None:
    pacer = Throttle(8)
    pacer.delay_until(60.0)
    pacer.delay_until(30.0)
    assert pacer.next_send_at(10.0, 0) == 60.0


def test_a_budget_of_which_most_is_left_slows_nothing() -> None:
    assert Budget(limit=2000, remaining=1001, seconds=3600).interval() == 0.0


def test_of_a_budget_that_is_half_used_up_half_of_the_rest_is_left_to_others() -> None:
    assert Budget(limit=2000, remaining=1000, seconds=3600).interval() == pytest.approx(7.2)


def test_a_budget_that_begins_anew_ends_the_spacing() -> None:
    pacer = Throttle(8)
    pacer.budget(Budget(100, 10, 500), now=0.0)
    pacer.request_sent(0.0)
    assert pacer.next_send_at(0.0, 0) == 100.0
    pacer.budget(Budget(100, 99, 3600), now=1.0)
    assert pacer.next_send_at(1.0, 0) == 1.0


@given(st.integers(1, 10_000), st.floats(1, 7200), st.integers(0, 10_000))
def test_polls_alone_never_use_a_budget_up(limit: int, window: float, used: int) -> None:
    pacer, now, left = Throttle(8), 0.0, max(1, limit - used)
    for _ in range(300):
        pacer.budget(Budget(limit, left, window - now), now)
        now = max(now, pacer.next_send_at(now, 0))
        if now >= window or left <= 1:
            break
        pacer.request_sent(now)
        left -= 1
    assert left >= 1
