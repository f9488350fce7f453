"""Serves a simulator on a real socket: uvicorn on loopback, the simulator on the caller's loop."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import anyio

from common.model.distribution import install_hint
from common.simulator.server.asgi import Handle
from common.simulator.server.drain import Drain

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

LOOPBACK = "127.0.0.1"


@asynccontextmanager
async def serving(handle: Handle, port: int, host: str = LOOPBACK) -> AsyncGenerator[str, None]:
    """Serve ``handle`` and give the URL. Raise `ImportError` without uvicorn, `OSError` for a port taken."""
    _uvicorn()
    drain = Drain(handle)
    with _listening(host, port) as listener, _quiet():
        url = f"http://{host}:{listener.getsockname()[1]}"
        async with (_same_loop if _runs_asyncio() else _other_thread)(drain, listener):
            yield url


@asynccontextmanager
async def _same_loop(drain: Drain, listener: socket.socket) -> AsyncGenerator[None, None]:
    async with _uvicorn().running(drain, listener):
        try:
            yield
        finally:
            drain.close()


@asynccontextmanager
async def _other_thread(drain: Drain, listener: socket.socket) -> AsyncGenerator[None, None]:
    """Run uvicorn, which knows only asyncio, in a thread of its own; requests are answered here."""
    from common.simulator.server.threaded import ThreadedServer

    failure: BaseException | None = None
    async with anyio.create_task_group() as group:
        server = ThreadedServer(drain, group)
        group.start_soon(server.run, partial(_uvicorn().running, listener=listener))
        try:
            await server.ready.wait()
            yield
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:  # raised below, outside the group that would wrap it
            failure = error
        finally:
            drain.close()
            server.stop()
    if failure is not None:
        try:
            raise failure
        finally:
            del failure  # it refers to this frame


@contextmanager
def _listening(host: str, port: int) -> Generator[socket.socket, None, None]:
    try:
        # Bound here, because uvicorn exits the process for a port that is taken.
        listener: socket.socket = _uvicorn().bound((host, port))
    except (OSError, OverflowError) as error:
        number = errno.EINVAL if isinstance(error, OverflowError) else error.errno
        raise OSError(number, _why_not_bound(error, host, port)) from None
    with listener:
        yield listener


def _why_not_bound(error: OSError | OverflowError, host: str, port: int) -> str:
    if isinstance(error, OverflowError):
        return f"there is no port {port}: ports are 0 (any free one) to 65535"
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return f"there is no IPv4 address {host!r} here to listen on"
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of the address {host} is in use: choose another, or 0 for any free one"
    if error.errno == errno.EACCES:
        return f"port {port} is reserved for the system: choose one above 1023, or 0 for any free one"
    return f"cannot listen on port {port} of the address {host}: {error.strerror}"


@contextmanager
def _quiet() -> Generator[None, None, None]:
    """Keep uvicorn's informational records out of the log; its warnings and errors stay."""

    def is_warning(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.WARNING

    loggers = [logging.getLogger(name) for name in ("uvicorn.error", "uvicorn.access")]
    for logger in loggers:
        logger.addFilter(is_warning)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(is_warning)


def _runs_asyncio() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _uvicorn() -> Any:
    """Return the module that needs uvicorn. Raise `ImportError` without that.

    It is imported by a name that no type checker follows: who embeds these packages may not have uvicorn.
    """
    try:
        return import_module(f"{__package__}.uvicorn")
    except ImportError:
        raise ImportError(
            f"serving a simulator on a socket needs uvicorn: {install_hint('simulator')}"
        ) from None
