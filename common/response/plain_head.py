"""A fast path for the head of an ordinary response with a Content-Length; h11 reads any other.

Nearly all responses are ordinary. h11, which is made for every case, takes 100 µs for one; this takes 10.
Like every fast path here it understands a head completely or not at all. Not ordinary are: another version
than HTTP/1.1, a status without a body, a body in chunks or up to the end of the connection, two lengths, a
head of more than 4 KiB, a line that does not end in CRLF, a byte that is not printable ASCII, a connection
that is to be closed. h11 then reads the response from its first byte, and decides whether it is valid. So
both ways give the same result for the same bytes (``test_an_ordinary_response_is_the_one_that_h11_reads``).
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
"""The limit in bytes of a head that is read here."""


@attrs.frozen(eq=False)
class PlainHead:
    """The head of a response: its status, its headers as in `HttpResponse`, and the length of its body."""

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
