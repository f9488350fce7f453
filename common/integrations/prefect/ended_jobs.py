"""The jobs of a set that have ended, kept until the set's task has: another try waits for the others alone.

A system forgets a job some time after its end. Without this, the next try could not tell how it ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefect.context import TaskRunContext
from prefect.logging import get_run_logger
from prefect.results import ResultStore
from prefect.transactions import get_transaction

from common.integrations.outcomes import is_settled
from common.model.serialize import from_dict, to_dict
from common.sources.batch_look import Outcome


class EndedJobs:
    """What earlier tries of the running task were told, where its results are kept.

    A try of the same task run, and one of the task with the same key: in the next run of its flow.
    """

    def __init__(self) -> None:
        self._log = get_run_logger()
        self._store: ResultStore | None = None
        transaction, context = get_transaction(), TaskRunContext.get()
        if transaction is None or context is None:
            return
        self._key = f"{transaction.key or context.task_run.id}-ended"
        if transaction.write_on_commit and not transaction.overwrite:  # results are kept, and read again
            self._store = transaction.store

    async def read(self, number: int) -> list[Outcome | None]:
        """Return the outcomes of so many jobs, in their order; None for those that have not ended."""
        unknown: list[Outcome | None] = [None] * number
        try:
            if self._store is None or not await self._store.aexists(self._key):
                return unknown
            kept: Sequence[Any] = (await self._store.aread(self._key)).result
            return [None if data is None else from_dict(data) for data in kept]
        except Exception:  # whatever is wrong with a storage: the jobs are asked for again
            self._log.warning("which jobs have ended cannot be read: all are waited for", exc_info=True)
            return unknown

    async def keep(self, outcomes: Sequence[Outcome]) -> None:
        """Keep what is settled for the next try."""
        if self._store is None:
            return
        kept = [to_dict(outcome) if is_settled(outcome) else None for outcome in outcomes]
        try:
            await self._store.awrite(kept, key=self._key)
        except Exception:  # the outcomes themselves count
            self._log.warning("which jobs have ended cannot be kept for another try", exc_info=True)
