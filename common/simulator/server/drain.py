"""Which requests of a server still get their answer: all until it stops, then none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from common.simulator.messages import Response, Scope, text_response

if TYPE_CHECKING:
    from common.simulator.server.asgi import Handle

STOPPED = text_response(503, "the simulator has stopped").adding({"Connection": "close"})
"""What a request gets whose answer is outstanding when the server stops."""


class Gate:
    """Lets requests through to the simulator until it is closed; then it cuts those inside."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._inside: set[anyio.CancelScope] = set()
        self._closed = False

    async def __call__(self, scope: Scope, body: bytes) -> Response:
        """Answer a request."""
        if self._closed:
            return STOPPED
        with anyio.CancelScope() as cut:
            self._inside.add(cut)
            try:
                return await self._handle(scope, body)
            finally:
                self._inside.discard(cut)
        return STOPPED

    def close(self) -> None:
        """Cut the requests inside, and let no more in."""
        self._closed = True
        for cut in self._inside:
            cut.cancel()
