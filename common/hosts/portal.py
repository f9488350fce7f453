"""One event loop in a thread of the process, for hosts that have none: scripts, and workers in threads.

Whoever enters `portal` shares it, counted, and with it the shared sources that live in its loop. Below is
anyio's ``BlockingPortal``; what is added is about being interrupted. A signal handler runs between any two
steps of the main thread, also within ``Future.result()`` and while that holds its lock. A future that a
handler cancelled there would end unnoticed, and the main thread wait for it for ever. So
`PortalFuture.cancel` changes nothing by itself: it has the loop's thread cancel the task, and the future ends
when the task does.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import Future, wait
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager, suppress
from functools import partial
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

import anyio
import sniffio

from common.hosts.shared import close_shared
from common.model.async_only import AsyncContext
from common.model.errors import UsageError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from anyio.from_thread import BlockingPortal

INTERRUPT_GRACE = 10.0
"""Seconds for which an interrupted call waits for what it has cancelled."""

_P = ParamSpec("_P")
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
        self._cancel_requested = False

    def cancel(self) -> bool:
        """Ask for cancellation, and return at once whether the function was still running.

        Safe in a signal handler and from any thread. The future is cancelled once the function has ended;
        if that ended otherwise, what it returned or raised counts.
        """
        if self.done():
            return False
        self._cancel_requested = True
        with suppress(RuntimeError):  # the loop was closed, with all that ran in it
            self._loop.call_soon_threadsafe(self._cancel_now)
        return True

    def _cancel_now(self) -> None:
        if self._scope is not None:
            self._scope.cancel()

    async def run(self) -> None:
        """Run the function in the loop."""
        try:
            with anyio.CancelScope() as self._scope:
                if self._cancel_requested:
                    self._scope.cancel()
                # Taken out first: frames and reprs must not show its arguments, which may be secrets.
                self.set_result(await _outcome(self._work.pop()()))
                return
            self.end_cancelled()
        except (anyio.get_cancelled_exc_class(), GeneratorExit):
            self.end_cancelled()
            raise
        except BaseException as error:
            # All of them: one that leaves a task of the loop would end the loop of everybody else.
            self.set_exception(error)

    def end_cancelled(self) -> None:
        """End as cancelled: nothing of the function runs any more."""
        super().cancel()
        self.set_running_or_notify_cancel()


async def _outcome(value: Any) -> Any:
    # A source can be awaited too, which says that it is entered instead: here it is what was asked for.
    return await value if isawaitable(value) and not isinstance(value, AsyncContext) else value


class _LoopThread:
    """A thread that runs an event loop until it is stopped."""

    def __init__(self) -> None:
        self._ready: Future[tuple[BlockingPortal, AbstractEventLoop]] = Future()
        # A daemon, so that a worker in a daemon thread, which never leaves its portal, delays no exit.
        self._thread = threading.Thread(target=self._run, name="jobsource-portal", daemon=True)
        self._thread.start()
        self.portal, self.loop = self._ready.result()

    @property
    def is_current(self) -> bool:
        """Whether the calling thread is this one."""
        return threading.current_thread() is self._thread

    def stop(self) -> None:
        """Cancel what runs in the loop, close its shared sources, and wait for the end of the thread."""
        self.loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            anyio.run(self._serve, backend="asyncio")
        except BaseException as error:
            if not self._ready.done():
                self._ready.set_exception(error)
                return
            raise

    async def _serve(self) -> None:
        import asyncio

        from anyio.from_thread import BlockingPortal

        self._stopping = anyio.Event()
        try:
            async with BlockingPortal() as portal:
                self._ready.set_result((portal, asyncio.get_running_loop()))
                await self._stopping.wait()
                await portal.stop(cancel_remaining=True)
        finally:
            await close_shared()


class Portal:
    """The way into the loop of `portal`, for any thread without a running event loop."""

    def __init__(self, thread: _LoopThread) -> None:
        self._thread = thread
        self._process = os.getpid()

    @overload
    def call(self, function: Callable[_P, Awaitable[_T]], /, *args: _P.args, **kwargs: _P.kwargs) -> _T: ...
    @overload
    def call(self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T: ...
    def call(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call a function in the loop, await what it returns if that can be awaited, and return the result.

        Where the waiting thread is interrupted, by ``KeyboardInterrupt`` or what else a signal handler
        raises, the call is cancelled, and that is raised once it has ended, after 10 seconds at most. Raise
        `UsageError` in a thread in which an event loop runs, the portal's own included: await it there.
        """
        _refuse_event_loop("portal.call()")
        future = self._future(partial(function, *args, **kwargs))
        del function, args, kwargs  # error trackers record every local
        try:
            self._submit(future)
            return future.result()
        except BaseException:
            if future.cancel():
                wait([future], INTERRUPT_GRACE)
            raise

    @overload
    def start(
        self, function: Callable[_P, Awaitable[_T]], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> PortalFuture[_T]: ...
    @overload
    def start(
        self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> PortalFuture[_T]: ...
    def start(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> PortalFuture[Any]:
        """Begin to run a function in the loop, and return its future, which can be cancelled.

        From another event loop, await it by ``asyncio.wrap_future``. Raise `UsageError` in the portal's loop.
        """
        if self._thread.is_current:
            _refuse_event_loop("portal.start()")
        future = self._future(partial(function, *args, **kwargs))
        del function, args, kwargs
        self._submit(future)
        return future

    def enter(self, manager: AbstractAsyncContextManager[_T]) -> AbstractContextManager[_T]:
        """Return an async context manager as one for ``with``, entered and left in the loop.

        ``with portal.enter(shared_source(…)) as source:`` is for as many calls as there are in its block.
        """
        _refuse_event_loop("portal.enter()")
        self._check_process()
        return self._thread.portal.wrap_async_context_manager(manager)

    def _future(self, work: Callable[[], Any]) -> PortalFuture[Any]:
        self._check_process()
        return PortalFuture(self._thread.loop, work)

    def _submit(self, future: PortalFuture[Any]) -> None:
        try:
            self._thread.portal.start_task_soon(future.run)
        except RuntimeError:
            future.end_cancelled()
            raise UsageError("the portal was left: call within its with-block") from None

    @property
    def is_of_this_process(self) -> bool:
        """Whether it was entered here, and not in a process that this one was forked from."""
        return os.getpid() == self._process

    def _check_process(self) -> None:
        if not self.is_of_this_process:
            raise UsageError("the portal is of the process that this one was forked from: call portal() here")


class _SharedThread:
    """The one loop thread of this process, while anybody is in."""

    def __init__(self) -> None:
        self.begin_anew()

    def begin_anew(self) -> None:
        """Know of no thread: a forked child has no copy of it, and perhaps one of a lock that is held."""
        # Held while the thread is started or stopped, so that there is only ever one.
        self._lock = threading.Lock()
        self._thread: _LoopThread | None = None
        self._users = 0

    def join(self) -> _LoopThread:
        """Return the thread, for one more user."""
        with self._lock:
            if self._thread is None:
                self._thread = _LoopThread()
            self._users += 1
            return self._thread

    def leave(self) -> None:
        """Stop the thread after its last user."""
        with self._lock:
            self._users -= 1
            if not self._users and self._thread is not None:
                thread, self._thread = self._thread, None
                thread.stop()


_shared_thread = _SharedThread()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_shared_thread.begin_anew)


@contextmanager
def portal() -> Generator[Portal]:
    """Enter the event loop of the process, which runs in a thread of its own while anybody is in it.

    For threads without a loop: ``with portal() as p, p.enter(shared_source(target)) as source:`` and within
    that ``p.call(source.wait, ref, timeout=60)``. All that enter it, nested or in several threads, share one
    loop. The last to leave ends what still runs there, closes its shared sources, and waits for both. A
    forked child makes its own.

    Raise `UsageError` where an event loop runs in this thread: it would stand still.
    """
    _refuse_event_loop("portal()")
    entered = Portal(_shared_thread.join())
    try:
        yield entered
    finally:
        if entered.is_of_this_process:
            _shared_thread.leave()


def _refuse_event_loop(what: str) -> None:
    import asyncio

    try:
        asyncio.get_running_loop()  # also where no task runs, of which sniffio knows nothing
    except RuntimeError:
        try:
            sniffio.current_async_library()
        except sniffio.AsyncLibraryNotFoundError:
            return
    raise UsageError(f"{what} would block the event loop that runs in this thread: await instead")
