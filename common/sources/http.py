"""A source behind HTTP: one request for one job, typed failures, and jobs taken over from a write's reply."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

import attrs

from common.http.client import ApiClient, needs_auth
from common.model.endpoints import origin
from common.model.errors import (
    ActionUncertain,
    DecodeError,
    JobNotFound,
    JobsError,
    SourceError,
    TransportError,
    Unsupported,
    UsageError,
)
from common.model.job import Job, unique
from common.model.refs import JobRef, Scope
from common.model.states import JobState
from common.options import read_options
from common.polling.pollable import Reading
from common.response.decoding import root_object
from common.response.failures import ErrorBody, api_error, write_outcome_unknown
from common.response.http_response import EXCERPT_SOURCE, HttpResponse, response_of
from common.response.writes import Adopted, StartedJobs, check_body, check_headers, check_method, check_path
from common.sources.base import BaseSource

SHOWN = 200
"""So many characters of a write's path are in the error about it; its query is not."""
SMALL = 64 * 1024
"""Bytes of a reply that is kept between two polls, to see whether anything has changed."""


class HttpSource(BaseSource):
    """A `BaseSource` that reads jobs over HTTP. A provider adds its URLs and its ``wire`` module."""

    keepalive: ClassVar[float] = 60.0
    """Seconds that an idle connection is kept: longer than the polls are apart."""
    to_look_for: ClassVar[str] = "look at the resource"
    """What tells whether a write was taken whose reply was lost, for the error that says so."""

    def __init__(
        self,
        endpoint: str,
        *,
        auth: Any,
        given: Mapping[str, Any],
        scope: Scope = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        endpoint = origin(endpoint)
        options = read_options(given, endpoint=endpoint)
        needs_auth(auth, options)
        super().__init__(
            endpoint,
            scope=scope,
            aliases=options.aliases,
            policy=options.policy,
            observer=options.observer,
            concurrency=options.concurrency,
        )
        self.states: Mapping[str, JobState] = options.states
        self._request_timeout = options.request_timeout
        self._own_headers = frozenset(name.lower() for name in headers or {}) - {"accept"}
        self._client = ApiClient(
            endpoint,
            auth=auth,
            options=options,
            keepalive=self.keepalive,
            headers={"Accept": "application/json", **(headers or {})},
        )

    @abc.abstractmethod
    def job_target(self, ref: JobRef) -> str:
        """The path of one job, with its query."""

    @abc.abstractmethod
    def decode(self, body: bytes, ref: JobRef) -> Job:
        """The job in a reply to `job_target`. Raises `DecodeError`; `JobNotFound` where the body says so."""

    @abc.abstractmethod
    def fault(self, reply: HttpResponse) -> ErrorBody:
        """What a reply that is no success says."""

    @abc.abstractmethod
    def handover(self, reply: HttpResponse) -> StartedJobs:
        """The jobs in the reply to a write."""

    def write_target(self, path: str, inline: float | None) -> tuple[str, float]:
        """Where a write goes, and for how many seconds the server may keep it (``inline``).

        ``path`` is checked already. Raises `Unsupported` where the server answers every write at once.
        """
        if inline is not None:
            raise Unsupported(
                f"inline=: {self.provider} answers a write at once, whether its job has ended or not; "
                "leave it out, and wait for the job"
            )
        return path, 0.0

    def noticed(self, reply: HttpResponse) -> None:
        """What else a reply says: a provider whose server counts requests tells `pacer` its budget."""

    async def read_once(self, ref: JobRef) -> Reading:
        """One GET of one job."""
        return self._reading(ref, await self._ask_for(ref))

    async def read_again(self, ref: JobRef, last: Reading) -> Reading:
        """One GET of one job; the same bytes are the same job."""
        reply = await self._ask_for(ref)
        if reply.body == last.body:
            return Reading(last.job, reply.date, reply.body, datetime.now(UTC))
        return self._reading(ref, reply)

    async def _ask_for(self, ref: JobRef) -> HttpResponse:
        reply = await self._client.send("GET", self.job_target(ref))
        self.noticed(reply)
        if reply.status != 200:
            raise self.failure(reply, f"GET job {ref.id}", ref)
        return reply

    def _reading(self, ref: JobRef, reply: HttpResponse) -> Reading:
        try:
            job = self.decode(reply.body, ref)
        except DecodeError as error:
            error.ref = ref
            raise
        if job.ref.id != ref.id:
            if job.ref.id.casefold() != ref.id.casefold():
                raise DecodeError(
                    "the reply is about another job than the one asked for", transient=True, ref=ref
                )
            job = attrs.evolve(job, ref=ref)
        return Reading(job, reply.date, reply.body if len(reply.body) <= SMALL else None)

    def adopt(
        self,
        response: object | None = None,
        *,
        status: int | None = None,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
        body: bytes | str | object = b"",
    ) -> Adopted:
        """The jobs that a write's reply hands over, bound to this source's own endpoint. No I/O.

        Takes an httpx or requests response, or ``status=``, ``headers=`` and ``body=`` of any other. Of a
        link only the id is used: proxies name other hosts. Raises `ApiError` where the write failed and
        hands over nothing, `DecodeError` for an id that can be no job's.
        """
        return self._adopt(response_of(response, status=status, headers=headers, body=body), "the write")

    async def start(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        content: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        inline: float | None = None,
    ) -> Adopted:
        """Send a write, and take over the jobs that it starts: what `adopt` returns for its reply.

        ``method`` is POST, PUT, PATCH or DELETE. ``path`` begins with "/", is percent-encoded, and may have a
        query. The body is ``json=``, or ``content=`` with a Content-Type among ``headers=``; these can't
        replace what the source sets itself. ``inline`` is for how many seconds the server may keep the
        request in the hope that its job ends meanwhile (ONTAP: a whole number, 0 to 120).

        A write is never sent twice, but for a 401 met with fresh credentials. Raises `ActionUncertain` where
        the reply was lost and the work may have begun; `TransportError` where nothing was sent; `ApiError`
        for a refusal; `UsageError` and `Unsupported` before any request.
        """
        method = check_method(method)
        target, kept = self.write_target(check_path(path), inline)
        sent = check_headers(headers, own=self._own_headers)
        body = check_body(json, content)
        if json is not None and "content-type" not in map(str.lower, sent):
            sent["Content-Type"] = "application/json"
        asked = f"{method} {target.partition('?')[0][:SHOWN]}"
        try:
            reply = await self._client.send(
                method, target, headers=sent, content=body, timeout=self._request_timeout + kept
            )
        except (TransportError, DecodeError) as error:
            if not error.sent:
                raise
            raise self._may_have_begun(asked, error) from error
        self._settle()
        self.noticed(reply)
        try:
            adopted = self._adopt(reply, asked)
            if reply.body.strip() and not adopted.refs:
                root_object(reply.body)  # what is not the API's is no word on the write
        except DecodeError as error:
            raise self._may_have_begun(asked, error) from error
        except SourceError as error:
            self.heed(error)
            if write_outcome_unknown(reply.status, self.fault(reply)):
                raise self._may_have_begun(asked, error) from error
            raise
        return adopted

    def _adopt(self, reply: HttpResponse, asked: str) -> Adopted:
        found = self.handover(reply)
        ids = unique(found.ids)
        if not ids and not reply.ok:
            raise self.failure(reply, asked)
        try:
            refs = tuple(self.ref(JobRef(self.provider, "", id)) for id in ids)
        except UsageError as error:  # the server's fault, not the caller's
            problem = str(error)
        else:
            return Adopted(refs, found.jobs, found.warnings)
        raise DecodeError(f"the reply to the write names a job that cannot be one: {problem}")

    def _may_have_begun(self, asked: str, error: JobsError) -> ActionUncertain:
        return ActionUncertain(
            self._client.redact(
                f"{asked}: the reply was lost ({error}); the work may have begun, and nothing is sent again: "
                f"before you start it once more, {self.to_look_for}"
            )
        )

    def failure(self, reply: HttpResponse, asked: str, ref: JobRef | None = None) -> JobsError:
        """The exception for a reply that is no success; `JobNotFound` only where ``ref`` was asked for."""
        fault = self.clean_fault(reply)
        if ref is not None and fault.not_found:
            said = f": {fault.message}" if fault.message else ""
            return JobNotFound(
                f"{ref}: the server knows no such job{said}", certain=fault.never_existed, ref=ref
            )
        # Cleaned before it is cut: half a secret would not be recognised.
        body = self._client.redact(reply.text[:EXCERPT_SOURCE]).encode("utf-8", "replace")
        error = api_error(attrs.evolve(reply, body=body), fault, request=asked)
        error.ref = ref
        return error

    def heeded(self, reply: HttpResponse, asked: str, ref: JobRef | None = None) -> JobsError:
        """`failure` of a request that no poll is, kept to by all polls: ``Retry-After`` is for the source."""
        error = self.failure(reply, asked, ref)
        if isinstance(error, SourceError):
            self.heed(error)
        return error

    def clean_fault(self, reply: HttpResponse) -> ErrorBody:
        """`fault`, without what the server quotes of the request's secrets; numbers stay as they are."""
        fault = self.fault(reply)
        texts: dict[str, Any] = {
            name: value if value.isdecimal() else self._client.redact(value)
            for name in ("code", "message", "request_id")
            if (value := getattr(fault, name))
        }
        return attrs.evolve(fault, **texts)

    async def aclose(self) -> None:
        """End all waits with an error, and close the connections unless the client is the caller's own."""
        await super().aclose()
        await self._client.aclose()
