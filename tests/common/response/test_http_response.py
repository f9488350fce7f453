"""Responses of any library, and how their headers and bodies are read."""

from __future__ import annotations

import json
import math
import string
import sys
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

from common.model.errors import DecodeError, UsageError
from common.response import decoding
from common.response.decoding import read_json
from common.response.http_response import (
    EXCERPT,
    HttpResponse,
    http_date,
    last_segment,
    response_of,
    retry_after,
)
from tests.jsonvalues import TEXTS, json_values, written

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


# --- Retry-After and dates


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
        ("Sunday, 01-Mar-26 12:00:30 GMT", 30.0),
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("5;q=1", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_less_the_replys_own(
    value: str | None, seconds: float | None
) -> None:
    assert retry_after(value, NOON) == seconds


def test_retry_after_without_a_date_counts_from_now() -> None:
    result = retry_after(format_datetime(datetime.now(UTC).replace(year=9000), usegmt=True), None)
    assert result is not None
    assert result > 1e9


def test_a_reply_tells_its_date_and_its_retry_after() -> None:
    headers = (("date", "Sun, 01 Mar 2026 12:00:00 GMT"), ("retry-after", "Sun, 01 Mar 2026 12:01:00 GMT"))
    response = HttpResponse(503, headers)
    assert (response.date, response.retry_after) == (NOON, 60.0)
    assert (HttpResponse(503).date, HttpResponse(503).retry_after) == (None, None)


DATEISH = st.text(string.ascii_letters + string.digits + " ,:+-()", max_size=40)
DAMAGED = st.tuples(st.just("Sun, 01 Mar 2026 12:00:30 GMT"), st.integers(0, 28), TEXTS).map(
    lambda cut: cut[0][: cut[1]] + cut[2] + cut[0][cut[1] + len(cut[2]) :]
)


@pytest.mark.slow
@given(TEXTS | DATEISH | DAMAGED | st.integers().map(str))
def test_no_header_breaks_the_reading_of_dates(value: str) -> None:
    date, seconds = http_date(value), retry_after(value, NOON)
    assert date is None or date.tzinfo is UTC
    assert seconds is None or (seconds >= 0.0 and math.isfinite(seconds))


@pytest.mark.parametrize(
    "value", ["9" * 400, "00000000000", "Mon, 01 Jan 0001 00:00:00 +2359", "1 Jan 99999 0:0 +99999999"]
)
def test_extreme_headers_are_read_or_ignored(value: str) -> None:
    seconds = retry_after(value, NOON)
    assert seconds is None or math.isfinite(seconds)


# --- headers and bodies


def test_a_header_may_come_more_than_once() -> None:
    response = HttpResponse(200, (("x-w", "a"), ("other", "b"), ("x-w", "c")))
    assert (response.header("x-w"), response.header_values("x-w")) == ("a", ("a", "c"))
    assert (response.header("none"), response.header_values("none")) == (None, ())


@pytest.mark.parametrize(
    ("status", "ok"), [(199, False), (200, True), (202, True), (299, True), (300, False), (404, False)]
)
def test_2xx_is_ok(status: int, *, ok: bool) -> None:
    assert HttpResponse(status).ok is ok


def test_an_excerpt_is_short_and_on_one_line() -> None:
    response = HttpResponse(500, body=b"<html>\n\n  <b>" + b"x " * 2000 + b"\xff")
    assert len(response.excerpt) <= EXCERPT
    assert response.excerpt.startswith("<html> <b>x x")
    assert response.text.endswith("\ufffd")


def test_a_replys_text_shows_neither_headers_nor_body() -> None:
    shown = repr(HttpResponse(200, (("set-cookie", "geheim"),), b'{"access_token": "geheim"}'))
    assert "geheim" not in shown
    assert "200" in shown


# --- responses of other libraries


def test_an_httpx_response_is_read_with_every_header() -> None:
    response = httpx.Response(202, headers=[("X-W", "a"), ("X-W", "b")], json={"job": 1})
    converted = response_of(response)
    assert (converted.status, converted.header_values("x-w")) == (202, ("a", "b"))
    assert read_json(converted.body) == {"job": 1}


def test_a_requests_response_is_read() -> None:
    response = requests.Response()
    response.status_code = 202
    response.headers = CaseInsensitiveDict({"Location": "/v3/jobs/x", "X-W": "a, b"})
    response._content = b"{}"
    converted = response_of(response)
    assert (converted.status, converted.header("location"), converted.header("x-w"), converted.body) == (
        202,
        "/v3/jobs/x",
        "a, b",
        b"{}",
    )


def test_a_requests_response_without_a_body_is_read() -> None:
    response = requests.Response()
    response.status_code = 204
    response._content = None
    assert response_of(response) == HttpResponse(204)


@pytest.mark.parametrize(
    "headers", [{"X-W": "a"}, [("X-W", "a")], (("x-w", "a"),), CaseInsensitiveDict({"x-W": "a"})]
)
def test_headers_are_accepted_as_a_mapping_or_as_pairs(headers: Any) -> None:
    assert response_of(status=202, headers=headers).header("x-w") == "a"


@pytest.mark.parametrize(
    "body", [b'{"a": "\xc3\xbc"}', '{"a": "ü"}', {"a": "ü"}, bytearray(b'{"a": "\xc3\xbc"}')]
)
def test_a_body_is_accepted_as_bytes_text_or_decoded(body: Any) -> None:
    assert read_json(response_of(status=202, body=body).body) == {"a": "ü"}


def test_a_reply_stays_itself() -> None:
    response = HttpResponse(202)
    assert response_of(response) is response


@pytest.mark.parametrize("response", [object(), "202", 202, {"status": 202}])
def test_what_is_no_response_is_refused(response: object) -> None:
    with pytest.raises(UsageError, match="adopt"):
        response_of(response)


def test_nothing_at_all_is_refused() -> None:
    with pytest.raises(UsageError, match="status="):
        response_of()


def test_a_status_that_is_no_number_is_refused() -> None:
    status: Any = "202"
    with pytest.raises(UsageError, match="status="):
        response_of(status=status)


# --- JSON


@pytest.mark.parametrize("data", ["{}", b"{}", bytearray(b"{}"), memoryview(b"{}"), {}])
def test_json_is_read_from_any_form(data: Any) -> None:
    assert read_json(data) == {}


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        (b"", "an empty response"),
        (" \n", "an empty response"),
        ("<html>", "6 characters"),
        (b"\xff\xfe\xfd", "3 bytes"),
        ("[" * 100_000, "too deep"),
    ],
)
def test_what_is_no_json_is_refused_by_its_size(data: bytes | str, hint: str) -> None:
    with pytest.raises(DecodeError, match=hint) as caught:
        read_json(data)
    assert caught.value.transient


