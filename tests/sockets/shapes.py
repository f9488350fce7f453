"""What a server may send: behind a reply, where nothing is asked for, and in the place of a good one."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tests.sockets.calls import ASKED, WARM, System
from tests.sockets.servers.peer import End, Piece, whole

Leftover = Callable[[System], bytes]

GONE = {"error": {"code": "4", "message": "entry doesn't exist"}}
LEFTOVERS: dict[str, Leftover] = {
    "the job, ended": lambda s: whole(s.record(ASKED, "success")),
    "a job without an id, ended": lambda s: whole({"state": "success", "message": f"reply {s.number()}"}),
    "a page with the job, ended": lambda s: whole(
        {"num_records": 1, "records": [s.record(ASKED, "success")]}
    ),
    "an empty page": lambda _: whole({"num_records": 0, "records": []}),
    "another write's job": lambda s: whole({"job": {"uuid": s.uuid()}}, "202 Accepted"),
    "an empty object": lambda _: whole({}),
    "no such job": lambda _: whole(GONE, "404 Not Found"),
    "not signed in": lambda s: whole({"error": {"message": f"{s.number()}"}}, "401 Unauthorized"),
    "too long idle": lambda _: whole(b"", "408 Request Timeout", Connection="close"),
    "a reply without end": lambda s: (
        b"HTTP/1.1 200 OK\r\n\r\n" + whole(s.record(ASKED, "success")).split(b"\r\n\r\n")[1]
    ),
    "100 Continue": lambda _: b"HTTP/1.1 100 Continue\r\n\r\n",
    "half a head": lambda _: b"HTTP/1.1 200 OK\r\nContent-Le",
    "garbage": lambda _: b"garbage\r\n\r\n",
    "a line break": lambda _: b"\r\n",
    "one byte": lambda _: b"\0",
}

Timing = Callable[[System, bytes], Iterable[Piece]]
PAUSE = 0.05
"""Seconds."""
FIRST_READ = 65_536
"""Bytes that clients ask their sockets for at a time."""


def _first(system: System) -> bytes:
    return whole(system.record(WARM, "running"))


def _sized(system: System) -> bytes:
    """A reply of exactly as many bytes as are read at a time: what is behind it is not seen with it."""
    record = system.record(WARM, "running")
    missing = FIRST_READ - len(whole({**record, "description": "x" * FIRST_READ}))
    return whole({**record, "description": "x" * (FIRST_READ + missing)})


def chunked(
    body: bytes, status: str = "200 OK", *, size: int = 10, head: bytes = b"", end: bytes = b"0\r\n\r\n"
) -> bytes:
    """A reply in chunks of that many bytes."""
    parts = (body[at : at + size] for at in range(0, len(body), size))
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    return b"HTTP/1.1 %b\r\nTransfer-Encoding: chunked\r\n%b\r\n%b" % (status.encode(), head, chunks) + end


def _in_chunks(system: System) -> bytes:
    return chunked(_first(system).split(b"\r\n\r\n")[1])


TIMINGS: dict[str, Timing] = {
    "in the same segment": lambda s, leftover: [_first(s) + leftover],
    "behind chunks": lambda s, leftover: [_in_chunks(s) + leftover],
    "behind 65,536 bytes": lambda s, leftover: [_sized(s) + leftover],
    "behind 65,536 bytes, later": lambda s, leftover: [_sized(s), PAUSE, leftover],
    "later": lambda s, leftover: [_first(s), PAUSE, leftover],
    "later, then closed": lambda s, leftover: [_first(s), PAUSE, leftover, End.CLOSE],
}

Shape = Callable[[str, bytes], Iterable[Piece]]
"""From the status and the body of the true answer to what is sent in its place."""


def _head(status: str, *lines: str, version: str = "HTTP/1.1") -> bytes:
    return "\r\n".join([f"{version} {status}", *lines, "", ""]).encode("latin-1")


def _length(body: bytes, more: int = 0) -> str:
    return f"Content-Length: {len(body) + more}"


SHAPES: dict[str, Shape] = {
    "as it should be": lambda s, b: [whole(b, s)],
    "byte by byte": lambda s, b: [piece for byte in whole(b, s) for piece in (bytes([byte]), 0.0)],
    "behind 100": lambda s, b: [b"HTTP/1.1 100 Continue\r\n\r\n" + whole(b, s)],
    "behind 103": lambda s, b: [b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", 0.01, whole(b, s)],
    "behind a hundred 102": lambda s, b: [b"HTTP/1.1 102 Processing\r\n\r\n" * 100 + whole(b, s)],
    "behind 101": lambda s, b: [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" + whole(b, s)],
    "100 and no more": lambda *_: [b"HTTP/1.1 100 Continue\r\n\r\n", End.CLOSE],
    "nothing": lambda *_: [End.CLOSE],
    "a reset": lambda *_: [End.ABORT],
    "half a head": lambda *_: [b"HTTP/1.1 200 OK\r\nContent-Le", End.CLOSE],
    "half a head, reset": lambda *_: [b"HTTP/1.1 200 OK\r\nContent-Le", 0.01, End.ABORT],
    "half a body": lambda s, b: [whole(b, s)[: -len(b) // 2], End.CLOSE],
    "a length too short": lambda s, b: [_head(s, _length(b, -2)) + b],
    "a length of 0": lambda s, b: [_head(s, "Content-Length: 0") + b],
    "a length too long": lambda s, b: [_head(s, _length(b, 7)) + b, End.CLOSE],
    "a length too long, reset": lambda s, b: [_head(s, _length(b, 7)) + b, 0.01, End.ABORT],
    "a length that takes from the next": lambda s, b: [_head(s, _length(b, 7)) + b + whole(b, s)],
    "as to HEAD, then the next": lambda s, b: [_head(s, _length(b)) + whole(b, s)],
    "a length twice": lambda s, b: [_head(s, _length(b), _length(b)) + b],
    "two lengths": lambda s, b: [_head(s, _length(b), _length(b, -2)) + b, End.CLOSE],
    "two lengths in one": lambda s, b: [_head(s, f"{_length(b)}, {len(b) - 2}") + b, End.CLOSE],
    "a length with a plus": lambda s, b: [_head(s, f"Content-Length: +{len(b)}") + b, End.CLOSE],
    "a length below 0": lambda s, b: [_head(s, "Content-Length: -1") + b, End.CLOSE],
    "a length in hex": lambda s, b: [_head(s, f"Content-Length: {len(b):#x}") + b, End.CLOSE],
    "a length of 10^30": lambda s, b: [_head(s, f"Content-Length: {10**30}") + b, End.CLOSE],
    "chunks": lambda s, b: [chunked(b, s)],
    "chunks with trailers": lambda s, b: [chunked(b, s, size=1, end=b"0;x=y\r\nA: b\r\n\r\n")],
    "chunks and a length": lambda s, b: [chunked(b, s, head=_length(b).encode() + b"\r\n")],
    "chunks and a wrong length": lambda s, b: [chunked(b, s, head=b"Content-Length: 3\r\n")],
    "chunks without an end": lambda s, b: [chunked(b, s, end=b""), End.CLOSE],
    "chunks with half an end": lambda s, b: [chunked(b, s, end=b"0\r\n"), End.CLOSE],
    "chunks without a size": lambda s, b: [chunked(b, s, end=b"x\r\n\r\n"), End.CLOSE],
    "chunks that are too long": lambda s, b: [chunked(b, s).replace(b"\r\na\r\n", b"\r\n9\r\n"), End.CLOSE],
    "chunks within gzip": lambda s, b: [chunked(b, s).replace(b"chunked", b"gzip, chunked"), End.CLOSE],
    "chunks of HTTP/1.0": lambda s, b: [chunked(b, s).replace(b"HTTP/1.1", b"HTTP/1.0"), End.CLOSE],
    "no length": lambda s, b: [_head(s) + b, End.CLOSE],
    "no length, reset": lambda s, b: [_head(s) + b, 0.01, End.ABORT],
    "no length, half of it": lambda s, b: [_head(s) + b[: len(b) // 2], End.CLOSE],
    "close said, closed": lambda s, b: [whole(b, s, Connection="close"), End.CLOSE],
    "close said, left open": lambda s, b: [whole(b, s, Connection="close")],
    "HTTP/1.0": lambda s, b: [whole(b, s, version="1.0")],
    "HTTP/1.0, kept alive": lambda s, b: [whole(b, s, version="1.0", Connection="keep-alive")],
    "HTTP/1.0 without a length": lambda s, b: [_head(s, version="HTTP/1.0") + b, End.CLOSE],
    "HTTP/2": lambda s, b: [_head(s, _length(b), version="HTTP/2") + b, End.CLOSE],
    "204 with a body": lambda _, b: [whole(b, "204 No Content")],
    "304 with a body": lambda _, b: [whole(b, "304 Not Modified")],
    "304 without": lambda _, b: [_head("304 Not Modified", _length(b))],
    "no reason": lambda s, b: [_head(s[:3], _length(b)) + b],
    "bare line feeds": lambda s, b: [_head(s, _length(b)).replace(b"\r\n", b"\n") + b, End.CLOSE],
    "a folded header": lambda s, b: [_head(s, "A: b", " c", _length(b)) + b, End.CLOSE],
    "a space before a colon": lambda s, b: [_head(s, _length(b).replace(":", " :")) + b, End.CLOSE],
    "a null in a header": lambda s, b: [_head(s, "A: b\0c", _length(b)) + b, End.CLOSE],
    "behind a line break": lambda s, b: [b"\r\n" + whole(b, s), End.CLOSE],
    "garbage": lambda *_: [b"garbage\r\n\r\n", End.CLOSE],
    "good, then closed at once": lambda s, b: [whole(b, s), End.CLOSE],
    "good, then reset": lambda s, b: [whole(b, s), 0.01, End.ABORT],
}

EARLY: dict[str, Shape] = {
    "taken before it has come": lambda s, b: [whole(b, s)],
    "taken before it has come, closed": lambda s, b: [whole(b, s, Connection="close"), End.CLOSE],
    "refused before it has come": lambda *_: [whole({}, "413 Content Too Large")],
    "refused before it has come, closed": lambda *_: [
        whole({}, "413 Content Too Large", Connection="close"),
        0.01,
        End.CLOSE,
    ],
    "refused before it has come, reset": lambda *_: [whole({}, "413 Content Too Large"), 0.01, End.ABORT],
}
"""Answers to a head before its body."""
