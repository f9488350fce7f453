"""Read the head of an ordinary response, which tells the length of its body; any other is left to h11.

Nearly all responses are ordinary, and h11 spends most of its time on what they have not got: it takes 100 µs
for one of them, this takes 10. So the rule is the one of every fast path here: understand everything, or
nothing. Whatever is unusual is no ordinary head: another version than HTTP/1.1, a status that has no body, a
body in chunks or to the end of the connection, two lengths, more than 4 KiB of head, a line that ends
otherwise than in CRLF, a byte that is not printable ASCII, a connection that is to be closed. h11 then reads
the response from its first byte, and decides what of all that is an error. So both ways tell the same of the
same bytes (``test_an_ordinary_response_is_the_one_that_h11_reads``).
"""

from __future__ import annotations

import re

import attrs

_STATUS_LINE = re.compile(r"HTTP/1\.1 ([2-5][0-9]{2})( .*)?")
_NAME = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
"""A token (RFC 9110, section 5.6.2)."""
_WITHOUT_BODY = frozenset({204, 304})
_OTHER_FRAMING = frozenset({"transfer-encoding", "upgrade"})
_MAX_DIGITS = 15
LONGEST = 4096
"""Bytes of a head that is read here, at a stretch."""


@attrs.frozen
class PlainHead:
    """The head of a response: its status, headers as `HttpResponse` has them, and how many bytes follow."""

    status: int
    headers: tuple[tuple[str, str], ...] = attrs.field(repr=False)
    size: int
    """Bytes of the head itself."""
    length: int
    """Bytes of the body."""


def read_head(data: bytes) -> PlainHead | None:
    """Return the head with which the data begins, None where it is not complete, or not an ordinary one."""
    end = data.find(b"\r\n\r\n", 0, LONGEST)
    if end < 0:
        return None
    try:
        first, *lines = data[:end].decode("ascii").split("\r\n")
    except UnicodeDecodeError:
        return None
    status_line = _STATUS_LINE.fullmatch(first)
    if status_line is None or not first.isprintable():
        return None
    length: int | None = None
    headers: list[tuple[str, str]] = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not line.isprintable() or not _NAME.fullmatch(name):
            return None
        name, value = name.lower(), value.strip(" ")
        if name == "content-length":
            if length is not None or not value.isdigit() or len(value) > _MAX_DIGITS:
                return None
            length = int(value)
        elif name in _OTHER_FRAMING or (name == "connection" and value.lower() != "keep-alive"):
            return None
        headers.append((name, value))
    status = int(status_line[1])
    if length is None or status in _WITHOUT_BODY:
        return None
    return PlainHead(status, tuple(headers), end + 4, length)
