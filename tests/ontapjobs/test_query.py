"""Queries of ONTAP's list of jobs: every filter and option, checked and encoded before any request."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.model.errors import UsageError
from common.model.states import JobState
from ontapjobs.lists.query import FILTERS, Filters, encode, filter_query, option_query

DOCUMENTED = {
    "uuid": "uuid",
    "state": "state",
    "description": "description",
    "message": "message",
    "code": "code",
    "start_time": "start_time",
    "end_time": "end_time",
    "error_code": "error.code",
    "error_message": "error.message",
    "error_arguments_code": "error.arguments.code",
    "error_arguments_message": "error.arguments.message",
    "node_name": "node.name",
    "svm_name": "svm.name",
    "svm_uuid": "svm.uuid",
}


def sent(**filters: object) -> str:
    return encode(filter_query(filters))


def options(**arguments: Any) -> dict[str, str]:
    return dict(option_query(**arguments))


# --- filters


@pytest.mark.parametrize(("keyword", "name"), DOCUMENTED.items())
def test_each_documented_filter_has_a_keyword_with_underscores(keyword: str, name: str) -> None:
    assert sent(**{keyword: "x"}) == f"{name}=x"


def test_no_filter_is_missing_or_made_up() -> None:
    assert FILTERS == DOCUMENTED
    assert set(typing.get_type_hints(Filters)) == set(DOCUMENTED)


@pytest.mark.parametrize("name", ["svm.name", "name", "States", "fields", ""])
def test_an_unknown_filter_is_refused_and_the_known_ones_are_named(name: str) -> None:
    with pytest.raises(UsageError, match="svm_name") as caught:
        filter_query({name: "x"})
    assert repr(name) in str(caught.value)


def test_several_filters_keep_their_order() -> None:
    assert sent(state="running", svm_name="svm1", code=4) == "state=running&svm.name=svm1&code=4"


def test_none_leaves_a_filter_out() -> None:
    assert filter_query({"state": None, "code": 0}) == [("code", "0")]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("queued|running", "queued%7Crunning"),
        ("!success", "%21success"),
        ("vol*", "vol*"),
        ("1..5", "1..5"),
        ("<5", "%3C5"),
        (">=2026-01-01", "%3E%3D2026-01-01"),
        ("null", "null"),
        ("!null", "%21null"),
        ("two words", "two%20words"),
        ("a+b&c=d#e", "a%2Bb%26c%3Dd%23e"),
        ("50%", "50%25"),
        ("größe", "gr%C3%B6%C3%9Fe"),
        (0, "0"),
        (-1, "-1"),
        (2432845, "2432845"),
    ],
)
def test_operators_and_plain_values_are_sent_encoded(value: object, text: str) -> None:
    assert sent(message=value) == f"message={text}"


@pytest.mark.parametrize(
    "members", [["queued", "running"], ("queued", "running"), iter(["queued", "running"])]
)
def test_a_sequence_matches_any_of_its_members(members: object) -> None:
    assert sent(state=members) == "state=queued%7Crunning"


def test_a_set_matches_any_of_its_members() -> None:
    ((name, value),) = filter_query({"code": {1, 2, 3}})
    assert (name, set(value.split("|"))) == ("code", {"1", "2", "3"})


@pytest.mark.parametrize(
    ("state", "word"),
    [
        (JobState.QUEUED, "queued"),
        (JobState.RUNNING, "running"),
        (JobState.PAUSED, "paused"),
        (JobState.SUCCEEDED, "success"),
        (JobState.FAILED, "failure"),
    ],
)
def test_a_job_state_becomes_the_servers_word(state: JobState, word: str) -> None:
    assert sent(state=state) == f"state={word}"
    assert sent(state=[state, "!null"]) == f"state={word}%7C%21null"


@pytest.mark.parametrize("state", [JobState.PARTIAL, JobState.CANCELLED, JobState.UNKNOWN])
def test_a_state_that_ontap_lacks_is_refused(state: JobState) -> None:
    with pytest.raises(UsageError, match="no such state"):
        filter_query({"state": state})


def test_a_job_state_belongs_to_the_state_filter() -> None:
    with pytest.raises(UsageError):
        filter_query({"message": JobState.RUNNING})


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        datetime(2026, 1, 2, 3, 4, tzinfo=timezone(timedelta(hours=2))),
    ],
)
def test_a_time_is_sent_in_iso_8601_with_its_offset_encoded(moment: datetime) -> None:
    text = sent(start_time=moment)
    assert "+" not in text
    assert datetime.fromisoformat(unquote(text.removeprefix("start_time="))) == moment


def test_a_time_without_its_zone_is_refused() -> None:
    with pytest.raises(UsageError, match="zone"):
        filter_query({"end_time": datetime.fromisoformat("2026-01-02")})


@pytest.mark.parametrize(
    "value", [True, False, [True], 1.5, b"x", {"a": 1}, object(), ["a", None], [["a"]], [1.5]]
)
def test_what_cannot_be_a_filter_is_refused_by_name(value: object) -> None:
    with pytest.raises(UsageError, match=r"^code="):
        filter_query({"code": value})


@pytest.mark.parametrize("value", ["", [], (), set[str](), [""], ["a", ""]])
def test_an_empty_value_is_refused(value: object) -> None:
    with pytest.raises(UsageError, match=r"^message= is"):
        filter_query({"message": value})


@pytest.mark.slow
@given(
    st.dictionaries(st.sampled_from(sorted(DOCUMENTED)), st.text(st.characters(codec="utf-8"), min_size=1))
)
def test_whatever_is_filtered_by_arrives_as_it_was_given(filters: Mapping[str, str]) -> None:
    text = encode(filter_query(filters))
    assert text.isascii()
    assert not set(text) & set("+ |#")
    assert parse_qsl(text, keep_blank_values=True) == [
        (DOCUMENTED[name], value) for name, value in filters.items()
    ]


@given(st.text(st.characters(), min_size=1))
def test_any_text_can_be_encoded(value: str) -> None:
    assert encode([("message", value)]).isascii()


# --- options


def test_every_common_field_is_requested_by_default() -> None:
    assert options() == {"fields": "*"}
    assert encode(option_query()) == "fields=*"


@pytest.mark.parametrize("fields", ["uuid,state", "uuid, state", ["uuid", "state"], ("uuid", "state")])
def test_fields_are_text_or_a_sequence(fields: Any) -> None:
    assert encode(option_query(fields=fields)) == "fields=uuid,state"


@pytest.mark.parametrize("fields", ["", ",", "uuid,", [], [""], [5], 5, b"uuid"])
def test_fields_that_name_nothing_are_refused(fields: Any) -> None:
    with pytest.raises(UsageError, match="fields="):
        option_query(fields=fields)


@pytest.mark.parametrize("seconds", [0, 1, 15, 120])
def test_return_timeout_is_accepted_from_0_to_120(seconds: int) -> None:
    assert options(return_timeout=seconds)["return_timeout"] == str(seconds)


@pytest.mark.parametrize("seconds", [-1, 121, 500, 10**9])
def test_return_timeout_out_of_range_is_refused(seconds: int) -> None:
    with pytest.raises(UsageError, match="from 0 to 120"):
        option_query(return_timeout=seconds)


@pytest.mark.parametrize("value", [True, 1.5, "15", float("nan")])
@pytest.mark.parametrize("name", ["return_timeout", "max_records"])
def test_numbers_must_be_whole(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=f"{name}= must be a whole number"):
        option_query(**{name: value})


@pytest.mark.parametrize("value", [0, -5])
def test_a_page_holds_at_least_one_record(value: int) -> None:
    with pytest.raises(UsageError, match="at least 1"):
        option_query(max_records=value)
    assert options(max_records=1)["max_records"] == "1"


@pytest.mark.parametrize(
    ("order", "text"),
    [
        ("start_time", "start_time"),
        ("start_time desc", "start_time%20desc"),
        ("  start_time   asc ", "start_time%20asc"),
        ("state asc, start_time desc", "state%20asc,start_time%20desc"),
        (["state", "code desc"], "state,code%20desc"),
    ],
)
def test_order_is_a_field_and_a_direction(order: Any, text: str) -> None:
    assert encode(option_query(order_by=order)) == f"fields=*&order_by={text}"


@pytest.mark.parametrize("order", ["", "start_time down", "start_time desc asc", [], [""], "a,,b", 5])
def test_an_order_that_makes_no_sense_is_refused(order: Any) -> None:
    with pytest.raises(UsageError, match="order_by="):
        option_query(order_by=order)
