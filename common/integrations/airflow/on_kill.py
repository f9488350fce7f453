"""Whether a person ended a task, and the cancelling of its jobs that outlives the task.

A killed task does not mean that somebody wants its jobs cancelled: workers are shut down, triggers move to
another triggerer (apache/airflow#73454), tasks are cleared to run again. If a person ended it, the task is in
a final state in the database. If the state cannot be read, the jobs are left alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol

from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

ENDED = frozenset({"failed", "success", "skipped", "removed"})
"""The states of a task that a person has marked."""

_cancelling: set[asyncio.Task[None]] = set()
"""The event loop holds only weak references to its tasks."""


class TaskInstance(Protocol):
    """What identifies the run of a task, in a worker and in a triggerer."""

    dag_id: str
    task_id: str
    run_id: str
    map_index: int | None


def ended_by_person(ti: TaskInstance) -> bool:
    """Return whether the task is marked as ended. This asks the API server, and blocks meanwhile."""
    mapped = ti.map_index is not None and ti.map_index >= 0
    key = f"{ti.task_id}_{ti.map_index}" if mapped else ti.task_id
    states = RuntimeTaskInstance.get_task_states(dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id])
    return states.get(ti.run_id, {}).get(key) in ENDED


async def outlive(work: Coroutine[Any, Any, None]) -> None:
    """Wait for work that goes on if this wait is cancelled: a trigger that is killed has about a second."""
    task = asyncio.create_task(work)
    _cancelling.add(task)
    task.add_done_callback(_cancelling.discard)
    await asyncio.shield(task)
