"""What the poller needs of a source, and what a poll brings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import attrs

from common.model.errors import SourceError
from common.model.job import Job
from common.model.refs import JobRef
from common.telemetry.events import Observer


@attrs.frozen
class Reading:
    """A good answer about one job, and the server's own time where it told it."""

    job: Job
    date: datetime | None = None
    body: bytes | None = None
    """What the job was read from, where the same bytes would give the same job again."""
    at: datetime | None = None
    """When it came by this machine's clock, where ``job`` is the one of an earlier answer."""


class BatchRefused(Exception):
    """The server refused or ignored a request for many ids. Not an error of any wait.

    ``smaller`` where a request for fewer of them may do.
    """

    def __init__(self, *, smaller: bool = False) -> None:
        super().__init__()
        self.smaller = smaller


@attrs.frozen
class BatchReading:
    """A good answer about many jobs: raw records by id, in lower case. Who is not in it was on no page.

    With a ``failure``, some pages came before it: what they told counts, and of the rest nothing is known.
    """

    records: Mapping[str, Any]
    date: datetime | None = None
    failure: SourceError | BatchRefused | None = None


class Pollable(Protocol):
    """What the poller needs of a source."""

    @property
    def observer(self) -> Observer | None:
        """Told of what happens."""
        ...

    @property
    def room(self) -> int:
        """How many bytes of ids one request can ask for; 0 where the server answers for one job only."""
        ...

    def seat(self, ref: JobRef) -> int:
        """How many of those bytes a job takes; 0 for an id that must be asked for by itself."""
        ...

    async def read(self, ref: JobRef, last: Reading | None = None) -> Reading:
        """One request for one job, ``last`` the answer before. Raises `JobNotFound` or `SourceError`."""
        ...

    async def sweep(self, refs: Sequence[JobRef]) -> BatchReading:
        """One request, and its pages, for many jobs. Raises `BatchRefused` or `SourceError`."""
        ...

    def decode_record(self, ref: JobRef, record: Any) -> Job:
        """The job in one raw record of a sweep. Raises `DecodeError`."""
        ...

    def open_at(self, now: float, flying: int) -> float:
        """The earliest time for one more request beside ``flying`` others; infinity for "when one lands"."""
        ...

    def departing(self, now: float) -> None:
        """One more request leaves."""
        ...

    def answered(self) -> None:
        """A request brought the server's own word."""
        ...

    @property
    def resumed(self) -> float:
        """When the server was to be had again: what fell due before then comes back spread over time."""
        ...

    def heed(self, error: SourceError) -> None:
        """Keep to what the server asks for when a request fails."""
        ...

    def draw(self) -> float:
        """The jitter of one request, 0.0 to 1.0."""
        ...
