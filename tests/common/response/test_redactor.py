"""Secrets in a text are replaced in whatever encoding a server writes them, and nothing beside them is."""

from __future__ import annotations

import base64
import html
import itertools
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.response.redactor import MASK, Redactor
from tests.cases import case

Encoding = Callable[[str], str]

SECRETS = {
    "ascii": 'Pa55 w0rd"of\\mine&<more>/',
    "foreign": "PässWÖrd-😀-geheim",
    "controls": "one\ttwo\nthree\rfour",
    "word": "correct-horse",
}
BEFORE, AFTER = "it was ", ", you know"


def masked(text: str, *secrets: str, limit: int | None = None) -> str:
    return Redactor(secrets).redact(text, limit)


def utf16_escapes(text: str) -> str:
    units = text.encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def bytes_escaped(text: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in text.encode())


def each(form: str) -> Encoding:
    """Each character that is no letter or digit of ASCII in one form."""
    return lambda text: "".join(
        char if char.isascii() and char.isalnum() else form % ord(char) for char in text
    )


def units(form: str) -> Encoding:
    """Each UTF-16 unit in one form."""
    return lambda text: "".join(
        form % int.from_bytes(text.encode("utf-16-be")[at : at + 2])
        for at in range(0, len(text.encode("utf-16-be")), 2)
    )


ENCODINGS: dict[str, Encoding] = {
    "plain": str,
    "upper": str.upper,
    "lower": str.lower,
    "json": lambda text: json.dumps(text)[1:-1],
    "json in upper case": lambda text: json.dumps(text)[1:-1].upper(),
    "json in utf-8": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "json with slashes escaped": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "json in json": lambda text: json.dumps(json.dumps(text)[1:-1])[1:-1],
    "utf-16 escapes": utf16_escapes,
    "percent": quote,
    "percent of upper": lambda text: quote(text.upper()),
    "percent of lower": lambda text: quote(text.lower()),
    "percent in lower case": lambda text: quote(text).lower(),
    "form": quote_plus,
    "html": html.escape,
    "entities": lambda text: "".join(f"&#{ord(char)};" for char in text),
    "repr of bytes": lambda text: repr(text.encode())[2:-1],
    "bytes escaped": bytes_escaped,
    "bytes in octal": lambda text: "".join(f"\\{byte:03o}" for byte in text.encode()),
    "some bytes in octal": lambda text: "".join(
        chr(byte) if 32 < byte < 127 and byte not in b'"\\' else f"\\{byte:03o}" for byte in text.encode()
    ),
    "long escapes": each("\\U%08x"),
    "long escapes of all": lambda text: "".join(f"\\U{ord(char):08X}" for char in text),
    "escapes in braces": each("\\u{%x}"),
    "escapes in braces, of Perl": each("\\x{%04X}"),
    "escape of JavaScript": units("%%u%04X"),
    "hexadecimal": lambda text: text.encode().hex(),
    "hexadecimal in upper case": lambda text: text.encode().hex().upper(),
    "bytes as latin-1": lambda text: text.encode().decode("latin-1"),
    "other white space": lambda text: text.replace(" ", " \r\n\t"),
}


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_a_secret_is_replaced_in_every_encoding_and_nothing_beside_it(secret: str) -> None:
    for name, encoding in ENCODINGS.items():
        with case(name):
            text = f"{BEFORE}{encoding(secret)}{AFTER}"
            assert masked(text, secret) == f"{BEFORE}{MASK}{AFTER}"
            assert masked(text * 2, secret, "of another") == f"{BEFORE}{MASK}{AFTER}" * 2


@pytest.mark.parametrize("outer", ["percent", "html", "json"])
@pytest.mark.parametrize("inner", ["percent", "form", "html", "json", "repr of bytes"])
def test_a_secret_is_replaced_in_an_encoding_within_another(inner: str, outer: str) -> None:
    for secret in SECRETS.values():
        encoded = ENCODINGS[outer](ENCODINGS[inner](secret))
        assert masked(f"<{encoded}>", secret) == f"<{MASK}>"


