"""What `ApiClient` asks of an HTTP library: one request out, and a whole reply back or why there is none."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping
from typing import Protocol

import attrs

from common.model.errors import DecodeError
from common.response.body import read_bounded
from common.response.http_response import Reply


@attrs.frozen(repr=False)
class Outgoing:
    """One request as it goes out, signed. ``url`` is percent-encoded, and sent as it is.

    ``bare``: with no secrets but those in ``headers``, whatever the caller's own client adds by itself.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    content: bytes | None = None
    signature: Mapping[str, str] = attrs.field(factory=dict[str, str])
    """The headers among ``headers`` that say who asks."""
    bare: bool = False

    def signed(self, signature: Mapping[str, str]) -> Outgoing:
        """The same request with the headers of who asks."""
        return Outgoing(self.method, self.url, {**self.headers, **signature}, self.content, signature)


@attrs.frozen(repr=False)
class Answer:
    """A reply, and the headers it is the reply to, whoever put them there."""

    reply: Reply
    sent: Mapping[str, str]


@attrs.frozen(repr=False)
class Failed:
    """No whole reply. ``sent``: the server may have it. ``dropped``: a connection that was there broke."""

    error: Exception
    sent: bool = True
    dropped: bool = False
    closed: bool = False
    """The client was closed meanwhile."""


class Exchanger(Protocol):
    """An HTTP library's client and its connections, which cannot be carried to another event loop."""

    @property
    def is_here(self) -> bool:
        """Whether it is the running event loop's."""
        ...

    @property
    def is_closed(self) -> bool:
        """Whether it can send nothing more."""
        ...

    async def exchange(self, request: Outgoing) -> Answer | Failed:
        """Send a request and read the reply, within bounds. Raises `DecodeError` for what is past them.

        What the library raises is returned: as a context of ours its exception would carry the request,
        and with it the credentials, into every log that prints the chain.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections, unless they are the caller's."""
        ...


async def read_reply(status: int, raw: Iterable[tuple[bytes, bytes]], chunks: AsyncIterable[bytes]) -> Reply:
    """A whole reply. Raises `DecodeError` where its body can't be read, unless the status says no already."""
    headers = header_texts(raw)
    encoding = ", ".join([value for name, value in headers if name == "content-encoding"])
    try:
        return Reply(status, headers, await read_bounded(chunks, encoding))
    except DecodeError:
        if status < 400:
            raise
        return Reply(status, headers)


def header_texts(raw: Iterable[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    """Headers as a `Reply` has them: names in lower case, values as text whatever bytes are in them."""
    return tuple((name.decode("latin-1").lower(), _text(value)) for name, value in raw)


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
