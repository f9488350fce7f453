"""The one protocol that every source implements, and that code for all three systems is written to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Collection
from typing import Any
from typing import Literal
from typing import Protocol
from typing import runtime_checkable

from common.model import Job
from common.model import JobLike
from common.model import JobRef
from common.polling import PollPolicy
from common.states import Action
from common.states import Capability
from common.states import JobState

Probe = Callable[[JobRef, Job | None], Awaitable[JobState]]
"""Asked when the API has forgotten a job: looks at the resource itself and returns a terminal state."""

OnCancel = Literal["leave", "cancel"]
"""What a cancelled wait does to the remote job: nothing, or ask the server to cancel it."""


@runtime_checkable
class JobSource(Protocol):
    """Reads, lists, acts on and waits for the jobs of one system, or of several behind one `Fleet`."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What the server offers beyond reading one job."""
        ...

    async def get(self, job: JobLike) -> Job:
        """One observation of one job: one request."""
        ...

    async def act(self, job: JobLike, action: Action) -> Job:
        """Pause, resume or cancel a job, and read it again."""
        ...

    async def wait(
        self,
        job: JobLike,
        *,
        timeout: float | None = None,  # the name that users know; None is no deadline
        until: Collection[JobState] | None = None,
        check: bool = True,
        on_cancel: OnCancel = "leave",
        resolve_gone: Probe | None = None,
        policy: PollPolicy | None = None,
    ) -> Job:
        """The job once it has ended, or has reached one of the states in ``until``."""
        ...

    def list(self, *args: Any, **filters: Any) -> AsyncIterator[Job]:
        """The jobs that match, page after page."""
        ...
