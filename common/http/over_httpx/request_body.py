"""The body of a request of httpx, without a generator.

httpx's own is a generator, which is left to the garbage collector when a request is cancelled while its body
is sent. On trio that is a ResourceWarning, about code that the user has never seen.
"""

from __future__ import annotations

from functools import cache
from types import ModuleType
from typing import Any, Self


def request_body(library: ModuleType, content: bytes | None) -> Any:
    """Return a stream of these bytes, as a request of httpx or httpx2 holds it."""
    return _stream_class(library)(content)


class _Body:
    def __init__(self, content: bytes | None) -> None:
        self._content = content

    def __aiter__(self) -> _Chunks:
        return _Chunks(self._content)


class _Chunks:
    def __init__(self, content: bytes | None) -> None:
        self._content = content

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        content, self._content = self._content, None
        if not content:
            raise StopAsyncIteration
        return content


@cache
def _stream_class(library: ModuleType) -> Any:
    return type("Body", (_Body, library.AsyncByteStream), {})
