"""Decoding of Cloud Foundry's responses: jobs, Location headers, warnings and errors."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from cfjobs.wire import STATES, parse_error, parse_job, parse_started, parse_warnings
from common.model.errors import DecodeError
from common.model.job import ErrorDetail, Job
from common.model.refs import JobRef
from common.model.states import JobState
from common.response.http_response import HttpResponse
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

GUID = "c3b8e0aa-5d0c-4c1c-9c1b-1f6a2f0b7d10"
HOST = "https://api.example.org"
FULL: dict[str, Any] = {
    "guid": GUID,
    "created_at": "2026-03-01T08:00:00Z",
    "updated_at": "2026-03-01T08:00:30Z",
    "operation": "space.delete",
    "state": "FAILED",
    "errors": [
        {"code": 10008, "title": "CF-UnprocessableEntity", "detail": "app is in use"},
        {"code": 60030, "title": "CF-ServiceInstanceRecursiveDeleteFailed", "detail": "broker said no"},
    ],
    "warnings": [{"detail": "first"}, {"detail": "second"}],
    "links": {
        "self": {"href": f"{HOST}/v3/jobs/{GUID}"},
        "space": {"href": "/v3/spaces/s-1", "method": "GET"},
    },
}
KEYS = [*FULL, "detail", "code", "title", "href", "method", "self"]
ODD_GUIDS = ["space.delete~cf-space-1f6a", "a.b~c", "with/slash", "ünï~code", "..b", "100%", "a?b#c"]


def job(**fields: Any) -> Job:
    return parse_job({"guid": GUID, **fields}, endpoint=HOST)


def response(status: int, body: Any = None, *headers: tuple[str, str]) -> HttpResponse:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpResponse(status, headers, raw)


# --- the state alone decides


@pytest.mark.parametrize(("word", "state"), STATES.items())
@pytest.mark.parametrize("case", [str.lower, str.upper, str.title])
def test_each_state_is_read_in_any_letter_case_and_kept_as_written(
    word: str, state: JobState, case: Any
) -> None:
    parsed = job(state=case(word))
    assert (parsed.state, parsed.native_state) == (state, case(word))


def test_the_four_states_are_known() -> None:
    assert STATES == {
        "processing": JobState.RUNNING,
        "polling": JobState.RUNNING,
        "complete": JobState.SUCCEEDED,
        "failed": JobState.FAILED,
    }


@pytest.mark.parametrize(
    "fields", [{}, {"state": None}, {"state": ""}, {"state": "COMPLETED"}, {"state": "QUEUED"}]
)
def test_no_state_or_a_word_of_no_table_is_unknown(fields: dict[str, Any]) -> None:
    parsed = job(errors=[], warnings=[], **fields)
    assert parsed.state is JobState.UNKNOWN
    assert not parsed.done


@pytest.mark.slow
@given(word=TEXTS | st.none(), errors=json_values(["code", "detail"]))
def test_an_unknown_word_never_ends_a_job(word: str | None, errors: Any) -> None:
    if word is not None and word.casefold() in STATES:
        reject()
    try:
        parsed = job(state=word, errors=errors)
    except DecodeError:
        return
    assert parsed.state is JobState.UNKNOWN


@pytest.mark.parametrize("word", ["partially_done", "PARTIALLY_DONE"])
def test_states_extends_the_table_in_any_letter_case(word: str) -> None:
    parsed = parse_job({"guid": GUID, "state": word}, states={"PARTIALLY_DONE": JobState.PARTIAL})
    assert parsed.state is JobState.PARTIAL


@pytest.mark.parametrize("word", [5, True, ["COMPLETE"], {"is": "COMPLETE"}])
def test_a_state_that_is_no_text_is_refused_with_its_path(word: object) -> None:
    with pytest.raises(DecodeError) as caught:
        job(state=word)
    assert (caught.value.path, caught.value.transient) == ("$.state", False)


@pytest.mark.parametrize("word", ["PROCESSING", "POLLING"])
def test_the_error_of_a_retried_attempt_is_no_failure(word: str) -> None:
    error = {"title": "CF-BlobstoreError", "code": 150007, "description": "failed after three tries"}
    parsed = job(state=word, errors=[error])
    assert parsed.state is JobState.RUNNING
    assert parsed.errors == (
        ErrorDetail("failed after three tries", code="150007", title="CF-BlobstoreError"),
    )


# --- errors and warnings


def test_all_errors_of_a_recursive_delete_are_kept() -> None:
    assert [(error.code, error.message) for error in parse_job(FULL).errors] == [
        ("10008", "app is in use"),
        ("60030", "broker said no"),
    ]


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        ({"code": 10008, "title": "CF-X", "detail": "d"}, ErrorDetail("d", code="10008", title="CF-X")),
        ({"code": "10008", "detail": "d"}, ErrorDetail("d", code="10008")),
        ({"code": "CF-10008", "detail": "d"}, ErrorDetail("d", code="CF-10008")),
        ({"code": 0, "detail": "d"}, ErrorDetail("d", code="0")),
        ({"detail": "d"}, ErrorDetail("d")),
        ({"title": "CF-X"}, ErrorDetail("CF-X", title="CF-X")),
        ({"detail": "", "description": "other"}, ErrorDetail("other")),
        ({"code": 290006, "title": "CF-JobTimeout"}, ErrorDetail("CF-JobTimeout", "290006", "CF-JobTimeout")),
        ("plain text", ErrorDetail("plain text")),
    ],
)
@pytest.mark.parametrize("wrap", [lambda item: item, lambda item: [item]], ids=["alone", "array"])
def test_an_error_is_read_whatever_it_lacks(error: Any, detail: ErrorDetail, wrap: Any) -> None:
    assert job(state="FAILED", errors=wrap(error)).errors == (detail,)


def test_the_record_of_an_error_has_what_was_sent_each_by_its_name() -> None:
    [first, _] = parse_job(FULL).record.errors
    assert (first.code, first.title, first.detail) == (10008, "CF-UnprocessableEntity", "app is in use")
    assert first.extra == {}


@pytest.mark.parametrize("word", ["FAILED", "COMPLETE", "PROCESSING"])
@pytest.mark.parametrize("fields", [{}, {"errors": None}, {"errors": []}])
def test_errors_may_be_null_empty_or_absent_also_on_a_failure(word: str, fields: dict[str, Any]) -> None:
    parsed = job(state=word, **fields)
    assert (parsed.errors, parsed.state) == ((), STATES[word.lower()])


@pytest.mark.parametrize(
    ("links", "place"),
    [
        ({}, "the last_operation of its resource"),
        (
            {"service_instances": "/v3/service_instances/si-1?x=1"},
            "the last_operation of /v3/service_instances/si-1, ",
        ),
        (
            {"app": {"href": "https://api/v3/apps/a-1", "method": "GET"}},
            "look at /v3/audit_events?target_guids=a-1",
        ),
        ({"self": "/v3/jobs/j", "odd": "http://["}, "audit_events"),
        ({"service_bindings": "/v3/x/b-1"}, "the last_operation of /v3/x/b-1, "),
        (
            {"app": "/v3/apps/a-1", "service_instance": "/v3/x/si-1"},
            "look at /v3/audit_events?target_guids=a-1",
        ),
    ],
)
def test_a_failure_without_errors_says_where_its_reason_may_be(links: Any, place: str) -> None:
    assert place in (job(state="FAILED", errors=[], links=links).message or "")
    assert job(state="FAILED", errors=[{"detail": "no quota"}], links=links).message is None
    assert job(state="PROCESSING", errors=[], links=links).message is None


@pytest.mark.parametrize("links", [{}, {"self": "/v3/jobs/j"}, {"self": "/v3/jobs/j", "org": "o-1"}])
def test_a_failure_without_errors_and_a_resource_names_the_query_of_its_events(links: Any) -> None:
    said = job(state="FAILED", errors=[], links=links).message or ""
    assert said.endswith("the last_operation of its resource, or /v3/audit_events?target_guids=…")


def test_repeated_warnings_are_kept_once_in_their_order() -> None:
    sent = [{"detail": text} for text in ("b", "a", "b", "c", "a")]
    parsed = job(warnings=sent)
    assert parsed.warnings == ("b", "a", "c")
    assert parsed.record.warnings == ("b", "a", "b", "c", "a")


@pytest.mark.parametrize("sent", [{"detail": "w"}, [{"detail": "w"}], ["w"], "w"])
def test_a_warning_may_come_alone_or_as_text(sent: object) -> None:
    assert job(warnings=sent).warnings == ("w",)


@pytest.mark.parametrize("fields", [{}, {"warnings": None}, {"warnings": []}])
def test_warnings_may_be_null_empty_or_absent(fields: dict[str, Any]) -> None:
    assert job(**fields).warnings == ()


@pytest.mark.parametrize(
    "field",
    [
        {"warnings": [None]},
        {"warnings": [{"title": "w"}]},
        {"warnings": [5.5, True]},
        {"errors": [None]},
        {"errors": True},
    ],
    ids=str,
)
def test_a_warning_or_an_error_that_cannot_be_read_does_not_hide_the_end(field: dict[str, Any]) -> None:
    parsed = job(state="COMPLETE", **field)
    assert parsed.succeeded
    assert lost(field, parsed.record) == []


# --- guids, times, links and the rest of a record


def test_a_whole_record_is_read() -> None:
    parsed = parse_job(FULL, endpoint=HOST)
    assert parsed.ref == JobRef("cf", HOST, GUID)
    assert (parsed.operation, parsed.message, parsed.progress) == ("space.delete", None, None)
    assert parsed.created_at == datetime(2026, 3, 1, 8, 0, 0, tzinfo=UTC)
    assert parsed.updated_at == datetime(2026, 3, 1, 8, 0, 30, tzinfo=UTC)
    assert (parsed.started_at, parsed.finished_at) == (None, None)
    assert parsed.record.links["space"].method == "GET"
    assert parsed.record.extra == {}


def test_bytes_text_and_decoded_json_give_the_same_job() -> None:
    text = json.dumps(FULL)
    assert parse_job(FULL) == parse_job(text) == parse_job(text.encode())


def test_korifi_sends_no_times() -> None:
    parsed = parse_job(
        {"guid": "app.delete~a-1", "operation": "app.delete", "state": "COMPLETE", "links": {}}
    )
    assert (parsed.created_at, parsed.updated_at, parsed.succeeded) == (None, None, True)


@pytest.mark.parametrize("guid", ODD_GUIDS)
def test_an_odd_guid_is_kept_as_it_is(guid: str) -> None:
    assert parse_job({"guid": guid, "state": "COMPLETE"}).id == guid


@pytest.mark.parametrize("operation", ["service_broker.catalog.synchronize", "undotted", ""])
def test_an_operation_is_any_text(operation: str) -> None:
    assert job(operation=operation).operation == operation


def test_links_singular_plural_and_relative_are_kept_as_written() -> None:
    links = {
        "self": {"href": f"/v3/jobs/{GUID}"},
        "service_instances": {"href": f"{HOST}/v3/service_instances/i-1", "method": "GET"},
        "plain": "/v3/apps/a-1",
    }
    assert job(links=links).links == {
        "self": f"/v3/jobs/{GUID}",
        "service_instances": f"{HOST}/v3/service_instances/i-1",
        "plain": "/v3/apps/a-1",
    }


@pytest.mark.parametrize(
    "fields", [{}, {"links": None}, {"links": {}}, {"links": {"self": None}}, {"links": 5}]
)
def test_links_may_be_missing(fields: dict[str, Any]) -> None:
    assert job(state="COMPLETE", **fields).links == {}


@pytest.mark.parametrize(
    "field",
    [
        {"new": {"a": [1, "b"]}},
        {"guid": ["g"]},
        {"operation": {"a": "b"}},
        {"created_at": 1770000000},
        {"updated_at": "noon"},
        {"errors": [{"detail": "d", "code": [1], "new": 1, "title": {"a": "b"}}]},
        {"errors": [{"detail": "d", "code": 1.5}]},
        {"warnings": [{"detail": "d", "code": 5, "new": "n"}]},
        {"links": "up"},
        {"links": [{"self": {"href": "/a"}}, "beside"]},
        {"links": {"self": {"href": "/a", "method": ["GET"], "new": 1}, "odd": {"url": "/b"}, "no": 5}},
    ],
    ids=str,
)
def test_what_is_unknown_or_unreadable_stays_in_extra(field: dict[str, Any]) -> None:
    parsed = parse_job({"guid": GUID, "state": "COMPLETE", **field}, id=GUID)
    assert lost(field, parsed.record) == []


LINK = shaped({"href": LEAF, "method": LEAF})
RECORD: Values = shaped(
    {
        "guid": LEAF,
        "created_at": LEAF,
        "updated_at": LEAF,
        "operation": LEAF,
        "state": WORD,
        "errors": many(shaped({"code": LEAF, "title": LEAF, "detail": LEAF, "description": LEAF})),
        "warnings": many(shaped({"detail": LEAF})),
        "links": shaped({"self": LINK, "space": LINK}),
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


def test_the_requested_id_replaces_a_missing_guid() -> None:
    assert parse_job({"state": "COMPLETE"}, id="asked").id == "asked"


@pytest.mark.parametrize("key", ["state", "operation"])
def test_one_key_of_a_job_makes_a_job(key: str) -> None:
    assert parse_job({key: "PROCESSING"}, id=GUID).id == GUID


@pytest.mark.parametrize(
    ("data", "what"), [({"errors": []}, "an error body:"), ({"error": 1}, "no job in the response:")]
)
def test_what_came_in_place_of_a_job_is_said(data: Any, what: str) -> None:
    with pytest.raises(DecodeError, match=what):
        parse_job(data, id=GUID)


def test_what_was_left_of_an_unreadable_field_keeps_its_name() -> None:
    odd = {"warnings": [{"detail": "w", "more": 1}], "links": {"self": 5, "ok": "/x"}}
    extra = job(**odd).record.extra
    assert (extra["warnings"], extra["links"]) == (odd["warnings"], {"self": 5})


def test_an_error_without_a_word_says_so_and_keeps_its_code() -> None:
    assert job(state="FAILED", errors=[{"code": 5}]).errors == (
        ErrorDetail("the server gave no reason", code="5"),
    )
    assert job(state="FAILED", errors=[{"code": "A5"}]).errors[0].code == "A5"


@pytest.mark.parametrize("id", ["", GUID])
def test_a_guid_with_a_byte_that_json_forbids_is_refused_with_its_path(id: str) -> None:
    with pytest.raises(DecodeError, match="cannot be read") as caught:
        parse_job(b'{"guid": "app.delete~caf\xe9", "state": "COMPLETE"}', id=id)
    assert (caught.value.path, caught.value.transient) == ("$.guid", True)


def test_a_job_without_any_id_is_refused() -> None:
    with pytest.raises(DecodeError) as caught:
        parse_job({"state": "COMPLETE"})
    assert caught.value.path == "$.guid"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        "null",
        "[]",
        [FULL],
        {},
        {"errors": [{"code": 10010, "title": "CF-ResourceNotFound", "detail": "Job not found"}]},
        {"code": 10010, "title": "CF-ResourceNotFound", "detail": "Job not found"},
        {"links": {"self": {"href": "/v3/jobs/x"}}},
        '{"guid": ' + "[" * 100_000,
    ],
    ids=lambda data: str(data)[:24],
)
def test_what_cannot_be_a_job_is_refused_as_not_the_apis(data: Any) -> None:
    with pytest.raises(DecodeError) as caught:
        parse_job(data, id=GUID)
    assert (caught.value.path, caught.value.transient) == ("$", True)


@pytest.mark.slow
@at_least(200)
@given(written(json_values(KEYS, ["COMPLETE", "FAILED", GUID])))
def test_any_json_gives_a_job_or_a_decode_error(data: Any) -> None:
    for id in ("", GUID):
        try:
            parsed = parse_job(data, id=id)
        except DecodeError:
            continue
        assert type(parsed) is Job


@given(st.binary() | TEXTS)
def test_any_bytes_and_text_give_a_job_or_a_decode_error(data: bytes | str) -> None:
    with pytest.raises(DecodeError):
        parse_job(data)


@pytest.mark.slow
@at_least(200)
@given(mutated({**FULL, "state": "POLLING"}))
def test_a_damaged_job_gives_a_job_or_a_decode_error(data: Any) -> None:
    try:
        parsed = parse_job(data, id=GUID)
    except DecodeError:
        return
    assert not parsed.done


# --- the jobs that a write started


@pytest.mark.parametrize(
    "location",
    [
        f"{HOST}/v3/jobs/{GUID}",
        f"/v3/jobs/{GUID}",
        f"/v3/jobs/{GUID}/",
        f"https://other.example:9000/korifi/v3/jobs/{GUID}?x=1#y",
        f"v3/jobs/{GUID}",
    ],
)
def test_an_accepted_write_names_its_job_in_location(location: str) -> None:
    parsed = parse_started(response(202, b"", ("location", location)))
    assert (parsed.ids, parsed.errors) == ((GUID,), ())


def test_an_upload_names_its_job_in_location_beside_a_body() -> None:
    body = {"guid": "package-1", "state": "PROCESSING_UPLOAD"}
    assert parse_started(response(202, body, ("location", f"/v3/jobs/{GUID}"))).ids == (GUID,)


@pytest.mark.parametrize("guid", ODD_GUIDS)
def test_an_odd_guid_survives_its_location(guid: str) -> None:
    location = f"{HOST}/v3/jobs/{quote(guid, safe='~')}"
    assert parse_started(response(202, b"", ("location", location))).ids == (guid,)


@pytest.mark.parametrize(
    "location",
    [
        "",
        "/v3/jobs",
        "/v3/jobs/",
        f"/v3/apps/{GUID}",
        f"/v3/jobs/{GUID}/logs",
        f"/v3/myjobs/{GUID}",
        "https://[broken/v3/jobs/x",
        "/v3/jobs/%FF",
    ],
)
def test_a_location_of_another_kind_is_no_job(location: str) -> None:
    parsed = parse_started(response(202, b"", ("location", location)))
    assert (parsed.ids, parsed.unnamed) == ((), location in NAMELESS)


NAMELESS = ("/v3/jobs", "/v3/jobs/", "/v3/jobs/%FF", "https://[broken/v3/jobs/x")
"""The Location of a job, without a guid that could be read."""


def test_an_error_beside_a_job_is_kept() -> None:
    body = {"errors": [{"code": 10008, "title": "CF-Unprocessable", "detail": "a route was left"}]}
    parsed = parse_started(response(202, body, ("location", f"/v3/jobs/{GUID}")))
    assert [error.message for error in parsed.errors] == ["a route was left"]
    assert parsed.ids == (GUID,)


def test_a_task_is_accepted_and_is_no_job() -> None:
    parsed = parse_started(response(202, {"guid": GUID, "state": "RUNNING"}))
    assert (parsed.ids, parsed.unnamed) == ((), False)


@pytest.mark.parametrize("status", [200, 201, 204, 302, 422])
def test_no_status_but_202_starts_a_job(status: int) -> None:
    parsed = parse_started(response(status, b"", ("location", f"/v3/jobs/{GUID}"), ("x-cf-warnings", "w")))
    assert (parsed.ids, parsed.warnings) == ((), ("w",))


def test_a_202_without_location_starts_no_job() -> None:
    assert parse_started(response(202, b"")).ids == ()


@pytest.mark.slow
@given(st.text())
def test_any_location_is_read_without_an_error(location: str) -> None:
    for head in ("", "/v3/jobs/", "https://"):
        parsed = parse_started(response(202, b"", ("location", head + location)))
        assert all(parsed.ids)


def test_warnings_come_from_every_header_of_the_write() -> None:
    parsed = parse_started(
        response(
            202, b"", ("x-cf-warnings", "first%2C+or+so,second"), ("x-cf-warnings", "first%2C+or+so, third")
        )
    )
    assert parsed.warnings == ("first, or so", "second", "third")


@pytest.mark.parametrize(
    ("value", "warnings"),
    [
        ("", ()),
        (",", ()),
        (" , ,", ()),
        ("one", ("one",)),
        ("one%21,two%2Cthree", ("one!", "two,three")),
        ("a+b%2Bc", ("a b+c",)),
        ("100%", ("100%",)),
        ("%FF%zz", ("\ufffd%zz",)),
        ("gr%C3%BC%C3%9Fe", ("grüße",)),
        ("deprecated field, use the other one", ("deprecated field, use the other one",)),
    ],
)
def test_a_warnings_header_is_decoded_leniently(value: str, warnings: tuple[str, ...]) -> None:
    assert parse_warnings((value,)) == warnings


@pytest.mark.slow
@given(st.lists(st.text(min_size=1).filter(str.strip), max_size=4))
def test_encoded_warnings_come_back_whole(texts: list[str]) -> None:
    header = ",".join(quote_plus(text, errors="replace") for text in texts)
    assert parse_warnings((header,)) == tuple(dict.fromkeys(texts))


@pytest.mark.slow
@given(st.lists(TEXTS).map(tuple))
def test_any_warnings_header_is_read_without_an_error(values: tuple[str, ...]) -> None:
    parsed = parse_warnings(values)
    assert len(set(parsed)) == len(parsed)
    assert all(parsed)


# --- error bodies

GONE = {"errors": [{"code": 10010, "title": "CF-ResourceNotFound", "detail": "Job not found"}]}


@pytest.mark.parametrize(
    "body",
    [
        GONE,
        {"errors": [{"code": "10010"}]},
        {"errors": [{"code": 1, "detail": "x"}, {"code": 10010}]},
        {"code": 10010, "detail": "Job not found"},
        {"errors": {"code": 10010, "detail": "Job not found"}},
    ],
    ids=str,
)
def test_404_with_10010_is_the_word_that_the_job_is_gone(body: Any) -> None:
    error_body = parse_error(response(404, body))
    assert (error_body.not_found, error_body.transient, error_body.from_api) == (True, False, True)


def test_10010_means_a_missing_job_on_a_404_alone() -> None:
    assert not parse_error(response(422, GONE)).not_found


@pytest.mark.parametrize("body", [GONE, b"404 Not Found: Requested route does not exist.", b""])
def test_a_404_of_the_router_says_nothing_of_the_job(body: Any) -> None:
    error_body = parse_error(response(404, body, ("x-cf-routererror", "unknown_route")))
    assert not error_body.not_found
    assert error_body.transient or not error_body.from_api


@pytest.mark.parametrize("body", [{"errors": [{"code": 10000, "title": "CF-NotFound"}]}, {"code": 10000}])
def test_any_other_404_passes(body: Any) -> None:
    error_body = parse_error(response(404, body))
    assert (error_body.not_found, error_body.transient) == (False, True)


@pytest.mark.parametrize("code", [10013, 10014, 10016, 20004])
def test_rate_limits_and_a_missing_uaa_pass(code: int) -> None:
    assert parse_error(response(429, {"errors": [{"code": code}]})).transient
    assert parse_error(response(502, {"code": code})).transient


def test_all_errors_are_in_the_message_and_the_first_code_is_the_code() -> None:
    body = {"errors": [{"code": 1, "detail": "one"}, {"code": 2, "title": "CF-Two"}]}
    error_body = parse_error(response(422, body, ("x-vcap-request-id", "r-1::s-2")))
    assert (error_body.code, error_body.message, error_body.request_id) == ("1", "one; CF-Two", "r-1::s-2")
    assert not error_body.transient


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"upstream failed", b"[]", {}, {"errors": []}, {"errors": [None]}]
)
def test_a_body_without_any_error_is_not_the_apis(body: Any) -> None:
    assert not parse_error(response(502, body, ("x-vcap-request-id", "r"))).from_api
    assert parse_error(response(502, body, ("x-vcap-request-id", "r"))).request_id == "r"


@pytest.mark.slow
@given(
    st.sampled_from([401, 404, 422, 502]),
    st.binary() | json_values(["errors", "code", "detail"]).map(json.dumps),
)
def test_any_error_body_is_read_without_an_error(status: int, body: bytes | str) -> None:
    raw = body if isinstance(body, bytes) else body.encode()
    assert parse_error(HttpResponse(status, (), raw)).not_found <= (status == 404)
