"""Endpoints: an origin in a canonical form, without parts that could hold a secret."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.model.endpoints import endpoint_url, is_loopback, origin, split_endpoint
from common.model.errors import UsageError
from tests.jobvalues import ENDPOINTS


@pytest.mark.parametrize(
    ("given_as", "expected"),
    [
        ("cluster1.example.com", "https://cluster1.example.com"),
        ("cluster1", "https://cluster1"),
        ("cluster_1.example.com.", "https://cluster_1.example.com."),
        ("CLUSTER1.Example.Com", "https://cluster1.example.com"),
        ("cluster1:8443", "https://cluster1:8443"),
        ("10.1.2.3", "https://10.1.2.3"),
        ("[2001:DB8:0:0::1]:444", "https://[2001:db8::1]:444"),
        ("https://h/", "https://h"),
        ("https://h:", "https://h"),
        ("https://h:443", "https://h"),
        ("http://h:80", "http://h"),
        ("https://h:80", "https://h:80"),
        ("http://h:443", "http://h:443"),
        ("HTTP://H:8080/", "http://h:8080"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
    ],
)
def test_an_endpoint_has_one_form(given_as: str, expected: str) -> None:
    assert origin(given_as) == expected
    assert origin(expected) == expected


@pytest.mark.parametrize(
    ("endpoint", "hint"),
    [
        ("", "empty"),
        ("   ", "empty"),
        (None, "empty"),
        (5, "empty"),
        ([], "empty"),
        ("https://", "no valid host"),
        ("https://:443", "no valid host"),
        ("https://-h", "no valid host"),
        ("https://h!", "no valid host"),
        ("https://h h", "white space"),
        ("h\n", "white space"),
        ("h\x7f", "white space"),
        ("ftp://h", "https://"),
        ("://h", "https://"),
        ("https://h/path", "origin"),
        ("h/path", "origin"),
        ("https://h?q=1", "origin"),
        ("https://h#f", "origin"),
        ("https://h:port", "port"),
        ("https://h:65536", "port"),
        ("https://h:-1", "port"),
        ("https://h:0", "port"),
        ("https://[::1", "not a URL"),
        ("FD20:8b1e:b255::1", r"without brackets: write it as 'https://\[fd20:8b1e:b255::1\]'"),
        ("http://::1/api", r"without brackets: write it as 'https://\[::1\]'"),
        ("2001:db8:0:0:0:0:0:1:8443", r"without brackets: write it as 'https://\[2001:db8::1\]'"),
        ("host:443:x", "port"),
        ("https://[::g]", "not a URL|IPv6"),
        ("https://user@h", "user name or password"),
        ("https://user:geheim@h", "user name or password"),
        ("https://h\N{ACCOUNT OF}.example", "not a URL"),
        ("https://[::1]junk", "endpoint"),
        ("https://junk[::1]", "endpoint"),
        ("https://[v1.x]", "endpoint"),
    ],
)
def test_what_is_no_origin_is_refused_with_a_hint(endpoint: Any, hint: str) -> None:
    with pytest.raises(UsageError, match=hint) as caught:
        origin(endpoint)
    assert "geheim" not in str(caught.value)


@pytest.mark.slow
@given(ENDPOINTS.filter(bool))
def test_the_form_of_an_endpoint_is_final(endpoint: str) -> None:
    once = origin(endpoint)
    assert origin(once) == once
    assert origin(endpoint.upper()) == once
    assert once.partition("://")[0] == endpoint.partition("://")[0]


@pytest.mark.slow
@given(
    st.builds("{}{}".format, st.sampled_from(["", "https://", "http://[", "h:"]), st.text(st.characters()))
)
def test_any_text_is_an_origin_or_refused(text: str) -> None:
    try:
        result = origin(text)
    except UsageError:
        return
    assert origin(result) == result
    assert result.isascii()


@pytest.mark.parametrize(
    ("given_as", "expected"),
    [
        ("Cluster1", ("https://cluster1", "")),
        ("https://h/", ("https://h", "")),
        ("UM.example.com/api/gateways/1cd8A", ("https://um.example.com", "/api/gateways/1cd8A")),
        ("https://h:443/a.b/-_~/", ("https://h", "/a.b/-_~")),
        ("http://[::1]:80/x", ("http://[::1]", "/x")),
    ],
)
def test_an_endpoint_may_have_a_path_below_its_origin(given_as: str, expected: tuple[str, str]) -> None:
    assert split_endpoint(endpoint_url(given_as)) == expected
    assert endpoint_url("".join(expected)) == "".join(expected)


NO_PATHS = [
    "h//",
    "h/a//b",
    "h/.",
    "h/a/../b",
    "h/a?q=1",
    "h/a?",
    "h/a#f",
    "h/a%2fb",
    "h/a b",
    "h/a;b",
    "h/ä",
]
NO_ENDPOINTS = ["https://user:geheim@h/a", "ftp://h/a", "/a", "//h/a", "https:///a", 5, None]


@pytest.mark.parametrize("text", [*NO_PATHS, *NO_ENDPOINTS, "h/geheim@h", "h/a\\b", "h/a\n", "h/a|b"])
def test_a_path_is_of_plain_segments(text: Any) -> None:
    with pytest.raises(UsageError, match="endpoint") as caught:
        endpoint_url(text)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("endpoint", "loopback"),
    [
        ("http://localhost", True),
        ("http://localhost:8080", True),
        ("http://sim.localhost", True),
        ("http://127.0.0.1:9", True),
        ("http://127.8.9.10", True),
        ("http://[::1]:80", True),
        ("http://10.0.0.1", False),
        ("http://localhost.example.com", False),
        ("http://notlocalhost", False),
        ("http://127.0.0.1.example.com", False),
        ("http://[2001:db8::1]", False),
    ],
)
def test_only_this_machine_is_loopback(endpoint: str, loopback: bool) -> None:
    assert is_loopback(endpoint) == loopback
