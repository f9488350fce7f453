"""The activity that waits for all jobs of a set, and tells each requester how its jobs ended."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

import anyio
from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from common.integrations.temporal.set_messages import (
    BATCH,
    JOBS_ENDED,
    MORE,
    SEEN,
    TOLD,
    OutcomeRow,
    Row,
    SetChanges,
    batches,
    lengthen,
)
from common.model.errors import JobsError, UsageError
from common.model.job import Job
from common.model.refs import JobRef
from common.model.serialize import to_dict
from common.model.states import JobState
from common.sources.base import BaseSource
from common.sources.batch_look import Outcome
from common.sources.sets.job_set import JobSet

GATHER = 0.2
"""Seconds in which ends are gathered into one signal."""


class SetWatch:
    """One attempt of the activity to wait for the open jobs of a set, until its workflow ends the activity.

    The workflow stores which jobs are open and which were seen, since the size of a heartbeat is limited. An
    outcome is reported to its requester before it is to the workflow, and so at least once.
    """

    def __init__(self, target: str, source: BaseSource) -> None:
        info = activity.info()
        if info.workflow_id is None:
            raise UsageError("this activity is for the workflow jobsource.Jobs only")
        self._target = target
        self._source = source
        self._client: Client = activity.client()
        self._workflow: WorkflowHandle[Any, Any] = self._client.get_workflow_handle(
            info.workflow_id, run_id=info.workflow_run_id
        )
        self._rows: dict[int, Row] = {}
        self._numbers: defaultdict[JobRef, list[int]] = defaultdict(list)
        self._unseen: set[int] = set()
        self._ended: dict[int, Outcome] = {}
        self._seen: list[int] = []

    async def run(self) -> None:
        """Wait and report, until the set is empty or its workflow goes on in another run."""
        async with JobSet(self._source, on_update=self._observe) as jobs, anyio.create_task_group() as group:
            group.start_soon(self._take, jobs)
            group.start_soon(self._report_regularly)
            await self._apply_changes(jobs)
            group.cancel_scope.cancel()
        await self._report()

    async def _apply_changes(self, jobs: JobSet) -> None:
        changes = SetChanges([], 0, over=False)
        while not changes.over:
            changes = await self._workflow.execute_update(MORE, changes.following, result_type=SetChanges)
            if not changes.over:
                for number in changes.discarded:
                    self._discard(jobs, number)
                for number, *row in changes.rows:
                    self._add(jobs, number, row)

    def _add(self, jobs: JobSet, number: int, row: Row) -> None:
        self._rows[number] = row
        job, deadline, *_, seen = row
        try:
            ref = self._source.ref(lengthen(job, self._target))
            known = Job(ref, JobState.RUNNING, observed_at=datetime.now(UTC)) if seen else ref
            jobs.add(known, deadline=None if deadline is None else datetime.fromtimestamp(deadline, UTC))
        except JobsError as error:
            self._ended[number] = error
            return
        self._numbers[ref].append(number)
        self._numbers[ref].sort(key=lambda each: self._rows[each][1] or float("inf"))
        if not seen:
            self._unseen.add(number)

    def _discard(self, jobs: JobSet, number: int) -> None:
        row = self._rows.pop(number, None)
        if row is None or self._ended.pop(number, None) is not None:
            return
        ref = self._source.ref(lengthen(row[0], self._target))
        numbers = self._numbers.pop(ref)
        for _ in numbers:
            jobs.discard(ref)
        for other in numbers:  # the job was added twice, with deadlines that may differ
            if other != number:
                self._add(jobs, other, [*self._rows[other][:SEEN], other not in self._unseen])

    async def _take(self, jobs: JobSet) -> None:
        async for outcome in jobs:
            if outcome.ref is not None:
                # Of a job that was added twice, the earlier deadline passes first.
                self._ended[self._numbers[outcome.ref].pop(0)] = outcome

    def _observe(self, job: Job) -> None:
        for number in self._numbers[job.ref]:
            if number in self._unseen:
                self._unseen.remove(number)
                self._seen.append(number)

    async def _report_regularly(self) -> None:
        while True:
            await anyio.sleep(GATHER)
            await self._report()

    async def _report(self) -> None:
        ended, seen = dict(self._ended), self._seen[:]
        if not ended and not seen:
            return
        outcomes: defaultdict[str, list[OutcomeRow]] = defaultdict(list)
        for number, outcome in ended.items():
            job, _, requester, call, _ = self._rows[number]
            outcomes[requester].append([call, lengthen(job, self._target), to_dict(outcome)])
        for requester, rows in outcomes.items():
            for batch in batches(rows, BATCH):
                await self._signal(requester, batch)
        await self._workflow.signal(TOLD, args=[list(ended), seen])
        del self._seen[: len(seen)]
        for number in ended:
            self._ended.pop(number, None)
            self._rows.pop(number, None)

    async def _signal(self, requester: str, outcomes: list[OutcomeRow]) -> None:
        try:
            await self._client.get_workflow_handle(requester).signal(JOBS_ENDED, outcomes)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            activity.logger.info(
                "workflow %s has ended: %d outcomes were not delivered", requester, len(outcomes)
            )
