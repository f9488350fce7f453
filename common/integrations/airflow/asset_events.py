"""Events for assets: a job of a system that matches has ended, whoever started it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, ClassVar

import anyio
from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from common.integrations.airflow.hook import JobsHook
from common.integrations.outcomes import worth_retrying
from common.model.errors import JobsError
from common.model.job import Job
from common.model.serialize import to_dict

ENDED = "ended_jobs"
"""The key under which the ids of jobs that have ended are kept with the asset (Airflow 3.3)."""


class JobsEndedTrigger(BaseEventTrigger):
    """Fire an event for each job that ends, with the job as plain data: for an ``AssetWatcher``.

    Every ``interval`` seconds the jobs are listed that match ``filters``, the keywords of the source's
    ``list``; it must be less than the seconds for which the system keeps a job that has ended (ONTAP: 300).
    Jobs that had ended before the first list are no events. From Airflow 3.3 on, a job that ends while no
    triggerer runs is an event of the next one, if the system still has it; such an event may fire twice.
    Transient failures are retried; any other ends the trigger with an error.
    """

    hook_class: ClassVar[type[JobsHook]]

    def __init__(
        self,
        *,
        conn_id: str | None = None,
        filters: Mapping[str, Any] | None = None,
        interval: float = 30.0,
    ) -> None:
        super().__init__()
        self.conn_id = self.hook_class.default_conn_name if conn_id is None else conn_id
        self.filters = dict(filters or {})
        self.interval = interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what Airflow stores."""
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {"conn_id": self.conn_id, "filters": self.filters, "interval": self.interval}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """List the jobs every ``interval`` seconds, and yield an event for each that has ended since."""
        store: Any = getattr(self, "asset_state_store", None)
        known: set[str] | None = None
        if store is not None and (kept := await store.aget(ENDED)) is not None:
            known = set(kept)
        while True:
            try:
                ended = await self._ended()
            except JobsError as error:
                if not worth_retrying(error):
                    raise
                self.log.warning("%s", error)
            else:
                for id in ended.keys() - (ended.keys() if known is None else known):
                    yield TriggerEvent(to_dict(ended[id]))
                if store is not None and known != ended.keys():
                    await store.aset(ENDED, sorted(ended))
                known = set(ended)
            await anyio.sleep(self.interval)

    async def _ended(self) -> dict[str, Job]:
        async with self.hook_class(self.conn_id).source() as source:
            return {job.id: job async for job in source.list(**self.filters) if job.done}
