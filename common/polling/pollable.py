"""The interface of a source to the poller, and the results of its requests."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs

from common.model.errors import DecodeError, SourceError
from common.model.job import Job
from common.model.refs import JobRef


@attrs.define(weakref_slot=False)
class Reading:
    """A good reply about one job, with its ``Date`` if it has one."""

    job: Job
    date: datetime | None = None
    body: Any = attrs.field(default=None, repr=False)
    """What the job was decoded from, bytes or a record of a batch: an equal one is not decoded again."""
    at: datetime | None = None
    """When it was received, by this machine's clock, if ``job`` was decoded from an earlier, equal reply."""


class BatchRefused(Exception):
    """The server refused or ignored a request for many ids. Not an error of any wait.

    ``limit`` is the number of bytes that a smaller request may have, None where a smaller one would not help.
    """

    def __init__(self, limit: int | None = None) -> None:
        super().__init__()
        self.limit = limit


@attrs.frozen(eq=False)
class BatchReading:
    """The reply to a batch request: raw records by lower-case id, from all of its pages.

    If a later page failed (``failure``), the records are those of the pages before it, and an id that is
    missing may exist; else the server does not have it.
    """

    records: Mapping[str, Any] = attrs.field(repr=False)
    date: datetime | None = None
    failure: SourceError | BatchRefused | None = None

    def __attrs_post_init__(self) -> None:
        if self.failure is not None:
            self.failure.__traceback__ = None  # it is kept, and its frames have what the server sent


class Pollable(abc.ABC):
    """Reads the jobs of one source for the poller. Only `read` must be implemented."""

    batch_limit: int = 0
    """How many bytes of ids one batch request can hold; 0 where the server answers for one job only."""

    @abc.abstractmethod
    async def read(self, ref: JobRef, last: Reading | None = None) -> Reading:
        """Send one request for one job. Raise `JobNotFound` or `SourceError`.

        ``last`` is the reply before, if there was one.
        """

    def has_unread_results(self, job: Job) -> bool:
        """Whether a job that has ended has results that are to be read, once, before anybody is told."""
        del job
        return False

    async def read_results(self, job: Job) -> Job:
        """Return such a job with its results.

        Raise `SourceError` where another try may succeed; any other failure is a warning of the job.
        """
        return job

    def batch_cost(self, ref: JobRef) -> int:
        """Return how many bytes of a batch request a job takes; 0 for an id that must be asked for alone."""
        del ref
        return 0

    async def read_batch(self, refs: Sequence[JobRef], last: Mapping[str, Any]) -> BatchReading:
        """Send one request, and those for its further pages, for many jobs.

        ``last`` has the records of the replies before, by lower-case id. A record that is the same object
        again, or is equal, is not decoded. Raise `BatchRefused` or `SourceError`.
        """
        del refs, last
        raise BatchRefused

    def decode_batch_record(self, ref: JobRef, record: Any) -> Job:
        """Return the job in one raw record of a `BatchReading`. Raise `DecodeError`."""
        raise DecodeError("there are no records without batch requests", ref=ref)
