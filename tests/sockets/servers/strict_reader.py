"""Say which bytes of a server answer which request of a connection: HTTP/1.1 as RFC 9112 has it, no more.

It is fed what went either way, in that order, and shares no code with what it judges. A response belongs to
the oldest request that has none yet. Bytes that come when no request waits for an answer belong to nobody.
"""

from __future__ import annotations

import re

import attrs

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] [1-9]\d\d(?: [\t\x20-\x7e\x80-\xff]*)?")
_REQUEST_LINE = re.compile(_TOKEN + rb" [\x21-\x7e]+ HTTP/1\.1")
_FIELD = re.compile(rb"(" + _TOKEN + rb"):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?\r\n")
_FOLD = re.compile(rb"\r\n[ \t]+")
_HEAD_END = re.compile(rb"\n\r?\n")
_NO_BODY = (204, 304)


@attrs.define
class Message:
    """A request or a response, as far as it came. ``fault`` says why it is no valid message."""

    start: bytes = b""
    fields: list[tuple[bytes, bytes]] = attrs.Factory(list)
    body: bytes = b""
    size: int = 0
    """How many bytes it took, the 1xx responses before it included."""
    complete: bool = False
    persistent: bool = False
    """Whether the connection may carry another exchange afterwards."""
    fault: str = ""
    dubious: str = ""
    """What a recipient may refuse or put up with, as the RFC leaves it the choice."""

    @property
    def valid(self) -> bool:
        return self.complete and not self.fault

    @property
    def status(self) -> int:
        """The status of a response; 0 before its head is complete."""
        return int(self.start[9:12] or 0)

    def values(self, name: bytes) -> list[bytes]:
        """The members of the comma-separated list under a name, in lower case."""
        found = [value for key, value in self.fields if key == name]
        return [part.strip().lower() for part in b",".join(found).split(b",")] if found else []


@attrs.define(eq=False)
class Exchange:
    """A request and what answers it. ``order`` is when it began, counted over all connections."""

    connection: int
    order: int
    request: Message
    response: Message = attrs.Factory(Message)
    raw: bytes = b""
    """All bytes that answer it."""
    spent: str = ""
    """Why the connection should not have carried it; empty where it could."""

    @property
    def method(self) -> str:
        return self.request.start.split(b" ")[0].decode()

    @property
    def target(self) -> str:
        return self.request.start.split(b" ")[1].decode()


class ConnectionReader:
    """Reads both directions of one connection."""

    def __init__(self, number: int = 1) -> None:
        self.exchanges: list[Exchange] = []
        self.unasked = b""
        """Bytes of the server that answer nothing."""
        self._number = number
        self._spent = ""
        self._requests = b""

    def request_bytes(self, data: bytes, order: int = 0) -> None:
        """Take what the client sent."""
        self._requests += data
        while self._requests:
            if not self.exchanges or self.exchanges[-1].request.complete:
                end = self._requests.find(b"\r\n\r\n")
                if end < 0:
                    return
                spent = self._spent or ("another request was not answered" if self._current() else "")
                request = _head(self._requests[: end + 4], _REQUEST_LINE)
                self.exchanges.append(Exchange(self._number, order, request, spent=spent))
                self._requests = self._requests[end + 4 :]
            request = self.exchanges[-1].request
            length = int((request.values(b"content-length") or [b"0"])[0])
            missing = length - len(request.body)
            request.body += self._requests[:missing]
            self._requests = self._requests[missing:]
            request.complete = len(request.body) == length

    def reply_bytes(self, data: bytes) -> None:
        """Take what the server sent."""
        exchange = self._current()
        if exchange is None or self._spent:
            self.unasked += data
            self._spent = self._spent or "bytes had come that no request asked for"
            return
        exchange.raw += data
        exchange.response = response = read_response(exchange.method, exchange.raw)
        self._spent = response.fault
        if response.complete:
            rest, exchange.raw = exchange.raw[response.size :], exchange.raw[: response.size]
            if not response.persistent:
                self._spent = "the response before had ended it"
            if rest:
                self.reply_bytes(rest)

    def end(self, *, reset: bool = False) -> None:
        """Take note that the server sends no more, or has reset the connection."""
        exchange = self._current()
        if exchange is not None and not self._spent:
            exchange.response = read_response(exchange.method, exchange.raw, ended=True)
            if reset:
                exchange.response.fault = exchange.response.fault or "the connection was reset within it"

    def _current(self) -> Exchange | None:
        waiting = (exchange for exchange in self.exchanges if not exchange.response.complete)
        return next(waiting, None)


