"""What becomes of unanswered requests when a server stops: they get a 503, and so do later ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from common.simulator.messages import HttpScope, Response, text_response

if TYPE_CHECKING:
    from common.simulator.server.asgi import Handle

STOPPED = text_response(503, "the simulator has stopped").adding({"Connection": "close"})
"""The response to a request that is unanswered when the server stops."""


class Drain:
    """Passes requests on to the simulator until it is closed; then it cancels those under way."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._active: set[anyio.CancelScope] = set()
        self._closed = False

    async def __call__(self, scope: HttpScope, body: bytes) -> Response:
        """Return the simulator's response, or `STOPPED` once closed."""
        if self._closed:
            return STOPPED
        with anyio.CancelScope() as cancel_scope:
            self._active.add(cancel_scope)
            try:
                return await self._handle(scope, body)
            finally:
                self._active.discard(cancel_scope)
        return STOPPED

    def close(self) -> None:
        """Cancel the requests under way, and pass on no more."""
        self._closed = True
        for cancel_scope in self._active:
            cancel_scope.cancel()