def test_a_short_secret_in_hexadecimal_is_a_part_of_many_a_uuid() -> None:
    assert masked("b5145e1d-b53b-11e8-6162-636465646566", "abcde") == "b5145e1d-b53b-11e8-6162-636465646566"
    assert masked("<6162636465>", "abcde") == "<6162636465>"
    assert masked("<616263646566>", "abcdef") == f"<{MASK}>"


@pytest.mark.parametrize("before", ["\\", "\\0", "%u", "\\x{"])
def test_what_stands_before_a_secret_makes_no_escape_of_its_beginning(before: str) -> None:
    secret = '0123}"<pass>'
    for encoded in (json.dumps(secret)[1:-1], html.escape(secret), quote(secret)):
        assert masked(f"{before}{encoded}.", secret) == f"{before}{MASK}."


def test_an_escape_beyond_all_characters_is_no_error() -> None:
    assert (
        masked(r"\U001fffff\u{ffffff}\777\400 secret", "secret") == rf"\U001fffff\u{{ffffff}}\777\400 {MASK}"
    )


@pytest.mark.parametrize(("times", "shown"), [(1, MASK), (4, MASK), (5, None)])
def test_four_encodings_one_within_the_other_are_decoded(times: int, shown: str | None) -> None:
    text = "a secret"
    for _ in range(times):
        text = quote(text)
    assert masked(text, "a secret") == (shown or text)


@pytest.mark.parametrize("secret", ["??>>longer~~", "longer~?>", "?>~longer", *SECRETS.values()])
def test_of_base64_each_letter_that_holds_a_part_of_a_secret_is_replaced(secret: str) -> None:
    for encode, before, after in itertools.product(
        [base64.b64encode, base64.urlsafe_b64encode], range(5), range(3)
    ):
        with case(encode, before, after):
            end = before + len(secret.encode())
            encoded = encode(b"a" * before + secret.encode() + b"z" * after).decode()
            shown = f"{encoded[: 8 * before // 6]}{MASK}{encoded[-(-8 * end // 6) :]}"
            assert masked(f"[{encoded}]", secret) == f"[{shown}]"
            assert masked(f"[{encoded.lower()}]", secret).lower() == f"[{shown.lower()}]"


@pytest.mark.parametrize("encoding", ["percent", "html", "json"])
def test_base64_is_found_within_other_encodings(encoding: str) -> None:
    encoded = base64.b64encode(b"user:??>>??>>").decode()
    assert masked(ENCODINGS[encoding](encoded), "user:??>>??>>") in {MASK, f"{MASK}==", f"{MASK}%3D%3D"}


def test_of_base64_only_pieces_of_five_letters_count() -> None:
    assert masked("YWJj", "abc") == "YWJj"
    assert masked("YWJjZA==", "abcd") == f"{MASK}=="
    assert masked("eHhhYmNk", "abcd") == f"eH{MASK}"
    assert masked("eGFiY2Q=", "abcd") == "eGFiY2Q="


def test_base64_may_be_cut_where_a_secret_begins() -> None:
    encoded = base64.b64encode(b"azz-secret").decode()
    assert masked(encoded[2:], "zz-secret") == f"{MASK}=="


# --- secrets that are odd, or parts of each other


@pytest.mark.parametrize("secrets", list(itertools.permutations(["secret", "secret-longer", "ret-long"])))
def test_a_secret_that_is_a_part_of_another_leaves_nothing_of_it(secrets: tuple[str, ...]) -> None:
    assert masked("<secret-longer>, <secret>", *secrets) == f"<{MASK}>, <{MASK}>"


def test_secrets_that_overlap_or_touch_are_one_and_those_apart_are_two() -> None:
    assert masked("<abcdef>", "abcd", "cdef") == f"<{MASK}>"
    assert masked("<abcdef>", "abc", "def") == f"<{MASK}>"
    assert masked("<abc def>", "abc", "def") == f"<{MASK} {MASK}>"
    assert masked("<aaaa>", "aaa") == masked("<aaaaa>", "aaa") == f"<{MASK}>"


