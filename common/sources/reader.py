"""Read jobs over HTTP for the poller, by the paths and parsers of a `Driver`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import attrs

from common.http.client import ApiClient
from common.model.errors import (
    ApiError,
    DecodeError,
    JobNotFound,
    JobsError,
    PermissionDenied,
    SourceError,
)
from common.model.job import Job
from common.model.refs import DONE, RESULTS, JobRef
from common.model.states import JobState
from common.model.tracebacks import without_frames
from common.polling.pollable import BatchReading, Pollable, Reading
from common.polling.throttle import LoopThrottle
from common.response.failures import ErrorBody, api_error
from common.response.http_response import MAX_MESSAGE, HttpResponse
from common.response.large_json import LARGE
from common.response.redactor import MASK
from common.sources.driver import Driver
from common.sources.large_responses import decode

MAX_PATH_SHOWN = 200
"""Characters of the path of a resource, or of a write without its query, that an error about it shows."""
MAX_CODE = 10
"""Digits: an error's code of more is no number that an API defines."""
COMPARED = 64 * 1024
"""Bytes: a larger body is not kept for comparison with that of the next poll."""


class HttpReader(Pollable):
    """Sends one GET for one job, or the driver's batch request for many, and makes jobs or exceptions of it.

    A server may repeat in a body what it was sent, so no exception leaves with a frame that has a body.
    """

    def __init__(self, driver: Driver, client: ApiClient, throttle: LoopThrottle) -> None:
        self.batch_limit: int = driver.batch_limit
        self._driver = driver
        self._may_tell_budget: bool = type(driver).rate_budget is not Driver.rate_budget
        self._client = client
        self._throttle = throttle

    @without_frames
    async def read(self, ref: JobRef, last: Reading | None = None) -> Reading:
        """Send one GET for one job. A body that is equal to that of ``last`` is not decoded again.

        If the ref has the hint `DONE`, a job that the user may not read, or that does not exist, has
        succeeded.
        """
        request = f"GET job {ref.id}"
        try:
            return await self._read(ref, request, last)
        except DecodeError as error:
            error.ref = ref
            if error.sent:  # else it is of a sign-in
                error.args = (f"{request}: {error}",)
            raise

    async def _read(self, ref: JobRef, request: str, last: Reading | None) -> Reading:
        response = await self._client.send("GET", self._driver.job_path(ref))
        self.update_budget(response)
        if response.status != 200:
            failure = self.failure(response, request, ref)
            return Reading(_succeeded_with_write(failure, ref), response.date)
        body: bytes | None = response.body
        if last is not None and body == last.body and last.job.ref.hints == ref.hints:
            return Reading(last.job, response.date, body, datetime.now(UTC))
        if len(response.body) > COMPARED:
            body = None
        if len(response.body) <= LARGE:
            job = self._parse(response.body, ref)
        else:
            job = await decode(response, partial(self._parse, response.body, ref))
        return Reading(job, response.date, body)

    def has_unread_results(self, job: Job) -> bool:
        """Whether a job has results that were not read yet, as the driver says."""
        return self._driver.results_path(job) is not None

    @without_frames
    async def read_results(self, job: Job) -> Job:
        """Return an ended job with its results, as the driver reads them."""
        return await self._driver.read_results(self, job)

    def batch_cost(self, ref: JobRef) -> int:
        """Return how many bytes of a batch request a job takes, as the driver says."""
        return self._driver.batch_cost(ref)

    @without_frames
    async def read_batch(self, refs: Sequence[JobRef], last: Mapping[str, Any]) -> BatchReading:
        """Send the driver's request for many jobs."""
        return await self._driver.read_batch(self, refs, last)

    @without_frames
    def decode_batch_record(self, ref: JobRef, record: Any) -> Job:
        """Return the job in one record of a batch, as the driver reads it."""
        job = self._driver.decode_batch_record(ref, record)
        return _with_hints(job) if job.ref.hints else job

    @without_frames
    async def read_resource(self, path: str) -> bytes | None:
        """Send one GET for a resource. Return its body, None if the API itself says that it does not exist.

        Raise `SourceError`. A 404 of the API's own with another code is not transient here: the path may be
        wrong, or the API has a code of its own for such resources.
        """
        response = await self._client.send("GET", path)
        self.update_budget(response)
        if response.status == 200:
            return response.body
        error_body = self.error_body(response)
        if error_body.not_found and not error_body.never_existed:
            return None
        error = self.failure(response, f"GET {path[:MAX_PATH_SHOWN]}")
        if isinstance(error, ApiError) and response.status == 404 and error_body.from_api:
            error.transient = False
        raise error

    @without_frames
    async def send(self, method: str, path: str, *, timeout: float | None = None) -> HttpResponse:
        """Send one request, signed in, and return the whole response, whatever its status.

        ``timeout`` is in seconds, None for the source's.
        """
        return await self._client.send(method, path, timeout=timeout)

    def redact(self, text: str) -> str:
        """Return a server's text without the request's secrets, shortened for an exception or a result."""
        return self._client.redact(text, MAX_MESSAGE)

    def failure(self, response: HttpResponse, request: str, ref: JobRef | None = None) -> JobsError:
        """Return the exception for a response that is not a success; `JobNotFound` only with a ``ref``.

        ``request`` describes the request for the message.
        """
        response = attrs.evolve(response, redact=self._client.redact)
        error_body = self.error_body(response)
        if ref is not None and error_body.not_found:
            detail = f": {error_body.message}" if error_body.message else ""
            return JobNotFound(
                f"{ref}: the server has no such job{detail}", certain=error_body.never_existed, ref=ref
            )
        error = api_error(response, error_body, request=request)
        error.ref = ref
        return error

    def request_failure(self, response: HttpResponse, request: str, ref: JobRef | None = None) -> JobsError:
        """`failure` for a request that is not a poll. All polls keep to its ``Retry-After`` too."""
        error = self.failure(response, request, ref)
        if isinstance(error, SourceError):
            self._throttle.on_failure(error)
        return error

    def error_body(self, response: HttpResponse) -> ErrorBody:
        """Return the parsed error body of a failed response, without the request's secrets."""
        if len(response.body) > LARGE:
            return ErrorBody(from_api=False)  # no error of an API takes so much
        error_body = self._driver.parse_error(attrs.evolve(response, redact=self._client.redact))
        texts: dict[str, Any] = {
            name: self._client.redact(value, MAX_MESSAGE)
            for name in ("code", "message", "request_id")
            if (value := getattr(error_body, name))
        }
        code = error_body.code or ""
        if code.isdecimal() and len(code) <= MAX_CODE and texts["code"] != MASK:
            texts["code"] = code  # a short secret occurs by chance in a part of a number
        return attrs.evolve(error_body, **texts)

    def update_budget(self, response: HttpResponse) -> None:
        """Pass the rate budget of a response to the throttle, if it has one."""
        if not self._may_tell_budget:
            return
        budget = self._driver.rate_budget(response)
        if budget is not None:
            self._throttle.update_budget(budget)

    def _parse(self, body: bytes, ref: JobRef) -> Job:
        job = self._driver.parse_job(body, ref)
        if job.ref.id == ref.id and job.ref.hints == ref.hints:
            return _with_hints(job) if ref.hints else job
        if job.ref.id.casefold() != ref.id.casefold():
            raise DecodeError("the response is about another job than the one requested", transient=True)
        return _with_hints(attrs.evolve(job, ref=ref.with_hints(job.ref.hints)))


def _succeeded_with_write(failure: JobsError, ref: JobRef) -> Job:
    """Return a SUCCEEDED job if the ref says that its write was done. Otherwise raise ``failure``."""
    status = ref.hint(DONE)
    if status is None or not isinstance(failure, JobNotFound | PermissionDenied):
        raise failure
    warning = (
        f"the write was answered {status}, so its work is done, but the job itself could not be read: "
        f"{failure}"
    )
    return _with_hints(Job(ref, JobState.SUCCEEDED, warnings=(warning,)))


def _with_hints(job: Job) -> Job:
    """Return a job with the hints of its ref applied.

    A job that has not ended loses the hint `DONE`, which it contradicts. One that has ended gets the link to
    its results, which the server may not repeat.
    """
    ref = job.ref
    if not ref.hints:
        return job
    if not job.done:
        hints = tuple(pair for pair in ref.hints if pair[0] != DONE)
        return job if hints == ref.hints else attrs.evolve(job, ref=attrs.evolve(ref, hints=hints))
    results = ref.hint(RESULTS)
    if results is None or RESULTS in job.links:
        return job
    return attrs.evolve(job, links={**job.links, RESULTS: results})
