"""Two waits for one job at the same time: another library's in a thread, and ours."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.to_thread

from common import PollPolicy

OFTEN = 0.1
"""Seconds between two polls, for them and for us."""
POLICY = PollPolicy(initial=OFTEN, maximum=OFTEN, start_grace=0.5)


async def beside(theirs: Callable[[], Any], ours: Callable[[], Awaitable[Any]]) -> tuple[Any, Any]:
    """What each of the two returned or raised."""
    outcomes: list[Any] = [None, None]

    async def thread() -> None:
        outcomes[0] = await anyio.to_thread.run_sync(_outcome, theirs)

    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            group.start_soon(thread)
            try:
                outcomes[1] = await ours()
            except Exception as error:  # compared with what the other raised
                outcomes[1] = error
    return outcomes[0], outcomes[1]


async def alone(theirs: Callable[[], Any]) -> Any:
    """What another library's call returned or raised; the simulator answers meanwhile."""
    with anyio.fail_after(30):
        return await anyio.to_thread.run_sync(_outcome, theirs)


def _outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:  # compared with what the other raised
        return error
