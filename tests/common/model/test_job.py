"""The unified `Job`: equality, hash, pickle, and which states are terminal."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest
from hypothesis import given

from common.model.job import ErrorArgument, ErrorDetail, FrozenMap, Job, JobItem, unique
from common.model.refs import JobRef
from common.model.states import TERMINAL, JobState, read_state
from tests.jobvalues import JOBS
from tests.pickled import pickled

REF = JobRef("ontap", "https://cluster.example", "job-1")
RUNNING = Job(REF, JobState.RUNNING, native_state="running", message="copying", links={"self": "/jobs/job-1"})
NEWS: dict[str, Any] = {
    "state": JobState.PAUSED,
    "native_state": "RUNNING",
    "message": "verifying",
    "progress": 0.5,
    "errors": (ErrorDetail("retried"),),
    "warnings": ("slow",),
    "items": (JobItem("vol-1", "volume", JobState.SUCCEEDED),),
}
NO_NEWS: dict[str, Any] = {
    "operation": "POST /volumes",
    "created_at": datetime(2026, 1, 1, tzinfo=UTC),
    "started_at": datetime(2026, 1, 1, tzinfo=UTC),
    "updated_at": datetime(2026, 1, 1, tzinfo=UTC),
    "finished_at": datetime(2026, 1, 1, tzinfo=UTC),
    "links": {},
    "resolved": True,
    "observed_at": datetime(2026, 1, 1, tzinfo=UTC),
    "record": object(),
}


# --- states


def test_four_states_end_a_job_and_unknown_is_none_of_them() -> None:
    assert {JobState.SUCCEEDED, JobState.PARTIAL, JobState.FAILED, JobState.CANCELLED} == TERMINAL
    assert {state for state in JobState if state.terminal} == TERMINAL
    assert {state.name for state in JobState} - {state.name for state in TERMINAL} == {
        "QUEUED",
        "RUNNING",
        "PAUSED",
        "UNKNOWN",
    }


@pytest.mark.parametrize("state", JobState)
def test_only_succeeded_is_a_success(state: JobState) -> None:
    job = Job(REF, state)
    assert job.succeeded == (state is JobState.SUCCEEDED)
    assert job.done == (state in TERMINAL)


def test_a_callers_word_for_a_state_comes_before_the_table() -> None:
    table = {"done": JobState.SUCCEEDED}
    assert read_state("Done", table, None) is JobState.SUCCEEDED
    assert read_state("DONE", table, {"done": JobState.PARTIAL}) is JobState.PARTIAL
    assert read_state("other", table, {"done": JobState.PARTIAL}) is JobState.UNKNOWN
    assert read_state(None, table, {"none": JobState.FAILED}) is JobState.UNKNOWN


# --- equality, hash, pickle


@pytest.mark.parametrize(("name", "value"), [*NEWS.items(), *NO_NEWS.items()])
def test_jobs_are_equal_when_the_server_sent_the_same(name: str, value: Any) -> None:
    other = attrs.evolve(RUNNING, **{name: value})
    assert (other == RUNNING) == (name in ("observed_at", "record"))
    assert hash(other) == hash(RUNNING)


@pytest.mark.parametrize(("name", "value"), [*NEWS.items(), *NO_NEWS.items()])
def test_a_change_is_one_of_seven_fields(name: str, value: Any) -> None:
    other = attrs.evolve(RUNNING, **{name: value})
    assert other.differs(RUNNING) == (name in NEWS)
    assert RUNNING.differs(other) == (name in NEWS)


def test_every_field_is_either_news_or_none() -> None:
    assert {field.name for field in attrs.fields(Job)} == {*NEWS, *NO_NEWS, "ref"}


def test_a_job_hashes_by_its_ref() -> None:
    assert hash(RUNNING) == hash(REF)
    assert len({RUNNING, attrs.evolve(RUNNING, record="other")}) == 1
    assert len({RUNNING, attrs.evolve(RUNNING, message="other")}) == 2


@pytest.mark.slow
@given(JOBS)
def test_a_job_pickles_and_copies_whole(job: Job) -> None:
    job = attrs.evolve(job, record={"whatever": [1, {"the": "server"}, None]})
    for again in (pickled(job), copy.deepcopy(job), copy.copy(job)):
        assert again == job
        assert hash(again) == hash(job)
        assert (again.observed_at, again.record) == (job.observed_at, job.record)


@pytest.mark.slow
@pytest.mark.parametrize("levels", [1, 100, 101, 900, 100_000])
def test_a_record_nested_deeper_than_pickle_can_follow_is_left_out_of_a_pickle(levels: int) -> None:
    record: Any = []
    for level in range(1, levels):
        record = {"x": record} if level % 2 else [record, None]
    job = attrs.evolve(RUNNING, record=record)
    for again in (pickled(job), copy.deepcopy(job)):
        assert again == job
        assert (again.record is None) == (levels > 100)
        assert levels > 100 or again.record == record


def test_a_job_cannot_be_changed() -> None:
    for name in ("state", "ref", "invented"):
        with pytest.raises(AttributeError):
            setattr(RUNNING, name, None)


def test_a_job_is_observed_now_in_utc() -> None:
    before = datetime.now(UTC)
    observed = Job(REF, JobState.QUEUED).observed_at
    assert before <= observed <= datetime.now(UTC)
    assert observed.tzinfo is UTC


def test_the_record_is_not_in_the_jobs_text() -> None:
    assert "secret" not in repr(attrs.evolve(RUNNING, record={"token": "secret"}))


def test_a_job_is_named_by_its_refs_id() -> None:
    assert RUNNING.id == REF.id == "job-1"


# --- links


def test_links_are_read_only_and_equal_any_mapping() -> None:
    links: Any = RUNNING.links
    assert links == {"self": "/jobs/job-1"}
    assert (len(links), list(links), links["self"]) == (1, ["self"], "/jobs/job-1")
    with pytest.raises(TypeError):
        links["self"] = "elsewhere"
    with pytest.raises(AttributeError, match="read-only"):
        links.other = 1


def test_links_do_not_follow_what_they_were_made_of() -> None:
    source = {"self": "/a"}
    job = Job(REF, JobState.RUNNING, links=source)
    source["self"] = "/b"
    assert job.links == {"self": "/a"}


def test_a_frozen_map_hashes_by_its_content_and_pickles() -> None:
    one, other = FrozenMap({"a": "1", "b": "2"}), FrozenMap([("b", "2"), ("a", "1")])
    assert one == other
    assert hash(one) == hash(other)
    again = pickled(one)
    assert (type(again), again) == (FrozenMap, one)


# --- Jobs, errors and warnings as text


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, ""),
        ({"progress": 0.5}, " 50%"),
        ({"progress": 0.999}, " 99%"),
        ({"progress": 1.0}, " 100%"),
        ({"progress": 1e308}, " 100%"),
        ({"progress": -1e308}, " 0%"),
        ({"progress": 0.29, "message": "line 1\nline 2\t…"}, " 29%: line 1 line 2 …"),
    ],
)
def test_a_job_is_one_line_for_people(fields: dict[str, Any], text: str) -> None:
    assert str(Job(REF, JobState.RUNNING, **fields)) == f"{REF} RUNNING{text}"


@pytest.mark.parametrize(
    ("detail", "text"),
    [
        (ErrorDetail("m"), "m"),
        (ErrorDetail("m", code="4"), "m [code 4]"),
        (ErrorDetail("m", title="CF-X", code="4", target="vol-2"), "m [CF-X, code 4, target vol-2]"),
        (ErrorDetail("CF-X", title="CF-X"), "CF-X"),
        (
            ErrorDetail("m", arguments=(ErrorArgument("a"), ErrorArgument("b", "7"))),
            "m [argument 'a', argument 'b' (7)]",
        ),
    ],
)
def test_an_error_is_one_line_with_all_that_it_has(detail: ErrorDetail, text: str) -> None:
    assert str(detail) == text


def test_unique_keeps_the_order_and_each_once() -> None:
    assert unique(["b", "a", "b", "", "a", ""]) == ("b", "a", "")
