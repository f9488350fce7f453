"""Exceptions: the tree is as drawn, and each one pickles with all its attributes."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from typing import Any

import attrs
import pytest

import common
from common.model import errors
from common.model.errors import (
    ActionRefused,
    ApiError,
    DecodeError,
    JobFailed,
    JobNotFound,
    JobPartiallyFailed,
    JobsError,
    JobsFailed,
    SourceError,
    TransportError,
    UsageError,
    WaitTimeout,
    job_failure,
)
from common.model.job import ErrorDetail, Job
from common.model.refs import JobRef
from common.model.states import JobState
from tests.cases import case
from tests.pickled import pickled

REF = JobRef("ontap", "https://cluster.example", "job-1")
JOB = Job(
    REF,
    JobState.FAILED,
    operation="POST /volumes",
    errors=(ErrorDetail("no space", code="4"), ErrorDetail("offline", target="vol-2")),
    record={"as": "sent"},
)
CLASSES = [
    value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, JobsError)
]


def example(cls: type[JobsError]) -> JobsError:
    """One of a class, with every attribute set to something."""
    about: dict[str, Any] = {"ref": REF, "job": JOB}
    if issubclass(cls, JobFailed):
        return cls(JOB)
    if issubclass(cls, ApiError):
        return cls(
            "GET answered 503",
            status=503,
            code="4",
            message="busy",
            request_id="r-1",
            body="<html>",
            transient=True,
            retry_after=2.5,
            **about,
        )
    if issubclass(cls, TransportError):
        return cls("reset", sent=False, dropped=True, **about)
    if issubclass(cls, DecodeError):
        return cls("no state", path="$.records[3].state", transient=True, **about)
    if issubclass(cls, JobNotFound):
        return cls("unknown", certain=True, **about)
    if issubclass(cls, ActionRefused):
        return cls("refused", code="458773", retryable=True, **about)
    return cls("what happened", **about)


def drawn() -> dict[str, str | None]:
    """The tree in the module's docstring: each class and the one above it."""
    above: dict[str, str | None] = {}
    path: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"([ |]*(?:\+-- )?)([A-Z][A-Za-z]+)\b(?!.*\.$)", line)
        if match is None or not issubclass(getattr(errors, match[2], object), JobsError):
            continue
        while path and path[-1][0] >= len(match[1]):
            path.pop()
        above[match[2]] = path[-1][1] if path else None
        path.append((len(match[1]), match[2]))
    return above


def test_the_tree_is_as_its_docstring_draws_it() -> None:
    bases = {
        cls.__name__: next((base.__name__ for base in cls.__bases__ if issubclass(base, JobsError)), None)
        for cls in CLASSES
    }
    assert drawn() == bases


def test_every_exception_is_public() -> None:
    assert {cls.__name__ for cls in CLASSES} <= set(common.__all__)


def test_usage_errors_and_timeouts_are_also_the_builtin_kind() -> None:
    assert issubclass(UsageError, ValueError)
    assert issubclass(WaitTimeout, TimeoutError)
    assert not issubclass(SourceError, OSError)


@pytest.mark.parametrize("cls", CLASSES)
def test_every_exception_pickles_with_all_that_it_carries(cls: type[JobsError]) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with case(protocol):
            error = example(cls)
            error.add_note("tried 3 times")
            again = pickled(error, protocol)
            assert type(again) is cls
            assert (str(again), again.args, vars(again)) == (str(error), error.args, vars(error))
            assert (again.ref, again.job) == (REF, JOB)
            assert again.job is not None
            assert again.job.record == {"as": "sent"}
            assert again.__notes__ == ["tried 3 times"]


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_every_exception_copies_with_all_that_it_carries(cls: type[JobsError], copied: Any) -> None:
    error = example(cls)
    again = copied(error)
    assert again is not error
    assert (type(again), str(again), vars(again)) == (cls, str(error), vars(error))


@pytest.mark.parametrize("cls", CLASSES)
def test_every_exception_says_which_job_it_is_about(cls: type[JobsError]) -> None:
    error = example(cls)
    assert (error.ref, error.job) == (REF, JOB)


def test_a_subclass_with_a_signature_of_its_own_pickles() -> None:
    again = pickled(Odd(1, why="because"))
    assert (type(again), again.number, str(again)) == (Odd, 1, "because")


class Odd(SourceError):
    def __init__(self, number: int, *, why: str) -> None:
        super().__init__(why)
        self.number = number


