"""One simulated cluster: its jobs, its requests, and what is stored about the waits for its jobs.

The cluster is an `OntapSimulator`; what is counted here, and drawn, is outside of it.
"""

from __future__ import annotations

from random import Random
from typing import Any

import anyio
import attrs
import httpx

from common import Bearer, JobSet
from common.simulator import Clock
from common.sources.batch_look import Outcome
from ontapjobs import JobGone, OntapJobs
from ontapjobs.simulator import OntapSimulator

LIFE = 3_600.0
"""Mean seconds that a job runs. They are drawn from an exponential distribution, and so are the ages."""
LATENCY = 0.05
"""Seconds that a request takes."""


@attrs.frozen
class End:
    """The end of one job, and when its wait reported it: seconds on the loop's clock."""

    at: float
    ran: float
    reported_at: float
    gone: bool
    """Whether the cluster had forgotten the job by then."""


@attrs.frozen
class Trouble:
    """A time in which the ends of a cluster's jobs could not be learnt of."""

    kind: str
    since: float
    until: float


class Cluster(httpx.AsyncBaseTransport):
    """A cluster on which ``jobs`` run at any time, and the record of the waits for them.

    The record is what an orchestrator stores: a checkpoint, and what began and ended after it. Whoever waits
    next goes on from that.
    """

    def __init__(self, name: str, clock: Clock, seed: str, jobs: int) -> None:
        self.name = name
        self.random = Random(f"{seed}/{name}")
        self.simulator = OntapSimulator(clock=clock, seed=self.random.getrandbits(32), journal_limit=0)
        self.transport = self.simulator.transport()
        self.jobs = jobs
        self.running: dict[str, tuple[float, float]] = {}
        """When a job began and when it ends, by its ref; until its end was reported."""
        self.waits: JobSet | None = None
        """The set that waits for them now; None while nobody does."""
        self.sent: list[float] = []
        self.ends: list[End] = []
        self.troubles: list[Trouble] = []
        self.reported_twice = 0
        self._checkpoint: dict[str, Any] | None = None
        self._begun: list[str] = []
        self._ended: list[str] = []
        for _ in range(jobs):
            self.begin(self.random.expovariate(1 / LIFE))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(anyio.current_time())
        await anyio.sleep(LATENCY)
        return await self.transport.handle_async_request(request)

    def begin(self, age: float = 0.0) -> None:
        """Let a job run that began ``age`` seconds ago, and have it waited for."""
        now, left = anyio.current_time(), self.random.expovariate(1 / LIFE)
        began = self.simulator.wall(now - age).isoformat(timespec="milliseconds")
        id = self.simulator.add_job([("running", left), ("success", None)], start_time=began)
        ref = f"ontap://{self.name}/{id}"
        self.running[ref] = now - age, now + left
        self._begun.append(ref)
        if self.waits is not None:
            self.waits.add(ref)

    async def run_jobs(self) -> None:
        """Let as many jobs begin as end, at random."""
        while True:
            await anyio.sleep(self.random.expovariate(self.jobs / LIFE))
            self.begin()

    async def run_outages(self, between: float, mean: float) -> None:
        """Accept no connection now and then."""
        while True:
            await anyio.sleep(self.random.expovariate(1 / between))
            seconds = self.random.expovariate(1 / mean)
            now = anyio.current_time()
            self.simulator.start_outage(seconds)
            self.troubles.append(Trouble("outage", now, now + seconds))
            await anyio.sleep(seconds)

    async def wait(self) -> None:
        """Wait for all jobs, from what the record says, until cancelled."""
        source = OntapJobs(self.name, auth=Bearer("t"), transport=self)
        async with source, JobSet(source, self._begun, checkpoint=self._checkpoint) as waits:
            source._current_poller().executor._random.seed(self.random.random())
            for ref in self._ended:
                waits.discard(ref)
            self.waits = waits
            async for outcome in waits:
                self._report(outcome)

    def save(self) -> None:
        """Store a checkpoint, if anybody waits."""
        if self.waits is not None:
            self._checkpoint, self._begun, self._ended = self.waits.checkpoint(), [], []

    def overdue(self, since: float) -> int:
        """How many jobs ended before this time, without having been reported."""
        return sum(ends < since for _, ends in self.running.values())

    def _report(self, outcome: Outcome) -> None:
        ref = str(outcome.ref)
        times = self.running.pop(ref, None)
        if times is None:
            self.reported_twice += 1
            return
        began, ended = times
        self._ended.append(ref)
        now = anyio.current_time()
        self.ends.append(End(ended, ended - began, now, isinstance(outcome, JobGone)))
