"""The thread that runs the portal's loop, and the futures of what runs in it, which can be interrupted.

What a signal handler does or raises happens between any two steps of the main thread, also within a method of
``concurrent.futures.Future`` that holds the future's lock. If a handler cancelled the future there, nobody
would wake the main thread; if it raised, the lock could stay locked, and the loop stop at it. So a
`PortalFuture` changes in the loop's thread alone, and who waits for it takes its lock only once it has ended.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from importlib import import_module
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import sniffio

from common.hosts.shared import close_shared
from common.model.async_only import AsyncContext
from common.set_module import set_module

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task

    from anyio.from_thread import BlockingPortal

_T = TypeVar("_T")


class PortalFuture(Future[_T]):
    """What a function that runs in the portal's loop will return, as a future for threads.

    Once the function has ended, ``result()`` returns its result or raises its exception. Where it was
    cancelled, or the last portal left, that is ``concurrent.futures.CancelledError``.
    """

    def __init__(self, loop: AbstractEventLoop, work: Callable[[], Any]) -> None:
        super().__init__()
        self._loop = loop
        self._work: list[Callable[[], Any]] = [work]
        self._scope: anyio.CancelScope | None = None
        self._ended = False
        self._at_end: list[Callable[[], object]] = []

    def cancel(self) -> bool:
        """Ask for cancellation, and return at once whether the function was still running.

        Safe in a signal handler and from any thread. The future is cancelled once the function has ended;
        if that ended otherwise, what it returned or raised counts.
        """
        if self._ended:
            return False
        with suppress(RuntimeError):  # the loop was closed, with all that ran in it
            self._loop.call_soon_threadsafe(self.cancel_now)
        return True

    def done(self) -> bool:
        """Return whether the function has ended."""
        # Callbacks run before the rest of `end`, and `asyncio.wrap_future` asks in them, from another thread.
        # Private, but `Future.done()` would take the future's lock, in which an interrupt may come.
        return self._ended or self._state not in ("PENDING", "RUNNING")

    def result(self, timeout: float | None = None) -> _T:
        """Return what the function does, after ``timeout`` seconds at most. Raise `TimeoutError`."""
        if not self.wait(timeout):
            raise TimeoutError
        return super().result()

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Return what the function raised, after ``timeout`` seconds at most. Raise `TimeoutError`."""
        if not self.wait(timeout):
            raise TimeoutError
        return super().exception()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end of the function, for ``timeout`` seconds at most; return whether it has ended."""
        if self.done() and _runs_here(self._loop):
            return True  # in a callback, which the loop's thread calls before it tells the end
        # A lock of this call alone, which the function's end releases: an interrupt leaves nothing locked.
        waiter = threading.Lock()
        waiter.acquire()
        self._at_end.append(waiter.release)
        seconds = -1 if timeout is None else min(max(timeout, 0), threading.TIMEOUT_MAX)
        ended = self._ended or waiter.acquire(timeout=seconds)
        with suppress(ValueError):
            self._at_end.remove(waiter.release)
        return ended

    async def ended(self) -> None:
        """Wait for the end of the function in a task of another event loop, which goes on meanwhile."""
        event = anyio.Event()
        schedule: Callable[[Callable[[], object]], object]
        if sniffio.current_async_library() == "trio":
            schedule = import_module("trio.lowlevel").current_trio_token().run_sync_soon
        else:
            import asyncio

            schedule = asyncio.get_running_loop().call_soon_threadsafe

        def wake() -> None:
            with suppress(RuntimeError):  # the loop has gone, and the task with it
                schedule(event.set)

        self._at_end.append(wake)
        if not self._ended:
            await event.wait()

    async def run(self) -> None:
        """Run the function in the loop."""
        if self._ended:
            return
        try:
            with anyio.CancelScope() as self._scope:
                # Taken out first: frames and reprs must not show its arguments, which may be secrets.
                self.set_result(await _outcome(self._work.pop()()))
        except (anyio.get_cancelled_exc_class(), GeneratorExit):
            raise
        except BaseException as error:
            # All of them: one that leaves a task of the loop would end the loop of everybody else.
            self.set_exception(error)
        finally:
            self.end()

    def end(self) -> None:
        """Tell those who wait that the function has ended: as cancelled, if it has brought nothing."""
        if self._ended:
            return
        if super().cancel():
            self.set_running_or_notify_cancel()
        self._ended = True
        self._work.clear()
        for call in self._at_end.copy():
            call()

    def cancel_now(self) -> None:
        """Cancel the function, which never runs if it has not begun. Called in the loop."""
        if self._scope is None:
            self.end()
        else:
            self._scope.cancel()


def _runs_here(loop: AbstractEventLoop) -> bool:
    import asyncio

    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


async def _outcome(value: Any) -> Any:
    # A source can be awaited too, which says that it is entered instead: here it is what was asked for.
    return await value if isawaitable(value) and not isinstance(value, AsyncContext) else value


class LoopThread:
    """A thread that runs an event loop until it is stopped."""

    def __init__(self) -> None:
        self._ready: Future[None] = Future()
        self._pending: set[PortalFuture[Any]] = set()
        self._tasks: dict[Task[None], PortalFuture[Any]] = {}
        # A daemon, so that a worker in a daemon thread, which never leaves its portal, delays no exit.
        self._thread = threading.Thread(target=self._run, name="jobsource-portal", daemon=True)
        self._thread.start()
        self._ready.result()

    def start(self, future: PortalFuture[Any]) -> None:
        """Begin to run the function of a future of this loop. Raise `RuntimeError` where that is closed."""
        # The caller's context variables, but for the one that says which library runs.
        context = copy_context()
        context.run(sniffio.current_async_library_cvar.set, "asyncio")
        self._pending.add(future)
        self.loop.call_soon_threadsafe(self._begin, future, context=context)

    @property
    def is_current(self) -> bool:
        """Whether the calling thread is this one."""
        return threading.current_thread() is self._thread

    def stop(self) -> None:
        """Cancel what runs in the loop, close its shared sources, and wait for the end of the thread."""
        self.loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def _begin(self, future: PortalFuture[Any]) -> None:
        if self._stopping.is_set():
            future.end()
        else:
            task = self.loop.create_task(future.run())
            self._tasks[task] = future
            task.add_done_callback(self._ended)

    def _ended(self, task: Task[None]) -> None:
        self._pending.discard(self._tasks.pop(task))

    def _run(self) -> None:
        try:
            anyio.run(self._serve, backend="asyncio")
        except BaseException as error:
            if self._ready.done():
                raise
            self._ready.set_exception(error)
        finally:
            for future in self._pending.copy():  # what came too late for the loop
                future.end()

    async def _serve(self) -> None:
        import asyncio

        from anyio.from_thread import BlockingPortal

        self.loop: AbstractEventLoop = asyncio.get_running_loop()
        self._stopping = anyio.Event()
        try:
            async with BlockingPortal() as portal:
                self.portal: BlockingPortal = portal
                self._ready.set_result(None)
                await self._stopping.wait()
                for future in self._tasks.values():
                    future.cancel_now()
                if self._tasks:
                    await asyncio.wait(self._tasks)
                await portal.stop(cancel_remaining=True)
        finally:
            await close_shared()


set_module(PortalFuture)
