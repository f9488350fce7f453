"""Tell whether a TLS stream ends within a record, which OpenSSL does not tell."""

from __future__ import annotations

HEADER = 5
"""Bytes before a record: its type, its version, and its length in the last two (RFC 8446, section 5.1)."""


class RecordBoundary:
    """Follows the records in the bytes of one direction of a connection."""

    def __init__(self) -> None:
        self._header = b""
        self._left = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        at = 0
        while at < len(data):
            if self._left:
                step = min(self._left, len(data) - at)
                self._left -= step
            else:
                step = HEADER - len(self._header)
                self._header += data[at : at + step]
                if len(self._header) == HEADER:
                    self._left = int.from_bytes(self._header[3:], "big")
                    self._header = b""
            at += step

    @property
    def within_record(self) -> bool:
        """Whether a record has begun and not ended."""
        return bool(self._left or self._header)
