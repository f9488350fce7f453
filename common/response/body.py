"""Reading a body without trusting its size: bounded as it arrives, and as it inflates."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterable

from common.model.errors import DecodeError

MAX_BODY = 16 * 1024 * 1024
"""How many bytes of a reply are read, inflated: 16 MiB."""
ACCEPT_ENCODING = "gzip, deflate"
"""What `read_bounded` can inflate."""

_WINDOW = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}


async def read_bounded(chunks: AsyncIterable[bytes], encoding: str, limit: int = MAX_BODY) -> bytes:
    """The whole body, inflated. Raises `DecodeError` once it passes ``limit`` bytes or cannot be inflated."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        inflate = None
    elif encoding in _WINDOW:
        inflate = _Inflate(_WINDOW[encoding])
    else:
        raise DecodeError(
            f"the reply is encoded as {encoding[:40]!r}, which was not asked for", transient=True
        )
    parts: list[bytes] = []
    left, received = limit, 0
    async for chunk in chunks:
        received += len(chunk)
        data = chunk if inflate is None else inflate(chunk, left + 1)
        left -= len(data)
        if left < 0 or received > limit:
            raise DecodeError(f"the reply is larger than {limit} bytes", transient=True)
        parts.append(data)
    if inflate is not None and not inflate.whole:
        raise DecodeError("the compressed reply ends early", transient=True)
    return b"".join(parts)


class _Inflate:
    """Inflates a stream, and never more of it than asked for. A gzip stream may have several members."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._stream = zlib.decompressobj(window)
        self._begun = False

    @property
    def whole(self) -> bool:
        """Whether the stream may end here: before its first byte, or behind its last."""
        return self._stream.eof or not self._begun

    def __call__(self, chunk: bytes, most: int) -> bytes:
        parts: list[bytes] = []
        while chunk and most > 0:
            if self._stream.eof:
                chunk = chunk.lstrip(b"\0")  # padding behind the last member, which gzip itself bears too
                if not chunk:
                    break
                self._stream = zlib.decompressobj(self._window)
            self._begun = True
            try:
                part = self._stream.decompress(chunk, most)
            except zlib.error:
                raise DecodeError(
                    "the reply says that it is compressed, but cannot be inflated", transient=True
                ) from None
            parts.append(part)
            most -= len(part)
            chunk = self._stream.unused_data
        return b"".join(parts)
