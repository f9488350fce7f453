"""What `ApiClient` asks of an HTTP library: one request out, and a whole reply back or why there is none."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping
from typing import Protocol

import attrs

from common.model.errors import DecodeError
from common.response.body import read_bounded
from common.response.http_response import HttpResponse


@attrs.frozen(repr=False)
class HttpRequest:
    """One request as it goes out, signed. ``url`` is percent-encoded, and sent as it is.

    ``bare``: with no secrets but those in ``headers``, whatever the caller's own client adds by itself.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    content: bytes | None = None
    signature: Mapping[str, str] = attrs.field(factory=dict[str, str])
    """The headers among ``headers`` that say who asks."""
    unauthenticated: bool = False

    def signed(self, signature: Mapping[str, str]) -> HttpRequest:
        """The same request with the headers of who asks."""
        return HttpRequest(self.method, self.url, {**self.headers, **signature}, self.content, signature)


@attrs.frozen(repr=False)
class HttpResult:
    """A reply, and the headers it is the reply to, whoever put them there."""

    response: HttpResponse
    sent: Mapping[str, str]


@attrs.frozen(repr=False)
class HttpFailure:
    """No whole reply. ``sent``: the server may have it. ``dropped``: a connection that was there broke."""

    error: Exception
    sent: bool = True
    dropped: bool = False
    closed: bool = False
    """The client was closed meanwhile."""


class HttpBackend(Protocol):
    """An HTTP library's client and its connections, which cannot be carried to another event loop."""

    @property
    def on_current_loop(self) -> bool:
        """Whether it is the running event loop's."""
        ...

    async def send(self, request: HttpRequest) -> HttpResult | HttpFailure:
        """Send a request and read the reply, within bounds. Raises `DecodeError` for what is past them.

        What the library raises is returned: as a context of ours its exception would carry the request,
        and with it the credentials, into every log that prints the chain.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections, unless they are the caller's."""
        ...


async def read_response(
    status: int, raw: Iterable[tuple[bytes, bytes]], chunks: AsyncIterable[bytes]
) -> HttpResponse:
    """A whole reply. Raises `DecodeError` where its body can't be read, unless the status says no already."""
    headers = header_texts(raw)
    encoding = ", ".join([value for name, value in headers if name == "content-encoding"])
    try:
        return HttpResponse(status, headers, await read_bounded(chunks, encoding))
    except DecodeError:
        if status < 400:
            raise
        return HttpResponse(status, headers)


def header_texts(raw: Iterable[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    """Headers as a `Reply` has them: names in lower case, values as text whatever bytes are in them."""
    return tuple((name.decode("latin-1").lower(), _text(value)) for name, value in raw)


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
