"""How a simulator on a trio loop is served: by a server on an asyncio loop, in a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from common.simulator.messages import HttpScope, Response
from common.simulator.server.asgi import Handle
from common.simulator.server.drain import STOPPED

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

Serve = Callable[[Handle], AbstractAsyncContextManager[None]]
ResponseFuture = asyncio.Future[Response]


class ThreadedServer:
    """Runs a server on an asyncio loop in a thread, and answers its requests in tasks on the trio loop.

    So the simulator's state and its clock stay on one loop, and no request holds a thread while it
    waits.
    """

    def __init__(self, handle: Handle, group: TaskGroup) -> None:
        self.ready: anyio.Event = anyio.Event()
        self._handle = handle
        self._group = group
        self._trio: Any = import_module("trio.lowlevel").current_trio_token()
        self._server_loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._stopped = False

    async def run(self, serve: Serve) -> None:
        """Serve in a thread until `stop`; cannot be cancelled before."""
        limiter = anyio.CapacityLimiter(1)
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(asyncio.run, self._serve(serve), limiter=limiter)

    def stop(self) -> None:
        """Tell the server to end, or not to begin."""
        self._stopped = True
        if self._server_loop is not None:
            with suppress(RuntimeError):  # the server failed, and its loop is closed
                self._server_loop.call_soon_threadsafe(self._stop.set)

    async def _serve(self, serve: Serve) -> None:
        self._server_loop = asyncio.get_running_loop()
        if self._stopped:
            return
        async with serve(self._forward):
            self._trio.run_sync_soon(self.ready.set)
            await self._stop.wait()

    async def _forward(self, scope: HttpScope, body: bytes) -> Response:
        """Hand a request over to the trio loop, and wait on this one for the response."""
        loop = asyncio.get_running_loop()
        future: ResponseFuture = loop.create_future()
        self._trio.run_sync_soon(self._group.start_soon, self._answer, loop, future, scope, body)
        return await future

    async def _answer(
        self, loop: asyncio.AbstractEventLoop, future: ResponseFuture, scope: HttpScope, body: bytes
    ) -> None:
        try:
            response = await self._handle(scope, body)
        except Exception as error:  # the server reports it, as it would on its own loop
            loop.call_soon_threadsafe(_settle, future, error)
        except BaseException:
            loop.call_soon_threadsafe(_settle, future, STOPPED)
            raise
        else:
            loop.call_soon_threadsafe(_settle, future, response)


def _settle(future: ResponseFuture, outcome: Response | Exception) -> None:
    if future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
