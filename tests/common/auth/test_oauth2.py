"""Odd responses of token endpoints, with bytes that JSON forbids or too many: what is a token in them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from common.auth.oauth2 import (
    CLIENT_ASSERTION_TYPE,
    REFUSALS,
    has_error_for_token,
    read_refresh_token,
    read_token,
    token_error,
)
from common.model.errors import AuthenticationError, TransportError
from common.response.http_response import HttpResponse


def response(body: bytes) -> HttpResponse:
    return HttpResponse(200, (), body)


def test_an_odd_byte_beside_the_tokens_loses_none() -> None:
    both = response(
        b'{"access_token": "good", "refresh_token": "next", "expires_in": 60, "scope": "p\xe9re"}'
    )
    token = read_token(both, "signing in")
    assert (token.access, token.lifetime) == ("good", 60)
    assert read_refresh_token(both) == "next"


@pytest.mark.parametrize("bad", [b"\xe9", b"\n"])
def test_a_token_with_such_a_byte_is_none(bad: bytes) -> None:
    both = response(b'{"access_token": "a%s", "refresh_token": "b%s"}' % (bad, bad))
    with pytest.raises(TransportError, match="no valid access_token"):
        read_token(both, "signing in")
    assert read_refresh_token(both) is None


def test_a_response_of_up_to_one_mib_is_read_and_a_larger_one_is_no_token() -> None:
    body = b'{"access_token": "a", "refresh_token": "b"}'.ljust(2**20)
    assert read_token(response(body), "signing in").access == "a"
    assert read_refresh_token(response(body)) == "b"
    with pytest.raises(TransportError, match="no token: 1048577 bytes are too many") as caught:
        read_token(response(body + b" "), "signing in")
    assert caught.value.transient
    assert read_refresh_token(response(body + b" ")) is None


def test_an_error_in_place_of_a_token_is_one_that_is_told() -> None:
    assert has_error_for_token(response(b'{"error": "invalid_grant"}'))
    for body in (b"<html>", b'{"error": ""}', b'{"error": 5}', b'{"error": "x", "access_token": "a"}', b"[]"):
        assert not has_error_for_token(response(body)), body


def test_the_words_of_the_standards_are_written_as_there() -> None:
    # RFC 6749, sections 4.1.2.1 and 5.2; RFC 7523, section 2.2.
    codes = "access_denied invalid_client invalid_grant invalid_request invalid_scope unauthorized_client"
    assert {*codes.split(), "unsupported_grant_type"} == REFUSALS
    assert CLIENT_ASSERTION_TYPE == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def test_a_refusal_with_status_200_does_not_pass_by_itself() -> None:
    http: Any = SimpleNamespace(redact=lambda text, limit: text)
    error = token_error(response(b'{"error": "invalid_grant"}'), "signing in", "sign in anew", http)
    assert type(error) is AuthenticationError
    assert not error.transient
    other = token_error(response(b'{"error": "slow_down"}'), "signing in", "sign in anew", http)
    assert other.transient
