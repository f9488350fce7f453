"""Many open waits: what each holds, what a tick and a wake cost.

``futures`` is the caller's own part: a task for each, parked in a bare future. ``expire_us`` is what a wait
takes that ends at the deadline of all; of the caller's own, a future and a bare exception.
``instant`` is a source without a network, so that all that is measured is waiting itself. ``ontap`` is
the real thing over HTTP, for its memory.

``python -m tests.benchmarks.idle <what> <n> <url>`` prints one JSON line.
"""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import sys
import time
from collections.abc import Coroutine, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from common.model.errors import WaitTimeout
from common.model.job import Job
from common.model.refs import JobRef
from common.model.states import JobState
from common.polling.policy import PollPolicy
from common.polling.pollable import BatchReading, Pollable, Reading
from common.polling.throttle import LoopThrottle
from common.sources.base import BaseSource
from common.sources.http import HttpSource
from common.sources.ref_resolver import RefResolver
from ontapjobs.driver import OntapDriver
from tests.benchmarks.client import control
from tests.benchmarks.harness import Form, Report, Row, Server, fixed, python
from tests.benchmarks.jobs import drawn

STATM = Path("/proc/self/statm")
SEED = 11
TICK = 0.01
QUIET = 0.5
"""Seconds of a pause in which nothing falls due."""


