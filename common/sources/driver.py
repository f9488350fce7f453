"""The interface that a provider implements: paths, parsers, delays, batches. Each source has one `Driver`."""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

from common.model.errors import DecodeError, JobsError, Unsupported, UsageError
from common.model.job import Job
from common.model.refs import JobRef, Scope
from common.model.states import Capability, JobState
from common.polling.policy import PollPolicy, healthy_delay
from common.polling.pollable import BatchReading, BatchRefused
from common.polling.throttle import Budget
from common.response.failures import ErrorBody
from common.response.http_response import HttpResponse
from common.response.writes import StartedJobs


class DriverHttp(Protocol):
    """The requests that a driver may send: those of its own source, signed in."""

    async def send(self, method: str, path: str) -> HttpResponse:
        """Send one request and return the whole response, whatever its status.

        Raise `SourceError` without one.
        """
        ...

    def failure(self, response: HttpResponse, request: str, ref: JobRef | None = None) -> JobsError:
        """Return the exception for a response that is not a success; ``request`` describes what was sent."""
        ...

    def request_failure(self, response: HttpResponse, request: str, ref: JobRef | None = None) -> JobsError:
        """`failure` for a request that is not a poll: all polls keep to its ``Retry-After`` too."""
        ...


class Driver(abc.ABC):
    """A provider's knowledge of one system: the paths of its API, and how to parse its responses.

    Only the four abstract methods must be implemented. Only `read_batch` and `read_results` do I/O.
    """

    provider: ClassVar[str]
    """The provider's name, which is also the scheme of its refs."""
    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    batch_limit: ClassVar[int] = 0
    """Bytes of ids that one batch request can hold; 0 where the server has no such request."""
    keepalive: ClassVar[float] = 60.0
    """Seconds for which an idle connection is kept; more than between two polls."""
    retry_after_cap: ClassVar[float] = 3600.0
    """The longest ``Retry-After`` that is obeyed, in seconds."""
    retention: ClassVar[float] = math.inf
    """Seconds for which the server keeps a job that has ended."""
    lost_write_hint: ClassVar[str] = "look at the resource"
    """The advice in the error about a lost reply: how to find out whether the write was carried out."""
    job_scope: ClassVar[frozenset[str]] = frozenset()
    """The names of the parts of a scope that belong to a job, and not to the source."""
    has_account: ClassVar[bool] = False
    """Whether the path of a complete ref begins with an account."""
    job_id_header: ClassVar[str | None] = None
    """The header, in lower case, by which a write may choose the id of its job."""
    headers: Mapping[str, str] = {}
    """The headers of each request beside ``Accept: application/json``, which they may replace."""

    def __init__(self, endpoint: str, *, scope: Scope = (), states: Mapping[str, JobState]) -> None:
        self.endpoint = endpoint
        self.scope = scope
        self.states = states
        """The caller's additions to the table of state words."""

    @abc.abstractmethod
    def job_path(self, ref: JobRef) -> str:
        """Return the path of one job, with its query, percent-encoded."""

    @abc.abstractmethod
    def parse_job(self, body: bytes, ref: JobRef) -> Job:
        """Return the job in the response to `job_path`.

        Raise `DecodeError`; `JobNotFound` if the body says so.
        """

    @abc.abstractmethod
    def parse_error(self, response: HttpResponse) -> ErrorBody:
        """Return the meaning of a response that is not a success."""

    @abc.abstractmethod
    def parse_started(self, response: HttpResponse) -> StartedJobs:
        """Return the jobs in the response to a write."""

    @classmethod
    def default_policy(cls) -> PollPolicy:
        """Return the policy of a source that was given none."""
        return PollPolicy()

    @classmethod
    def canonical_scope(cls, scope: Scope) -> Scope:
        """Return the one form of a scope that can be written in several."""
        return scope

    def check_ref(self, ref: JobRef) -> None:
        """Check the hints of a ref, and the parts of its scope that are a job's.

        Raise `UsageError` for one that means nothing to this provider.
        """
        if ref.hints:
            raise UsageError(f"the ref has hints, which {self.provider} refs do not have")

    def locate(self, path: str) -> str:
        """Return the path below the endpoint that stands for a path of the API; a gateway may differ."""
        return path

    def check_policy(self, policy: PollPolicy) -> PollPolicy:
        """Return the policy if this provider can work with it. Raise `UsageError` otherwise."""
        return policy

    def poll_delay(self, policy: PollPolicy, job: Job, run_time: float) -> float:
        """Return the seconds until the next poll of a job that has been running for ``run_time`` seconds."""
        del job
        return healthy_delay(policy, run_time)

    def write_path(self, path: str, inline: float | None) -> tuple[str, float]:
        """Return the path that a write is sent to, and how many seconds the server may delay its response.

        ``path`` has been checked. Raise `Unsupported` if the server answers every write at once.
        """
        if inline is not None:
            raise Unsupported(
                f"inline=: {self.provider} answers a write before its job ends; "
                "leave it out, and wait for the job"
            )
        return path, 0.0

    def rate_budget(self, response: HttpResponse) -> Budget | None:
        """Return the rate budget that a response tells, None if it tells none."""
        del response
        return None

    def results_path(self, job: Job) -> str | None:
        """Return the path of the results of a job that has ended; None if there are none left to be read."""
        del job
        return None

    async def read_results(self, http: DriverHttp, job: Job) -> Job:
        """Return a job that has ended with its results.

        Raise `SourceError` where another try may succeed; any other failure is a warning of the job.
        """
        del http
        return job

    def batch_cost(self, ref: JobRef) -> int:
        """Return how many bytes of a batch request a job takes; 0 for an id that must be asked for alone."""
        del ref
        return 0

    async def read_batch(
        self, http: DriverHttp, refs: Sequence[JobRef], last: Mapping[str, Any]
    ) -> BatchReading:
        """Send one request, and those for its further pages, for many jobs.

        ``last`` has the records of the replies before, by lower-case id; the poller does not decode a record
        again that is the same object, or equal. Raise `BatchRefused` or `SourceError`.
        """
        del http, refs, last
        raise BatchRefused

    def decode_batch_record(self, ref: JobRef, record: Any) -> Job:
        """Return the job in one raw record of `read_batch`. Raise `DecodeError`."""
        del record
        raise DecodeError(f"{self.provider} has no batch requests", ref=ref)
