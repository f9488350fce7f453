"""Unchecked construction of frozen objects, and fields that are read on access."""

from __future__ import annotations

import copy
import weakref
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

from common.model.job import Job, UncheckedJob, observed_again
from common.model.lazy import LazyFields, Unchecked, unchecked
from common.model.refs import JobRef, UncheckedRef
from common.model.states import JobState
from tests.pickled import pickled

REF = JobRef("ontap", "https://cluster.example", "job-1")


@attrs.frozen
class Point(Unchecked):
    x: int
    y: int = 0


@attrs.frozen
class Letter(LazyFields):
    sender: str
    links: Any = None
    record: Any = None


PARTS = {"links": list, "record": dict}


def letter(source: Any) -> Letter:
    draft = unchecked(Letter)()
    draft.sender = "me"
    draft._source = source
    draft._readers = PARTS
    draft.__class__ = Letter
    result: Letter = draft
    return result


def test_a_draft_becomes_what_the_constructor_makes() -> None:
    draft: Any = unchecked(Point)()
    draft.x, draft.y = 1, 2
    draft.__class__ = Point
    assert type(draft) is Point
    assert draft == Point(1, 2)
    assert weakref.ref(draft)() is draft
    for name in ("x", "invented"):
        with pytest.raises(AttributeError):
            setattr(draft, name, 3)


@pytest.mark.parametrize(("draft", "kind"), [(UncheckedJob, Job), (UncheckedRef, JobRef)])
def test_a_draft_has_no_room_for_what_its_kind_does_not_have(draft: Any, kind: Any) -> None:
    assert {field.name for field in attrs.fields(kind)} == set(draft.__slots__)
    with pytest.raises(AttributeError):
        draft().invented = 1


def test_a_field_is_read_once_and_on_access() -> None:
    source: dict[str, Any] = {"a": 1}
    result = letter(source)
    source["b"] = 2
    assert result.links == ["a", "b"]
    source["c"] = 3
    assert result.links == ["a", "b"]


def test_the_record_takes_the_place_of_what_it_was_read_from() -> None:
    source = {"a": 1}
    result = letter(source)
    assert result.record == {"a": 1}
    assert result.record is result.record
    source.clear()
    assert result.links == ["a"]


def test_an_unread_object_equals_pickles_and_copies_as_one_that_was_read() -> None:
    expected = Letter("me", ["a"], {"a": 1})
    for copied in (
        letter({"a": 1}),
        copy.copy(letter({"a": 1})),
        copy.deepcopy(letter({"a": 1})),
        pickled(letter({"a": 1})),
        attrs.evolve(letter({"a": 1}), sender="me"),
    ):
        assert copied == expected
        assert repr(copied) == repr(expected)


@pytest.mark.parametrize("name", ["invented", "_invented"])
def test_what_no_object_has_is_an_attribute_error(name: str) -> None:
    result: list[Any] = [letter({}), Letter("me"), Job(REF, JobState.RUNNING)]
    for one in result:
        assert not hasattr(one, name)
        with pytest.raises(AttributeError, match=name):
            getattr(one, name)


def test_an_observation_made_again_is_equal_and_as_unread_as_before() -> None:
    read = []

    def record(source: Any) -> Any:
        read.append(source)
        return source

    first: Any = UncheckedJob()
    for name in attrs.fields_dict(Job):
        if name != "record":
            setattr(first, name, getattr(Job(REF, JobState.RUNNING, message="so far"), name))
    first._source, first._readers = {"uuid": "job-1"}, {"record": record}
    first.__class__ = Job
    at = datetime(2030, 1, 1, tzinfo=UTC)
    again = observed_again(first, at)
    assert not read
    assert type(again) is Job
    assert again == first
    assert (again.observed_at, again.message) == (at, "so far")
    assert again.record == {"uuid": "job-1"}
    assert first.observed_at != at
    plain = Job(REF, JobState.FAILED)
    assert observed_again(plain, at) == plain
