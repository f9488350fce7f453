"""How a request is read, and what a response holds."""

from __future__ import annotations

import pytest

from common.simulator.messages import Request, Response, json_response, text_response


def request(raw_path: bytes = b"/", query: bytes = b"", *headers: tuple[bytes, bytes]) -> Request:
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "raw_path": raw_path,
        "query_string": query,
        "headers": list(headers),
        "scheme": "https",
    }
    return Request.from_scope(scope, b'{"a": 1}', at=2.5)


def test_a_plus_in_a_query_is_a_plus_and_percent_twenty_a_space() -> None:
    read = request(query=b"order_by=code%20desc&name=a+b&empty&message=")
    assert read.query == {"order_by": "code desc", "name": "a+b", "empty": "", "message": ""}


def test_repeated_parameters_are_all_kept() -> None:
    read = request(query=b"code=%3E1&code=%3C9")
    assert read.parameters == (("code", ">1"), ("code", "<9"))
    assert read.query == {"code": "<9"}


def test_an_encoded_slash_does_not_split_a_segment() -> None:
    assert request(b"/v3/jobs/a%2Fb~c.d/").segments == ("v3", "jobs", "a/b~c.d")


def test_header_names_are_lower_case_and_repeats_joined() -> None:
    read = request(b"/", b"", (b"X-One", b"a"), (b"x-one", b"b"), (b"Host", b"sim:81"))
    assert read.headers == {"x-one": "a, b", "host": "sim:81"}
    assert read.origin == "https://sim:81"


def test_the_target_is_what_was_sent() -> None:
    assert request(b"/a%20b", b"c=%7C").target == "/a%20b?c=%7C"
    assert request(b"/a").target == "/a"


def test_the_repr_of_a_request_holds_neither_headers_nor_body() -> None:
    text = repr(request(b"/", b"", (b"authorization", b"Bearer secret")))
    assert "secret" not in text
    assert "body" not in text


def test_only_the_response_of_a_request_can_be_set() -> None:
    read, unanswered = request(), request()
    read.response = Response(204)
    assert (read.status, unanswered.status) == (204, None)
    assert read.json() == {"a": 1}
    with pytest.raises(AttributeError):
        read.method = "PUT"


def test_adding_headers_keeps_those_that_are_there_in_any_letter_case() -> None:
    response = json_response(200, {"x": "ü"}, {"date": "never"}).adding({"Date": "now", "Server": "sim"})
    assert response.header("DATE") == "never"
    assert response.header("server") == "sim"
    assert response.header("nothing") is None
    assert response.json() == {"x": "ü"}


def test_a_text_response_is_plain_text() -> None:
    assert text_response(403, "no").header("content-type") == "text/plain; charset=utf-8"
