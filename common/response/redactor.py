"""Replace secrets in a text, whatever encoding they are written in.

A server that repeats what it was sent encodes it for its own page or message: as JSON, HTML, a URL, the
``repr`` of bytes, escapes of C, of Python or of JavaScript, base64, hexadecimal digits, in upper case, or
several of these. So a text is decoded step by step, the secrets are searched for after each step, and the
part of the original text that a match came from is replaced. Overlapping matches are merged, so that the
order of secrets which contain each other does not matter.

A text must be redacted before it is cut, since half a secret is not recognised.
"""

from __future__ import annotations

import base64
import functools
import re
import sys
from collections.abc import Iterable, Iterator, Sequence

from common.response.redaction import MIN_SECRET_LENGTH

MASK = "****"
MAX_STEPS = 4
"""How often a text is decoded at most, for encodings within each other."""
MIN_BASE64_LENGTH = 5
"""Characters: a shorter piece of base64 is found in many a word."""
MIN_HEX_BYTES = 6
"""Bytes: fewer, as hexadecimal digits, are found in many a UUID."""

_ESCAPE = re.compile(
    r"""(%[0-9a-f]{2}|\\x[0-9a-f]{2}|(?-i:\\U)00[01][0-9a-f]{5}|\\u[0-9a-f]{4}
    |\\["'\\/bfnrt]|&\#?\w{1,31};?|\s+)""",
    re.IGNORECASE | re.ASCII | re.VERBOSE,
)
_RARE_ESCAPE = re.compile(
    r"(%u[0-9a-f]{4}|\\[ux]\{[0-9a-f]{1,6}\}|\\[0-3][0-7]{2})", re.IGNORECASE | re.ASCII
)
"""Decoded only in a text without the others, since the first characters of a secret behind a backslash may
look like it."""
_CONTROLS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_SAME = str.maketrans({"-": "+", " ": "+", "_": "/"})
"""A space is "+" in a form, and base64 for URLs has other characters for two."""


class Redactor:
    """Replaces some secrets in texts; those shorter than `MIN_SECRET_LENGTH` are left."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self.secrets: frozenset[str] = frozenset(secrets)
        forms = {form for secret in self.secrets for form in _forms(secret)}
        self._forms = {form: edges for form, edges in forms if len(form) >= MIN_SECRET_LENGTH}
        longest = max(map(len, self._forms), default=0)
        # One character may take twelve ("\\ud83d\\ude00"), but in a long token not each one does.
        self._margin = min(12 * longest, 2 * longest + 4000)

    def redact(self, text: str, limit: int | None = None) -> str:
        """Return a text, or what its first ``limit`` characters become, with ``****`` for each secret.

        A secret that begins before the limit is recognised, although it may end behind it.
        """
        if limit is None:
            limit = len(text)
        else:
            text = text[: limit + self._margin]
        parts: list[str] = []
        shown = 0
        for start, end in _merged(self._spans(text)):
            if start >= limit:
                break
            parts += [text[shown:start], MASK]
            shown = end
        return "".join([*parts, text[shown:limit]])

    def _spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Iterate over the parts of a text that hold a secret, in no order."""
        view = text
        origins: Sequence[int] = range(len(text) + 1)
        for _ in range(MAX_STEPS + 1):
            folded = _fold(view)
            for form, (before, after) in self._forms.items():
                start = folded.find(form)
                while start >= 0:
                    end = min(start + len(form) + after, len(view))
                    # An escape may stand for two characters, of which the secret has one.
                    while origins[end] == origins[end - 1]:
                        end += 1
                    yield origins[max(start - before, 0)], origins[end]
                    start = folded.find(form, start + 1)
            decoded, origins = _decode(view, origins)
            if decoded == view:
                return
            view = decoded


def _decode(view: str, origins: Sequence[int]) -> tuple[str, Sequence[int]]:
    """Return a text with its escapes decoded, and where each character came from in the original."""
    decoded = _decode_each(_ESCAPE, view, origins)
    return decoded if decoded[0] != view else _decode_each(_RARE_ESCAPE, view, origins)


def _decode_each(escape: re.Pattern[str], view: str, origins: Sequence[int]) -> tuple[str, Sequence[int]]:
    parts = escape.split(view)
    if len(parts) == 1:
        return view, origins
    came_from: list[int] = []
    at = 0
    for number, part in enumerate(parts):
        if number % 2 == 0:
            came_from += origins[at : at + len(part)]
        else:
            parts[number] = char = _unescape(part)
            came_from += [origins[at]] * len(char)
        at += len(part)
    came_from.append(origins[at])
    return "".join(parts), came_from


@functools.lru_cache(maxsize=512)
def _unescape(escape: str) -> str:
    first = escape[0]
    if first == "&":
        import html  # lazily: its table of entities is large

        return html.unescape(escape)
    if first not in "%\\":
        return " "
    digits = escape.lstrip("%\\xuXU").strip("{}")
    if digits and len(escape) > 2:
        octal = escape[1] in "0123" and first == "\\"
        code = int(digits, 8 if octal else 16)  # of one byte or UTF-16 unit, or a character: see `_forms`
        return chr(code) if code <= sys.maxunicode else "\ufffd"
    return _CONTROLS.get(escape[1].lower(), escape[1])


def _fold(text: str) -> str:
    """Return a text without its differences in letter case, character by character."""
    lower = text.lower()
    if len(lower) != len(text):
        lower = "".join([low if len(low := char.lower()) == 1 else char for char in text])
    return lower.translate(_SAME)


def _forms(secret: str) -> Iterator[tuple[str, tuple[int, int]]]:
    """Iterate over the folded forms to search for, with how many characters around them belong to them."""
    forms = {secret, " ".join(secret.split())}
    if not secret.isascii():
        for text in (secret, secret.upper(), secret.lower()):
            units = text.encode("utf-16-le", "surrogatepass")
            forms |= {
                text,
                text.encode(errors="surrogatepass").decode("latin-1"),  # the bytes, decoded one by one
                text.encode("latin-1", "replace").decode(errors="replace"),
                "".join([chr(units[at] + 256 * units[at + 1]) for at in range(0, len(units), 2)]),
                # As ASCII, by libraries that drop or replace what is none.
                *(text.encode("ascii", errors).decode() for errors in ("ignore", "replace")),
                text.encode(errors="surrogatepass").decode("ascii", "replace"),
            }
    for form in forms:
        decoded = form
        for _ in range(MAX_STEPS):  # where a secret looks like an escape, it is decoded with the text
            yield _fold(decoded), (0, 0)
            decoded, _unused = _decode(decoded, range(len(decoded) + 1))
    # In base64 of a longer text a secret looks in one of three ways, depending on how many bytes are before.
    data = secret.encode(errors="surrogatepass")
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + data).decode("ascii")
        shared = int(before > 0)  # the letter that holds bits of what is before, too
        begin, whole = before + shared, 8 * (before + len(data)) // 6
        if whole - begin >= MIN_BASE64_LENGTH:
            yield _fold(encoded[begin:whole]), (shared, int((before + len(data)) % 3 > 0))
    if len(data) >= MIN_HEX_BYTES:
        yield data.hex(), (0, 0)


def _merged(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Iterate over spans in order, those that touch each other as one."""
    current: tuple[int, int] | None = None
    for start, end in sorted(spans):
        if current is None:
            current = start, end
        elif start <= current[1]:
            current = current[0], max(current[1], end)
        else:
            yield current
            current = start, end
    if current is not None:
        yield current