def test_what_is_shorter_than_three_characters_is_left() -> None:
    assert masked("abcd ab", "ab", "") == "abcd ab"
    assert masked("abcd ab", "abc") == f"{MASK}d ab"
    assert masked("abcd") == "abcd"


LOOKS_ENCODED = ['pa"ss%41word', "pa%2541ss word", "\\u0041 & \\\\n", 'two  blanks"of it']


@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS)
def test_a_secret_that_looks_like_an_encoding_is_replaced_too(encoding: Encoding) -> None:
    for secret in LOOKS_ENCODED:
        with case(secret):
            assert masked(f"<{encoding(secret)}>", secret) == f"<{MASK}>"


def test_the_rarer_escapes_of_json_are_decoded_too() -> None:
    secret = "one\btwo\fthree"
    assert masked(f"<{json.dumps(secret)[1:-1]}>", secret) == f"<{MASK}>"
    assert masked(f"<{json.dumps(secret)[1:-1].upper()}>", secret) == f"<{MASK}>"


def test_a_secret_that_was_read_as_latin_1_is_found_as_the_text_that_it_is() -> None:
    assert masked("<pässword>", "pässword".encode().decode("latin-1")) == f"<{MASK}>"


def test_a_secret_that_cannot_be_sent_is_replaced_too() -> None:
    assert masked("<half \udcff of it>", "half \udcff of it") == f"<{MASK}>"


def test_an_escape_of_two_characters_goes_as_a_whole_with_the_one_that_is_secret() -> None:
    assert masked("<pass&NotEqualTilde;>", "pass\u2242") == f"<{MASK}>"
    assert masked("<&NotEqualTilde;pass>", "\u0338pass") == f"<{MASK}>"
    assert masked("<pass&NotEqualTilde;", "pass\u2242") == f"<{MASK}"


def test_letters_that_are_longer_in_lower_case_move_nothing() -> None:
    assert masked("İİİ <SECRET>", "secret") == f"İİİ <{MASK}>"
    assert masked("İİİ <secret-İ>", "secret-İ") == f"İİİ <{MASK}>"


# --- a text that is cut


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_at_no_limit_a_part_of_a_secret_is_shown(secret: str) -> None:
    for name, encoding in ENCODINGS.items():
        with case(name):
            redactor = Redactor([secret])
            text = f"{BEFORE}{encoding(secret)}{AFTER}{'.' * 1000}"
            end = len(BEFORE) + len(encoding(secret))
            for limit in range(len(BEFORE) + 1, end + 1):
                assert redactor.redact(text, limit) == f"{BEFORE}{MASK}"
            assert redactor.redact(text, len(BEFORE)) == BEFORE
            assert redactor.redact(text, end + 3) == f"{BEFORE}{MASK}{AFTER[:3]}"


def test_a_long_secret_is_recognised_behind_a_limit() -> None:
    for length in (300, 600, 10_000):
        secret = "".join(str(number % 7) for number in range(length))
        assert masked(f"it is {secret}, it is", secret, "abc", limit=8) == f"it is {MASK}"
        assert masked(f"it is {secret}, it is", secret) == f"it is {MASK}, it is"


def test_a_long_secret_is_recognised_behind_a_limit_though_each_letter_is_encoded() -> None:
    secret = "".join(str(number % 7) for number in range(3000))
    encoded = "".join(f"%{ord(digit):x}" for digit in secret)
    assert masked(f"it is {encoded}, it is", secret, limit=8) == f"it is {MASK}"


@pytest.mark.slow
@given(st.text(), st.text(min_size=3), st.text())
def test_what_is_no_secret_stays_as_it_is(before: str, secret: str, after: str) -> None:
    text = before + after
    assert Redactor([f"{secret}\x00{secret}"]).redact(text) == text or "\x00" in text
    assert MASK in Redactor([secret]).redact(before + secret + after)
    assert Redactor([]).redact(text) == text
    assert Redactor([]).redact(text, 3) == text[:3]


def test_a_redactor_knows_which_secrets_it_was_made_for() -> None:
    assert Redactor(["a", "bcd"]).secrets == {"a", "bcd"}
