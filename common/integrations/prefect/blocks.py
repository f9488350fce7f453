"""The job block: a write that starts a job, as a form of Prefect's has it, and its runs."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from prefect.blocks.abstract import JobBlock, JobRun
from pydantic import Field

from common.integrations.outcomes import check_all, failure_of
from common.integrations.prefect.credentials import JobsCredentials
from common.integrations.prefect.tasks import start_job, wait_for_jobs
from common.model.job import Job
from common.sources.batch_look import Outcome

if TYPE_CHECKING:
    _JobBlock = JobBlock[list[Job]]
else:
    _JobBlock = JobBlock  # with its parameter, pydantic makes a class of its own, which Prefect would list


class RemoteJob(_JobBlock, ABC):
    """A write that starts a job; each provider has its own subclass, with its credentials."""

    credentials: JobsCredentials = Field(description="The system, and how to sign in to it")
    method: str = Field(default="POST", description="The write's method: POST, PATCH or DELETE")
    path: str = Field(description="The write's path, which begins with /")
    body: dict[str, Any] | None = Field(default=None, description="The write's JSON body")
    timeout: float | None = Field(default=None, description="Seconds for which the job is waited for")
    cancel_job: bool = Field(
        default=False, description="Cancel the job if a person cancels the flow run (ONTAP alone can)"
    )

    async def trigger(self) -> RemoteJobRun:
        """Send the write, as the task ``start_job`` does: once in each flow run. Raise `JobsError`."""
        refs = await start_job(self.credentials, self.method, self.path, self.body)
        return RemoteJobRun(self.credentials, refs, timeout=self.timeout, cancel_job=self.cancel_job)


class RemoteJobRun(JobRun[list[Job]]):
    """The jobs that a write has started: ``refs`` names them. It is not stored, for it can sign in."""

    def __init__(
        self,
        credentials: JobsCredentials,
        refs: Sequence[str],
        *,
        timeout: float | None = None,
        cancel_job: bool = False,
    ) -> None:
        self.refs = tuple(refs)
        self._credentials = credentials
        self._timeout = timeout
        self._cancel_job = cancel_job
        self._outcomes: list[Outcome] | None = None

    async def wait_for_completion(self) -> Any:
        """Wait until the jobs have ended. A failed job raises nothing here."""
        self._outcomes = await wait_for_jobs(
            self._credentials, self.refs, timeout=self._timeout, cancel_job=self._cancel_job, check=False
        )

    async def fetch_result(self) -> list[Job]:
        """Return the jobs, which are waited for if need be. Raise `JobsError` where one did not succeed.

        For one job that is its own, such as `JobFailed`; for several `JobsFailed`, with every outcome by ref.
        """
        if self._outcomes is None:
            await self.wait_for_completion()
        outcomes = self._outcomes or []
        if len(outcomes) == 1 and (failure := failure_of(outcomes[0])) is not None:
            raise failure
        return check_all(outcomes)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a RemoteJobRun holds credentials, which must not be stored: return its refs instead")
