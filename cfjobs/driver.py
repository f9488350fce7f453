"""The driver of Cloud Foundry v3: the paths of its jobs, the parsers, and the delays."""

from __future__ import annotations

from typing import ClassVar

from cfjobs.delay import cf_delay
from cfjobs.wire import PROVIDER, parse_budget, parse_error, parse_job, parse_started
from common.model.errors import DecodeError
from common.model.job import Job
from common.model.refs import JobRef, encode_segment
from common.polling.policy import PollPolicy
from common.polling.throttle import Budget
from common.response.failures import ErrorBody
from common.response.http_response import HttpResponse
from common.response.writes import StartedJobs
from common.sources.driver import Driver

JOBS = "/v3/jobs"
FIRST_DELAY = 1.4
"""Seconds between two polls of a job that has been running for less than 14 s."""
RETENTION = 90 * 86_400.0
"""Seconds: the sample configuration prunes jobs after 90 days, whatever their state. Korifi stores none."""


class CFDriver(Driver):
    """The jobs of one foundation, or of a Korifi, as the Cloud Controller's API has them."""

    provider: ClassVar[str] = PROVIDER
    retention: ClassVar[float] = RETENTION
    lost_write_hint: ClassVar[str] = (
        "look at the resource, or at its events (/v3/audit_events?target_guids=…): jobs cannot be listed"
    )

    @classmethod
    def default_policy(cls) -> PollPolicy:
        """Return a policy that begins with 1.4 s between two polls of a job.

        Each poll of a job is a request of its own, since there is no list. For jobs of up to 10 s this sends
        1.3 times the requests of a client that waits for 1, 2, 4 and 8 s, but an end is seen at most 1.4 s
        late instead of 8 s.
        """
        return PollPolicy(initial=FIRST_DELAY)

    def job_path(self, ref: JobRef) -> str:
        """Return ``/v3/jobs/{guid}``, the guid as one segment: Korifi's hold ``~`` and ``.``."""
        return f"{JOBS}/{encode_segment(ref.id)}"

    def parse_job(self, body: bytes, ref: JobRef) -> Job:
        """Return the job in the response to one GET. The Cloud Controller and Korifi always name it."""
        job = parse_job(body, endpoint=self.endpoint, id=ref.id, states=self.states)
        if not job.record.guid:
            raise DecodeError(
                "the job has no guid, so it cannot be identified", path="$.guid", transient=True
            )
        return job

    def parse_error(self, response: HttpResponse) -> ErrorBody:
        """Return what the Cloud Controller's error body says."""
        return parse_error(response)

    def parse_started(self, response: HttpResponse) -> StartedJobs:
        """Return the job in a write's Location, and the write's warnings."""
        return parse_started(response)

    def poll_delay(self, policy: PollPolicy, job: Job, run_time: float) -> float:
        """Keep step with the service broker that the server itself waits for; see `cfjobs.delay`."""
        return cf_delay(policy, job, run_time)

    def rate_budget(self, response: HttpResponse) -> Budget | None:
        """Return the budget in ``X-RateLimit-*``: a foundation may count the requests of an hour."""
        return parse_budget(response)