@given(st.binary() | TEXTS)
def test_any_bytes_are_json_or_a_decode_error(data: bytes | str) -> None:
    try:
        result = read_json(data)
    except DecodeError:
        return
    json.dumps(result)


def described(data: bytes | str) -> str:
    try:
        return repr(read_json(data))
    except DecodeError as error:
        return repr((error, vars(error)))


def without_msgspec(data: bytes | str) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "fast_loads", lambda: None)
        return described(data)


@pytest.mark.parametrize(
    "text",
    [
        "NaN",
        "[Infinity, -Infinity, 1e400, -1e400, 1e-400, -0, -0.0]",
        "18446744073709551616",
        "-9223372036854775809",
        "9" * 400,
        "9" * 5000,
        "0.1234567890123456789012345678901",
        '"\\ud800"',
        '{"\\udc00\\ud800": 1}',
        '"\ud800"',
        '"\\ud83d\\ude00"',
        '"a\tb"',
        '"\x00"',
        '"\x7f\u2028"',
        '{"a": 1, "b": 2, "a": 3}',
        "\ufeff{}",
        "[1,]",
        "{} {}",
        "01",
        "[" * 500 + "]" * 500,
        "[" * 100_000,
        '{"a":' * 100_000,
    ],
    ids=lambda text: ascii(text[:24]),
)
def test_valid_json_reads_the_same_with_and_without_the_extra(text: str) -> None:
    pytest.importorskip("msgspec")
    forms: list[bytes | str] = [text]
    forms += [text.encode(coding, "surrogatepass") for coding in ("utf-8", "utf-16", "utf-32")]
    for data in forms:
        assert described(data) == without_msgspec(data)


@pytest.mark.slow
@given(st.binary() | TEXTS | written(json_values()).filter(lambda data: isinstance(data, bytes | str)))
def test_any_text_reads_the_same_with_and_without_the_extra(data: bytes | str) -> None:
    pytest.importorskip("msgspec")
    assert described(data) == without_msgspec(data)


@pytest.mark.slow
@given(json_values().map(json.dumps), st.integers(0, 200), st.characters())
def test_damaged_json_reads_the_same_with_and_without_the_extra(text: str, at: int, other: str) -> None:
    pytest.importorskip("msgspec")
    data = text[:at] + other + text[at + 1 :]
    assert described(data) == without_msgspec(data)


def test_json_is_read_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "msgspec.json", None)
    assert decoding.fast_loads.__wrapped__() is None


# --- links


@pytest.mark.parametrize(
    ("href", "id"),
    [
        ("/api/cluster/jobs/x-1", "x-1"),
        ("jobs/x-1", "x-1"),
        ("https://h:1/a/jobs/x-1?y=/jobs/2#/jobs/3", "x-1"),
        ("//h/jobs/x-1/", "x-1"),
        ("/jobs/a%2Fb%3Fc", "a/b?c"),
        ("/jobs/space.delete~cf-1", "space.delete~cf-1"),
        ("/jobs/", None),
        ("/jobs", None),
        ("/other/x-1", None),
        ("/Jobs/x-1", None),
        ("/jobs/x-1/log", None),
        ("", None),
        (None, None),
        ("https://[/jobs/x", None),
        ("/jobs/%FF", None),
        ("/jobs/%C3%28", None),
    ],
)
def test_the_id_in_a_link_is_its_last_segment_behind_jobs(href: str | None, id: str | None) -> None:
    assert last_segment(href, parent="jobs") == id


@given(st.text(st.characters()))
def test_any_link_is_read_without_an_error(href: str) -> None:
    for head in ("", "https://", "/jobs/"):
        assert last_segment(head + href, parent="jobs") != ""
