"""What a response that is no success means: its exception, whether asking again may help, what to do."""

from __future__ import annotations

import pytest

from common.model.errors import ApiError, AuthenticationError, PermissionDenied, RateLimited, ServerError
from common.response.failures import ErrorBody, api_error, is_transient, write_outcome_unknown
from common.response.http_response import HttpResponse

ANSWERED = ErrorBody(code="4", message="entry doesn't exist")
PAGE = ErrorBody(from_api=False)
REQUEST = "GET https://cluster/api/cluster/jobs/1"


def response(status: int, body: bytes = b"{}") -> HttpResponse:
    return HttpResponse(status, (("retry-after", "7"),), body)


@pytest.mark.parametrize("status", [400, 404, 405, 407, 409, 410, 422, 424, 426, 428, 430, 499])
def test_what_the_api_refuses_is_refused_for_good(status: int) -> None:
    assert not is_transient(status, ANSWERED)


@pytest.mark.parametrize("status", [301, 302, 304, 399, 408, 425, 429, 500, 501, 502, 503, 504, 507, 599])
def test_what_passes_by_itself_is_asked_again(status: int) -> None:
    assert is_transient(status, ANSWERED)


@pytest.mark.parametrize("status", [400, 404, 409, 422])
@pytest.mark.parametrize("body", [PAGE, ErrorBody(transient=True), ErrorBody(from_api=False, transient=True)])
def test_a_page_of_a_proxy_and_what_the_api_calls_transient_are_asked_again(
    status: int, body: ErrorBody
) -> None:
    assert is_transient(status, body)


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("body", [ANSWERED, PAGE])
def test_who_is_not_let_in_does_not_ask_again(status: int, body: ErrorBody) -> None:
    assert not is_transient(status, body)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 500])
def test_what_the_apis_own_code_calls_transient_passes_with_any_status(status: int) -> None:
    body = ErrorBody(code="458773", message="not initialized", transient=True)
    error = api_error(response(status), body, request=REQUEST)
    assert error.transient
    assert str(error).endswith("not initialized (code 458773)")  # and nothing about roles


@pytest.mark.parametrize("status", [402, 400])
def test_the_neighbours_of_401_and_403_go_by_their_body(status: int) -> None:
    assert is_transient(status, PAGE)


@pytest.mark.parametrize(
    ("status", "body", "unknown"),
    [
        (502, ANSWERED, True),
        (504, ANSWERED, True),
        (502, PAGE, True),
        (500, PAGE, True),
        (503, PAGE, True),
        (501, PAGE, True),
        (500, ANSWERED, False),
        (501, ANSWERED, False),
        (503, ANSWERED, False),
        (505, ANSWERED, False),
        (499, PAGE, False),
        (400, PAGE, False),
        (404, ANSWERED, False),
    ],
)
def test_a_gateway_does_not_know_whether_a_write_was_carried_out(
    status: int, body: ErrorBody, unknown: bool
) -> None:
    assert write_outcome_unknown(status, body) is unknown


@pytest.mark.parametrize("status", [404, 431, 499, 502, 503, 504])
def test_a_gateway_that_says_what_became_of_the_write_is_believed(status: int) -> None:
    for forwarded in (True, False):
        body = ErrorBody(from_api=False, forwarded=forwarded)
        assert write_outcome_unknown(status, body) is forwarded
        assert api_error(response(status), body, request=REQUEST).sent is forwarded


@pytest.mark.parametrize(
    ("status", "cls"),
    [
        (401, AuthenticationError),
        (403, PermissionDenied),
        (429, RateLimited),
        (400, ApiError),
        (402, ApiError),
        (404, ApiError),
        (428, ApiError),
        (430, ApiError),
        (499, ApiError),
        (500, ServerError),
        (501, ServerError),
        (599, ServerError),
    ],
)
def test_each_status_has_its_exception(status: int, cls: type[ApiError]) -> None:
    assert type(api_error(response(status), ANSWERED, request=REQUEST)) is cls


def test_an_error_carries_all_that_the_response_says() -> None:
    body = ErrorBody(code="4", message="gone", request_id="abc", transient=True)
    error = api_error(response(404, b"x" * 5000), body, request=REQUEST)
    assert str(error) == f"{REQUEST} answered 404 Not Found: gone (code 4) (request abc)"
    assert (error.status, error.code, error.message, error.request_id) == (404, "4", "gone", "abc")
    assert (error.transient, error.retry_after) == (True, 7.0)
    assert error.body is not None
    assert set(error.body) == {"x"}
    assert api_error(response(404), ANSWERED, request=REQUEST).transient is False


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "no body"),
        (b"<html>", "the body begins '<html>'"),
        (b"y" * 300, f"the body begins '{'y' * 120}'"),
    ],
)
def test_without_a_message_the_body_is_quoted(body: bytes, text: str) -> None:
    error = api_error(response(503, body), ErrorBody(from_api=False), request=REQUEST)
    assert str(error) == f"{REQUEST} answered 503 Service Unavailable: {text}"


def test_refused_credentials_are_no_plain_api_error_and_a_body_that_may_hold_them_is_not_shown() -> None:
    # OAuth refuses a client's credentials with 400, and a server may repeat them.
    hidden = api_error(
        response(400, b"secret=Pa55"), ErrorBody(), request=REQUEST, refused=True, show_body=False
    )
    assert type(hidden) is AuthenticationError
    assert str(hidden) == f"{REQUEST} answered 400 Bad Request: the body is not shown"
    assert not hidden.body
    empty = api_error(response(400, b""), ErrorBody(), request=REQUEST, show_body=False)
    assert str(empty) == f"{REQUEST} answered 400 Bad Request: no body"


def test_a_redirect_to_another_server_is_told_without_what_its_page_says() -> None:
    page = b"moved to https://login.example/?ticket=Pa55"
    elsewhere = HttpResponse(302, (("location", "/"),), page, redirected_to="https://login.example")
    body = ErrorBody(code="9", message=page.decode(), hint="look there", transient=True)
    error = api_error(elsewhere, body, request=REQUEST)
    assert str(error) == (
        f"{REQUEST} answered 302 Found: a redirect to https://login.example, which is not followed; "
        "if that is the right server, use its address as the endpoint"
    )
    assert (error.code, error.message, error.body, error.transient) == (None, None, "", False)


def test_a_status_that_has_no_name_stands_alone() -> None:
    assert (
        str(api_error(response(599), ErrorBody(message="busy"), request="GET /x"))
        == "GET /x answered 599: busy"
    )


@pytest.mark.parametrize(
    ("status", "hint", "end"),
    [
        (401, None, "; check the credentials, or that the token has not expired"),
        (403, None, "; the account signed in, but its role does not allow this"),
        (401, "sign in anew", "; sign in anew"),
        (404, "look there", "; look there"),
        (404, None, "entry doesn't exist (code 4)"),
    ],
)
def test_an_error_ends_with_what_to_do(status: int, hint: str | None, end: str) -> None:
    body = ErrorBody(code="4", message="entry doesn't exist", hint=hint)
    assert str(api_error(response(status), body, request=REQUEST)).endswith(end)


def test_a_body_that_says_nothing_is_the_apis_and_settles_nothing() -> None:
    body = ErrorBody()
    said = body.transient, body.not_found, body.never_existed
    assert (body.from_api, said) == (True, (False, False, False))
