"""A source of a system whose jobs cannot be paused, resumed or cancelled."""

from __future__ import annotations

from typing import NoReturn

from common.model.errors import Unsupported
from common.model.job import JobLike
from common.model.states import Action
from common.sources.http import HttpSource


class SourceWithoutActions(HttpSource):
    """An `HttpSource` whose API has no cancel, pause or resume: these raise `Unsupported` at once."""

    async def act(self, job: JobLike, action: Action) -> NoReturn:
        """Raise `Unsupported` before any request: the API has no cancel, pause or resume."""
        del job
        raise Unsupported(f"{self.provider} jobs do not support {action}: their API has no such operation")

    async def pause(self, job: JobLike) -> NoReturn:
        """Raise `Unsupported` before any request: the API has no pause."""
        await self.act(job, Action.PAUSE)

    async def resume(self, job: JobLike) -> NoReturn:
        """Raise `Unsupported` before any request: the API has no resume."""
        await self.act(job, Action.RESUME)

    async def cancel(self, job: JobLike) -> NoReturn:
        """Raise `Unsupported` before any request: the API has no cancel."""
        await self.act(job, Action.CANCEL)
