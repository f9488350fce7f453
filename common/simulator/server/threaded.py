"""How a server in a thread of its own reaches a simulator that lives on a trio loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import trio.lowlevel

from common.simulator.messages import Response, Scope
from common.simulator.server.asgi import Handle
from common.simulator.server.drain import STOPPED

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

Serve = Callable[[Handle], AbstractAsyncContextManager[None]]
Reply = asyncio.Future[Response]


class Bridge:
    """Runs a server on an asyncio loop in a thread, and answers its requests in tasks on this loop.

    So the simulator's state and its clock stay on one loop, and no request holds a thread while it
    waits.
    """

    def __init__(self, handle: Handle, group: TaskGroup) -> None:
        self.ready: anyio.Event = anyio.Event()
        self._handle = handle
        self._group = group
        self._home = trio.lowlevel.current_trio_token()
        self._far: asyncio.AbstractEventLoop | None = None
        self._over = asyncio.Event()
        self._stopped = False

    async def run(self, serve: Serve) -> None:
        """Serve in a thread until `stop`; cannot be cancelled before."""
        limiter = anyio.CapacityLimiter(1)
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(asyncio.run, self._serve(serve), limiter=limiter)

    def stop(self) -> None:
        """Tell the server to end, or not to begin."""
        self._stopped = True
        if self._far is not None:
            with suppress(RuntimeError):  # the server failed, and its loop is closed
                self._far.call_soon_threadsafe(self._over.set)

    async def _serve(self, serve: Serve) -> None:
        self._far = asyncio.get_running_loop()
        if self._stopped:
            return
        async with serve(self._ask):
            self._home.run_sync_soon(self.ready.set)
            await self._over.wait()

    async def _ask(self, scope: Scope, body: bytes) -> Response:
        """Hand a request over to the home loop, and wait on this one for the answer."""
        far = asyncio.get_running_loop()
        reply: Reply = far.create_future()
        self._home.run_sync_soon(self._group.start_soon, self._answer, far, reply, scope, body)
        return await reply

    async def _answer(self, far: asyncio.AbstractEventLoop, reply: Reply, scope: Scope, body: bytes) -> None:
        try:
            response = await self._handle(scope, body)
        except Exception as exc:  # the server reports it, as it would on its own loop
            far.call_soon_threadsafe(_settle, reply, exc)
        except BaseException:
            far.call_soon_threadsafe(_settle, reply, STOPPED)
            raise
        else:
            far.call_soon_threadsafe(_settle, reply, response)


def _settle(reply: Reply, outcome: Response | Exception) -> None:
    if reply.done():
        return
    if isinstance(outcome, Exception):
        reply.set_exception(outcome)
    else:
        reply.set_result(outcome)
