"""Pausing, resuming and cancelling ONTAP's jobs, and what the server's answers to that mean."""

from __future__ import annotations

import anyio

from common.errors import ActionRefused
from common.errors import ActionUncertain
from common.errors import AlreadyFinished
from common.errors import ApiError
from common.errors import DecodeError
from common.errors import JobNotFound
from common.errors import JobsError
from common.errors import SourceError
from common.errors import TransportError
from common.faults import may_be_taken
from common.httpsource import HttpSource
from common.model import Action
from common.model import Job
from common.model import JobLike
from common.model import JobRef
from common.model import JobState
from common.options import read_action
from common.refs import encode_segment
from common.replies import Reply
from ontapjobs.refusals import refusal
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

    def _refused(self, reply: Reply, ref: JobRef, action: Action) -> JobsError:
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
        if may_be_taken(reply.status, fault):
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
