"""Decode large responses in a thread, so that no response holds the event loop for long.

A list of 30,000 jobs takes some 0.4 s to decode. In a thread it takes as long, but the event loop gets its
turn every few milliseconds (see `common.response.large_json`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import anyio.to_thread

from common.model.errors import DecodeError
from common.response.http_response import HttpResponse
from common.response.large_json import LARGE

_T = TypeVar("_T")


async def decode(response: HttpResponse, function: Callable[[], _T], request: str = "") -> _T:
    """Return what ``function``, which decodes this response, returns; from a thread where that is large.

    A `DecodeError` begins with ``request``, since its path does not say which response it is about. If the
    caller is cancelled meanwhile, the thread goes on to its end, and its result is lost.
    """
    try:
        if len(response.body) <= LARGE:
            return function()
        return await anyio.to_thread.run_sync(function, abandon_on_cancel=True)
    except DecodeError as error:
        if request:
            error.args = (f"{request}: {error}",)
        raise
