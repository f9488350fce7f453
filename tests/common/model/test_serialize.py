"""Jobs as plain data: to JSON and back without a difference, and errors for any other data."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, cast

import attrs
import pytest
from hypothesis import given

from common import from_dict, to_dict
from common.model.errors import DecodeError, UsageError, WaitTimeout
from common.model.job import ErrorArgument, ErrorDetail, Job, JobItem
from common.model.refs import JobRef
from common.model.states import JobState
from tests.examples import at_least
from tests.jobvalues import JOBS
from tests.jsonvalues import json_values, mutated

JOB = Job(
    JobRef("bluexp", "https://h:8443", "6f/0c", {"account": "x1", "agent": "a1"}),
    JobState.PARTIAL,
    native_state="COMPLETED",
    operation="backup",
    message="one volume failed",
    progress=1.0,
    created_at=datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
    errors=(ErrorDetail("offline", "4", "T", "vol-2", (ErrorArgument("a", "1"),)),),
    warnings=("first", "second"),
    items=(
        JobItem("b", "batch", JobState.FAILED, "FAILED", items=(JobItem("/a", "file", JobState.FAILED),)),
    ),
    links={"self": "/job/6f"},
    resolved=True,
    observed_at=datetime(2026, 1, 2, 3, 4, 6, tzinfo=UTC),
)
STORED: dict[str, Any] = {
    "version": 1,
    "ref": "bluexp://h:8443/x1/6f%2F0c?agent=a1",
    "state": "partial",
    "native_state": "COMPLETED",
    "operation": "backup",
    "message": "one volume failed",
    "progress": 1.0,
    "created_at": "2026-01-02T03:04:05.000678+00:00",
    "started_at": None,
    "updated_at": None,
    "finished_at": None,
    "errors": [
        {
            "message": "offline",
            "code": "4",
            "title": "T",
            "target": "vol-2",
            "arguments": [{"message": "a", "code": "1"}],
        }
    ],
    "warnings": ["first", "second"],
    "items": [
        {
            "id": "b",
            "kind": "batch",
            "state": "failed",
            "native_state": "FAILED",
            "errors": [],
            "items": [
                {
                    "id": "/a",
                    "kind": "file",
                    "state": "failed",
                    "native_state": None,
                    "errors": [],
                    "items": [],
                }
            ],
        }
    ],
    "links": {"self": "/job/6f"},
    "resolved": True,
    "observed_at": "2026-01-02T03:04:06+00:00",
}


def through_json(job: Job) -> Job:
    again: Job = from_dict(json.loads(json.dumps(to_dict(job))))
    return again


@pytest.mark.slow
@at_least(150)
@given(JOBS)
def test_a_job_survives_the_trip_through_json(job: Job) -> None:
    again = through_json(job)
    assert again == job
    assert again.observed_at == job.observed_at
    assert to_dict(again) == to_dict(job)


def test_states_come_back_as_states_not_as_their_text() -> None:
    again = through_json(JOB)
    assert again.state is JobState.PARTIAL
    assert again.items[0].state is JobState.FAILED
    assert again.items[0].items[0].state is JobState.FAILED
    assert (again.done, again.succeeded) == (True, False)


def test_the_record_alone_stays_behind() -> None:
    again = through_json(attrs.evolve(JOB, record={"secret": "s"}))
    assert again == JOB
    assert again.record is None
    assert "secret" not in json.dumps(to_dict(attrs.evolve(JOB, record={"secret": "s"})))


def test_what_is_stored_keeps_its_form() -> None:
    assert json.loads(json.dumps(to_dict(JOB))) == STORED
    assert to_dict(JOB) == STORED  # with arrays, where a job has tuples
    assert {type(to_dict(JOB)["state"]), type(to_dict(JOB)["links"])} == {str, dict}
    assert from_dict(STORED) == JOB


def test_a_job_needs_only_its_ref_and_state() -> None:
    assert from_dict({"ref": "cf://h/x", "state": "running"}) == Job(
        JobRef("cf", "https://h", "x"), JobState.RUNNING
    )


def test_unknown_keys_are_ignored() -> None:
    again = from_dict({**STORED, "added_later": {"a": 1}, "record": {"a": 1}})
    assert again == JOB
    assert again.record is None


def test_links_come_back_read_only() -> None:
    links = cast("Any", through_json(JOB).links)
    with pytest.raises(TypeError):
        links["self"] = "elsewhere"
    assert type(links) is type(JOB.links)


@pytest.mark.parametrize("version", [2, 0, "1", None])
def test_another_version_is_refused(version: object) -> None:
    with pytest.raises(UsageError, match="version"):
        from_dict({**STORED, "version": version})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ref", None),
        ("ref", "no ref"),
        ("ref", "cf://[::1/x"),
        ("ref", "cf://h/%FF"),
        ("ref", 5),
        ("state", "RUNNING"),
        ("state", None),
        ("state", [1]),
        ("native_state", 5),
        ("progress", "half"),
        ("created_at", 1700000000),
        ("created_at", "yesterday"),
        ("created_at", "2026-01-02T03:04:05"),
        ("created_at", "0001-01-01T00:00:00+10:00"),
        ("observed_at", None),
        ("warnings", [5]),
        ("warnings", 5),
        ("warnings", "first"),
        ("warnings", {"first": 1}),
        ("items", {}),
        ("progress", float("nan")),
        ("progress", True),
        ("progress", [1]),
        pytest.param("progress", 10**400, id="progress-huge"),
        ("resolved", "False"),
        ("errors", [{"code": "4"}]),
        ("errors", [{"message": 5}]),
        ("items", [{"id": "v", "kind": "volume"}]),
        ("items", [5]),
        ("links", ["self"]),
        ("links", {"self": 5}),
    ],
)
def test_a_damaged_field_is_named(key: str, value: object) -> None:
    with pytest.raises(DecodeError) as caught:
        from_dict({**STORED, key: value})
    assert caught.value.path.startswith(f"$.{key}")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ({"warnings": ["first", 5]}, "$.warnings[1]: invalid value for type, expected str"),
        ({"items": [{"id": "v"}]}, "$.items[0].kind: required field missing"),
        ({"native_state": 5, "message": 6}, "$.native_state: invalid value for type, expected str | None"),
        ({"links": {"self": None}}, "$.links: invalid value for type, expected Mapping"),
        (
            {"items": [{**STORED["items"][0], "items": [{"id": "/a", "kind": "file", "state": "odd"}]}]},
            "$.items[0].items[0].state: invalid value for type, expected JobState",
        ),
    ],
)
def test_damage_is_told_by_its_path_and_the_first_of_it_alone(damage: dict[str, Any], said: str) -> None:
    with pytest.raises(DecodeError) as caught:
        from_dict({**STORED, **damage})
    assert str(caught.value) == said


@pytest.mark.parametrize("missing", ["ref", "state"])
def test_a_stored_job_must_have_its_ref_and_state(missing: str) -> None:
    with pytest.raises(DecodeError, match=missing):
        from_dict({key: value for key, value in STORED.items() if key != missing})


@pytest.mark.parametrize("data", [None, [], "{}", 5, [STORED]])
def test_what_is_no_object_is_refused(data: Any) -> None:
    with pytest.raises(DecodeError, match="object"):
        from_dict(data)


@pytest.mark.slow
@at_least(200)
@given(mutated(STORED))
def test_damaged_data_gives_a_job_or_a_typed_error(data: Any) -> None:
    try:
        result = from_dict(data)
    except (DecodeError, UsageError):
        return
    assert through_json(result) == result


@pytest.mark.slow
@given(json_values(STORED, ["running", "cf://h/x"]))
def test_any_json_gives_a_job_or_a_typed_error(data: Any) -> None:
    try:
        result = from_dict(data)
    except (DecodeError, UsageError):
        return
    assert type(result) is Job


@pytest.mark.parametrize(("levels", "readable"), [(49, True), (50, False), (250, False), (2000, False)])
def test_items_are_read_as_deep_as_they_can_be_written_again(levels: int, readable: bool) -> None:
    leaf: dict[str, Any] = {"id": "x", "kind": "batch", "state": "running"}
    item = leaf
    for _ in range(levels):
        item = {**leaf, "items": [item]}
    data = {**STORED, "items": [item]}
    if readable:
        assert from_dict(to_dict(from_dict(data))) == from_dict(data)
        return
    error = to_dict(WaitTimeout("not ended within 5 s", ref=from_dict(STORED).ref))
    assert error["version"] == to_dict(from_dict(STORED))["version"]
    for stored in (data, {**error, "job": data}):
        with pytest.raises(DecodeError, match=r"^\$\.items: the items are nested too deep$"):
            from_dict(stored)
