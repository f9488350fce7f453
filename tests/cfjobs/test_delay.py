"""How often a Cloud Foundry job is asked about: its run time, and the broker that the server waits for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cfjobs.delay import cf_delay
from common import Job, JobRef, JobState, PollPolicy
from common.polling.policy import healthy_delay

REF = JobRef("cf", "https://api.example.org", "6bd8d5ce")
BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)
POLICY = PollPolicy()


def job(native: str | None = "POLLING", *, asked: float | None = 0.0) -> Job:
    """A job that waits for a broker, which was asked so many seconds after the job began."""
    if asked is None:
        return Job(REF, JobState.RUNNING, native_state=native)
    return Job(
        REF,
        JobState.RUNNING,
        native_state=native,
        created_at=BEGAN,
        updated_at=BEGAN + timedelta(seconds=asked),
    )


@pytest.mark.parametrize("native", ["PROCESSING", "COMPLETE", "BEYOND", None])
@pytest.mark.parametrize("ran", [0.0, 3.0, 50.0, 1e6])
def test_any_other_job_is_asked_about_by_its_run_time(native: str | None, ran: float) -> None:
    assert cf_delay(POLICY, job(native), ran) == healthy_delay(POLICY, ran)


@pytest.mark.parametrize(
    ("asked", "ran", "delay"),
    [
        (2.0, 3.0, 30.0),  # a minute's rest, of which the policy allows half
        (2.0, 33.0, 30.0),
        (2.0, 53.0, 10.0),  # a second after the broker is asked again
        (2.0, 62.5, 1.0),
        (2.0, 63.0, 6.3),  # overdue: the controller's queue is long
        (62.0, 63.0, 30.0),
        (6_002.0, 6_033.0, 30.0),
    ],
)
def test_a_polling_job_is_asked_about_when_the_broker_was(asked: float, ran: float, delay: float) -> None:
    assert cf_delay(POLICY, job("polling", asked=asked), ran) == pytest.approx(delay)


@pytest.mark.parametrize(("ran", "delay"), [(0.0, 5.0), (40.0, 5.0), (100.0, 10.0), (1e6, 30.0)])
def test_without_times_a_polling_job_is_asked_about_less_often(ran: float, delay: float) -> None:
    assert cf_delay(POLICY, job(asked=None), ran) == delay


@pytest.mark.parametrize("asked", [-1e6, 1e6])
def test_clocks_that_do_not_agree_do_no_harm(asked: float) -> None:
    assert cf_delay(POLICY, job(asked=asked), 10.0) == 5.0


@given(
    asked=st.none() | st.floats(-1e5, 1e5),
    ran=st.floats(0, 1e6),
    initial=st.floats(0.001, 300),
    longer=st.floats(0, 300),
)
def test_whatever_the_server_says_the_policy_bounds_it(
    asked: float | None, ran: float, initial: float, longer: float
) -> None:
    policy = PollPolicy(initial=initial, maximum=initial + longer)
    assert initial <= cf_delay(policy, job(asked=asked), ran) <= policy.maximum