def resident() -> int:
    """Bytes of this process in memory, now; at most so far where the system does not tell."""
    gc.collect()
    if STATM.exists():
        return int(STATM.read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class InstantJobs(Pollable):
    """Answers at once, for as many as one request of ONTAP's holds; before ``gate`` is set, not at all."""

    batch_limit = 6_000

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.state = JobState.RUNNING
        self.answers = 0

    def batch_cost(self, ref: JobRef) -> int:
        return len(ref.id) + 3

    async def read(self, ref: JobRef, last: Reading | None = None) -> Reading:
        await self.gate.wait()
        self.answers += 1
        return Reading(Job(ref, self.state))

    async def read_batch(self, refs: Sequence[JobRef], last: Mapping[str, Any]) -> BatchReading:
        await self.gate.wait()
        self.answers += len(refs)
        return BatchReading(dict.fromkeys([ref.id for ref in refs], self.state))

    def decode_batch_record(self, ref: JobRef, record: Any) -> Job:
        return Job(ref, JobState(record))


class Instant(BaseSource):
    """A source over `InstantJobs`."""

    def __init__(self, interval: float) -> None:
        self.jobs = InstantJobs()
        super().__init__(
            self.jobs,
            RefResolver("instant", "http://127.0.0.1:9"),
            throttle=LoopThrottle(8, 3600.0),
            policy=PollPolicy(initial=interval, maximum=interval),
        )


class CountedDriver(OntapDriver):
    """Counts the jobs that it has seen for the first time."""

    answers = 0

    def decode_batch_record(self, ref: JobRef, record: Any) -> Job:
        self.answers += 1
        return super().decode_batch_record(ref, record)


async def futures(n: int, _url: str) -> Row:
    loop = asyncio.get_running_loop()
    parked: list[asyncio.Future[None]] = []

    async def park() -> None:
        future: asyncio.Future[None] = loop.create_future()
        parked.append(future)
        await future

    async def caller(index: int) -> None:
        del index
        await park()

    async def late(index: int) -> None:
        await park()
        raise WaitTimeout(f"{index} is late")

    async def wake() -> float:
        cpu = time.process_time()
        for future in parked:
            future.set_result(None)
        await asyncio.gather(*tasks, return_exceptions=True)
        parked.clear()
        return (time.process_time() - cpu) / n * 1e6

    before, cpu = resident(), time.process_time()
    tasks = _begin(n, caller)
    await asyncio.sleep(TICK)
    row: Row = {"start_us": (time.process_time() - cpu) / n * 1e6}
    row["bytes"] = (resident() - before) / n
    row["wake_us"] = await wake()
    tasks = _begin(n, late)
    await asyncio.sleep(TICK)
    row["expire_us"] = await wake()
    return row


async def instant(n: int, _url: str) -> Row:
    interval = max(2.0, n * 1.5e-4)
    ids = drawn(n, SEED, 0.0, 1.0).ids
    source = Instant(interval)
    jobs = source.jobs

    async def caller(index: int) -> None:
        await source.wait(ids[index])

    before, cpu = resident(), time.process_time()
    tasks = _begin(n, caller)
    for _ in range(3):
        await asyncio.sleep(TICK)  # all of them have come in, and the first requests are out
    row: Row = {"start_us": (time.process_time() - cpu) / n * 1e6}
    row["unseen_bytes"] = (resident() - before) / n
    cpu = time.process_time()
    jobs.gate.set()
    began = time.monotonic()
    await await_answers(jobs, n)
    row["first_us"] = (time.process_time() - cpu) / n * 1e6
    row["bytes"] = (resident() - before) / n
    cpu, at = time.process_time(), time.monotonic()
    await asyncio.sleep(QUIET)
    row["quiet_cpu_share"] = (time.process_time() - cpu) / (time.monotonic() - at)
    row["in_time"] = time.monotonic() < began + interval
    cpu = time.process_time()
    await await_answers(jobs, 2 * n)
    row["tick_us"] = (time.process_time() - cpu) / n * 1e6
    jobs.state = JobState.SUCCEEDED
    cpu = time.process_time()
    await asyncio.gather(*tasks)
    row["wake_us"] = (time.process_time() - cpu) / n * 1e6

    jobs.state = JobState.RUNNING
    deadline = datetime.now(UTC) + timedelta(seconds=interval)

    async def late(index: int) -> None:
        await source.wait(ids[index], deadline=deadline)

    tasks, seen = _begin(n, late), jobs.answers + n
    await asyncio.sleep(interval - TICK)
    row["in_time"] = row["in_time"] and jobs.answers >= seen and datetime.now(UTC) < deadline
    cpu = time.process_time()
    await asyncio.gather(*tasks, return_exceptions=True)
    row["expire_us"] = (time.process_time() - cpu) / n * 1e6
    return row


async def ontap(n: int, url: str) -> Row:
    control(url, f"/bench/start?n={n}&seed={SEED}&window=1e9&kind=ontap")
    ids = drawn(n, SEED, 0.0, 1.0).ids
    policy = PollPolicy(initial=240.0, maximum=240.0)
    driver = CountedDriver(url, states={}, app="benchmark")

    def make_driver(endpoint: str, *, states: object) -> CountedDriver:
        del endpoint, states
        return driver

    async with HttpSource(make_driver, url, auth=("admin", "secret"), options={"policy": policy}) as source:
        await source.get(ids[0])

        async def caller(index: int) -> None:
            await source.wait(ids[index])

        before, cpu = resident(), time.process_time()
        tasks = _begin(n, caller)
        await await_answers(driver, n)
        row: Row = {"first_us": (time.process_time() - cpu) / n * 1e6}
        row["bytes"] = (resident() - before) / n
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return row


def _begin(n: int, caller: Any) -> list[asyncio.Task[None]]:
    def start(index: int) -> asyncio.Task[None]:
        waiting: Coroutine[Any, Any, None] = caller(index)
        return asyncio.create_task(waiting)

    return [start(index) for index in range(n)]


async def await_answers(counted: InstantJobs | CountedDriver, n: int) -> None:
    # Looked at now and then: an event would be set, and cost, in what is measured.
    while counted.answers < n:  # noqa: ASYNC110
        await asyncio.sleep(TICK)


WHAT = {"futures": futures, "instant": instant, "ontap": ontap}
COLUMNS: dict[str, Form] = {
    "what": str,
    "bytes": fixed(0),
    "ours_bytes": fixed(0),
    "unseen_bytes": fixed(0),
    "start_us": fixed(1),
    "first_us": fixed(1),
    "tick_us": fixed(1),
    "wake_us": fixed(1),
    "expire_us": fixed(1),
    "quiet_cpu_share": fixed(4),
    "peak_mib": fixed(0),
}


def idle(server: Server, report: Report, *, sizes: Sequence[int], limit: float) -> None:
    for n in sizes:
        rows: dict[str, Row] = {}
        for what in WHAT:
            row = python("-m", "tests.benchmarks.idle", what, str(n), server.url, limit=limit)
            rows[what] = {"what": what, "n": n, **row}
        own = rows["futures"].get("bytes")
        for row in rows.values():
            if own is not None and row.get("bytes") is not None:
                row["ours_bytes"] = row["bytes"] - own
        report.table(
            f"{n:,} open waits: bytes each (ours: beside a task in a future), µs of CPU each, one run",
            rows.values(),
            COLUMNS,
        )
        report.goal("bytes of ours each, a job seen", rows["instant"].get("ours_bytes"), 600)
        report.goal("µs to learn of an end and wake its waiter", rows["instant"].get("wake_us"), 8.0)


if __name__ == "__main__":
    kind, count, url = sys.argv[1:4]
    found = asyncio.run(WHAT[kind](int(count), url))
    found["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(json.dumps(found) + "\n")
