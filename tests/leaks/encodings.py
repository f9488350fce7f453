"""The encodings in which a secret may be shown, and the search for a secret in any of them.

This knows nothing of `common.response.redactor`, whose work it checks.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from urllib.parse import quote, quote_plus

import attrs

SHORTEST = 7
"""Characters: what is shorter is found in many a word, and is no secret worth the name."""


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


ENCODINGS: Mapping[str, Callable[[str], str]] = {
    "plain": str,
    "JSON": lambda secret: json.dumps(secret)[1:-1],
    "percent": lambda secret: quote(secret, safe=""),
    "plus": quote_plus,
    "HTML": html.escape,
    "base64": _base64,
    "Basic": lambda secret: _base64(f"user:{secret}"),
    "upper case": str.upper,
}


@attrs.frozen
class Leak:
    """One secret that is shown, and in which of the encodings; ``text`` is what is around it."""

    secret: str
    encoding: str
    text: str


class Finder:
    """Finds some secrets in texts, in each encoding and whatever the letter case."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._forms = {
            form.lower(): (secret, encoding)
            for secret in sorted(secrets)
            if len(secret) >= SHORTEST
            for encoding, form in _forms(secret)
        }

    def __bool__(self) -> bool:
        return bool(self._forms)

    def leaks(self, text: str) -> Iterator[Leak]:
        """Iterate over the secrets in a text."""
        lower = text.lower()
        for form, (secret, encoding) in self._forms.items():
            at = lower.find(form)
            if at >= 0:
                yield Leak(secret, encoding, text[max(at - 80, 0) : at + len(form) + 20])


def _forms(secret: str) -> Iterator[tuple[str, str]]:
    """Iterate over a secret's forms by encoding; the last one that is the same counts."""
    # Within a longer text that is in base64 it looks different, depending on how many bytes are before it.
    for before in (1, 2):
        data = bytes(before) + secret.encode()
        yield "Basic", _base64_of_whole_bytes(data, before)
    yield "base64", _base64_of_whole_bytes(secret.encode(), 0)
    yield "repr", repr(secret)[1:-1]
    yield "repr", repr(secret.encode())[2:-1]
    for encoding in ("HTML", "plus", "percent", "JSON", "plain"):
        yield encoding, ENCODINGS[encoding](secret)


def _base64_of_whole_bytes(data: bytes, before: int) -> str:
    """Return the letters of base64 that depend on nothing before or behind the data."""
    encoded = base64.b64encode(data).decode()
    return encoded[(8 * before + 5) // 6 : 8 * len(data) // 6]
