"""The arithmetic of delays: how late an end is learnt of, and how many polls that costs."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.model.errors import UsageError
from common.model.job import Job
from common.model.refs import JobRef
from common.model.states import JobState
from common.polling.policy import (
    LONGEST,
    CancelJob,
    PollPolicy,
    WaitRules,
    WaitSpec,
    backoff,
    healthy_delay,
    recheck_at,
    run_time,
)

SECONDS = st.floats(0.0, 1e7)
UNIT = st.floats(0.0, 1.0)
POLICIES = st.builds(
    lambda initial, factor, fraction: PollPolicy(
        initial=initial, maximum=initial * factor, fraction=fraction
    ),
    st.floats(0.01, 60.0),
    st.floats(1.0, 1000.0),
    st.floats(0.0, 2.0),
)
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
JOB = Job(JobRef("ontap", "", "x"), JobState.RUNNING)


def polls(policy: PollPolicy, until: float) -> list[float]:
    """When a job is polled that began at 0, up to the first poll at or after ``until`` seconds."""
    times = [0.0]
    while times[-1] < until:
        times.append(times[-1] + healthy_delay(policy, times[-1]))
    return times


# --- the policy


def test_the_defaults_are_documented_numbers() -> None:
    assert attrs.asdict(PollPolicy()) == {
        "initial": 1.0,
        "maximum": 30.0,
        "fraction": 0.1,
        "start_grace": 2.0,
        "gone_grace": 15.0,
        "outage_limit": 3600.0,
        "unknown_limit": 300.0,
    }


FIELDS = [field.name for field in attrs.fields(PollPolicy)]


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, True, "1", None, [1], LONGEST, pytest.param(10**400, id="huge")]
)
def test_a_policy_takes_numbers_below_thirty_years_alone(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=f"PollPolicy.{name} must be a number of seconds"):
        PollPolicy(**{name: value})


def test_thirty_years_are_a_billion_seconds() -> None:
    assert LONGEST == 1_000_000_000
    assert PollPolicy(outage_limit=999_999_999.5).outage_limit == 999_999_999.5


@pytest.mark.parametrize("name", FIELDS)
def test_a_policy_takes_nothing_below_zero(name: str) -> None:
    with pytest.raises(UsageError, match=f"PollPolicy.{name} must be at least"):
        PollPolicy(**{name: -0.5})


@pytest.mark.parametrize("name", ["initial", "maximum"])
def test_a_delay_is_never_zero(name: str) -> None:
    with pytest.raises(UsageError, match=r"at least 0\.001"):
        PollPolicy(**{name: 0.0})


@pytest.mark.parametrize("name", ["fraction", "start_grace", "gone_grace", "outage_limit", "unknown_limit"])
def test_limits_may_be_zero_and_whole(name: str) -> None:
    assert getattr(PollPolicy(**{name: 0}), name) == 0


@pytest.mark.parametrize("given_as", [{"initial": 2.0, "maximum": 1.0}, {"initial": 31.0}, {"maximum": 0.5}])
def test_the_maximum_is_not_below_the_initial(given_as: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="must not be below initial"):
        PollPolicy(**given_as)


def test_a_policy_is_given_by_keyword_and_cannot_be_changed() -> None:
    policy: Any = PollPolicy(initial=2, maximum=2)
    with pytest.raises(AttributeError):
        policy.initial = 1.0
    positional: Any = PollPolicy
    with pytest.raises(TypeError):
        positional(1.0)


# --- good polls


@pytest.mark.parametrize(
    ("ran", "delay"),
    [(0.0, 1.0), (5.0, 1.0), (10.0, 1.0), (20.0, 2.0), (100.0, 10.0), (300.0, 30.0), (1e6, 30.0)],
)
def test_a_delay_is_a_tenth_of_the_run_time_between_its_bounds(ran: float, delay: float) -> None:
    assert healthy_delay(PollPolicy(), ran) == pytest.approx(delay)


@given(POLICIES, SECONDS, SECONDS)
def test_delays_are_bounded_and_grow_with_the_run_time(policy: PollPolicy, one: float, other: float) -> None:
    early, late = sorted([one, other])
    first, second = healthy_delay(policy, early), healthy_delay(policy, late)
    assert policy.initial <= first <= second <= policy.maximum


@given(st.floats(0.1, 5000.0), st.floats(0.02, 1.0), st.floats(0.5, 10.0))
def test_an_end_is_learnt_of_within_its_fraction_of_the_run_time(
    ends: float, fraction: float, initial: float
) -> None:
    policy = PollPolicy(initial=initial, maximum=1e6, fraction=fraction)
    lag = polls(policy, ends)[-1] - ends
    assert 0.0 <= lag <= max(initial, ends * fraction) * (1 + 1e-9)


@given(st.floats(0.1, 5000.0))
def test_an_end_is_never_learnt_of_later_than_the_maximum(ends: float) -> None:
    policy = PollPolicy(maximum=5.0)
    assert polls(policy, ends)[-1] - ends <= policy.maximum * (1 + 1e-9)


@given(st.floats(0.02, 0.5), st.floats(100.0, 1e5))
def test_ten_times_the_run_time_costs_a_constant_number_of_polls_more(fraction: float, ran: float) -> None:
    policy = PollPolicy(maximum=1e8, fraction=fraction)
    more = len(polls(policy, ran * 10)) - len(polls(policy, ran))
    assert more <= math.ceil(math.log(10) / math.log(1 + fraction)) + 1


def test_a_day_takes_a_bounded_number_of_polls() -> None:
    assert len(polls(PollPolicy(maximum=1e8), 86_400.0)) < 110


def test_good_polls_have_no_jitter() -> None:
    policy = PollPolicy()
    assert len({healthy_delay(policy, 123.0) for _ in range(20)}) == 1


def test_a_provider_without_a_rule_of_its_own_goes_by_the_run_time() -> None:
    policy = PollPolicy()
    assert [WaitRules(policy=policy).delay(policy, JOB, ran) for ran in (0.0, 100.0)] == [1.0, 10.0]


# --- what a cancelled wait does


async def ask_the_server(_: JobRef) -> None:
    """Never asked here."""


@pytest.mark.parametrize(
    ("cancel", "cancel_if", "cancels"),
    [
        (None, None, False),
        (ask_the_server, None, True),
        (ask_the_server, lambda: True, True),
        (ask_the_server, lambda: False, False),
        (None, lambda: True, False),
    ],
)
def test_a_cancelled_wait_cancels_the_job_if_it_can_and_the_caller_wants_it(
    cancel: CancelJob | None, cancel_if: Callable[[], bool] | None, cancels: bool
) -> None:
    spec = WaitSpec(
        policy=PollPolicy(),
        timeout=None,
        deadline=None,
        cancel=cancel,
        cancel_if=cancel_if,
        resolve_gone=None,
    )
    assert spec.cancels(JOB.ref) is cancels


# --- backoff


@given(POLICIES, SECONDS, UNIT)
def test_backoff_is_bounded_and_never_zero(policy: PollPolicy, outage: float, draw: float) -> None:
    assert policy.initial / 2 <= backoff(policy, outage, draw) <= policy.maximum


@given(POLICIES, SECONDS, SECONDS, UNIT)
def test_backoff_grows_with_the_outage(policy: PollPolicy, one: float, other: float, draw: float) -> None:
    early, late = sorted([one, other])
    assert backoff(policy, early, draw) <= backoff(policy, late, draw)


@given(POLICIES, SECONDS, UNIT)
def test_jitter_takes_at_most_half_off(policy: PollPolicy, outage: float, draw: float) -> None:
    whole = backoff(policy, outage, 0.0)
    assert backoff(policy, outage, 1.0) == pytest.approx(whole / 2)
    assert whole / 2 <= backoff(policy, outage, draw) <= whole


def test_each_try_doubles_the_outage_up_to_the_maximum() -> None:
    policy, tries = PollPolicy(), [0.0]
    while len(tries) < 10:
        tries.append(tries[-1] + backoff(policy, tries[-1], 0.0))
    gaps = [later - earlier for earlier, later in pairwise(tries)]
    assert gaps == [1.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


# --- run time


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({"started_at": START}, 90.0),
        ({"created_at": START}, 90.0),
        ({"started_at": START, "created_at": START - timedelta(hours=1)}, 90.0),
        ({"started_at": START + timedelta(days=1)}, 0.0),
        ({"updated_at": START}, 7.0),
        ({}, 7.0),
    ],
)
def test_run_time_is_the_servers_date_less_the_jobs_start(times: dict[str, Any], expected: float) -> None:
    assert run_time(attrs.evolve(JOB, **times), START + timedelta(seconds=90), 7.0) == expected


def test_without_a_date_run_time_is_the_time_waited() -> None:
    for waited in (7.0, 0.5):
        assert run_time(attrs.evolve(JOB, started_at=START), None, waited) == waited


@given(
    st.none() | st.datetimes(timezones=st.just(UTC)),
    st.none() | st.datetimes(timezones=st.just(UTC)),
    st.floats(-1e6, 1e6),
)
def test_run_time_is_never_below_zero(start: datetime | None, date: datetime | None, waited: float) -> None:
    assert run_time(attrs.evolve(JOB, started_at=start), date, waited) >= 0.0


@pytest.mark.parametrize(
    ("grace", "looks"),
    [
        (15, [0, 1, 2, 4, 8, 15]),
        (0.5, [0, 0.5]),
        (300, [0, 1, 2, 4, 8, 16, 32, 64, 124, 184, 244, 300]),
    ],
)
def test_a_missing_job_is_looked_for_at_doubled_distances_of_a_minute_at_most(
    grace: float, looks: list[float]
) -> None:
    times = [0.0]
    for _ in looks[1:]:
        times.append(recheck_at(times[-1], grace))
    assert times == looks
    assert recheck_at(grace, grace) == grace
    assert recheck_at(0.25, 15) == 1
