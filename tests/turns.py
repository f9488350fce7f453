"""Count the turns that other tasks get while something is done."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import attrs


@attrs.define
class Turns:
    count: int = 0


@asynccontextmanager
async def counted() -> AsyncGenerator[Turns, None]:
    """How many turns another task, which wants all that it can have, gets within the block."""
    turns = Turns()

    async def take() -> None:
        while True:
            await anyio.lowlevel.checkpoint()
            turns.count += 1

    async with anyio.create_task_group() as group:
        group.start_soon(take)
        await anyio.lowlevel.checkpoint()
        turns.count = 0
        yield turns
        group.cancel_scope.cancel()
