"""How a simulator gets a real socket: uvicorn on loopback, the simulator on the caller's loop."""

from __future__ import annotations

import asyncio
import logging
import socket
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING

import anyio

from common.simulator.server.asgi import Handle
from common.simulator.server.drain import Gate

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

LOOPBACK = "127.0.0.1"


@asynccontextmanager
async def serving(handle: Handle, port: int, host: str = LOOPBACK) -> AsyncGenerator[str, None]:
    """Serve ``handle`` and give the URL. Raises `ImportError` without uvicorn."""
    _need_uvicorn()
    gate = Gate(handle)
    with _listening(host, port) as listener, _quiet():
        url = f"http://{host}:{listener.getsockname()[1]}"
        async with (_same_loop if _runs_asyncio() else _other_thread)(gate, listener):
            yield url


@asynccontextmanager
async def _same_loop(gate: Gate, listener: socket.socket) -> AsyncGenerator[None, None]:
    async with _uvicorn(gate, listener):
        try:
            yield
        finally:
            gate.close()


@asynccontextmanager
async def _other_thread(gate: Gate, listener: socket.socket) -> AsyncGenerator[None, None]:
    """Run uvicorn, which knows only asyncio, in a thread of its own; requests are answered here."""
    from common.simulator.server.threaded import Bridge

    failure: BaseException | None = None
    async with anyio.create_task_group() as group:
        bridge = Bridge(gate, group)
        group.start_soon(bridge.run, partial(_uvicorn, listener=listener))
        try:
            await bridge.ready.wait()
            yield
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as exc:  # raised below, outside the group that would wrap it
            failure = exc
        finally:
            gate.close()
            bridge.stop()
    if failure is not None:
        try:
            raise failure
        finally:
            del failure  # it refers to this frame


@asynccontextmanager
async def _uvicorn(handle: Handle, listener: socket.socket) -> AsyncGenerator[None, None]:
    """Run uvicorn on this asyncio loop: no signal handlers, no timer, no headers of its own."""
    import uvicorn

    from common.simulator.server.uvicorn import Doors, Line

    doors = Doors(handle, listener)
    config = uvicorn.Config(
        doors,
        http=Line,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=1,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    doors.open(server)
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            await doors.aclose()
            await server.shutdown(sockets=[listener])


@contextmanager
def _listening(host: str, port: int) -> Generator[socket.socket, None, None]:
    from common.simulator.server.uvicorn import bound

    with bound((host, port)) as listener:  # here, for uvicorn ends the process when its port is taken
        yield listener


@contextmanager
def _quiet() -> Generator[None, None, None]:
    """Keep uvicorn's news out of the log; its warnings and errors stay."""

    def worth_reading(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.WARNING

    loggers = [logging.getLogger(name) for name in ("uvicorn.error", "uvicorn.access")]
    for logger in loggers:
        logger.addFilter(worth_reading)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(worth_reading)


def _runs_asyncio() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _need_uvicorn() -> None:
    try:
        import uvicorn
    except ImportError:
        raise ImportError(
            'serving a simulator on a socket needs uvicorn: pip install "jobsource[simulator]"'
        ) from None
    del uvicorn
