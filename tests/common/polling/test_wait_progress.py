"""What a wait makes of each answer: the pure `WaitProgress`, without a clock or a socket."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import attrs
import pytest

from common.model.errors import (
    AuthenticationError,
    DecodeError,
    JobFailed,
    JobGone,
    JobNotFound,
    JobPartiallyFailed,
    JobsError,
    ServerError,
    SourceError,
    TransportError,
    UnexpectedState,
    UsageError,
    WaitTimeout,
)
from common.model.job import ErrorDetail, FrozenMap, Job, JobItem
from common.model.refs import JobRef
from common.model.states import JobState
from common.polling.policy import PollPolicy, WaitRules
from common.polling.wait_progress import WaitProgress

REF = JobRef("cf", "https://api.example.org", "job-1")
BEGAN = 1000.0
RULES = ("delay", "until", "retention")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
POLICY = PollPolicy(initial=1, maximum=30, start_grace=2, outage_limit=60, unknown_limit=5)
ENDS = [JobState.SUCCEEDED, JobState.PARTIAL, JobState.FAILED, JobState.CANCELLED]


def tracker(policy: PollPolicy = POLICY, **given: Any) -> WaitProgress:
    rules = WaitRules(policy=policy, **{name: given.pop(name) for name in RULES if name in given})
    return WaitProgress(ref=REF, rules=rules, began=BEGAN, **given)


def job(state: JobState = JobState.RUNNING, **fields: Any) -> Job:
    return Job(REF, state, **fields)


def trouble(retry_after: float | None = None) -> SourceError:
    return ServerError("503", status=503, transient=True, retry_after=retry_after)


def undecodable() -> DecodeError:
    return DecodeError("expected text", path="$.state")


def fail(
    one: WaitProgress, at: float, *, jitter: float = 0.0, error: SourceError | None = None
) -> JobsError | None:
    return one.request_failed(error or trouble(), sent_at=at, now=at, jitter=jitter)


# --- What the watcher is told


def test_the_first_answer_is_told_and_the_same_again_is_not() -> None:
    one = tracker()
    assert [one.observe(job(), sent_at=BEGAN + n) for n in range(3)] == [True, False, False]


def test_the_first_answer_is_told_also_when_the_job_was_seen_before_like_this() -> None:
    seen = job()
    for again in (job(), seen):
        one = tracker(last=seen)
        assert [one.observe(again, sent_at=BEGAN + n) for n in range(2)] == [True, False]


@pytest.mark.parametrize(
    "change",
    [
        {"state": JobState.PAUSED},
        {"native_state": "POLLING"},
        {"message": "half way"},
        {"progress": 0.5},
        {"errors": (ErrorDetail("a try that failed"),)},
        {"warnings": ("slow",)},
        {"items": (JobItem("v1", "volume", JobState.SUCCEEDED),)},
    ],
    ids=lambda change: str(next(iter(change))),
)
def test_a_change_is_told(change: dict[str, Any]) -> None:
    one = tracker()
    one.observe(job(), sent_at=BEGAN)
    assert one.observe(attrs.evolve(job(), **change), sent_at=BEGAN + 1)


@pytest.mark.parametrize(
    "change",
    [
        {"updated_at": NOON},
        {"started_at": NOON},
        {"links": FrozenMap({"self": "/v3/jobs/job-1"})},
        {"operation": "app.delete"},
        {"observed_at": NOON},
        {"record": object()},
    ],
    ids=lambda change: str(next(iter(change))),
)
def test_what_is_no_change_is_not_told(change: dict[str, Any]) -> None:
    one = tracker()
    one.observe(job(), sent_at=BEGAN)
    assert not one.observe(attrs.evolve(job(), **change), sent_at=BEGAN + 1)
    assert one.last == attrs.evolve(job(), **change)


def test_an_outage_between_two_equal_answers_is_no_change() -> None:
    one = tracker()
    one.observe(job(), sent_at=BEGAN)
    fail(one, BEGAN + 1)
    assert not one.observe(job(), sent_at=BEGAN + 2)


# --- When to ask again


def test_the_first_poll_is_due_at_once() -> None:
    assert tracker().due == BEGAN


@pytest.mark.parametrize(("ran", "delay"), [(0, 1), (5, 1), (100, 10), (300, 30), (9999, 30)])
def test_the_delay_is_a_tenth_of_the_run_time_within_the_policy_and_counts_from_the_dispatch(
    ran: float, delay: float
) -> None:
    one = tracker()
    one.observe(job(started_at=NOON), sent_at=BEGAN + 7, date=NOON + timedelta(seconds=ran))
    assert one.due == BEGAN + 7 + delay


@pytest.mark.parametrize("begun", [job(started_at=NOON), job(created_at=NOON)], ids=["started", "created"])
def test_a_server_whose_clock_runs_backwards_gives_no_negative_delay(begun: Job) -> None:
    one = tracker()
    one.observe(begun, sent_at=BEGAN, date=NOON - timedelta(hours=1))
    assert one.due == BEGAN + POLICY.initial


def test_without_the_servers_times_the_time_since_the_wait_began_counts() -> None:
    one = tracker()
    one.observe(job(started_at=NOON), sent_at=BEGAN + 50)
    assert one.due == BEGAN + 55


def test_a_wait_that_resumes_goes_on_from_the_run_time_that_the_job_had() -> None:
    seen = job(started_at=NOON, observed_at=NOON + timedelta(seconds=90))
    one = tracker(last=seen)
    assert one.due == BEGAN
    one.observe(seen, sent_at=BEGAN + 10)
    assert one.due == BEGAN + 10 + 10


def test_the_provider_has_a_say_in_the_delay() -> None:
    one = tracker(delay=lambda policy, job, ran: policy.initial + ran + (job.progress or 0))
    one.observe(job(progress=0.5), sent_at=BEGAN + 3)
    assert one.due == BEGAN + 3 + 1 + 3 + 0.5


@pytest.mark.parametrize("ran", [0.0, 3.0, 1e6])
def test_equal_bounds_leave_nothing_to_the_run_time(ran: float) -> None:
    one = tracker(PollPolicy(initial=7.0, maximum=7.0), delay=lambda policy, job, ran: pytest.fail("asked"))
    one.observe(job(started_at=NOON), sent_at=BEGAN + 3, date=NOON + timedelta(seconds=ran))
    assert one.due == BEGAN + 3 + 7


def test_the_shortest_delay_may_be_less_than_a_second() -> None:
    one = tracker(PollPolicy(initial=0.5))
    one.observe(job(), sent_at=BEGAN)
    assert one.due == BEGAN + 0.5


# --- How long the job has run


def test_a_job_that_was_never_seen_has_run_since_the_wait_began() -> None:
    one = tracker()
    assert [one.run_time(BEGAN + seconds) for seconds in (-5.0, 0.5, 20.0)] == [0.0, 0.5, 20.0]
    assert one.seen_at is None
    one.resolve(JobState.FAILED)
    assert one.run_time(BEGAN + 30) == 30


def test_a_job_without_times_has_run_until_it_was_last_seen() -> None:
    one = tracker()
    one.observe(job(), sent_at=BEGAN + 20)
    assert one.run_time(BEGAN + 50) == 20


def test_a_job_with_times_has_run_until_it_was_last_seen_by_the_clock() -> None:
    one, seen = tracker(), job(started_at=NOON, observed_at=NOON + timedelta(seconds=10))
    one.observe(seen, sent_at=BEGAN)
    assert (one.run_time(BEGAN + 50), one.seen_at) == (10, seen.observed_at)
    later = NOON + timedelta(seconds=60)
    one.observe(seen, sent_at=BEGAN + 50, at=later)
    assert (one.run_time(BEGAN + 99), one.seen_at) == (60, later)


def test_a_wait_of_another_process_goes_on_from_its_run_time_and_with_its_limit() -> None:
    one = tracker()
    one.resume(30.0, 60.0)
    assert one.run_time(BEGAN + 20) == 50
    one.observe(job(), sent_at=BEGAN + 20)
    assert one.run_time(BEGAN + 99) == 50
    assert "not ended within 60 s" in str(one.timeout_error())
    one = tracker(last=job(observed_at=datetime.now(UTC) - timedelta(seconds=9)))
    one.resume(30.0, None)
    assert one.run_time(BEGAN + 20) == 30  # it has not been seen since


# --- How it ends


@pytest.mark.parametrize("state", ENDS)
def test_a_terminal_state_ends_it(state: JobState) -> None:
    one = tracker()
    assert one.observe(job(state), sent_at=BEGAN)
    assert one.ended


@pytest.mark.parametrize("state", [state for state in JobState if not state.terminal])
def test_another_state_does_not_end_it_unless_it_was_asked_for(state: JobState) -> None:
    one, wanting = tracker(), tracker(until=frozenset({state}))
    for each in (one, wanting):
        each.observe(job(state), sent_at=BEGAN)
    assert (one.ended, wanting.ended) == (False, True)


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING, JobState.PAUSED])
def test_a_state_that_was_asked_for_counts_only_from_a_request_that_left_after_the_wait_began(
    state: JobState,
) -> None:
    one = tracker(until=frozenset({state}))
    one.observe(job(state), sent_at=BEGAN - 0.5)
    assert not one.ended
    one.observe(job(state), sent_at=BEGAN + 1)
    assert one.ended


def test_an_end_counts_whenever_the_request_left() -> None:
    one = tracker()
    one.observe(job(JobState.SUCCEEDED), sent_at=BEGAN - 0.5)
    assert one.ended


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (JobState.SUCCEEDED, None),
        (JobState.PARTIAL, JobPartiallyFailed),
        (JobState.FAILED, JobFailed),
        (JobState.CANCELLED, JobFailed),
    ],
)
def test_check_decides_whether_a_bad_end_raises(state: JobState, expected: type[JobFailed] | None) -> None:
    one = tracker()
    one.observe(job(state), sent_at=BEGAN)
    assert one.result(check=False) == job(state)
    if expected is None:
        assert one.result(check=True) == job(state)
        return
    with pytest.raises(expected) as caught:
        one.result(check=True)
    assert type(caught.value) is expected
    assert caught.value.job == job(state)


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("state", ENDS)
def test_an_end_that_was_asked_for_never_raises(state: JobState, check: bool) -> None:
    one = tracker(until=frozenset({state}))
    one.observe(job(state), sent_at=BEGAN)
    assert one.result(check=check) == job(state)


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (JobState.SUCCEEDED, UnexpectedState),
        (JobState.PARTIAL, JobPartiallyFailed),
        (JobState.FAILED, JobFailed),
        (JobState.CANCELLED, JobFailed),
    ],
)
def test_an_end_that_was_not_asked_for_raises_whatever_check_says(
    state: JobState, expected: type[JobsError], check: bool
) -> None:
    one = tracker(until=frozenset({JobState.PAUSED}))
    one.observe(job(state), sent_at=BEGAN)
    with pytest.raises(expected) as caught:
        one.result(check=check)
    assert type(caught.value) is expected
    assert (caught.value.ref, caught.value.job) == (REF, job(state))


# --- Gone, or not found


def looks_until_gone(one: WaitProgress, first: float) -> tuple[list[float], JobsError]:
    """When a missing job is looked for, in seconds after the first "no such job"."""
    one.due, looks = first, list[float]()
    while True:
        looks.append(one.due - first)
        ending = one.job_not_found(JobNotFound("no such job"), sent_at=one.due)
        if ending is not None:
            return looks, ending


def test_a_job_that_was_seen_and_is_missing_is_gone_after_the_grace() -> None:
    one = tracker()
    one.observe(job(message="copying"), sent_at=BEGAN)
    looks, gone = looks_until_gone(one, BEGAN + 0.1)
    assert looks == [pytest.approx(at) for at in (0, 1, 2, 4, 8, 15)]
    assert type(gone) is JobGone
    assert (gone.ref, gone.job) == (REF, job(message="copying"))
    assert "last seen RUNNING (copying) 15 s ago" in str(gone)


def test_a_job_that_the_caller_had_seen_is_looked_for_as_well() -> None:
    looks, gone = looks_until_gone(tracker(last=job()), BEGAN)
    assert (len(looks), type(gone)) == (6, JobGone)


@pytest.mark.parametrize(("grace", "expected"), [(0.5, [0, 0.5]), (1, [0, 1]), (200, [0, 1, 2, 4, 8, 16])])
def test_the_looks_for_a_missing_job_double_up_to_a_minute_and_end_with_the_grace(
    grace: float, expected: list[float]
) -> None:
    one = tracker(last=job(), policy=attrs.evolve(POLICY, gone_grace=grace))
    looks, _ = looks_until_gone(one, BEGAN)
    assert looks[:6] == expected
    assert looks[-1] == grace
    assert all(later - look <= 60 for look, later in pairwise(looks))


@pytest.mark.parametrize(("gap", "believed"), [(299, False), (300, False), (300.5, True), (9999, True)])
def test_the_first_word_is_believed_after_a_gap_in_which_an_ended_job_is_deleted(
    gap: float, believed: bool
) -> None:
    one = tracker(retention=300)
    one.observe(job(), sent_at=BEGAN)
    ending = one.job_not_found(JobNotFound("no such job"), sent_at=BEGAN + gap)
    assert type(ending) is (JobGone if believed else type(None))


def test_the_gap_is_measured_to_the_first_word() -> None:
    one = tracker(retention=300)
    one.observe(job(), sent_at=BEGAN)
    looks, _ = looks_until_gone(one, BEGAN + 299)
    assert looks[-1] == 15


@pytest.mark.parametrize(("seen_ago", "believed"), [(200, False), (400, True)])
def test_the_gap_begins_when_the_caller_had_seen_the_job(seen_ago: float, believed: bool) -> None:
    seen = job(observed_at=datetime.now(UTC) - timedelta(seconds=seen_ago))
    ending = tracker(last=seen, retention=300).job_not_found(JobNotFound("no such job"), sent_at=BEGAN)
    assert type(ending) is (JobGone if believed else type(None))


def test_a_job_that_another_clock_saw_in_the_future_was_seen_just_now() -> None:
    seen = job(observed_at=datetime.now(UTC) + timedelta(hours=1))
    _, gone = looks_until_gone(tracker(last=seen), BEGAN)
    assert "last seen RUNNING 15 s ago" in str(gone)


def test_an_outage_between_two_looks_for_a_missing_job_confirms_nothing() -> None:
    one, error = tracker(), JobNotFound("no such job")
    one.observe(job(), sent_at=BEGAN)
    assert one.job_not_found(error, sent_at=BEGAN + 1) is None
    assert fail(one, BEGAN + 3) is None
    assert one.job_not_found(error, sent_at=BEGAN + 13) is None
    assert one.job_not_found(error, sent_at=BEGAN + 25) is None
    assert type(one.job_not_found(error, sent_at=BEGAN + 26)) is JobGone


def test_lists_without_the_job_are_enough_between_the_first_look_and_the_last() -> None:
    one, error = tracker(), JobNotFound("not in the list")
    one.observe(job(), sent_at=BEGAN)
    assert not one.is_recheck(BEGAN + 1)
    assert one.job_not_found(error, sent_at=BEGAN + 1) is None
    for look in (1, 2, 4, 8):
        assert not one.last_recheck
        assert one.due == BEGAN + 1 + look
        assert one.is_recheck(one.due)
        assert one.job_not_found(error, sent_at=one.due) is None
    assert one.last_recheck
    assert not one.is_recheck(one.due)


def test_a_job_never_seen_is_looked_for_until_the_grace_is_over() -> None:
    one = tracker()
    looks: list[float] = []
    ending = None
    while ending is None:
        looks.append(one.due)
        ending = one.job_not_found(JobNotFound("no such job"), sent_at=one.due)
    assert looks == [BEGAN, BEGAN + 1, BEGAN + 2]
    assert type(ending) is JobNotFound
    assert (ending.ref, ending.job) == (REF, None)
    assert str(ending) == "no such job; polled for 2 s"


def test_without_a_grace_the_first_look_decides() -> None:
    one = tracker(policy=attrs.evolve(POLICY, start_grace=0.0))
    assert type(one.job_not_found(JobNotFound("no such job"), sent_at=BEGAN)) is JobNotFound


def test_an_id_that_can_never_be_a_jobs_is_not_found_at_once() -> None:
    ending = tracker(last=job()).job_not_found(JobNotFound("malformed", certain=True), sent_at=BEGAN)
    assert type(ending) is JobNotFound
    assert ending.certain
    assert ending.job == job()


# --- Trouble


def test_the_backoff_doubles_up_to_the_policys_maximum() -> None:
    one = tracker(deadline=BEGAN + 9999)
    delays: list[float] = []
    for _ in range(9):
        at = one.due
        assert fail(one, at) is None
        delays.append(one.due - at)
    assert delays == [1, 1, 2, 4, 8, 16, 30, 30, 30]


def test_the_jitter_takes_up_to_half_of_the_delay_off() -> None:
    dues: list[float] = []
    for jitter in (0.0, 0.5, 1.0):
        one = tracker()
        fail(one, BEGAN, jitter=jitter)
        dues.append(one.due - BEGAN)
    assert dues == [1.0, 0.75, 0.5]


def test_retry_after_is_a_floor_under_the_backoff_counted_from_the_reply() -> None:
    one = tracker()
    one.request_failed(trouble(retry_after=20.0), sent_at=BEGAN, now=BEGAN + 3, jitter=1.0)
    assert one.due == BEGAN + 23
    one.request_failed(trouble(retry_after=0.0), sent_at=BEGAN + 23, now=BEGAN + 23, jitter=0.0)
    assert one.due == BEGAN + 46


def test_a_good_answer_ends_the_outage() -> None:
    one = tracker(deadline=BEGAN + 9999)
    for at in (0, 1, 2, 4):
        fail(one, BEGAN + at)
    one.observe(job(), sent_at=BEGAN + 8)
    assert one.last_error is None
    fail(one, BEGAN + 9)
    assert one.due == BEGAN + 10


def test_the_apis_word_that_the_job_is_missing_ends_the_outage() -> None:
    one = tracker(policy=attrs.evolve(POLICY, start_grace=100.0))
    fail(one, BEGAN)
    one.job_not_found(JobNotFound("no such job"), sent_at=BEGAN + 59)
    assert fail(one, BEGAN + 61) is None


def test_an_outage_without_a_deadline_ends_after_its_limit() -> None:
    one = tracker()
    one.observe(job(), sent_at=BEGAN)
    assert fail(one, BEGAN + 100) is None
    assert fail(one, BEGAN + 159.9) is None
    ending = fail(one, BEGAN + 160)
    assert isinstance(ending, ServerError)
    assert (ending.ref, ending.job) == (REF, job())


def test_an_outage_within_a_deadline_has_no_other_limit() -> None:
    one = tracker(deadline=BEGAN + 9999)
    assert [fail(one, BEGAN + at) for at in (0, 60, 600, 6000)] == [None] * 4


@pytest.mark.parametrize(
    "error", [AuthenticationError("401", status=401), ServerError("no", status=500, transient=False)]
)
def test_trouble_that_does_not_pass_ends_it_at_once_and_says_which_job(error: SourceError) -> None:
    ending = fail(tracker(last=job()), BEGAN, error=error)
    assert type(ending) is type(error)
    assert ending is not None
    text = str(ending)
    assert text.startswith(str(error))
    assert f"gave up waiting for {REF} after 0 s; last seen RUNNING. The job may still be running." in text
    assert (ending.ref, ending.job) == (REF, job())


def test_three_undecodable_records_in_a_row_end_it() -> None:
    one = tracker()
    assert fail(one, BEGAN, error=undecodable()) is None
    assert fail(one, BEGAN + 1, error=undecodable()) is None
    ending = fail(one, BEGAN + 2, error=undecodable())
    assert isinstance(ending, DecodeError)
    assert (ending.path, ending.ref) == ("$.state", REF)


def test_waits_that_end_with_one_error_do_not_share_it() -> None:
    error = AuthenticationError("401", status=401)
    endings = [fail(tracker(), BEGAN, error=error) for _ in range(2)]
    assert [type(ending) for ending in endings] == [AuthenticationError] * 2
    assert endings[0] is not endings[1]


@pytest.mark.parametrize("between", ["a good record", "the API's word that the job is missing"])
def test_undecodable_records_that_are_not_in_a_row_do_not_end_it(between: str) -> None:
    one = tracker(policy=attrs.evolve(POLICY, start_grace=100.0))
    for at in range(0, 40, 2):
        assert fail(one, BEGAN + at, error=undecodable()) is None
        assert fail(one, BEGAN + at + 0.5, error=undecodable()) is None
        if between == "a good record":
            one.observe(job(), sent_at=BEGAN + at + 1)
        else:
            one.job_not_found(JobNotFound("no such job"), sent_at=BEGAN + at + 1)


def test_replies_that_are_not_the_apis_never_count_as_undecodable_records() -> None:
    one = tracker(deadline=BEGAN + 9999)
    page = [DecodeError("not JSON", transient=True) for _ in range(10)]
    assert [fail(one, BEGAN + at, error=error) for at, error in enumerate(page)] == [None] * 10


# --- UNKNOWN


def test_an_unknown_state_is_told_once_polled_on_and_bounded() -> None:
    one = tracker()
    odd = job(JobState.UNKNOWN, native_state="FLORBING")
    told: list[bool] = []
    asked: list[float] = []

    def poll_for_ever() -> None:
        while True:
            asked.append(one.due - BEGAN)
            told.append(one.observe(odd, sent_at=one.due))

    with pytest.raises(UnexpectedState, match="FLORBING") as caught:
        poll_for_ever()
    assert told == [True] + [False] * (len(told) - 1)
    assert asked[-1] == POLICY.unknown_limit
    assert (caught.value.ref, caught.value.job) == (REF, odd)


def test_the_last_poll_of_an_unknown_state_is_at_its_limit_however_long_the_delay() -> None:
    one = tracker(policy=PollPolicy(initial=30, maximum=30, unknown_limit=45))
    one.observe(job(JobState.UNKNOWN), sent_at=BEGAN)
    one.observe(job(JobState.UNKNOWN), sent_at=one.due)
    assert one.due == BEGAN + 45


def test_a_known_state_in_between_starts_the_limit_afresh() -> None:
    one = tracker()
    for at in range(0, 40, 4):
        one.observe(job(JobState.UNKNOWN), sent_at=BEGAN + at)
        one.observe(job(JobState.RUNNING), sent_at=BEGAN + at + 2)


def test_an_unknown_state_is_no_success() -> None:
    one = tracker()
    one.observe(job(JobState.UNKNOWN), sent_at=BEGAN)
    assert not one.ended


# --- The deadline


def test_a_timeout_says_what_was_seen_and_that_the_job_goes_on() -> None:
    one = tracker(deadline=BEGAN + 5, limit=5.0)
    one.observe(job(message="copying"), sent_at=BEGAN)
    error = one.timeout_error()
    assert isinstance(error, WaitTimeout)
    assert isinstance(error, TimeoutError)
    assert not isinstance(error, JobFailed)
    assert (error.ref, error.job) == (REF, job(message="copying"))
    assert str(error) == (
        f"{REF}: not ended within 5 s; last seen RUNNING (copying). The job may still be running."
    )


def test_a_timeout_in_an_outage_says_what_the_trouble_was() -> None:
    one = tracker(deadline=BEGAN + 5, limit=5.0)
    fail(one, BEGAN, error=TransportError("connection refused"))
    error = one.timeout_error()
    assert error.job is None
    assert "last seen never" in str(error)
    assert "connection refused" in str(error)
    assert isinstance(error.__cause__, TransportError)


def test_a_timeout_after_an_outage_does_not_blame_it() -> None:
    one = tracker(deadline=BEGAN + 5, limit=5.0)
    fail(one, BEGAN, error=TransportError("connection refused"))
    one.observe(job(), sent_at=BEGAN + 1)
    assert "connection refused" not in str(one.timeout_error())
    assert one.timeout_error().__cause__ is None


def test_no_deadline_is_infinitely_far() -> None:
    assert tracker().deadline == math.inf


# --- What the caller's probe says


@pytest.mark.parametrize("state", ENDS)
def test_a_probe_decides_the_state_of_a_job_that_is_gone(state: JobState) -> None:
    seen = job(native_state="PROCESSING", errors=(ErrorDetail("a try that failed"),), message="copying")
    one = tracker(last=seen)
    resolved = one.resolve(state)
    assert resolved == attrs.evolve(seen, state=state, native_state=None, resolved=True)
    assert one.result(check=False) is resolved


def test_a_probe_decides_the_state_of_a_job_that_was_never_seen() -> None:
    assert tracker().resolve(JobState.FAILED) == Job(REF, JobState.FAILED, resolved=True)


def test_check_applies_to_what_a_probe_says() -> None:
    one = tracker(last=job())
    one.resolve(JobState.FAILED)
    with pytest.raises(JobFailed, match="according to resolve_gone"):
        one.result(check=True)


@pytest.mark.parametrize(
    "nonsense", [None, True, "", "COMPLETE", 5, JobState.RUNNING, JobState.UNKNOWN, job()]
)
def test_what_is_no_terminal_state_is_no_answer_of_a_probe(nonsense: object) -> None:
    one = tracker(last=job())
    with pytest.raises(UsageError, match="terminal JobState") as caught:
        one.resolve(nonsense)
    assert (caught.value.ref, caught.value.job) == (REF, job())
    assert not one.ended


@pytest.mark.parametrize(("spacing", "delay"), [(0.5, 1), (10, 10), (100, POLICY.maximum)])
def test_a_servers_budget_keeps_polls_apart_up_to_the_policys_maximum(spacing: float, delay: float) -> None:
    one = tracker()
    one.observe(job(), sent_at=BEGAN, spacing=spacing)
    assert one.due == BEGAN + delay


# --- results that are still to be read


@pytest.mark.parametrize("state", ENDS)
def test_without_its_results_an_end_counts_unless_it_is_a_success(state: JobState) -> None:
    one = tracker()
    one.end_seen(job(state), now=BEGAN)
    assert one.end_without_results() is one.ended is (state is not JobState.SUCCEEDED)
    assert one.last is not None
    assert len(one.last.warnings) == one.ended


def test_a_failure_whose_results_cannot_be_read_ends_an_outage_without_an_error() -> None:
    one = tracker()
    fail(one, BEGAN, error=TransportError("connection refused"))
    one.end_seen(job(JobState.FAILED), now=BEGAN + 1)
    assert one.last_error is None
    assert fail(one, BEGAN + 1) is None
    assert not one.ended
    assert fail(one, BEGAN + 1 + POLICY.outage_limit) is None
    assert one.result(check=False).warnings == ("the results of its records could not be read: 503",)


def test_a_failure_whose_results_were_not_read_by_the_deadline_says_so() -> None:
    one = tracker()
    one.end_seen(job(JobState.FAILED), now=BEGAN)
    assert one.end_without_results()
    reason = "the deadline passed"
    assert one.result(check=False).warnings == (f"the results of its records could not be read: {reason}",)


# --- the clock, and what is asked for too early


def test_when_a_job_was_last_seen_goes_along_to_another_clock() -> None:
    one = tracker(retention=300)
    one.observe(job(), sent_at=BEGAN)
    one.shift_clock(500)
    assert one.job_not_found(JobNotFound("no such job"), sent_at=BEGAN + 799) is None


def test_for_how_long_a_job_has_been_missing_goes_along_to_another_clock() -> None:
    one, error = tracker(), JobNotFound("no such job")
    one.observe(job(), sent_at=BEGAN)
    assert one.job_not_found(error, sent_at=BEGAN + 1) is None
    one.shift_clock(500)
    assert one.job_not_found(error, sent_at=BEGAN + 515) is None
    assert type(one.job_not_found(error, sent_at=BEGAN + 516)) is JobGone


def test_all_times_go_along_to_another_clock() -> None:
    one = tracker(limit=60, deadline=BEGAN + 60, policy=POLICY)
    assert one.observe(job(JobState.UNKNOWN), sent_at=BEGAN)
    assert fail(one, BEGAN + 1) is None
    due = one.due
    one.shift_clock(500)
    assert (one.began, one.deadline, one.due) == (BEGAN + 500, BEGAN + 560, due + 500)
    one.observe(job(JobState.UNKNOWN), sent_at=BEGAN + 500 + POLICY.unknown_limit - 1)
    with pytest.raises(UnexpectedState):
        one.observe(job(JobState.UNKNOWN), sent_at=BEGAN + 500 + POLICY.unknown_limit)
    one = tracker()
    assert fail(one, BEGAN) is None
    one.shift_clock(500)
    assert fail(one, BEGAN + 500 + POLICY.outage_limit - 1) is None
    assert fail(one, BEGAN + 500 + POLICY.outage_limit) is not None


def test_a_clock_that_is_changed_before_any_trouble_begins_none() -> None:
    one = tracker()
    one.shift_clock(500)
    assert fail(one, BEGAN + 600) is None
    assert fail(one, BEGAN + 600 + POLICY.outage_limit - 1) is None
    assert fail(one, BEGAN + 600 + POLICY.outage_limit) is not None


def test_a_poll_that_is_due_at_the_limit_of_an_outage_is_the_last() -> None:
    # With a Retry-After of an hour, the limit, it would be another hour until the next one.
    began = [BEGAN + 0.1 * step for step in range(1, 1000)]
    assert any(start + 3600.0 - start < 3600.0 for start in began)
    for start in began:
        one = tracker(PollPolicy(outage_limit=3600.0))
        assert fail(one, start, error=trouble(3600.0)) is None
        assert one.due == start + 3600.0
        assert fail(one, one.due, error=trouble(3600.0)) is not None


def test_a_deadline_at_infinity_is_a_deadline_and_bears_with_any_outage() -> None:
    one = tracker(limit=math.inf)
    assert fail(one, BEGAN) is None
    assert fail(one, BEGAN + 10 * POLICY.outage_limit) is None


def test_the_end_of_a_long_outage_says_how_long_it_was() -> None:
    one = tracker()
    fail(one, BEGAN)
    final = fail(one, BEGAN + 61)
    assert final is not None
    assert "no good response for 61 s, the limit for a wait without a deadline" in str(final)
    assert f"gave up waiting for {REF} after 61 s; last seen never. The job may still be running." in str(
        final
    )


def test_how_often_and_for_how_long_polls_have_failed_is_counted_anew_after_a_good_one() -> None:
    one = tracker()
    for at in (0, 1, 2):
        fail(one, BEGAN + at)
    assert (one.failures, one.failing_for(BEGAN + 2)) == (3, 2)
    one.observe(job(), sent_at=BEGAN + 4)
    assert (one.failures, one.failing_for(BEGAN + 4)) == (0, 0)
    one.job_not_found(JobNotFound("no such job"), sent_at=BEGAN + 5)
    fail(one, BEGAN + 6)
    assert (one.failures, one.failing_for(BEGAN + 6)) == (2, 1)


def test_an_error_has_the_job_as_of_the_last_reply_that_showed_it_unchanged() -> None:
    one, seen = tracker(), job(observed_at=NOON)
    one.observe(seen, sent_at=BEGAN)
    one.observe(seen, sent_at=BEGAN + 1, at=NOON + timedelta(seconds=1))
    assert one.last_observed is not None
    assert one.last_observed.observed_at == NOON + timedelta(seconds=1)
    one.observe(seen, sent_at=BEGAN + 2)
    assert one.last_observed is seen


@pytest.mark.parametrize("last", [None, job(JobState.SUCCEEDED)])
def test_a_wait_that_has_not_ended_has_no_result(last: Job | None) -> None:
    with pytest.raises(AssertionError, match="before it ended"):
        tracker(last=last).result(check=True)


@pytest.mark.parametrize(
    ("native", "words"),
    [
        (None, "last seen RUNNING."),
        ("running", "last seen RUNNING."),
        ("in_progress", "last seen RUNNING 'in_progress'."),
    ],
)
def test_a_timeout_has_the_servers_own_word_where_it_is_another(native: str | None, words: str) -> None:
    one = tracker(limit=5)
    one.observe(job(native_state=native), sent_at=BEGAN)
    assert words in str(one.timeout_error())


def test_a_job_that_was_seen_without_times_has_run_since_the_wait_began() -> None:
    one = tracker(last=job())
    one.observe(job(), sent_at=BEGAN + 20)
    assert one.due == pytest.approx(BEGAN + 22)


def test_after_the_apis_word_that_it_is_missing_three_undecodable_records_end_it_again() -> None:
    one = tracker(PollPolicy(start_grace=60))
    for _ in range(2):
        assert fail(one, BEGAN, error=undecodable()) is None
    one.job_not_found(JobNotFound("no such job"), sent_at=BEGAN)
    for _ in range(2):
        assert fail(one, BEGAN, error=undecodable()) is None
    assert isinstance(fail(one, BEGAN, error=undecodable()), DecodeError)
