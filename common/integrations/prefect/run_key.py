"""Under which key a result is kept for the next run of the same flow run, so that nothing starts twice."""

from __future__ import annotations

import threading
from typing import Any
from uuid import UUID

from prefect.cache_policies import CachePolicy
from prefect.context import TaskRunContext
from prefect.utilities.hashing import hash_objects

from common.model.job import Job
from common.model.refs import JobRef


class RunKey(CachePolicy):
    """The flow run, the system, and some of the task's inputs; no secret, and nothing that time changes.

    With ``each``, equal calls of one run have keys of their own, by their number: the second of two equal
    writes is another write. A task outside of flows has no key, for it never runs again.
    """

    def __init__(self, task: str, *inputs: str, each: bool = False) -> None:
        self._task = task
        self._inputs = inputs
        self._each = each

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        """Return the key of a call."""
        run = task_ctx.task_run
        if run.flow_run_id is None:
            return None
        system = inputs["credentials"].system().target
        values = [_plain(inputs[name]) for name in self._inputs]
        key = hash_objects(self._task, str(run.flow_run_id), system, values, raise_on_failure=True)
        number = _calls.number_of(run.id, f"{run.flow_run_run_count} {key}") if self._each else 0
        return f"{key}-{number}"


class _Calls:
    """The equal calls of each run of a flow in this process, in the order in which they began."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # tasks run in threads
        self._task_runs: dict[str, list[UUID]] = {}

    def number_of(self, task_run: UUID, key: str) -> int:
        """Return the number of a call among the equal ones; its retries have the same."""
        with self._lock:
            calls = self._task_runs.setdefault(key, [])
            if task_run not in calls:
                calls.append(task_run)
            return calls.index(task_run)


_calls = _Calls()


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Job):
        value = value.ref
    return str(value) if isinstance(value, JobRef) else value
