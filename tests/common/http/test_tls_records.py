"""Where a stream of TLS records may be cut, and where it ends within one."""

from __future__ import annotations

import pytest

from common.http.direct.tls_records import RecordBoundary


def record(length: int) -> bytes:
    return b"\x17\x03\x03" + length.to_bytes(2, "big") + b"x" * length


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6, 7, 100, 65_536])
def test_a_stream_is_between_records_at_their_ends_alone(size: int) -> None:
    records = [record(1), record(0), record(300), record(16_384), record(7)]
    stream, ends, at = b"".join(records), {0}, 0
    for each in records:
        at += len(each)
        ends.add(at)
    boundary = RecordBoundary()
    assert not boundary.within_record
    for start in range(0, len(stream), size):
        piece = stream[start : start + size]
        boundary.feed(piece)
        assert boundary.within_record is (start + len(piece) not in ends)
    boundary.feed(b"")
    assert not boundary.within_record
