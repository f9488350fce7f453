"""Which set a job belongs to, and adding jobs to their sets, which are started where they do not run."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterator

from temporalio import activity
from temporalio.common import WorkflowIDReusePolicy

from common.config.targets import read_address
from common.integrations.temporal.set_messages import (
    ADD,
    JOBS_WORKFLOW,
    AddRequest,
    Row,
    SetState,
    batches,
    shorten,
)
from common.model.refs import JobRef

ADDED_AT_ONCE = 5000
"""Jobs in a signal: it may have 2 MiB."""


def by_set(request: AddRequest) -> Iterator[tuple[str, str, list[Row]]]:
    """Yield the target, the id of the set's workflow, and rows for one signal to it."""
    sets: defaultdict[tuple[str, int], list[Row]] = defaultdict(list)
    for job in dict.fromkeys(request.jobs):
        target, shard = str(read_address(job)), zlib.crc32(JobRef.parse(job).id.encode()) % request.shards
        row: Row = [shorten(job, target), request.deadline, request.requester, request.call, False]
        sets[target, shard].append(row)
    for (target, shard), rows in sets.items():
        for batch in batches(rows, ADDED_AT_ONCE):
            yield target, f"{JOBS_WORKFLOW} {target} {shard}", batch


async def add_jobs(request: AddRequest) -> None:
    """Add each job to the set of its system and shard."""
    for target, id, rows in by_set(request):
        await activity.client().start_workflow(
            JOBS_WORKFLOW,
            SetState(target, history_limit=request.history_limit),
            id=id,
            task_queue=activity.info().task_queue,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            start_signal=ADD,
            start_signal_args=[rows],
        )
