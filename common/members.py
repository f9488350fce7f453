"""What code that serves any number of sources needs of each: the protocol, and whose a job is."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from common.model import JobLike
from common.model import JobRef
from common.polling import PollPolicy
from common.source import JobSource
from common.source import OnCancel
from common.source import Probe
from common.states import JobState
from common.waiting import Watch


class Member(JobSource, Protocol):
    """A source that can say whose a job is; every source of this SDK can."""

    def ref(self, job: JobLike) -> JobRef:
        """The complete ref of a job. Raises `WrongSource` for another source's."""
        ...

    def watch(
        self,
        job: JobLike,
        *,
        timeout: float | None = None,
        until: Collection[JobState] | None = None,
        on_cancel: OnCancel = "leave",
        resolve_gone: Probe | None = None,
        policy: PollPolicy | None = None,
    ) -> Watch:
        """The first observation of a job, then each change."""
        ...

    async def aclose(self) -> None:
        """Give back what the source holds."""
        ...
