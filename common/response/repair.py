"""Read a JSON object in which texts have bytes that JSON forbids: invalid UTF-8, or control characters.

Servers copy data of others into a message, such as a file name in Latin-1, or the output of a command with
line ends. RFC 8259 allows neither in a text (sections 7 and 8.1), so a strict reader reads nothing of a
response that states clearly how the job ended. Here each such byte becomes U+FFFD. Nothing else is repaired:
a response with such a byte in the name of a member, or outside of texts, stays unreadable, and so does one
whose root is not an object.

Half of a surrogate pair, which JSON can write as an escape (section 8.2), becomes U+FFFD too: no text with it
can be printed, logged or stored. Only ids keep it, since it is a part of a path.
"""

from __future__ import annotations

import json
import operator
import re
from typing import Any, cast

from common.response.large_json import read_integer

REPLACEMENT = "\ufffd"
"""The character that takes the place of an invalid byte: U+FFFD, REPLACEMENT CHARACTER."""

MAX_REPAIRS = 100_000
"""The limit of texts that are repaired in one response, since each takes time."""

_OBJECT = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n]*\{")
_CHARACTERS = rb"""(?:[\ !\#-\[\]-\x7f] | [\xc2-\xdf][\x80-\xbf]
    | \xe0[\xa0-\xbf][\x80-\xbf] | [\xe1-\xec\xee\xef][\x80-\xbf]{2} | \xed[\x80-\x9f][\x80-\xbf]
    | \xf0[\x90-\xbf][\x80-\xbf]{2} | [\xf1-\xf3][\x80-\xbf]{3} | \xf4[\x80-\x8f][\x80-\xbf]{2})*+"""
"""The bytes that are valid in a text, without escapes (RFC 8259, section 7; RFC 3629, section 4)."""
_NEXT_BROKEN = rb"""(?: [^"]++ | "%b(?:\\[\ -~]%b)*+" )*+  # all before the next text with a forbidden byte,
    ("[^"\\]*+(?:\\.[^"\\]*+)*+"?)?              # that text,
    ([\ \t\r\n]*:)?                               # and the colon behind it if it is a member's name
    """ % (_CHARACTERS, _CHARACTERS)
"""Compiled by the first response that needs it, which takes a millisecond.

It always matches and never backtracks, so that the time is linear in the size of the response.
"""
_CONTROL = re.compile(r"[\x00-\x1f]")
_HALF = re.compile(r"[\ud800-\udfff]")
_ESCAPED_HALF = re.compile(r"\\u[dD][89a-fA-F]")
"""An escape in JSON that may be half of a surrogate pair."""
_IDS = frozenset({"guid", "id", "job-id", "jobId", "job_id", "uuid"})
"""The names of members that are ids."""


class Repaired(dict[str, Any]):
    """An object with a text, somewhere in it, in which characters were replaced."""


def read_repaired(data: bytes) -> Repaired | None:
    """Return the object of a response that is JSON but for bytes in its texts; None for any other."""
    if _OBJECT.match(data) is None:
        return None
    parts: list[bytes] = []
    replaced: set[str] = set()
    end = 0
    try:
        for match in re.finditer(_NEXT_BROKEN, data, re.DOTALL | re.VERBOSE):
            if match[1] is None:
                continue
            if match[2] is not None or len(parts) >= 2 * MAX_REPAIRS:
                return None
            text = _CONTROL.sub(REPLACEMENT, match[1].decode(errors="replace"))
            parts += data[end : match.start(1)], text.encode()
            end = match.end()
            replaced.add(json.loads(text))
        if not parts:
            return None
        parts.append(data[end:])
        root: Any = json.loads(
            b"".join(parts).decode("utf-8-sig"),
            parse_int=read_integer,
            object_pairs_hook=lambda pairs: _marked(dict(pairs), replaced),
        )
        return cast("Repaired", without_halves(root))
    except (ValueError, RecursionError):
        return None


def may_have_halves(text: str) -> bool:
    """Whether JSON may have half of a surrogate pair in a text."""
    # The pattern takes three times as long as reading the JSON. Nearly all responses are without backslashes.
    if not text.isascii() and _HALF.search(text):
        return True
    return "\\" in text and "\\u" in text and _ESCAPED_HALF.search(text) is not None


def without_halves(value: Any) -> Any:
    """Return a decoded value with U+FFFD for each half of a surrogate pair, the same object if it has none.

    Raise `RecursionError` for one that is nested too deep.
    """
    if isinstance(value, str):
        return _HALF.sub(REPLACEMENT, value) if _HALF.search(value) else value
    if isinstance(value, list):
        members = [without_halves(member) for member in cast("list[object]", value)]
        return members if any(map(operator.is_not, members, cast("list[object]", value))) else value
    if isinstance(value, dict):
        fields = {
            name: member if name in _IDS and isinstance(member, str) else without_halves(member)
            for name, member in cast("dict[str, object]", value).items()
        }
        if any(map(operator.is_not, fields.values(), cast("dict[str, object]", value).values())):
            return Repaired(fields)
    return value


def _marked(value: dict[str, Any], replaced: set[str]) -> dict[str, Any]:
    return Repaired(value) if any(_is_repaired(member, replaced) for member in value.values()) else value


def _is_repaired(value: object, replaced: set[str]) -> bool:
    if isinstance(value, list):
        return any(_is_repaired(member, replaced) for member in cast("list[object]", value))
    return isinstance(value, Repaired) or (isinstance(value, str) and value in replaced)
