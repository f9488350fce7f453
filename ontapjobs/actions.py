"""Pausing, resuming and cancelling ONTAP's jobs, and what the server's answers to that mean."""

from __future__ import annotations

from collections.abc import Mapping

import anyio
import attrs

from common.model.errors import (
    ActionRefused,
    ActionUncertain,
    AlreadyFinished,
    ApiError,
    DecodeError,
    JobNotFound,
    JobsError,
    SourceError,
    TransportError,
)
from common.model.job import Job, JobLike
from common.model.refs import JobRef, encode_segment
from common.model.states import Action, JobState
from common.options import read_action
from common.response.failures import write_outcome_unknown
from common.response.http_response import HttpResponse
from common.sources.http import HttpSource
from ontapjobs.wire import JOBS

RE_READS = 3
"""How often a job is read again after an action, before its state is left open."""


class Acting(HttpSource):
    """A source whose jobs can be acted on."""

    async def pause(self, job: JobLike) -> Job:
        """`act` with PAUSE."""
        return await self.act(job, Action.PAUSE)

    async def resume(self, job: JobLike) -> Job:
        """`act` with RESUME."""
        return await self.act(job, Action.RESUME)

    async def cancel(self, job: JobLike) -> Job:
        """`act` with CANCEL. A cancelled job ends as SUCCEEDED or FAILED: ONTAP has no third end."""
        return await self.act(job, Action.CANCEL)

    async def act(self, job: JobLike, action: Action) -> Job:
        """Pause, resume or cancel a job, then read it again.

        Actions are eventual: the job still reads RUNNING for a while. Where the server took the action and
        the job could not be read afterwards, the result is UNKNOWN, with a warning that says so.

        Raises `AlreadyFinished` where the job has ended, `ActionRefused` with the server's ``code``
        (``retryable`` for one that passes), `ActionUncertain` where the reply was lost, `JobNotFound`,
        `SourceError`; `UsageError` for what is no action. The request is never sent twice.
        """
        ref = self.ref(job)
        action = read_action(action)
        try:
            reply = await self._client.send("PATCH", f"{JOBS}/{encode_segment(ref.id)}?action={action}")
        except (TransportError, DecodeError) as error:
            if not error.sent:
                error.ref = ref
                raise
            raise self._uncertain(ref, action, error) from error
        if not reply.ok:
            raise self._refused(reply, ref, action)
        return await self._after(ref, action)

    def _refused(self, reply: HttpResponse, ref: JobRef, action: Action) -> JobsError:
        fault = self.clean_fault(reply)
        known = refusal(fault.code)
        if known is not None:
            cls = AlreadyFinished if known.finished else ActionRefused
            said = f" ({fault.message})" if fault.message else ""
            return cls(
                f"{ref}: cannot {action}: {known.sentence}{said}",
                code=fault.code,
                retryable=known.retryable,
                ref=ref,
            )
        failure = self.heeded(reply, f"PATCH job {ref.id} {action}", ref)
        if write_outcome_unknown(reply.status, fault):
            return self._uncertain(ref, action, failure)
        if isinstance(failure, ApiError) and reply.status in (400, 405, 409, 422):
            return ActionRefused(f"{ref}: cannot {action}: {failure}", code=fault.code, ref=ref)
        return failure

    def _uncertain(self, ref: JobRef, action: Action, error: JobsError) -> ActionUncertain:
        return ActionUncertain(
            f"{ref}: the reply to {action} was lost ({error}); it may have been taken: read the job "
            "before asking again",
            ref=ref,
        )

    async def _after(self, ref: JobRef, action: Action) -> Job:
        self._settle()  # a floor of another event loop's clock says nothing on this one
        reason = ""
        for attempt in range(RE_READS):
            pause = max(self.held_until() - anyio.current_time(), attempt * self.policy.initial)
            if pause > 0:
                await anyio.sleep(pause)
            try:
                return (await self.read(ref)).job
            except (SourceError, JobNotFound) as error:
                reason = str(error)
                if not getattr(error, "transient", False):
                    break
        warning = f"the server took the {action}, but the job could not be read afterwards: {reason}"
        return Job(ref, JobState.UNKNOWN, warnings=(warning,))


@attrs.frozen
class Refusal:
    """What one code means. ``finished`` where the job has ended; ``retryable`` where later may be better."""

    sentence: str
    finished: bool = False
    retryable: bool = False


REFUSALS: Mapping[str, Refusal] = {
    "458762": Refusal("the job has already ended", finished=True),
    "458771": Refusal("the job is running; only a paused job can be resumed"),
    "458773": Refusal("the job manager is not initialised; try again later", retryable=True),
    "458776": Refusal("the job is not running"),
    "458783": Refusal("this kind of job cannot be paused"),
    "458784": Refusal("this kind of job cannot be cancelled"),
    "459753": Refusal("the job's own program refused"),
}
"""By the server's code, as text."""


def refusal(code: str | None) -> Refusal | None:
    """The meaning of a code, None for one that is not a refusal of an action."""
    return REFUSALS.get(code or "")
