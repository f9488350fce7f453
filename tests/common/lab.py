"""A source without a wire: jobs that end by the clock, answers as slow and as wrong as a test wants them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import anyio
import attrs

from common import Capability, Job, JobNotFound, JobRef, JobState, PollPolicy, UsageError
from common.polling.pollable import BatchReading, BatchRefused, Pollable, Reading
from common.polling.throttle import LoopThrottle
from common.sources.base import BaseSource
from common.sources.ref_resolver import RefResolver

EACH_SECOND = PollPolicy(initial=1, maximum=1, start_grace=0)

Trouble = Callable[[Sequence[str]], Exception | None]
"""What goes wrong with a request for these ids, if anything does."""


def fair(_: Sequence[str]) -> Exception | None:
    return None


@attrs.frozen
class Asked:
    """One request, and when it left."""

    ids: tuple[str, ...]
    at: float


class Lab(BaseSource, Pollable):
    """With ``room`` it answers for many ids in one request; those that begin with "odd" go alone.

    ``ends`` says when a job ends and how (never, by default), ``gone`` which jobs the server has forgotten,
    ``hidden`` which ones its list leaves out. ``latency`` gives the seconds that a request takes.
    """

    name: ClassVar[str] = "lab"
    able: ClassVar[frozenset[Capability]] = frozenset()

    def __init__(
        self, *ids: str, room: int = 0, concurrency: int = 8, policy: PollPolicy = EACH_SECOND
    ) -> None:
        super().__init__(
            self,
            RefResolver(self.name, "https://lab.example"),
            throttle=LoopThrottle(concurrency, 3600.0),
            capabilities=self.able,
            policy=policy,
        )
        self.batch_limit = room
        self.ends: dict[str, tuple[float, JobState]] = dict.fromkeys(ids, (math.inf, JobState.SUCCEEDED))
        self.gone: set[str] = set()
        self.hidden: set[str] = set()
        self.latency: Callable[[Sequence[str]], float] = lambda _: 0.0
        self.trouble: Trouble = fair
        self.asked: list[Asked] = []
        self.said: set[str] = set()
        """The jobs of which a reply told the end."""
        self.decoded = 0
        self.asked_now: Counter[str] = Counter()
        self.in_flight = 0
        self.most = 0
        self.most_of_one = 0
        self.closed = False

    @property
    def times(self) -> list[float]:
        """When the requests left."""
        return [asked.at for asked in self.asked]

    def times_of(self, id: str) -> list[float]:
        """When the requests left that asked about one job."""
        return [asked.at for asked in self.asked if id in asked.ids]

    def end(self, id: str, at: float, state: JobState = JobState.SUCCEEDED) -> str:
        """Let a job end."""
        self.ends[id] = (at, state)
        return id

    def batch_cost(self, ref: JobRef) -> int:
        return 0 if ref.id.startswith("odd") or not self.batch_limit else 1

    async def read(self, ref: JobRef, last: Reading | None = None) -> Reading:
        with self._under_way([ref.id]):
            await self._travel([ref.id])
            if ref.id in self.gone or ref.id not in self.ends:
                raise JobNotFound("no such job", ref=ref)
            return Reading(self._job(ref, self._state(ref.id)))

    async def read_batch(self, refs: Sequence[JobRef], last: Mapping[str, Any]) -> BatchReading:
        ids = [ref.id for ref in refs]
        if not self.batch_limit:
            raise BatchRefused
        with self._under_way(ids):
            await self._travel(ids)
            listed = [id for id in ids if id in self.ends and id not in self.gone | self.hidden]
            return BatchReading({id.lower(): self._state(id) for id in listed})

    def decode_batch_record(self, ref: JobRef, record: Any) -> Job:
        self.decoded += 1
        return self._job(ref, record)

    async def aclose(self) -> None:
        await super().aclose()
        self.closed = True

    async def _travel(self, ids: list[str]) -> None:
        trouble = self.trouble(ids)
        await anyio.sleep(self.latency(ids))
        if trouble is not None:
            raise trouble

    def _state(self, id: str) -> JobState:
        at, state = self.ends[id]
        if anyio.current_time() < at:
            return JobState.RUNNING
        self.said.add(id)
        return state

    def _job(self, ref: JobRef, state: JobState) -> Job:
        return Job(ref, state, native_state=str(state))

    @contextmanager
    def _under_way(self, ids: list[str]) -> Generator[None, None, None]:
        if self.closed:
            raise UsageError("the source is closed")
        self.asked.append(Asked(tuple(ids), anyio.current_time()))
        self.in_flight += 1
        self.asked_now.update(ids)
        self.most = max(self.most, self.in_flight)
        self.most_of_one = max(self.most_of_one, *self.asked_now.values())
        try:
            yield
        finally:
            self.in_flight -= 1
            self.asked_now.subtract(ids)
