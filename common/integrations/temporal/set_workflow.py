"""The workflow of a set: it holds which jobs are open, and one activity waits for all of them."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception
from temporalio.workflow import ActivityCancellationType

from common.integrations.temporal.errors import jobs_error
from common.integrations.temporal.set_messages import (
    ADD,
    BATCH,
    DISCARD,
    JOBS_ENDED,
    JOBS_WORKFLOW,
    MAX_JOBS,
    MORE,
    SEEN,
    TOLD,
    WATCH_JOBS,
    OutcomeRow,
    Row,
    SetChanges,
    SetState,
    batches,
    lengthen,
)
from common.integrations.temporal.workflow import UNLIMITED
from common.model.errors import JobsError, SourceClosed, UsageError
from common.model.serialize import to_dict

HEARTBEAT_TIMEOUT = timedelta(seconds=10)
"""After how long another worker goes on with all jobs of a set."""


@workflow.defn(name=JOBS_WORKFLOW)
class JobsWorkflow:
    """The open jobs of one system, or of a shard of them; `wait_for_jobs` starts it, and it ends when empty.

    The loss of a worker loses nothing: the activity's next attempt asks for the open jobs, and which of them
    were seen. If the activity cannot begin, as for a system that its worker has no settings for, or is
    cancelled, the reason is reported to all requesters.
    """

    @workflow.init
    def __init__(self, state: SetState) -> None:
        self._state = state
        self._rows: dict[int, Row] = dict(enumerate(state.rows))
        self._following = len(self._rows)
        self._discarded: list[int] = []
        self._asked = 0

    @workflow.run
    async def run(self, state: SetState) -> None:
        """Wait until every job has ended and its outcome was reported."""
        while self._rows:
            try:
                await workflow.execute_activity(
                    WATCH_JOBS,
                    state.target,
                    start_to_close_timeout=UNLIMITED,
                    heartbeat_timeout=HEARTBEAT_TIMEOUT,
                    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
                )
            except ActivityError as failure:
                cancelled = is_cancelled_exception(failure)
                failed = jobs_error(failure) or JobsError(f"the set of waits failed: {failure.cause}")
                open_rows, self._rows = list(self._rows.values()), {}
                reason = SourceClosed("the set of waits was cancelled") if cancelled else failed
                await self._report_error(open_rows, reason)
                if cancelled:
                    await workflow.wait_condition(workflow.all_handlers_finished)
                    raise
            await workflow.wait_condition(workflow.all_handlers_finished)
            if self._rows and self._is_long():
                rows = list(self._rows.values())
                workflow.continue_as_new(SetState(state.target, rows, state.history_limit))

    @workflow.signal(name=ADD)
    async def add(self, rows: list[Row]) -> None:
        """Add jobs to the set, up to its limit; requesters of further ones get a `UsageError`."""
        room = max(0, MAX_JOBS - len(self._rows))
        for row in rows[:room]:
            self._rows[self._following] = row
            self._following += 1
        if len(rows) > room:
            error = UsageError(f"a set takes {MAX_JOBS:,} open jobs: spread them over more shards=")
            await self._report_error(rows[room:], error)

    @workflow.signal(name=DISCARD)
    def discard(self, rows: list[Row]) -> None:
        """Remove these rows, each once, without a report to their requesters. The jobs are left alone."""
        numbers: defaultdict[tuple[Any, ...], list[int]] = defaultdict(list)
        for number, row in self._rows.items():
            numbers[tuple(row[:SEEN])].append(number)
        for row in rows:
            if found := numbers[tuple(row[:SEEN])]:
                self._discarded.append(found.pop())
                del self._rows[self._discarded[-1]]

    @workflow.signal(name=TOLD)
    def told(self, ended: list[int], seen: list[int]) -> None:
        """Remove the jobs whose outcomes were reported, by their numbers, and mark those that were seen."""
        for number in ended:
            self._rows.pop(number, None)
        for number in seen:
            if number in self._rows:
                self._rows[number][SEEN] = True

    @workflow.update(name=MORE)
    async def more(self, known: int) -> SetChanges:
        """Return the changes of the set, once there are any or the activity is to end.

        These are the open rows from number ``known`` on, and the rows discarded since the last call.
        """
        self._asked += 1
        asked = self._asked  # the call of an earlier attempt returns too; nobody reads its result
        await workflow.wait_condition(
            lambda: (
                self._following > known
                or bool(self._discarded)
                or self._asked != asked
                or not self._rows
                or self._is_long()
            )
        )
        rows = [[number, *row] for number, row in self._rows.items() if number >= known]
        discarded, self._discarded = self._discarded, []
        return SetChanges(rows, self._following, not self._rows or self._is_long(), discarded)

    async def _report_error(self, rows: list[Row], error: JobsError) -> None:
        for batch in batches(rows, BATCH):
            outcomes: defaultdict[str, list[OutcomeRow]] = defaultdict(list)
            for job, _, requester, call, _ in batch:
                outcomes[requester].append([call, lengthen(job, self._state.target), to_dict(error)])
            for requester, reported in outcomes.items():
                with suppress(ApplicationError):  # the requester has ended
                    await workflow.get_external_workflow_handle(requester).signal(JOBS_ENDED, reported)

    def _is_long(self) -> bool:
        info = workflow.info()
        length = info.get_current_history_length()
        return length >= self._state.history_limit or info.is_continue_as_new_suggested()
