"""Secrets are replaced in whatever encoding a server writes them, and before a text is cut."""

from __future__ import annotations

import pytest

from common.response.redactor import MASK, Redactor
from tests.leaks.encodings import ENCODINGS

SECRET = 'P4ss&w<rd>"4711%/+\\xé'
REDACTOR = Redactor([SECRET])


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_secret_is_replaced_in_each_encoding(encoding: str) -> None:
    begin = "dXNlcj" if encoding == "Basic" else ""  # the user's name
    form = ENCODINGS[encoding](SECRET).rstrip("=")
    assert REDACTOR.redact(f"you sent ({form})") == f"you sent ({begin}{MASK})"


@pytest.mark.parametrize("inner", ["plain", "JSON", "percent", "HTML"])
@pytest.mark.parametrize("outer", ["JSON", "percent", "plus", "HTML", "upper case"])
def test_a_secret_is_replaced_in_one_encoding_within_another(inner: str, outer: str) -> None:
    assert REDACTOR.redact(ENCODINGS[outer](ENCODINGS[inner](SECRET)) + "!") == f"{MASK}!"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_text_that_is_cut_within_a_secret_shows_no_part_of_it(encoding: str) -> None:
    form = ENCODINGS[encoding](SECRET)
    for shown in range(len(form) + 1):
        text = "." * (300 - shown) + form + "!"
        cut = REDACTOR.redact(text, 300)
        begin = 7 if encoding == "Basic" else 0  # the user's name is not secret
        assert form[begin : begin + 4] not in cut, cut


@pytest.mark.parametrize("as_ascii", ["ignore", "replace"])
def test_a_secret_is_replaced_where_only_its_ascii_is_left(as_ascii: str) -> None:
    text = f"HTTP/1.1 503 {SECRET}"
    assert REDACTOR.redact(text.encode("ascii", as_ascii).decode()) == f"HTTP/1.1 503 {MASK}"
    assert REDACTOR.redact(text.encode().decode("ascii", as_ascii)) == f"HTTP/1.1 503 {MASK}"
