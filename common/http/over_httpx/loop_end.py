"""Close a client with the event loop that it was used on, where nobody has closed it before.

The connections of an asyncio loop cannot be closed once the loop is, and uvloop complains of those that are
open then. What a loop does before it ends is to close the asynchronous generators that were begun on it:
`asyncio.run` and trio both see to that (PEP 525, "Finalization"). So each loop gets one that closes the
clients which are left.
"""

from __future__ import annotations

import weakref
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

from anyio.lowlevel import RunVar, current_token

from common.http.over_httpx.pools import sockets_below

_Left = tuple[set[Any], AsyncGenerator[None, None]]
"""The clients that a loop is to close, and the generator that does it."""
_left: RunVar[_Left | None] = RunVar("jobsource clients left by their sources")
"""None once the generator has ended: it refers to the loop, which its own variable would keep for good."""


class ClosedWithLoop:
    """Closes a client with `aclose`, when this object is garbage, or when the running loop ends.

    The last of these applies from `attach` on.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._loop = current_token().native_token
        self._finalizer: weakref.finalize[..., ClosedWithLoop] | None = None

    async def attach(self) -> None:
        """Let the client be closed with the running loop. Any call but the first does nothing."""
        if self._finalizer is None:
            clients, _ = await _left_on_running_loop()
            clients.add(self._client)
            self._finalizer = weakref.finalize(self, _drop, self._client, clients, self._loop)
            self._finalizer.atexit = False

    async def aclose(self) -> None:
        """Close the client now."""
        if self._finalizer is not None and self._finalizer.detach():
            clients, generator = await _left_on_running_loop()
            clients.discard(self._client)
            if not clients:
                with suppress(RuntimeError):  # the loop ends at this moment, and closes it
                    await generator.aclose()
        await self._client.aclose()


async def _left_on_running_loop() -> _Left:
    found = _left.get(None)
    if found is None:
        clients: set[Any] = set()
        found = clients, _closing(clients)
        _left.set(found)
        await anext(found[1])
    return found


async def _closing(clients: set[Any]) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        while clients:
            with suppress(Exception):
                await clients.pop().aclose()
        _left.set(None)


def _drop(client: Any, clients: set[Any], loop: Any) -> None:
    """Close what is left of a client, in whatever thread, with its loop running or not."""
    clients.discard(client)
    call_soon = getattr(loop, "run_sync_soon", None) or loop.call_soon_threadsafe  # trio's, or asyncio's
    try:
        call_soon(_abort, client)
    except RuntimeError:  # the loop has ended
        for sock in sockets_below(client):
            connection_lost = getattr(sock, "_call_connection_lost", None)
            if connection_lost is not None:
                connection_lost(None)  # which a transport's ``abort()`` would ask its loop to call


def _abort(client: Any) -> None:
    for sock in sockets_below(client):
        with suppress(Exception):  # in a callback of trio's it would end the program
            getattr(sock, "abort", sock.close)()
