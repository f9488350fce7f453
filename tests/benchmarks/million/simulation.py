"""A million waits in virtual time: workers that share clusters, outages of clusters, and lost workers.

What runs is the real thing: a source and a `JobSet` for each cluster, its poller, its delays and its
checkpoints. Simulated are the clusters, what happens to them, and what gives the clusters to the workers.
Clusters have nothing in common but their worker, so a few of each worker's stand for all: what is counted for
the whole is multiplied. Everything is drawn from a seed, and nothing is timed, so that the figures are the
same on any machine; the CPU that a full worker takes is measured apart (`process`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random

import anyio
import anyio.abc
import attrs

from common.simulator import Clock
from tests.benchmarks.million.cluster import Cluster, Trouble

START_TIME = datetime(2026, 3, 1, tzinfo=UTC)
MINUTE = 60.0
WARM_UP = 5 * MINUTE
"""Seconds before anything is counted: all waits begin in the first of them."""
LEASE = 30.0
"""Seconds after which a worker that was not heard of counts as lost."""
DOWN = 5 * MINUTE
"""Mean seconds, beyond the lease, for which a lost worker stays away."""
CHECKPOINT_EVERY = MINUTE
BETWEEN_LOSSES = 3600.0
"""Mean seconds from one loss of a worker to its next."""
BETWEEN_OUTAGES = 3600.0
"""Mean seconds from one outage of a cluster to its next."""
OUTAGE = 2 * MINUTE
"""Mean seconds of an outage."""
TAIL = 30
"""Minutes at most, behind the time that counts, in which its last ends are waited for."""


@attrs.frozen(kw_only=True)
class Size:
    """What is simulated."""

    workers: int = 20
    clusters: int = 1
    """Of each worker, that are simulated."""
    clusters_each: int = 50
    """Of each worker, that they stand for."""
    jobs: int = 1_000
    """Of each cluster, at any time."""
    minutes: int = 30
    """That are counted."""
    seed: int = 7

    @property
    def until(self) -> float:
        """Seconds on the loop's clock at which counting ends."""
        return WARM_UP + self.minutes * MINUTE

    @property
    def scale(self) -> float:
        """How many clusters each simulated one stands for."""
        return self.clusters_each / self.clusters


@attrs.define(eq=False)
class Worker:
    """A process that waits; ``up`` while it runs."""

    random: Random
    up: bool = True


@attrs.define(eq=False)
class Place:
    """Where a cluster is waited for: its workers in the order of preference, and the one that has it now."""

    cluster: Cluster
    preference: Sequence[Worker]
    worker: Worker | None = None
    scope: anyio.CancelScope = attrs.field(factory=anyio.CancelScope)
    lost_at: float | None = None
    """When the worker was lost, until another one goes on."""

    def stop(self) -> None:
        """End the wait, as the end of its process does."""
        self.scope.cancel()
        self.cluster.waits = None


@attrs.define(eq=False)
class Simulation:
    """One run."""

    tasks: anyio.abc.TaskGroup
    workers: list[Worker]
    places: list[Place]

    @classmethod
    def of(cls, size: Size, tasks: anyio.abc.TaskGroup) -> Simulation:
        random, clock = Random(size.seed), Clock(START_TIME)
        workers = [Worker(Random(f"{size.seed}/worker{number}")) for number in range(size.workers)]
        places: list[Place] = []
        for first, home in enumerate(workers):
            for number in range(size.clusters):
                name = f"cluster{first * size.clusters_each + number}.example.com"
                others = [worker for worker in workers if worker is not home]
                random.shuffle(others)
                places.append(Place(Cluster(name, clock, str(size.seed), size.jobs), [home, *others]))
        return cls(tasks, workers, places)

    @property
    def clusters(self) -> list[Cluster]:
        return [place.cluster for place in self.places]

    def begin(self) -> None:
        self.assign()
        for place in self.places:
            self.tasks.start_soon(place.cluster.run_jobs)
            self.tasks.start_soon(self._save, place.cluster)

    def trouble(self) -> None:
        """Let clusters and workers fail from now on."""
        for cluster in self.clusters:
            self.tasks.start_soon(cluster.run_outages, BETWEEN_OUTAGES, OUTAGE)
        for worker in self.workers:
            self.tasks.start_soon(self._lose_now_and_then, worker)

    def assign(self) -> None:
        """Give each cluster to the first of its workers that is up; from one that is up it moves."""
        for place in self.places:
            first = next((worker for worker in place.preference if worker.up), None)
            if first is None or first is place.worker or (place.worker and not place.worker.up):
                continue  # nobody is there, or a lease still runs
            if place.worker is not None:
                place.cluster.save()
                place.stop()
            if place.lost_at is not None:
                place.cluster.troubles.append(Trouble("loss", place.lost_at, anyio.current_time()))
                place.lost_at = None
            place.worker, place.scope = first, anyio.CancelScope()
            self.tasks.start_soon(self._wait, place.cluster, place.scope)

    async def lose(self, worker: Worker, seconds: float) -> None:
        """Let a worker's process end, and another begin in its place after so many seconds."""
        worker.up = False
        lost = [place for place in self.places if place.worker is worker]
        for place in lost:
            place.stop()
            place.lost_at = anyio.current_time()
        await anyio.sleep(LEASE)
        for place in lost:
            place.worker = None
        self.assign()
        await anyio.sleep(seconds - LEASE)
        worker.up = True
        self.assign()

    async def _wait(self, cluster: Cluster, scope: anyio.CancelScope) -> None:
        with scope:
            await cluster.wait()

    async def _save(self, cluster: Cluster) -> None:
        while True:
            await anyio.sleep(CHECKPOINT_EVERY)
            cluster.save()

    async def _lose_now_and_then(self, worker: Worker) -> None:
        while True:
            await anyio.sleep(worker.random.expovariate(1 / BETWEEN_LOSSES))
            await self.lose(worker, LEASE + worker.random.expovariate(1 / DOWN))


async def simulate(size: Size) -> list[Cluster]:
    """Run one simulation, and return its clusters, which tell what came of it."""
    clusters: list[Cluster] = []
    async with anyio.create_task_group() as tasks:
        simulation = Simulation.of(size, tasks)
        clusters = simulation.clusters
        simulation.begin()
        await anyio.sleep(WARM_UP)
        simulation.trouble()
        await anyio.sleep_until(size.until)
        for _ in range(TAIL):
            if not any(cluster.overdue(size.until) for cluster in clusters):
                break
            await anyio.sleep(MINUTE)
        tasks.cancel_scope.cancel()
    return clusters
