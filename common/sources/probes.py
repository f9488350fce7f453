"""Ready probes for ``resolve_gone``: they infer the end of a forgotten job from its resource."""

from __future__ import annotations

from collections.abc import Callable
from random import random

import anyio
import attrs

from common.model.errors import DecodeError, SourceError
from common.model.job import ErrorDetail, Job
from common.model.refs import JobRef
from common.model.states import JobState
from common.polling.policy import PollPolicy, backoff, healthy_delay
from common.polling.throttle import LoopThrottle
from common.polling.wait_progress import ROUNDING
from common.response.decoding import Object, root_object
from common.sources.reader import HttpReader
from common.telemetry.reporter import job_log

Finding = Callable[[JobRef, Job | None, Object | None], Job | None]
"""Infers how a job ended from its ref, the last observation, and the resource's object (None if the resource
does not exist). Returns None to look again later; an exception ends the wait."""

LISTS = ("records", "resources")
"""The keys of ONTAP's and Cloud Foundry's lists: an empty one must not pass for a resource that exists."""


@attrs.frozen(eq=False)
class ResourceProbe:
    """A `Probe` that looks at one resource, by ``GET`` of ``path``, until ``finding`` says how the job ended.

    Transient failures are retried with the backoff of ``policy``, up to the deadline of the wait; without
    one, for ``policy.outage_limit`` seconds. Raise `SourceError` for any other failure.
    """

    path: str
    finding: Finding = attrs.field(repr=False)
    policy: PollPolicy = attrs.field(repr=False)
    _reader: HttpReader = attrs.field(repr=False)
    _throttle: LoopThrottle = attrs.field(repr=False)

    async def __call__(self, ref: JobRef, last: Job | None) -> Job:
        """Return the job in the state that was inferred from the resource."""
        began = last_reply = anyio.current_time()
        attempt = 0
        while True:
            try:
                job = self.finding(ref, last, await self._resource())
            except SourceError as error:
                self._throttle.on_failure(error)
                outage, attempt = anyio.current_time() - last_reply, attempt + 1
                if not error.transient or outage >= self.policy.outage_limit - ROUNDING:
                    why = f"the server has no {ref} any more, and its resource could not be read"
                    how_long = f" for {outage:.0f} s" if error.transient else ""
                    text = f"{error}; {why}{how_long}, so the outcome is unknown"
                    raise error.copy_for(ref, last, text) from None
                delay = self._at_least_retry_after(backoff(self.policy, outage, random()))
                job_log(ref).warning(
                    "%s: %s; attempt %d, for %.1f s; checking the resource again in %.1f s",
                    *(ref, error, attempt, outage, delay),
                )
            else:
                if job is not None:
                    return job
                last_reply, attempt = anyio.current_time(), 0
                delay = self._at_least_retry_after(healthy_delay(self.policy, last_reply - began))
            await anyio.sleep(delay)

    async def _resource(self) -> Object | None:
        body = await self._reader.read_resource(self.path)
        self._throttle.on_success()
        if body is None:
            return None
        root = root_object(body)
        for key in LISTS:
            if isinstance(root.get(key), list) and not {"uuid", "guid"} & root.keys():
                raise DecodeError(f"{self.path} is a list: name one resource", path=f"$.{key}")
        return root

    def _at_least_retry_after(self, delay: float) -> float:
        return max(delay, self._throttle.current().retry_after_until - anyio.current_time())


def resolved_as(ref: JobRef, last: Job | None, state: JobState, reason: str | None = None) -> Job:
    """Return the job in an inferred state, with the reason for a failure."""
    errors = () if reason is None else (ErrorDetail(reason),)
    return attrs.evolve(last or Job(ref, state), state=state, errors=errors)


def find_absent(ref: JobRef, last: Job | None, resource: Object | None) -> Job:
    """Return the job of a delete: SUCCEEDED if the resource does not exist, else FAILED."""
    if resource is None:
        return resolved_as(ref, last, JobState.SUCCEEDED)
    return resolved_as(ref, last, JobState.FAILED, "the job is gone, and the resource is still there")


def find_present(ref: JobRef, last: Job | None, resource: Object | None) -> Job:
    """Return the job of a create: SUCCEEDED if the resource exists, else FAILED."""
    if resource is not None:
        return resolved_as(ref, last, JobState.SUCCEEDED)
    return resolved_as(ref, last, JobState.FAILED, "the job is gone, and there is no such resource")
