"""Heartbeats by a ticker of their own: a quiet job is polled too rarely to keep an activity alive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

from temporalio import activity

TICKS = 3
"""Heartbeats within the activity's heartbeat time-out."""
DEFAULT_PERIOD = 10.0
"""Seconds between heartbeats of an activity that has no such time-out."""


@asynccontextmanager
async def heartbeats(details: Callable[[], tuple[Any, ...]]) -> AsyncGenerator[None]:
    """Heartbeat while the block runs, with what ``details`` returns each time.

    Temporal tells an activity of its cancellation in the reply to a heartbeat.
    """
    timeout = activity.info().heartbeat_timeout
    period = timeout.total_seconds() / TICKS if timeout else DEFAULT_PERIOD

    async def tick() -> None:
        while True:
            activity.heartbeat(*details())
            await asyncio.sleep(period)

    ticker = asyncio.create_task(tick())
    try:
        yield
    finally:
        ticker.cancel()


def cancelled_by_person() -> bool:
    """Return whether the activity is cancelled because its workflow asked for it.

    A worker that stops, a time-out, a pause, and a workflow that was terminated cancel it too.
    """
    details = activity.cancellation_details()
    return details is not None and details.cancel_requested