def read_response(method: str, data: bytes, *, ended: bool = False) -> Message:
    """Return the final response at the beginning of ``data``, complete or not."""
    begin = 0
    while True:
        found = _HEAD_END.search(data, begin)
        if found is None:
            return Message(size=len(data), fault="the connection ended before the response" if ended else "")
        message = _head(data[begin : found.end()], _STATUS_LINE)
        begin = message.size = found.end()
        if message.fault or not 100 <= message.status < 200:
            break
        if message.status == 101:
            message.fault = "it changes the protocol, which nobody had asked for"
            break
    if not message.fault:
        _body(method, message, data[begin:], ended)
    if ended and not message.complete and not message.fault:
        message.fault = "the connection ended within the response"
    return message


def _head(data: bytes, start_line: re.Pattern[bytes]) -> Message:
    message = Message(size=len(data))
    unfolded = _FOLD.sub(b" ", data)
    if unfolded != data:
        message.dubious, data = "a header is folded", unfolded  # section 5.2: user agents unfold it
    message.start, *lines = data.removesuffix(b"\r\n\r\n").split(b"\r\n")
    if not data.endswith(b"\r\n\r\n") or b"\n" in b"".join((message.start, *lines)):
        message.dubious = "a line ends without CR"  # section 2.2: a recipient may put up with it
        message.start, *lines = [line.removesuffix(b"\r") for line in data.rstrip(b"\r\n").split(b"\n")]
    if not start_line.fullmatch(message.start):
        message.fault = "its first line is none"
        return message
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None:
            message.fault = "a header is none"
            return message
        message.fields.append((field[1].lower(), field[2]))
    return message


def _body(method: str, message: Message, data: bytes, ended: bool) -> None:
    """Find the end of the body (RFC 9112, section 6.3)."""
    codings, lengths = message.values(b"transfer-encoding"), set(message.values(b"content-length"))
    options = message.values(b"connection")
    old = message.start.startswith(b"HTTP/1.0")
    message.persistent = b"close" not in options and (not old or b"keep-alive" in options)
    if method == "HEAD" or message.status in _NO_BODY:
        message.complete = True
    elif codings:
        if codings != [b"chunked"]:
            message.fault = "its transfer coding is unknown"
        if lengths or old:  # sections 6.1 and 6.3: an error, or the last of its connection
            message.dubious, message.persistent = "its length is told by two rules", False
        if not message.fault:
            _chunks(message, data)
    elif lengths:
        [length, *others] = lengths
        if others or not length.isdigit():
            message.fault = "its length is none"
            return
        message.body = data[: int(length)]
        message.complete = len(message.body) == int(length)
        message.size += len(message.body)
    else:
        message.body, message.complete, message.persistent = data, ended, False
        message.size += len(data)


def _chunks(message: Message, data: bytes) -> None:
    at = 0
    while (end := data.find(b"\r\n", at)) >= 0:
        line = _CHUNK.fullmatch(data[at : end + 2])
        if line is None:
            message.fault = "the size of a chunk is none"
            return
        size, at = int(line[1], 16), end + 2
        if size == 0:
            trailers = data.find(b"\r\n\r\n", end)
            if trailers >= 0:
                message.complete = True
                message.size += trailers + 4
            return
        if len(data) < at + size + 2:
            return
        message.body += data[at : at + size]
        at += size
        if data[at : at + 2] != b"\r\n":
            message.fault = "a chunk is longer than its size"
            return
        at += 2
