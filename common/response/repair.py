"""Read a JSON object in which texts have bytes that JSON forbids: invalid UTF-8, or control characters.

Servers copy data of others into a message, such as a file name in Latin-1, or the output of a command with
line ends. RFC 8259 allows neither in a text (sections 7 and 8.1), so a strict reader reads nothing of a
response that states clearly how the job ended. Here each such byte becomes U+FFFD. Nothing else is repaired:
a response with such a byte in the name of a member, or outside of texts, stays unreadable, and so does one
whose root is not an object.
"""

from __future__ import annotations

import json
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
        root = json.loads(
            b"".join(parts).decode("utf-8-sig"),
            parse_int=read_integer,
            object_pairs_hook=lambda pairs: _marked(dict(pairs), replaced),
        )
    except (ValueError, RecursionError):
        return None
    return cast("Repaired", root)


def _marked(value: dict[str, Any], replaced: set[str]) -> dict[str, Any]:
    return Repaired(value) if any(_is_repaired(member, replaced) for member in value.values()) else value


def _is_repaired(value: object, replaced: set[str]) -> bool:
    if isinstance(value, list):
        return any(_is_repaired(member, replaced) for member in cast("list[object]", value))
    return isinstance(value, Repaired) or (isinstance(value, str) and value in replaced)
