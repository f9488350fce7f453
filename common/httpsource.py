"""A source behind HTTP: one request for one job, typed failures, and jobs taken over from a write's reply."""

from __future__ import annotations

import abc
from collections.abc import Iterable
from collections.abc import Mapping
from datetime import UTC
from datetime import datetime
from typing import Any
from typing import ClassVar

import attrs

from common.base import BaseSource
from common.errors import DecodeError
from common.errors import JobNotFound
from common.errors import JobsError
from common.faults import Fault
from common.faults import api_error
from common.http import ApiClient
from common.http import needs_auth
from common.model import Job
from common.model import JobRef
from common.model import JobState
from common.model import unique
from common.options import read_options
from common.origins import origin
from common.refs import Scope
from common.replies import Reply
from common.replies import reply_of
from common.waiters import Reading

EXCERPT_SOURCE = 20_000
"""So many characters of a failed reply are looked through for secrets, and an excerpt taken from them."""

SMALL = 64 * 1024
"""Bytes of a reply that is kept between two polls, to see whether anything has changed."""


@attrs.frozen
class Adopted:
    """What a write handed over: ``refs`` of all its jobs, ``jobs`` that its reply already tells the state of.

    ``warnings`` are the write's own. A write that started no job gives an empty one.
    """

    refs: tuple[JobRef, ...] = ()
    jobs: tuple[Job, ...] = ()
    warnings: tuple[str, ...] = ()


@attrs.frozen
class Handover:
    """What a provider's ``wire`` found in the reply to a write: all ids, and the jobs that came whole."""

    ids: tuple[str, ...] = ()
    jobs: tuple[Job, ...] = ()
    warnings: tuple[str, ...] = ()


class HttpSource(BaseSource):
    """A `BaseSource` that reads jobs over HTTP. A provider adds its URLs and its ``wire`` module."""

    keepalive: ClassVar[float] = 60.0
    """Seconds that an idle connection is kept: longer than the polls are apart."""

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
    def fault(self, reply: Reply) -> Fault:
        """What a reply that is no success says."""

    @abc.abstractmethod
    def handover(self, reply: Reply) -> Handover:
        """The jobs in the reply to a write."""

    def noticed(self, reply: Reply) -> None:
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

    async def _ask_for(self, ref: JobRef) -> Reply:
        reply = await self._client.send("GET", self.job_target(ref))
        self.noticed(reply)
        if reply.status != 200:
            raise self.failure(reply, f"GET job {ref.id}", ref)
        return reply

    def _reading(self, ref: JobRef, reply: Reply) -> Reading:
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
        hands over nothing.
        """
        reply = reply_of(response, status=status, headers=headers, body=body)
        found = self.handover(reply)
        ids = unique(found.ids)
        if not ids and not reply.ok:
            raise self.failure(reply, "the write")
        return Adopted(
            tuple(self.ref(JobRef(self.provider, "", id)) for id in ids), found.jobs, found.warnings
        )

    def failure(self, reply: Reply, asked: str, ref: JobRef | None = None) -> JobsError:
        """The exception for a reply that is no success; `JobNotFound` only where ``ref`` was asked for."""
        fault = self.clean_fault(reply)
        if ref is not None and fault.missing:
            said = f": {fault.message}" if fault.message else ""
            return JobNotFound(f"{ref}: the server knows no such job{said}", certain=fault.certain, ref=ref)
        # Cleaned before it is cut: half a secret would not be recognised.
        body = self._client.clean(reply.text[:EXCERPT_SOURCE]).encode("utf-8", "replace")
        error = api_error(attrs.evolve(reply, body=body), fault, asked=asked)
        error.ref = ref
        return error

    def clean_fault(self, reply: Reply) -> Fault:
        """`fault`, without what the server quotes of the request's secrets; numbers stay as they are."""
        fault = self.fault(reply)
        texts: dict[str, Any] = {
            name: value if value.isdecimal() else self._client.clean(value)
            for name in ("code", "message", "request_id")
            if (value := getattr(fault, name))
        }
        return attrs.evolve(fault, **texts)

    async def aclose(self) -> None:
        """End all waits with an error, and close the connections unless the client is the caller's own."""
        await super().aclose()
        await self._client.aclose()
