"""One event loop in a thread of the process, for hosts that have none: scripts, and workers in threads.

Whoever enters `portal` shares it, counted, and with it the shared sources that live in its loop. Below is
anyio's ``BlockingPortal``.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from functools import partial
from typing import Any, ParamSpec, TypeVar, overload

import sniffio

from common.concurrency import finish
from common.hosts.loop_thread import LoopThread, PortalFuture
from common.model.errors import UsageError
from common.set_module import set_module

INTERRUPT_GRACE = 10.0
"""Seconds for which an interrupted call waits for what it has cancelled."""

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Portal:
    """The way into the loop of `portal`, for any thread without a running event loop."""

    def __init__(self, thread: LoopThread) -> None:
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
            self._start(future)
            return future.result()
        except BaseException:
            if future.cancel():
                future.wait(INTERRUPT_GRACE)
            raise

    @overload
    async def acall(
        self, function: Callable[_P, Awaitable[_T]], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> _T: ...
    @overload
    async def acall(self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T: ...
    async def acall(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call a function in the portal's loop, from a task of another event loop, which is not blocked.

        If the task is cancelled, the call is cancelled too, and is awaited first. Raise `UsageError` in the
        portal's loop.
        """
        future = self.start(function, *args, **kwargs)
        del function, args, kwargs
        try:
            await future.ended()
        except BaseException as error:
            if future.cancel() and not isinstance(error, GeneratorExit):
                await finish(future.ended)
            raise
        return future.result()

    @overload
    def start(
        self, function: Callable[_P, Awaitable[_T]], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> PortalFuture[_T]: ...
    @overload
    def start(
        self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> PortalFuture[_T]: ...
    def start(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> PortalFuture[Any]:
        """Start a function in the portal's loop, and return its future, which can be cancelled.

        In a task of another event loop, use `acall`. Raise `UsageError` in the portal's loop.
        """
        if self._thread.is_current:
            _refuse_event_loop("portal.start()")
        future = self._future(partial(function, *args, **kwargs))
        del function, args, kwargs
        self._start(future)
        return future

    def enter(self, manager: AbstractAsyncContextManager[_T]) -> AbstractContextManager[_T]:
        """Return a ``with`` block's context manager for an async one, which runs in the portal's loop.

        For example: ``with portal.enter(shared_source(…)) as source:``.
        """
        _refuse_event_loop("portal.enter()")
        self._check_process()
        return self._thread.portal.wrap_async_context_manager(manager)

    def _future(self, work: Callable[[], Any]) -> PortalFuture[Any]:
        self._check_process()
        return PortalFuture(self._thread.loop, work)

    def _start(self, future: PortalFuture[Any]) -> None:
        try:
            self._thread.start(future)
        except RuntimeError:
            future.end()
            raise UsageError("the portal is closed: call it inside its 'with' block") from None

    @property
    def is_of_this_process(self) -> bool:
        """Whether the portal was entered in this process, not in its parent."""
        return os.getpid() == self._process

    def _check_process(self) -> None:
        if not self.is_of_this_process:
            raise UsageError("the portal belongs to the parent process: call portal() in this process")


class _SharedThread:
    """The one loop thread of this process, while anybody is in."""

    def __init__(self) -> None:
        self.begin_anew()

    def begin_anew(self) -> None:
        """Know of no thread: a forked child has no copy of it, and perhaps one of a lock that is held."""
        # Held while the thread is started or stopped, so that there is only ever one.
        self._lock = threading.Lock()
        self._thread: LoopThread | None = None
        self._users = 0
        self._kept = False

    def join(self) -> LoopThread:
        """Return the thread, for one more user."""
        with self._lock:
            return self._join()

    def keep(self) -> LoopThread:
        """Return the thread, which from now on is one user's more, until the interpreter exits."""
        with self._lock:
            if self._kept and self._thread is not None:
                return self._thread
            self._kept = True
            atexit.register(self.release)
            return self._join()

    def release(self) -> None:
        """Keep the thread no longer."""
        if self._kept:
            self._kept = False
            self.leave()

    def _join(self) -> LoopThread:
        if self._thread is None:
            self._thread = LoopThread()
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
    """Run one event loop in a thread of the process, for threads without an event loop.

    ``with portal() as p, p.enter(shared_source(target)) as source:``, then ``p.call(source.wait, ref,
    timeout=60)``. All users, nested or in several threads, share the loop. When the last one leaves, running
    calls are cancelled and awaited, and the shared sources closed. A forked process gets a new loop.

    Raise `UsageError` if an event loop runs in this thread, since it would be blocked.
    """
    _refuse_event_loop("portal()")
    entered = Portal(_shared_thread.join())
    try:
        yield entered
    finally:
        if entered.is_of_this_process:
            _shared_thread.leave()


def kept_portal() -> Portal:
    """Return a portal that stays entered until the process exits; also in a thread that runs an event loop.

    For orchestrators whose tasks come and go, each perhaps with an event loop of its own: there, use `acall`.
    """
    return Portal(_shared_thread.keep())


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


set_module(Portal)
