"""How a wait ended as plain data: to JSON and back without a difference, and errors for any other data."""

from __future__ import annotations

import json
from typing import Any

import pytest

from common import from_dict, to_dict
from common.model import errors
from common.model.errors import DecodeError, JobsError
from common.model.job import Job
from common.model.refs import JobRef
from common.model.states import JobState

REF = JobRef("ontap", "https://cluster1", "b5145e1d-b53b-11e8-8252-005056bbd8f5")
JOB = Job(REF, JobState.FAILED, native_state="failure", message="no space")
API: dict[str, Any] = {
    "status": 429,
    "code": "1",
    "message": "slow down",
    "request_id": "r-1",
    "body": "{…}",
    "transient": True,
    "retry_after": 2.5,
}
UNAUTHORIZED: dict[str, Any] = {**API, "status": 401}
ERRORS = [
    errors.TransportError("t", sent=False, dropped=True, misconfigured=True, ref=REF),
    errors.ApiError("a", **API),
    errors.RateLimited("r", **API, ref=REF, job=JOB),
    errors.AuthenticationError("u", **UNAUTHORIZED),
    errors.DecodeError("d", path="$.x", transient=True),
    errors.JobNotFound("n", certain=True, ref=REF),
    errors.JobGone("g", ref=REF, job=JOB),
    errors.ActionRefused("a", code="3", retryable=True),
    errors.AlreadyFinished("a"),
    errors.JobFailed(JOB),
    errors.JobPartiallyFailed(JOB),
    errors.WaitTimeout("w", ref=REF, job=JOB),
    errors.UnexpectedState("u", ref=REF, job=JOB),
    errors.SourceClosed("c"),
    errors.UsageError("u"),
    errors.WrongSource("w"),
    errors.Unsupported("x"),
    errors.ActionUncertain("x", ref=REF),
]
FIELDS = (*API, "sent", "dropped", "misconfigured", "path", "certain", "retryable", "ref", "job", "final")


def through_json(error: JobsError) -> Any:
    return from_dict(json.loads(json.dumps(to_dict(error))))


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_comes_back_with_its_class_text_and_fields(error: JobsError) -> None:
    again = through_json(error)
    assert type(again) is type(error)
    assert (str(again), again.args) == (str(error), error.args)
    for name in FIELDS:
        assert getattr(again, name, None) == getattr(error, name, None), name
    assert to_dict(again) == to_dict(error)


def test_every_class_of_error_is_among_those_tried() -> None:
    public = {
        member
        for name, member in vars(errors).items()
        if isinstance(member, type) and issubclass(member, JobsError) and not name.startswith("_")
    }
    untried = public - {type(error) for error in ERRORS}
    assert untried == {JobsError, errors.SourceError, errors.PermissionDenied, errors.ServerError}


def test_notes_are_kept_and_a_cause_is_not() -> None:
    error = errors.JobGone("gone", ref=REF)
    error.add_note("look at the volume")
    error.__cause__ = ValueError("hunter2")
    stored = json.dumps(to_dict(error))
    assert from_dict(json.loads(stored)).__notes__ == ["look at the volume"]
    assert "hunter2" not in stored


def test_an_error_of_a_later_release_is_kept_as_it_was() -> None:
    stored = to_dict(ERRORS[6]) | {"error": "JobMoved", "data": {"to": ["elsewhere"]}, "final": True}
    again = from_dict(stored)
    assert type(again) is JobsError
    assert (again.unknown_kind, again.final, again.job, again.ref) == ("JobMoved", True, JOB, REF)
    assert to_dict(again) == stored


def test_a_class_of_the_callers_own_is_stored_as_the_one_above_it() -> None:
    class Forgotten(errors.JobGone):
        pass

    assert type(through_json(Forgotten("gone"))) is errors.JobGone


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ({"error": 5, "text": "t"}, "$.error"),
        ({"error": "JobGone"}, "$.text"),
        ({"error": "JobGone", "text": "t", "job": {"ref": "cf://h/x", "state": "odd"}}, "$.job.state"),
        ({"error": "JobGone", "text": "t", "ref": "nowhere"}, "$.ref"),
        ({"error": "JobGone", "text": "t", "notes": "abc"}, "$.notes"),
        ({"error": "JobFailed", "text": "t"}, "$.job"),
        ({"error": "ApiError", "text": "t", "data": {"status": "5"}}, "$.data.transient"),
        ({"error": "ApiError", "text": "t"}, "$.data.transient"),
        ({"error": "Later", "text": "t", "final": 1}, "$.final"),
    ],
)
def test_what_is_no_error_is_refused_with_its_place(data: dict[str, Any], path: str) -> None:
    with pytest.raises(DecodeError) as caught:
        from_dict(data)
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", float("inf")),
        ("status", float("nan")),
        ("status", 503.5),
        ("status", True),
        ("status", "503"),
        ("status", None),
        ("retry_after", float("inf")),
        ("retry_after", "5"),
        pytest.param("retry_after", 10**400, id="retry_after-huge"),
        ("code", 5),
        ("transient", 1),
    ],
)
def test_a_damaged_field_of_an_error_is_named(name: str, value: object) -> None:
    stored = to_dict(errors.ApiError("t", status=503))
    with pytest.raises(DecodeError) as caught:
        from_dict({**stored, "data": {**stored["data"], name: value}})
    assert caught.value.path == f"$.data.{name}"


def test_a_status_may_be_stored_as_a_number_with_a_fraction_of_zero() -> None:
    stored = to_dict(errors.ApiError("t", status=503))
    again = from_dict({**stored, "data": {**stored["data"], "status": 503.0}})
    assert repr(again.status) == "503"
