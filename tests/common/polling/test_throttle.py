"""How fast polls leave a source whose server counts requests."""

from __future__ import annotations

import math

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.model.errors import RateLimited, TransportError
from common.polling.throttle import Budget, LoopThrottle, Throttle


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
    assert throttle.interval(0.0) == 100.0
    throttle.update_budget(Budget(100, 99, 3600), now=501.0)
    assert throttle.interval(501.0) == 0.0


def test_what_a_budget_said_counts_until_its_window_ends() -> None:
    throttle = Throttle(8)
    throttle.update_budget(Budget(100, 10, 50.0), now=5.0)
    assert [throttle.interval(now) for now in (5.0, 54.9, 55.0)] == [10.0, 10.0, 0.0]


def test_what_several_processes_count_is_taken_on_average() -> None:
    throttle, seen = Throttle(8), []
    for second, left in enumerate((0, 30, 20) * 20):
        throttle.update_budget(Budget(100, left, 3600.0 - second), now=float(second))
        seen.append(throttle.interval(second) * 100 / (3600 - second))
    assert seen[0] == 100.0
    assert all(5 < interval < 20 for interval in seen[20:])  # 12 where a mean of 16.7 were exact


@pytest.mark.parametrize(("later", "interval"), [(5.0, 99.5 / 14), (5.1, 99.6 / 20), (-6.0, 88.5 / 20)])
def test_another_window_is_another_budget(later: float, interval: float) -> None:
    throttle = Throttle(8)
    throttle.update_budget(Budget(100, 24, 100.0), now=0.0)
    throttle.update_budget(Budget(100, 40, 94.5 + later), now=5.5)
    assert throttle.interval(5.5) == pytest.approx(interval)


@given(st.integers(1, 10_000), st.floats(1, 7200), st.integers(0, 10_000))
def test_polls_this_far_apart_never_use_a_budget_up(limit: int, window: float, used: int) -> None:
    throttle, now, left = Throttle(8), 0.0, max(1, limit - used)
    for _ in range(300):
        throttle.update_budget(Budget(limit, left, window - now), now)
        now += throttle.interval(now)
        if now >= window or left <= 1:
            break
        left -= 1
    assert left >= 1


def test_a_retry_after_is_capped() -> None:
    throttle, error = Throttle(8, retry_after_cap=50.0), rate_limited(9000.0)
    throttle.on_failure(error, 10.0)
    assert (throttle.retry_after_until, error.retry_after) == (60.0, 50.0)


def test_a_full_round_of_good_replies_adds_one_to_the_limit() -> None:
    throttle = Throttle(8)
    throttle.on_failure(rate_limited(), 0.0)
    for _ in range(4):
        throttle.on_success(float)
    assert throttle.limit == 4
    throttle.on_success(float)
    assert throttle.limit == 5
    for _ in range(4):
        throttle.on_success(float)
    assert throttle.limit == 5
    throttle.on_success(float)
    assert throttle.limit == 6


def test_failures_with_good_replies_between_them_are_no_outage() -> None:
    throttle = Throttle(2)
    for _ in range(5):
        throttle.on_failure(TransportError("down"), 0.0)
        throttle.on_success(lambda: 9.0)
    assert throttle.recovered_at == -math.inf


@pytest.mark.parametrize(
    ("remaining", "seconds", "interval"),
    [
        (0, 9.0, 9.0),
        (1, 9.0, 9.0),
        (2, 9.0, 9.0),
        (4, 9.0, 4.5),
        (10, 1.0, 0.2),
        (10, 0.0, 0.0),
        (10, -0.5, 0.0),
    ],
)
def test_the_last_requests_of_a_budget_are_spread_to_its_end(
    remaining: int, seconds: float, interval: float
) -> None:
    assert Budget(100, remaining, seconds).interval() == pytest.approx(interval)


def test_each_event_loop_has_limits_of_its_own() -> None:
    limits = LoopThrottle(1, 50.0)
    before = limits.current

    async def fill() -> Throttle:
        now = anyio.current_time()
        limits.on_failure(rate_limited(9000.0))
        limits.on_success()
        limits.update_budget(Budget(100, 50, 1000.0))
        current = limits.current()
        assert before() is current
        assert current.retry_after_until == pytest.approx(now + 50.0, abs=5.0)
        assert current.interval(now) == 40.0
        return current

    async def look() -> Throttle:
        current = limits.current()
        assert (current.retry_after_until, current.interval(-1e9)) == (-math.inf, 0.0)
        return current

    assert anyio.run(fill) is not anyio.run(look)


def test_a_good_reply_ends_an_outage_of_the_running_loop() -> None:
    async def main() -> None:
        limits = LoopThrottle(1, 50.0)
        limits.on_failure(TransportError("down"))
        limits.on_success()
        assert limits.current().recovered_at == pytest.approx(anyio.current_time(), abs=5.0)

    anyio.run(main)


def test_without_a_word_of_the_server_nothing_keeps_requests_apart() -> None:
    throttle = Throttle(2)
    assert (throttle.interval(5.0), throttle.next_send_at(5.0, 1)) == (0.0, 5.0)


def test_an_hour_of_silence_is_kept_unless_the_system_is_known_to_need_less() -> None:
    throttle = Throttle(2)
    throttle.on_failure(rate_limited(1e6), 0.0)
    assert throttle.retry_after_until == 3600.0
