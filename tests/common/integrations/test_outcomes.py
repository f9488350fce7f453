"""Which outcomes are failures, and which of them an orchestrator should try again."""

from __future__ import annotations

import pytest

from common import (
    ActionUncertain,
    AuthenticationError,
    Job,
    JobFailed,
    JobGone,
    JobNotFound,
    JobPartiallyFailed,
    JobRef,
    JobsError,
    JobState,
    PermissionDenied,
    SourceClosed,
    TransportError,
    UsageError,
    WaitTimeout,
)
from common.integrations.outcomes import failure_of, failures_of, is_settled, worth_retrying

REF = JobRef("ontap", "https://cluster1", "1")


def test_a_job_that_succeeded_is_no_failure() -> None:
    assert failure_of(Job(REF, JobState.SUCCEEDED)) is None


@pytest.mark.parametrize(
    ("state", "kind"),
    [(JobState.FAILED, JobFailed), (JobState.CANCELLED, JobFailed), (JobState.PARTIAL, JobPartiallyFailed)],
)
def test_a_job_that_ended_otherwise_is_its_exception(state: JobState, kind: type[JobFailed]) -> None:
    failure = failure_of(Job(REF, state))
    assert type(failure) is kind


def test_an_error_is_itself() -> None:
    error = JobGone("gone", ref=REF)
    assert failure_of(error) is error


@pytest.mark.parametrize(
    "error",
    [
        JobFailed(Job(REF, JobState.FAILED)),
        JobNotFound("never known"),
        JobGone("forgotten"),
        UsageError("wrong"),
        AuthenticationError("refused", status=401),
        PermissionDenied("not allowed", status=403),
        ActionUncertain("the reply was lost"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_ends_in_the_same_way_is_not_tried_again(error: JobsError) -> None:
    assert not worth_retrying(error)


@pytest.mark.parametrize(
    "error",
    [WaitTimeout("late"), TransportError("refused"), SourceClosed("closed")],
    ids=lambda error: type(error).__name__,
)
def test_what_passes_is_tried_again(error: JobsError) -> None:
    assert worth_retrying(error)


def test_one_failure_that_is_settled_makes_another_try_senseless() -> None:
    outcomes: list[Job | JobsError] = [
        Job(REF, JobState.SUCCEEDED),
        WaitTimeout("late"),
        JobGone("forgotten"),
    ]
    assert failures_of(outcomes) == ("late\nforgotten", False)
    assert failures_of(outcomes[:2]) == ("late", True)
    assert failures_of(outcomes[:1])[0] == ""


def test_an_outcome_is_settled_once_nobody_will_know_more() -> None:
    assert is_settled(Job(REF, JobState.FAILED))
    assert is_settled(JobGone("forgotten"))
    assert not is_settled(Job(REF, JobState.RUNNING))
    assert not is_settled(WaitTimeout("late"))
