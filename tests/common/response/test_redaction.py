"""Which parts of requests, headers, URLs and proxies are secrets."""

from __future__ import annotations

import base64
import copy
import pickle

import pytest

from common.response.redaction import (
    SECRET_HEADERS,
    Unpicklable,
    proxy_secrets,
    redacted,
    redacted_url,
    secrets_in,
)

BASIC = base64.b64encode(b"admin:pass word").decode()
FORM_BASIC = base64.b64encode(b"a%3Aclient:s3cret%2Bof+mine").decode()


# --- headers of a request


@pytest.mark.parametrize(
    ("name", "value", "secrets"),
    [
        ("Authorization", "Bearer the-token", {"Bearer the-token", "the-token"}),
        (
            "authorization",
            f"Basic {BASIC}",
            {f"Basic {BASIC}", BASIC, "admin:pass word", "pass word"},
        ),
        (
            "Authorization",
            f"Basic {FORM_BASIC}",
            {
                f"Basic {FORM_BASIC}",
                FORM_BASIC,
                "a%3Aclient:s3cret%2Bof+mine",
                "s3cret%2Bof+mine",
                "s3cret+of mine",
            },
        ),
        ("Proxy-Authorization", "Bearer proxys", {"Bearer proxys", "proxys"}),
        ("X-API-Key", "the-key", {"the-key"}),
        ("X-Auth-Token", "the-token", {"the-token"}),
        ("X-Session-Id", "the-session", {"the-session"}),
        ("Cookie", "sid=the-session", {"sid=the-session"} | {"the-session"}),
        ("Accept", "application/json", set()),
        ("User-Agent", "acme/7", set()),
        ("x-agent-id", "agent-1clients", set()),
    ],
)
def test_the_secrets_of_a_header_are_its_value_and_what_is_in_it(
    name: str, value: str, secrets: set[str]
) -> None:
    assert secrets_in({"Host": "cluster1", name: value}) == secrets


def test_of_what_is_signed_the_proof_is_a_secret_and_the_rest_is_not() -> None:
    digest = 'Digest username="admin", realm="lab", nonce="n0nce", response="6629fae4", qop=auth'
    assert secrets_in({"Authorization": digest}) == {digest, "6629fae4", "qop=auth"}
    signed = "AWS4-HMAC-SHA256 Credential=AKID/2026, SignedHeaders=host, Signature=fe5f80"
    assert secrets_in({"Authorization": signed}) == {signed, "fe5f80", "Signature=fe5f80"}


def test_each_cookie_of_at_least_six_characters_is_a_secret() -> None:
    value = "a=1; theme=dark5; sid=abcdef;last = b=cdefgh"
    assert secrets_in({"cookie": value}) == {value, "b=cdefgh", "abcdef", " b=cdefgh"}


@pytest.mark.parametrize("token", ["no-base64", "bm8gY29sb24=", "/////w==", "YWJj YWJj", "YTpi-c2Vj"])
def test_what_looks_like_basic_and_is_none_is_a_secret_as_it_is(token: str) -> None:
    assert secrets_in({"Authorization": f"Basic {token}"}) == {f"Basic {token}", token.rpartition(" ")[2]}


def test_these_headers_are_secrets_whoever_sets_them() -> None:
    assert set(SECRET_HEADERS) == {"authorization", "proxy-authorization", "cookie", "x-api-key"}
    assert all(secrets_in({name: "value"}) >= {"value"} for name in SECRET_HEADERS)


def test_headers_may_have_several_secrets_or_none() -> None:
    assert secrets_in({"X-Api-Key": "one", "Cookie": "c=abcdef", "X-Token": "two"}) == {
        "one",
        "two",
        "c=abcdef",
        "abcdef",
    }
    assert secrets_in({}) == set()


# --- proxies


@pytest.mark.parametrize(
    ("proxy", "secrets"),
    [
        ("http://proxy:3128", set()),
        ("http://proxy:3128/a@b", set()),
        ("http://proxy?user:pw@host", set()),
        ("http://proxy#user:pw@host", set()),
        ("proxy:3128", set()),
        ("", set()),
        (
            "http://user:p%40ss@proxy:3128/path",
            {"user:p%40ss", "user:p@ss", "p%40ss", "p@ss", base64.b64encode(b"user:p@ss").decode()},
        ),
        (
            "http://us%2Fer:pw:of@mine@proxy",
            {
                "us%2Fer:pw:of@mine",
                "us/er:pw:of@mine",
                "pw:of@mine",
                base64.b64encode(b"us/er:pw:of@mine").decode(),
            },
        ),
        (
            "socks5://a%20token@proxy",
            {"a%20token", "a token:", "a token", base64.b64encode(b"a token:").decode()},
        ),
    ],
)
def test_the_secrets_of_a_proxy_are_its_login_in_each_form_that_is_sent(
    proxy: str, secrets: set[str]
) -> None:
    assert proxy_secrets(proxy) == secrets


def test_without_a_proxy_those_of_the_environment_count(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    assert proxy_secrets(None) == set()
    monkeypatch.setenv("HTTPS_PROXY", "http://u:first-secret@proxy")
    monkeypatch.setenv("all_proxy", "http://u:second-secret@proxy")
    monkeypatch.setenv("PROXY_OF_MINE", "http://u:third-secret@proxy")
    assert {"first-secret", "second-secret"} <= proxy_secrets(None)
    assert "third-secret" not in proxy_secrets(None)
    assert proxy_secrets("http://proxy") == set()


# --- logs


@pytest.mark.parametrize(
    "value",
    ["Bearer x", "said basic\tabc", "DIGEST x", "Negotiate x", "x eyJabcdefgh", "A" * 31 + "1", "_a1" * 11],
)
def test_a_value_that_looks_like_a_token_is_not_shown(value: str) -> None:
    assert redacted("X-Anything", value) == "****"
    assert redacted("Content-Type", value) == value


@pytest.mark.parametrize(
    "value",
    [
        "Bearer",
        "bearers of news",
        "eyJabcdefg",
        "heyJabcdefgh",
        "A" * 30 + "1",
        "1" * 40,
        "a" * 40,
        "a-1 " * 20,
    ],
)
def test_a_value_that_only_begins_like_a_token_is_shown(value: str) -> None:
    assert redacted("X-Anything", value) == value


def test_each_value_of_a_query_goes_by_its_own_name() -> None:
    url = "https://h/p?a=1&api-key=2&access_key=3&b&sig=4&passwd=&c=d=Bearer%20x"
    shown = "https://h/p?a=1&api-key=****&access_key=****&b&sig=4&passwd=****&c=d=Bearer%20x"
    assert redacted_url(url) == shown


@pytest.mark.parametrize(
    "name",
    [
        "Accept",
        "ACCEPT-ENCODING",
        "Connection",
        "Content-Length",
        "Content-Type",
        "Date",
        "Host",
        "User-Agent",
    ],
)
def test_what_these_headers_say_is_shown_whatever_it_looks_like(name: str) -> None:
    assert redacted(name, "a0" * 16) == "a0" * 16


def test_a_header_is_not_hidden_for_the_beginning_of_a_name() -> None:
    assert redacted("X-Access-Kettle", "boils") == "boils"


# --- pickles


class Holder(Unpicklable):
    """An object with a secret."""


def test_what_holds_a_secret_is_not_pickled_and_its_copy_is_itself() -> None:
    holder = Holder()
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="Holder holds a secret and cannot be pickled"):
            pickle.dumps(holder, protocol)
    assert copy.copy(holder) is copy.deepcopy(holder) is holder
