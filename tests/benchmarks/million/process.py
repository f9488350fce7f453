"""One process of the million at its full size: 50 clusters with 1,000 jobs each, over TLS on loopback.

The jobs stay as old as they are, so that each is asked about at the pace of its age. The clock is virtual:
where no reply is outstanding it jumps to when the next request is due. So a process that gets little of a
core measures the same, for CPU alone is timed.

``python -m tests.benchmarks.million.process <order>`` prints one JSON line.
"""

from __future__ import annotations

import asyncio
import gc
import json
import ssl
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import attrs

from common import JobSet
from common.testing import virtual_time_loop
from ontapjobs import OntapJobs
from tests.benchmarks.client import control
from tests.benchmarks.harness import Row
from tests.benchmarks.idle import resident
from tests.benchmarks.jobs import drawn
from tests.benchmarks.million.cluster import LIFE
from tests.loopback import CERTIFICATE, write_pem

PATIENCE = 30.0
"""Seconds of wall time for which outstanding replies are waited for at most, before the clock jumps."""
ROUNDS = 4
"""In which all jobs are asked about, and which are measured."""
MIXED_SECONDS = 60.0
"""Virtual seconds that are measured where the jobs are of all ages."""
SEED = 13


@attrs.frozen(kw_only=True)
class Order:
    """What to measure."""

    url: str
    clusters: int = 50
    jobs: int = 1_000
    """Of each cluster."""
    age: float | None = None
    """Seconds that all jobs have been running; None for ages as in the simulation."""

    @property
    def gap(self) -> float | None:
        """Seconds between two polls of a job, by the source's own policy; None where there are many."""
        return None if self.age is None else min(60.0, max(1.0, self.age / 10))

    @property
    def begin(self) -> float:
        """Seconds after which all jobs were asked about once: far from any round, also for a slow server."""
        return 0.5 if self.gap is None else self.gap / 2

    @property
    def seconds(self) -> float:
        """How long to measure."""
        return MIXED_SECONDS if self.gap is None else ROUNDS * self.gap


async def _measure(order: Order) -> Row:
    n = order.clusters * order.jobs
    age = f"mean_age={LIFE}" if order.age is None else f"age={order.age}"
    control(order.url, f"/bench/start?n={n}&seed={SEED}&window=1e9&kind=ontap&{age}")
    ports = control(order.url, f"/bench/ports?n={order.clusters}&tls=1")["ports"]
    ids, tls = drawn(n, SEED, 0.0, 1.0).ids, _tls()
    before, cpu = resident(), time.process_time()
    async with AsyncExitStack() as stack:
        sets: list[JobSet] = []
        for number, port in enumerate(ports):
            source = OntapJobs(f"https://127.0.0.1:{port}", auth=("u", "p"), verify=tls)
            await stack.enter_async_context(source)
            jobs = ids[number * order.jobs : (number + 1) * order.jobs]
            sets.append(await stack.enter_async_context(JobSet(source, jobs)))
        await asyncio.sleep(order.begin)
        row: Row = {"gap_s": order.gap, "begin_cpu_s": time.process_time() - cpu}
        row["mib"] = (resident() - before) / 2**20
        gc.collect()
        first, cpu = control(order.url, "/bench/stats"), time.process_time()
        await asyncio.sleep(order.seconds)
        cpu = time.process_time() - cpu
        last = control(order.url, "/bench/stats")
        requests, connections = (last[name] - first[name] for name in ("requests", "connections"))
        row["requests_s"], row["connections_s"] = requests / order.seconds, connections / order.seconds
        row["request_cpu_ms"] = cpu / requests * 1e3
        row["cores"] = cpu / order.seconds
        cpu = time.process_time()
        stored = [json.dumps(each.checkpoint()) for each in sets]
        row["checkpoint_cpu_s"] = time.process_time() - cpu
        row["checkpoint_bytes"] = sum(map(len, stored)) / n
    return row


def _tls() -> ssl.SSLContext:
    with tempfile.TemporaryDirectory() as folder:
        return ssl.create_default_context(cafile=write_pem(Path(folder), "CERTIFICATE", CERTIFICATE))


def measure(order: Order) -> Row:
    """CPU, memory, requests and connections a second, and what a checkpoint takes."""
    with asyncio.Runner(loop_factory=partial(virtual_time_loop, patience=PATIENCE)) as runner:
        return runner.run(_measure(order))


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(Order(**json.loads(sys.argv[1])))) + "\n")
