"""Decoding of ONTAP's responses: what each value becomes in a job."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from common.model.errors import DecodeError
from common.model.job import ErrorArgument, ErrorDetail, Job
from common.model.refs import JobRef
from common.model.states import JobState
from common.response.http_response import HttpResponse
from ontapjobs.actions.single import REFUSALS
from ontapjobs.wire import (
    NO_REASON,
    REFERENCE_STATES,
    STATES,
    TRANSIENT_CODES,
    parse_error,
    parse_job,
    parse_jobs,
    parse_page,
)
from ontapjobs.writes.started import parse_started
from tests.examples import at_least
from tests.jsonvalues import (
    LEAF,
    TEXTS,
    WORD,
    Values,
    json_values,
    labelled,
    lost,
    many,
    mutated,
    shaped,
    written,
)
from tests.ontaprecords import FULL, OTHER, PAGE, SELF, UUID

HOST = "https://cluster.example"
KEYS = [*FULL, "records", "num_records", "next", "href", "arguments", "name"]


def job(**fields: Any) -> Job:
    return parse_job({"uuid": UUID, **fields}, endpoint=HOST)


def response(status: int, body: Any = None, **headers: str) -> HttpResponse:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpResponse(status, tuple(headers.items()), raw)


# --- the state alone decides


@pytest.mark.parametrize(("word", "state"), STATES.items())
@pytest.mark.parametrize("case", [str.lower, str.upper, str.title])
def test_each_state_is_read_in_any_letter_case_and_kept_as_written(
    word: str, state: JobState, case: Any
) -> None:
    parsed = job(state=case(word))
    assert (parsed.state, parsed.native_state) == (state, case(word))


def test_the_states_of_the_reference_and_of_netapps_own_mapping_are_known() -> None:
    reference = {
        "queued": JobState.QUEUED,
        "running": JobState.RUNNING,
        "paused": JobState.PAUSED,
        "success": JobState.SUCCEEDED,
        "failure": JobState.FAILED,
    }
    assert reference == REFERENCE_STATES
    running = ("dormant", "pausing", "quitting", "reschedule", "restart", "waiting")
    assert {
        **reference,
        "initial": JobState.QUEUED,
        **dict.fromkeys(running, JobState.RUNNING),
        **dict.fromkeys(("dead", "error", "quit", "expired"), JobState.FAILED),
        "cancelled": JobState.CANCELLED,
    } == STATES


@pytest.mark.parametrize("fields", [{}, {"state": None}, {"state": ""}, {"state": "done"}, {"state": "ok"}])
def test_no_state_or_a_word_of_no_table_is_unknown(fields: dict[str, Any]) -> None:
    parsed = job(code=0, message="Complete: Successful", end_time="2026-02-03T10:00:09Z", **fields)
    assert parsed.state is JobState.UNKNOWN
    assert not parsed.done
    assert parsed.native_state == fields.get("state")
    assert parsed.finished_at is None


@pytest.mark.slow
@given(
    word=TEXTS | st.none(),
    rest=st.dictionaries(st.sampled_from(["code", "message", "end_time"]), json_values()),
)
def test_an_unknown_word_never_ends_a_job(word: str | None, rest: dict[str, Any]) -> None:
    if word is not None and word.casefold() in STATES:
        reject()
    parsed = parse_job({"uuid": UUID, **rest, "state": word})
    assert parsed.state is JobState.UNKNOWN
    assert not parsed.succeeded


@pytest.mark.parametrize("word", ["partially_done", "PARTIALLY_DONE", "Partially_Done"])
def test_states_extends_the_table_in_any_letter_case(word: str) -> None:
    data = {"uuid": UUID, "state": word}
    assert parse_job(data, states={"PARTIALLY_DONE": JobState.PARTIAL}).state is JobState.PARTIAL


@pytest.mark.parametrize("word", [5, True, ["success"], {"is": "success"}])
def test_a_state_that_is_no_text_is_refused_with_its_path(word: object) -> None:
    with pytest.raises(DecodeError, match="state as text") as caught:
        job(state=word)
    assert caught.value.path == "$.state"
    assert not caught.value.transient


def test_a_progress_code_and_a_message_of_completion_do_not_end_a_running_job() -> None:
    parsed = job(state="running", code=2432845, message="MetroCluster setup is complete")
    assert parsed.state is JobState.RUNNING
    assert parsed.message == "MetroCluster setup is complete"
    assert parsed.errors == ()


def test_a_success_with_a_code_is_a_success_without_errors() -> None:
    parsed = job(state="success", code=2432849, message="not enough spares")
    assert parsed.succeeded
    assert parsed.errors == ()


def test_a_failure_with_code_0_and_no_words_is_a_failure() -> None:
    parsed = job(state="failure", code=0, message="")
    assert parsed.state is JobState.FAILED
    assert parsed.errors == (ErrorDetail(NO_REASON),)


# --- the detail of a failure


@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        ({"error": {"message": "E", "code": "7"}, "message": "M", "code": 4}, ErrorDetail("E", code="7")),
        ({"error": {"message": "E"}, "message": "M", "code": 4}, ErrorDetail("E", code="4")),
        ({"error": {"code": "7"}, "message": "M", "code": 4}, ErrorDetail("M", code="7")),
        ({"error": {"message": "", "code": "7"}, "message": "M"}, ErrorDetail("M", code="7")),
        ({"message": "M", "code": 4}, ErrorDetail("M", code="4")),
        ({"message": "M", "code": "4"}, ErrorDetail("M", code="4")),
        ({"message": "M", "code": -1}, ErrorDetail("M", code="-1")),
        ({"message": "M", "code": "E-4"}, ErrorDetail("M", code="E-4")),
        ({"message": "M", "code": 0}, ErrorDetail("M")),
        ({"message": "M", "error": {}}, ErrorDetail("M")),
        ({"message": "M", "error": None}, ErrorDetail("M")),
        ({"error": {"message": "E", "code": 7}}, ErrorDetail("E", code="7")),
        ({"error": [{"message": "E", "code": "7"}]}, ErrorDetail("E", code="7")),
        ({"error": "E"}, ErrorDetail("E")),
        ({"error": {"message": "E", "target": "svm.name"}}, ErrorDetail("E", target="svm.name")),
    ],
)
def test_failure_detail_is_the_error_then_the_message_then_ours(
    fields: dict[str, Any], detail: ErrorDetail
) -> None:
    assert job(state="failure", **fields).errors == (detail,)


@pytest.mark.parametrize("arguments", [{"code": "1", "message": "vol1"}, [{"code": 1, "message": "vol1"}]])
def test_arguments_are_read_from_an_array_or_one_object(arguments: object) -> None:
    parsed = job(state="failure", error={"message": "E", "arguments": arguments})
    assert parsed.errors[0].arguments == (ErrorArgument("vol1", "1"),)


def test_an_error_without_words_on_a_running_job_does_not_claim_a_failure() -> None:
    parsed = job(state="running", error={"code": "0"})
    assert not any("failed" in error.message for error in parsed.errors)


@pytest.mark.parametrize(
    ("sent", "read"), [(4, 4), ("4", 4), ("0", 0), (-1, -1), ("-1", -1), (4.0, 4), (None, None)]
)
def test_code_is_an_integer_however_it_was_sent(sent: object, read: int | None) -> None:
    parsed = job(code=sent).record
    assert parsed.code == read
    assert "code" not in parsed.extra


# --- times, links and the rest of a record


def test_times_become_utc_and_only_an_ended_job_has_an_end() -> None:
    parsed = parse_job(FULL)
    assert parsed.started_at == datetime(2026, 2, 3, 9, 0, tzinfo=UTC)
    assert parsed.finished_at == datetime(2026, 2, 3, 9, 0, 9, tzinfo=UTC)
    assert parsed.finished_at is not None
    assert parsed.finished_at.tzinfo is UTC
    assert (parsed.created_at, parsed.updated_at, parsed.progress) == (None, None, None)


@pytest.mark.parametrize("state", ["queued", "running", "paused", "rewinding"])
def test_the_end_time_of_a_job_that_goes_on_stays_in_its_record(state: str) -> None:
    parsed = job(state=state, end_time="2026-02-03T10:00:09Z")
    assert parsed.finished_at is None
    assert parsed.record.end_time == datetime(2026, 2, 3, 10, 0, 9, tzinfo=UTC)


def test_a_whole_record_is_read() -> None:
    parsed = parse_job(FULL, endpoint=HOST)
    assert parsed.ref == JobRef("ontap", HOST, UUID)
    assert (parsed.operation, parsed.message) == (FULL["description"], FULL["message"])
    assert parsed.links == {"self": SELF}
    assert (parsed.record.svm.name, parsed.record.svm.uuid) == ("svm1", "aa-11")
    assert parsed.record.svm.links == {"self": "/api/svm/svms/aa-11"}
    assert parsed.record.node.name == "node-a"
    assert parsed.record.extra == {}


def test_bytes_text_and_decoded_json_give_the_same_job() -> None:
    text = json.dumps(FULL)
    assert parse_job(FULL) == parse_job(text) == parse_job(text.encode())


def test_a_job_stays_as_it_was_read_though_the_data_is_changed_later() -> None:
    data = {"uuid": UUID, "state": "running", "svm": {"name": "svm1"}, "_links": {"self": {"href": SELF}}}
    read = parse_job(data)
    data["svm"], data["_links"] = {"name": "another"}, {}
    assert read.record.svm.name == "svm1"
    assert read.links == {"self": SELF}


def test_a_record_may_lack_all_but_its_uuid() -> None:
    parsed = parse_job({"uuid": UUID})
    assert (parsed.operation, parsed.message, parsed.links, parsed.errors) == (None, None, {}, ())


@pytest.mark.parametrize("uuid", [[UUID], {"": UUID}, True])
def test_the_requested_id_replaces_no_uuid_that_is_of_another_type(uuid: Any) -> None:
    with pytest.raises(DecodeError, match="cannot be read") as caught:
        parse_job({"uuid": uuid, "state": "success"}, id=UUID)
    assert (caught.value.path, caught.value.transient) == ("$.uuid", True)


def test_the_requested_id_replaces_a_missing_uuid() -> None:
    assert parse_job({"state": "running"}, id=OTHER).id == OTHER
    assert parse_job({"uuid": UUID, "state": "running"}, id=OTHER).id == UUID


def test_a_job_without_any_id_is_refused() -> None:
    with pytest.raises(DecodeError, match="uuid") as caught:
        parse_job({"state": "running"})
    assert caught.value.path == "$.uuid"


@pytest.mark.parametrize(
    "field",
    [
        {"_links": 5},
        {"_links": True},
        {"_links": "up"},
        {"_links": ["up"]},
        {"_links": {"self": "up"}},
        {"svm": {"_links": 7}},
        {"node": {"_links": 1.5}},
    ],
)
def test_links_of_another_kind_are_kept_unread(field: dict[str, Any]) -> None:
    assert lost(field, job(**field).record) == []


@pytest.mark.parametrize(
    "field",
    [
        {"new_in_9_20": {"a": [1, "b"]}},
        {"code": "none"},
        {"code": 1.5},
        {"message": ["two", "lines"]},
        {"start_time": "yesterday"},
        {"start_time": 1770000000},
        {"svm": "svm1"},
        {"svm": {"name": "svm1", "colour": "red"}},
        {"svm": [{"name": "svm1"}, {"name": "svm2"}]},
        {"svm": [{"name": "svm1"}, "beside"]},
        {"node": {"name": {"long": "node-a"}}},
        {"error": 17},
        {"error": {"message": "E", "hint": "look there"}},
        {"error": {"message": "E", "arguments": ["plain"]}},
        {"error": {"message": "E", "arguments": [{"message": "a", "kind": "volume"}]}},
        {"error": {"message": "E", "arguments": [{"message": ["odd"], "code": {"a": 1}}]}},
        {"_links": {"self": {"href": SELF, "method": "GET"}}},
        {"_links": {"self": {"href": SELF}, "odd": {"url": "/x"}}},
    ],
    ids=str,
)
def test_what_is_unknown_or_unreadable_stays_in_extra(field: dict[str, Any]) -> None:
    assert lost(field, job(**field).record) == []


LINKS = shaped({"self": shaped({"href": LEAF}), "next": shaped({"href": LEAF})})
NAMED = shaped({"name": LEAF, "uuid": LEAF, "_links": LINKS})
RECORD: Values = shaped(
    {
        "uuid": LEAF,
        "state": WORD,
        "description": LEAF,
        "message": LEAF,
        "code": LEAF,
        "start_time": LEAF,
        "end_time": LEAF,
        "svm": NAMED,
        "node": NAMED,
        "error": shaped(
            {
                "message": LEAF,
                "code": LEAF,
                "target": LEAF,
                "arguments": many(shaped({"message": LEAF, "code": LEAF})),
            }
        ),
        "_links": LINKS,
    }
)


@pytest.mark.slow
@at_least(200)
@given(labelled(RECORD))
def test_nothing_that_the_server_sent_is_lost(sent: Any) -> None:
    try:
        parsed = parse_job(sent, id="asked")
    except DecodeError:
        return
    assert lost(sent, parsed.record) == []


# --- what is no job


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"   ",
        b"\xff\xfe\x00",
        "<html><body>502 Bad Gateway</body></html>",
        '{"uuid": "5d0f',
        "null",
        "[]",
        [FULL],
        {},
        {"error": {"message": "entry doesn't exist", "code": "4"}},
        {"job": {"uuid": UUID}},
        PAGE,
        "[" * 100_000,
    ],
    ids=lambda data: str(data)[:24],
)
def test_what_cannot_be_a_job_is_refused_as_not_the_apis(data: Any) -> None:
    with pytest.raises(DecodeError) as caught:
        parse_job(data, id=UUID)
    assert caught.value.path == "$"
    assert caught.value.transient


@pytest.mark.parametrize(
    ("data", "what"), [({"error": {}}, "an error body:"), ({"records": []}, "no job in the response:")]
)
def test_what_came_in_place_of_a_job_is_said(data: Any, what: str) -> None:
    with pytest.raises(DecodeError, match=what):
        parse_job(data, id=UUID)


@pytest.mark.slow
@at_least(200)
@given(written(json_values(KEYS, [*STATES, UUID])))
def test_any_json_gives_a_job_or_a_decode_error(data: Any) -> None:
    parsers: list[Callable[[], list[Job]]] = [
        lambda: [parse_job(data)],
        lambda: [parse_job(data, id=UUID)],
        lambda: parse_jobs(data),
    ]
    for parse in parsers:
        try:
            parsed = parse()
        except DecodeError:
            continue
        assert all(type(item) is Job for item in parsed)


@given(st.binary() | TEXTS)
def test_any_bytes_and_text_give_a_job_or_a_decode_error(data: bytes | str) -> None:
    for parse in (parse_job, parse_jobs):
        with pytest.raises(DecodeError):
            parse(data)


@pytest.mark.slow
@at_least(200)
@given(mutated(FULL))
def test_a_damaged_job_gives_a_job_or_a_decode_error(data: Any) -> None:
    try:
        parsed = parse_job(data, id=UUID)
    except DecodeError:
        return
    assert parsed.done <= (str(parsed.native_state).casefold() in ("success", "failure"))


@pytest.mark.slow
@at_least(200)
@given(mutated(PAGE))
def test_a_damaged_page_gives_jobs_or_a_decode_error(data: Any) -> None:
    try:
        parsed = parse_jobs(data, endpoint=HOST)
    except DecodeError:
        return
    assert all(item.ref.endpoint == HOST for item in parsed)


def test_a_number_too_long_to_print_is_no_crash() -> None:
    job = parse_job('{"uuid": "x", "state": "failure", "code": ' + "9" * 5000 + "}")
    assert (job.state, job.errors[0].code, job.record.code) == (JobState.FAILED, "9" * 5000, None)
    assert parse_job({"uuid": "x", "code": 10**400}).record.code == 10**400


# --- lists


def test_a_page_gives_its_jobs_its_next_link_and_its_count() -> None:
    page = parse_page(PAGE, endpoint=HOST)
    assert [item.id for item in page.jobs] == [UUID, OTHER]
    assert page.next == "/api/cluster/jobs?start.uuid=x"
    assert page.num_records == 2
    assert parse_jobs(PAGE, endpoint=HOST) == page.jobs


def test_an_empty_page_may_have_a_next_one() -> None:
    page = parse_page({"records": [], "num_records": 0, "_links": {"next": {"href": "/n"}}})
    assert (page.jobs, page.next) == ([], "/n")


def test_records_may_be_one_object() -> None:
    assert [item.id for item in parse_jobs({"records": {"uuid": UUID, "state": "queued"}})] == [UUID]


@pytest.mark.parametrize("count", [{}, {"num_records": None}, {"num_records": "1"}])
def test_the_count_may_be_missing_or_text(count: dict[str, Any]) -> None:
    page = parse_page({"records": [{"uuid": UUID}], **count})
    assert page.num_records == (1 if count.get("num_records") else None)


@pytest.mark.parametrize("records", [{}, {"records": None}])
def test_a_count_alone_is_a_page_without_jobs(records: dict[str, Any]) -> None:
    page = parse_page({"num_records": 41, **records})
    assert (page.jobs, page.next, page.num_records) == ([], None, 41)


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ({"records": [FULL, {"state": "running"}]}, "$.records[1].uuid"),
        ({"records": [FULL, FULL, {"uuid": "x", "state": 3}]}, "$.records[2].state"),
        ({"records": [FULL, "x"]}, "$.records[1]"),
    ],
)
def test_a_bad_record_in_a_list_is_named_by_its_path(data: Any, path: str) -> None:
    with pytest.raises(DecodeError) as caught:
        parse_jobs(data)
    assert caught.value.path == path
    assert path in str(caught.value)


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ({}, "$"),
        (FULL, "$"),
        ({"error": {"code": "4"}}, "$"),
        ({"records": None}, "$"),
        ({"records": "none", "num_records": 1}, "$.records"),
        ({"records": 5}, "$.records"),
    ],
)
def test_what_is_no_list_is_refused_as_not_the_apis(data: Any, path: str) -> None:
    with pytest.raises(DecodeError) as caught:
        parse_jobs(data)
    assert (caught.value.path, caught.value.transient) == (path, True)


# --- the jobs that a write started


@pytest.mark.parametrize("status", [200, 201, 202])
@pytest.mark.parametrize(
    "body",
    [
        {"job": {"uuid": UUID, "_links": {"self": {"href": SELF}}}},
        {"job": {"uuid": UUID}},
        {"job": {"_links": {"self": {"href": SELF}}}},
        {"job": {"_links": {"self": {"href": f"https://proxy.example/x{SELF}/?fields=*"}}}},
        {"job": [{"uuid": UUID}]},
        {"job": {"uuid": UUID}, "cli_output": "[Job 12] Job is queued"},
        {"jobs": [{"uuid": UUID}], "num_records": 1},
        {"jobs": {"uuid": UUID}},
        {"num_records": 1, "records": [{"name": "vol1"}], "job": {"uuid": UUID}},
    ],
    ids=str,
)
def test_a_started_job_is_read_in_every_shape(status: int, body: Any) -> None:
    parsed = parse_started(response(status, body), endpoint=HOST)
    assert (parsed.ids, parsed.jobs) == ((UUID,), ())


def test_a_job_that_is_inlined_whole_costs_no_poll() -> None:
    parsed = parse_started(response(200, {"job": FULL}), endpoint=HOST)
    assert [item.ref for item in parsed.jobs] == [JobRef("ontap", HOST, UUID)]
    assert parsed.jobs[0].state is JobState.FAILED
    assert parsed.ids == (UUID,)


def test_a_job_that_is_named_twice_is_started_once() -> None:
    body = {"job": {"uuid": UUID, "state": "running"}, "jobs": [{"uuid": UUID, "state": "running"}]}
    parsed = parse_started(response(202, body), endpoint=HOST)
    assert (parsed.ids, [job.id for job in parsed.jobs]) == ((UUID,), [UUID])


def test_a_job_inlined_without_its_uuid_takes_it_from_its_link() -> None:
    body = {"job": {"state": "success", "_links": {"self": {"href": SELF}}}}
    assert parse_started(response(200, body), endpoint=HOST).jobs[0].id == UUID


def test_a_write_over_a_collection_hands_over_all_its_jobs() -> None:
    body = {"jobs": [{"uuid": UUID}, {"uuid": OTHER, "state": "success"}], "num_records": 2}
    parsed = parse_started(response(202, body), endpoint=HOST)
    assert parsed.ids == (UUID, OTHER)
    assert [item.id for item in parsed.jobs] == [OTHER]


@pytest.mark.parametrize(
    "body",
    [{}, None, b"", b"<html>", {"job": None}, {"jobs": []}, {"job": {}}, {"job": {"uuid": ""}}, {"job": 5}],
    ids=str,
)
def test_a_write_without_a_job_hands_over_nothing(body: Any) -> None:
    parsed = parse_started(response(200, body), endpoint=HOST)
    assert (parsed.ids, parsed.jobs) == ((), ())


@pytest.mark.parametrize(
    "href", ["/api/storage/volumes/1", "/api/cluster/jobs", "", 5, None, "https://[bad/jobs/x", "/jobs/%FF"]
)
def test_a_link_that_names_no_job_is_no_job(href: object) -> None:
    parsed = parse_started(response(202, {"job": {"_links": {"self": {"href": href}}}}), endpoint=HOST)
    assert parsed.ids == ()


@pytest.mark.parametrize("field", [{"state": 5}, {"state": "queued", "_links": 5}], ids=str)
def test_a_started_job_with_an_unreadable_part_is_read_all_the_same(field: dict[str, Any]) -> None:
    parsed = parse_started(response(202, {"job": {"uuid": UUID, **field}}), endpoint=HOST)
    assert parsed.ids == (UUID,)


@pytest.mark.slow
@given(written(json_values([*KEYS, "job", "jobs", "self", "_links"], [*STATES, UUID, SELF])))
def test_any_reply_to_a_write_is_read_without_an_error(body: Any) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    parsed = parse_started(HttpResponse(202, (), raw), endpoint=HOST)
    assert all(isinstance(id, str) and id for id in parsed.ids)


# --- error bodies


@pytest.mark.parametrize("code", ["4", 4])
def test_404_with_code_4_is_the_word_that_the_job_is_gone(code: object) -> None:
    error_body = parse_error(response(404, {"error": {"message": "entry doesn't exist", "code": code}}))
    assert (error_body.not_found, error_body.never_existed, error_body.transient) == (True, False, False)
    assert (error_body.code, error_body.message) == ("4", "entry doesn't exist")


@pytest.mark.parametrize("code", ["2", 2])
def test_404_with_code_2_is_an_id_that_never_was_one(code: object) -> None:
    error_body = parse_error(
        response(404, {"error": {"message": "not a UUID", "code": code, "target": "uuid"}})
    )
    assert (error_body.not_found, error_body.never_existed) == (True, True)


@pytest.mark.parametrize(
    "body", [{"error": {"code": "3"}}, {"error": {"message": "no route"}}, {"error": {}}]
)
def test_any_other_404_passes_and_says_nothing_of_the_job(body: Any) -> None:
    error_body = parse_error(response(404, body))
    assert (error_body.not_found, error_body.transient) == (False, True)


@pytest.mark.parametrize("status", [200, 400, 403, 409, 500])
def test_code_4_means_a_missing_job_on_a_404_alone(status: int) -> None:
    assert not parse_error(response(status, {"error": {"code": "4"}})).not_found


@pytest.mark.parametrize(
    "body", [b"", b"<html>", [], {}, {"error": "text"}, {"error": None}, {"message": "x"}]
)
def test_a_body_without_an_error_object_is_not_the_apis(body: Any) -> None:
    error_body = parse_error(response(404, body))
    assert (error_body.from_api, error_body.not_found) == (False, False)


@pytest.mark.parametrize("code", ["262160", "65541", "65552", "65562", "393271", "458773", "2621573"])
def test_overload_and_quorum_codes_pass_by_themselves(code: str) -> None:
    assert code in TRANSIENT_CODES
    assert parse_error(response(400, {"error": {"code": int(code)}})).transient
    assert parse_error(response(500, {"error": {"code": code}})).transient


def test_a_403_with_code_6_says_that_the_role_may_not_read_jobs() -> None:
    error_body = parse_error(
        response(403, {"error": {"message": "not authorized for that command", "code": "6"}})
    )
    assert "role" in (error_body.hint or "")
    assert not error_body.not_found
    assert parse_error(response(403, {"error": {"code": "7"}})).hint is None


@pytest.mark.slow
@given(
    st.sampled_from([200, 400, 403, 404, 500]),
    st.binary() | json_values(["error", "code", "message"]).map(json.dumps),
)
def test_any_error_body_is_read_without_an_error(status: int, body: bytes | str) -> None:
    raw = body if isinstance(body, bytes) else body.encode()
    assert parse_error(HttpResponse(status, (), raw)).not_found <= (status == 404)


@pytest.mark.parametrize("code", ["458762", "458771", "458773", "458776", "458783", "458784", "459753"])
def test_each_documented_refusal_has_a_sentence(code: str) -> None:
    refusal = REFUSALS[code]
    assert refusal.sentence
    assert refusal.finished == (code == "458762")
    assert refusal.retryable == (code == "458773")


def test_other_codes_are_no_refusal() -> None:
    assert "4" not in REFUSALS
