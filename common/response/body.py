"""Read a body of unknown size up to a limit, both as it arrives and as it is inflated."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterable, Iterator

import anyio.lowlevel

from common.model.errors import DecodeError

MAX_BODY = 16 * 1024 * 1024
"""The limit in bytes of a body, inflated: 16 MiB."""
PART = 1024 * 1024
"""Bytes that are inflated before other tasks get their turn: 1 MiB, which takes a few milliseconds."""
ACCEPT_ENCODING = "gzip, deflate"
"""The content encodings that `read_bounded` can inflate."""

_OTHERS = frozenset({"br", "compress", "dcb", "dcz", "exi", "x-compress", "zstd"})
"""Content encodings that are registered (IANA, "HTTP Content Coding Registry"), but not accepted here."""
_WINDOW = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}


async def read_bounded(chunks: AsyncIterable[bytes], encoding: str, limit: int = MAX_BODY) -> bytes:
    """Return the whole body, inflated. Raise `DecodeError` above ``limit`` bytes, or if inflating fails.

    The limit applies to the bytes received as well. The error is transient: such a body is not the API's.
    """
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        inflate = None
    elif encoding in _WINDOW:
        inflate = _Inflate(_WINDOW[encoding])
    else:
        # Only registered names are quoted: a server may repeat in any header what it was sent.
        name = encoding if encoding in _OTHERS else "an unknown encoding"
        raise DecodeError(f"the response is encoded as {name}, which was not accepted", transient=True)
    parts: list[bytes] = []
    left, received = limit, 0
    async for chunk in chunks:
        received += len(chunk)
        for part in (chunk,) if inflate is None else inflate.parts(chunk, left + 1):
            left -= len(part)
            if left < 0 or received > limit:
                raise DecodeError(f"the response is larger than {limit} bytes", transient=True)
            parts.append(part)
            if len(part) >= PART:
                await anyio.lowlevel.checkpoint()  # a few bytes may inflate to many
    if inflate is not None and not inflate.complete:
        raise DecodeError("the compressed response ends early", transient=True)
    return b"".join(parts)


class _Inflate:
    """Inflates a stream up to a limit. A gzip stream may have several members (RFC 1952, section 2.2)."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._stream = zlib.decompressobj(window)
        self._begun = False

    @property
    def complete(self) -> bool:
        """Whether the stream may end here: before its first byte, or after a whole member."""
        return self._stream.eof or not self._begun

    def parts(self, chunk: bytes, limit: int) -> Iterator[bytes]:
        """Return at most ``limit`` bytes of what a chunk inflates to, in parts of at most `PART` bytes.

        Raise `DecodeError` for what cannot be inflated.
        """
        while chunk and limit > 0:
            if self._stream.eof:
                chunk = chunk.lstrip(b"\0")  # padding after the last member, which gzip accepts too
                if not chunk:
                    return
                self._stream = zlib.decompressobj(self._window)
            self._begun = True
            try:
                part = self._stream.decompress(chunk, min(PART, limit))
            except zlib.error:
                raise DecodeError(
                    "the response is declared as compressed, but cannot be inflated", transient=True
                ) from None
            yield part
            limit -= len(part)
            chunk = self._stream.unconsumed_tail or self._stream.unused_data
