"""Whether a person cancelled a flow run: Prefect itself is asked, for a process is not told why it ends.

A runner that stops (``serve``, a worker) ends the processes of its flow runs as it does when a person cancels
one. Only then is the run's state, in Prefect's API, *Cancelling* at that time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from uuid import UUID

import anyio
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import State

from common.concurrency import DetachedWork, running_loop
from common.telemetry.events import logger

INTERVAL = 5.0
"""Seconds between two looks at the state of a flow run whose tasks wait in threads."""
ANSWER_TIMEOUT = 10.0
"""Seconds in which Prefect's API must say who cancels a wait; else the jobs are left alone."""

_asked: dict[tuple[str, UUID], DetachedWork[bool]] = {}
"""The requests about flow runs that are in progress in the portal's loop; all waits of a run share them."""


async def cancelled_by_person(flow_run: UUID | None) -> bool:
    """Return whether a person cancels the flow run, or one that it is part of; False where nobody tells."""
    return flow_run is not None and await _together(_ask, flow_run)


async def until_cancelled(flow_run: UUID) -> bool:
    """Wait until the flow run is being cancelled, or over; return whether it is a person who cancels it."""
    return await _together(_watch, flow_run)


async def _together(work: Callable[[UUID], Awaitable[bool]], flow_run: UUID) -> bool:
    """Return the result of ``work``, which runs once for all callers at the same time."""
    key = work.__qualname__, flow_run
    for ended in [each for each, asked in _asked.items() if asked.done]:
        del _asked[ended]  # a process may serve flow runs for months
    while True:
        asked = _asked.get(key)
        if asked is None or asked.done or asked.loop is not running_loop():
            asked = _asked[key] = DetachedWork()
            asked.start(partial(work, flow_run))
        await asked.wait()
        if asked.error is not None:
            raise asked.error
        if asked.value is not None:  # otherwise it was cancelled with the last of its earlier callers
            return asked.value


async def _ask(flow_run: UUID) -> bool:
    try:
        with anyio.fail_after(ANSWER_TIMEOUT):
            async with get_client() as client:
                state = await _state(client, flow_run)
    except Exception:  # whatever it is: it is not known that a person cancelled
        logger.warning(
            "cannot tell whether a person cancelled the flow run: its jobs keep running", exc_info=True
        )
        return False
    return state is not None and state.is_cancelling()


async def _watch(flow_run: UUID) -> bool:
    while True:
        try:
            async with get_client() as client:
                while True:
                    await anyio.sleep(INTERVAL)
                    state = await _state(client, flow_run)
                    if state is not None and (state.is_cancelling() or state.is_final()):
                        return state.is_cancelling()
        except Exception as error:  # it is asked again
            logger.debug("the state of the flow run is unknown: %s", error)
            await anyio.sleep(INTERVAL)


async def _state(client: PrefectClient, flow_run_id: UUID) -> State | None:
    """Return the state of the outermost flow run: that is the one which a runner ends."""
    flow_run = await client.read_flow_run(flow_run_id)
    while flow_run.parent_task_run_id is not None:
        parent = await client.read_task_run(flow_run.parent_task_run_id)
        if parent.flow_run_id is None:
            break
        flow_run = await client.read_flow_run(parent.flow_run_id)
    return flow_run.state
