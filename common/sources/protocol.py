"""The one protocol that every source implements, and that code for all three systems is written to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from common.model.job import Job, JobLike
from common.model.states import Action, Capability, JobState
from common.polling.policy import OnCancel, PollPolicy, Probe
from common.set_module import set_module
from common.telemetry.callbacks import OnUpdate


@runtime_checkable
class JobSource(Protocol):
    """Reads, lists, acts on and waits for the jobs of one system, or of several behind one `Fleet`."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What the server offers beyond reading one job."""
        ...

    async def get(self, job: JobLike) -> Job:
        """Return one observation of one job, made by one request."""
        ...

    async def act(self, job: JobLike, action: Action) -> Job:
        """Pause, resume or cancel a job, and return it as it reads afterwards."""
        ...

    async def wait(
        self,
        job: JobLike,
        *,
        timeout: float | None = None,  # the name that users know; None is no deadline
        deadline: datetime | None = None,
        until: Collection[JobState] | None = None,
        check: bool = True,
        on_update: OnUpdate | None = None,
        on_cancel: OnCancel = "leave",
        resolve_gone: Probe | None = None,
        policy: PollPolicy | None = None,
    ) -> Job:
        """Return the job once it has ended, or has reached one of the states in ``until``."""
        ...

    def list(self, *args: Any, **filters: Any) -> AsyncIterator[Job]:
        """Return the jobs that match, page after page."""
        ...


set_module(JobSource)
