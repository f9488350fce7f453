"""The interface to an HTTP library: one request out, and a complete response or the reason for none back."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping
from typing import Protocol

import attrs

from common.model.errors import DecodeError
from common.response.body import read_bounded
from common.response.http_response import HttpResponse
from common.response.redaction import secrets_in

STEP = 64
"""How many parts of a response, or KiB of it, are read before other tasks get their turn."""

HEAD_PART = 4096
"""Bytes of a response's head that are parsed at a time; most heads are shorter."""
MAX_HEAD_LINES = 1000
"""The limit in lines of a response's head, including the 1xx responses before it."""


@attrs.define(repr=False, eq=False)
class HttpRequest:
    """One request as it is sent. ``url`` is percent-encoded already."""

    method: str
    url: str
    headers: Mapping[str, str]
    content: bytes | None = None
    auth_headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    """Those of ``headers`` that authenticate the request."""
    unauthenticated: bool = False
    """Whether no secrets but those in ``headers`` may be sent, such as headers of the caller's own client."""
    library_headers: list[Mapping[str, str]] = attrs.field(factory=list[Mapping[str, str]], init=False)
    """The headers that an HTTP library really sends; a backend adds them before it does.

    An ``httpx.Auth`` sets secrets that are known nowhere else, and an exception may quote them too.
    """

    @property
    def secrets(self) -> set[str]:
        """The secrets in its headers, as far as they are recognised by their names."""
        return set().union(*map(secrets_in, (self.headers, *self.library_headers)))


@attrs.frozen(eq=False, repr=False)
class HttpResult:
    """A response, and the headers of its request, those that the HTTP library added included."""

    response: HttpResponse
    sent_headers: Mapping[str, str]


@attrs.frozen(eq=False, repr=False)
class HttpFailure:
    """The reason for no complete response."""

    error: Exception
    sent: bool = True
    """Whether the server may have received the request."""
    dropped: bool = False
    """Whether a connection that was open broke."""
    closed: bool = False
    """Whether the client was closed in the meantime."""


class StepBudget:
    """How much of one response is read before other tasks get their turn."""

    def __init__(self) -> None:
        self._left = STEP

    def spend(self, size: int) -> bool:
        """Count a part of this many bytes. Return whether a checkpoint is due."""
        self._left -= 1 + size // 1024
        if self._left > 0:
            return False
        self._left = STEP
        return True


class HeadTooLong(ConnectionError):
    """The head of a response has too many lines, including the 1xx responses before it."""


class HeadLimit:
    """Limits the lines of a head, and of the 1xx responses before it, since parsing them holds the loop.

    h11 takes 2 to 30 µs a line, and parses all that it is given without a break: it is given small parts
    (`HEAD_PART`).
    """

    def __init__(self) -> None:
        self._part = b""
        self._lines = 0

    @property
    def begun(self) -> bool:
        """Whether a part was fed."""
        return bool(self._part)

    def feed(self, part: bytes) -> None:
        """Take the next part of the head. Raise `HeadTooLong`.

        Counted are the lines of the part before, which did not end the head; this part may end it.
        """
        self._lines += self._part.count(b"\n")
        if self._lines > MAX_HEAD_LINES:
            raise HeadTooLong(f"more than {MAX_HEAD_LINES} lines came before the body of a response")
        self._part = part


class TlsMismatch(ConnectionError):
    """One side speaks TLS and the other does not, as the first byte that was received shows."""


class HttpBackend(Protocol):
    """An HTTP library's client and its connections, which belong to one event loop.

    There are two implementations; `common.http.direct.h11_backend` says why.
    """

    @property
    def on_current_loop(self) -> bool:
        """Whether it belongs to the running event loop."""
        ...

    async def send(self, request: HttpRequest) -> HttpResult | HttpFailure:
        """Send a request and read the response. Raise `DecodeError` for a body that cannot be read.

        Exceptions of the library are returned, not raised: as the context of ours they would carry the
        request, and with it the credentials, into every log that prints the chain.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections, unless they are the caller's."""
        ...


async def read_response(
    status: int, headers: tuple[tuple[str, str], ...], chunks: AsyncIterable[bytes]
) -> HttpResponse:
    """Return a complete response. Raise `DecodeError` where its body cannot be read.

    ``headers`` are those of `header_texts`. With a status of 400 or more, an unreadable body is left out
    instead, since the status says enough.
    """
    encoding = ", ".join([value for name, value in headers if name == "content-encoding"])
    try:
        return HttpResponse(status, headers, await read_bounded(chunks, encoding))
    except DecodeError:
        if status < 400:
            raise
        return HttpResponse(status, headers)


def length_disputed(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether headers, their names in lower case, state the length of a body in two ways.

    The two may disagree about where the response ends (RFC 9112, section 6.3), so the connection must not be
    used again.
    """
    names = {name for name, _ in headers}
    return b"transfer-encoding" in names and b"content-length" in names


def header_texts(raw: Iterable[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    """Return headers as `HttpResponse` has them: names in lower case, values as text."""
    return tuple((name.decode("latin-1").lower(), _text(value)) for name, value in raw)


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