def test_a_group_of_failures_pickles_with_every_outcome() -> None:
    other = JobRef("ontap", "https://cluster.example", "job-2")
    group = JobsFailed.of([(REF, JobFailed(JOB)), (other, Job(other, JobState.SUCCEEDED))])
    again = pickled(group)
    assert type(again) is JobsFailed
    assert str(again) == str(group)
    assert [str(error) for error in again.exceptions] == [str(error) for error in group.exceptions]
    assert list(again.outcomes) == [REF, other]


def test_a_group_of_failures_counts_states_in_the_servers_words_and_how_the_rest_was_last_seen() -> None:
    refs = [JobRef("ontap", "https://cluster.example", f"job-{n}") for n in range(5)]
    failed = [JobFailed(Job(ref, JobState.FAILED, native_state="dead")) for ref in refs[:2]]
    late = WaitTimeout("late", ref=refs[2], job=Job(refs[2], JobState.RUNNING, native_state="quitting"))
    never = WaitTimeout("late", ref=refs[3])
    ends: list[Job | JobsError | None] = [*failed, late, never, Job(refs[4], JobState.SUCCEEDED)]
    text = str(JobsFailed.of(zip(refs, ends, strict=True)))
    assert "4 of 5 jobs" in text
    for part in ("2 FAILED 'dead'", "1 WaitTimeout (last seen RUNNING 'quitting')", "1 WaitTimeout,"):
        assert part in f"{text},".replace(" (4 sub-exceptions)", "")


@pytest.mark.parametrize("cls", CLASSES)
def test_a_copy_for_another_wait_shares_nothing_that_changes(cls: type[JobsError]) -> None:
    error = example(cls)
    error.add_note("for all")
    one, other = error.copy_for(REF, None), error.copy_for(REF, None)
    assert type(one) is cls
    assert str(one) == str(error)
    one.add_note("for one")
    assert other.__notes__ == error.__notes__ == ["for all"]


# --- what it is about


def test_the_job_of_an_error_can_be_set_later() -> None:
    error = TransportError("reset")
    assert (error.ref, error.job) == (None, None)
    error.about(REF)
    assert (error.ref, error.job) == (REF, None)
    error.about(REF, JOB)
    error.about(REF, None)
    assert error.job is JOB


def test_a_failed_job_keeps_its_own_end() -> None:
    error = JobFailed(JOB)
    error.about(REF, attrs.evolve(JOB, state=JobState.RUNNING))
    assert error.job is JOB


# --- texts


@pytest.mark.parametrize(
    ("state", "cls"),
    [
        (JobState.FAILED, JobFailed),
        (JobState.CANCELLED, JobFailed),
        (JobState.PARTIAL, JobPartiallyFailed),
    ],
)
def test_a_failure_has_the_class_of_its_state(state: JobState, cls: type[JobFailed]) -> None:
    error = job_failure(attrs.evolve(JOB, state=state))
    assert type(error) is cls
    assert error.job.state is state
    assert state.name in str(error)


def test_a_failure_names_every_error() -> None:
    assert str(JobFailed(JOB)) == (
        "ontap://cluster.example/job-1 FAILED (POST /volumes): no space [code 4]; offline [target vol-2]"
    )


@pytest.mark.parametrize(
    ("message", "reason"), [("it stopped", "it stopped"), (None, "no reason"), ("", "no reason")]
)
def test_a_failure_without_errors_has_the_message_or_says_so(message: str | None, reason: str) -> None:
    assert reason in str(JobFailed(attrs.evolve(JOB, errors=(), message=message)))


def test_a_failure_that_a_probe_reported_says_so() -> None:
    assert "according to resolve_gone" in str(JobFailed(attrs.evolve(JOB, resolved=True)))


def test_a_decode_error_begins_with_its_path() -> None:
    error = DecodeError("expected text", path="$.records[3].state")
    assert str(error) == "$.records[3].state: expected text"
    assert str(pickled(error)) == str(error)


@pytest.mark.parametrize("message", ["costs 5$", "expected $.x to be text"])
def test_a_decode_error_has_its_path_whatever_its_message(message: str) -> None:
    assert str(DecodeError(message)).startswith("$: ")


def test_a_job_error_without_a_job_says_so() -> None:
    error = JobsError("nothing known")
    assert (error.ref, error.job, str(error)) == (None, None, "nothing known")
