"""Jobs of many clusters through one `Fleet`, beside forty lines of aiohttp: CPU, lag, memory of a source.

Each cluster is a port of the benchmarks' server, on loopback. Its ten jobs end at random within 10 s, and
are asked about each second. The hand-written peer has a task a cluster, and asks for its jobs in one
request, as we do. What is imported, is before the clock starts; making the sources and their connections
counts.

``python -m tests.benchmarks.clusters <client> <clusters> <jobs of each> <url> <seed>`` prints one JSON line.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import sys
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from functools import partial
from importlib import import_module
from typing import Any
from urllib.parse import urlencode

from tests.benchmarks.client import at, control, without_extras
from tests.benchmarks.harness import Form, Report, Row, Server, fixed, median, python, ratio, times
from tests.benchmarks.jobs import Jobs, drawn

SIZES = ((300, 10), (1_000, 10))
INTERVAL = 1.0
WINDOW = 10.0
"""Seconds within which the jobs end."""
PEER = "aiohttp by hand"
IDLE = 30.0
"""Seconds between two polls while memory is measured."""

Wait = Callable[[Jobs, list[str]], Awaitable[None]]
"""Waits for all jobs, which belong to the clusters at these URLs in turn."""


def ours(jobs_each: int) -> Wait:
    """One `Fleet`, and one `JobSet` over it."""
    from common import Fleet, Job, JobSet, PollPolicy
    from ontapjobs import OntapJobs

    import_module("anyio._backends._asyncio")

    async def wait(jobs: Jobs, urls: list[str]) -> None:
        policy = PollPolicy(initial=INTERVAL, maximum=INTERVAL)
        places = {id: index for index, id in enumerate(jobs.ids)}
        async with Fleet([OntapJobs(url, auth=("u", "p"), policy=policy) for url in urls]) as fleet:
            sources = fleet.sources
            refs = [sources[n // jobs_each].ref(id) for n, id in enumerate(jobs.ids)]
            async with JobSet(fleet, refs) as waits:
                waits.close()
                async for outcome in waits:
                    if isinstance(outcome, Job):
                        jobs.learn(places[outcome.ref.id])

    return wait


def over_httpx(jobs_each: int) -> Wait:
    """The same, with httpx to send the requests."""
    os.environ["JOBSOURCE_HTTP"] = "httpx"
    for name in ("httpx", "httpcore"):
        import_module(name)
    return ours(jobs_each)


def by_hand(jobs_each: int) -> Wait:
    """One session, one task a cluster, one request a second for what is left of its jobs."""
    aiohttp = import_module("aiohttp")
    ended = frozenset({"success", "failure"})

    async def follow(session: Any, url: str, jobs: Jobs, left: dict[str, int]) -> None:
        now = asyncio.get_running_loop().time
        due = now()
        while left:
            target = f"{url}/api/cluster/jobs?fields=*&uuid={'%7C'.join(left)}"
            async with session.get(target) as response:
                page = json.loads(await response.read())
            for record in page["records"]:
                if record["state"] in ended:
                    jobs.learn(left.pop(record["uuid"]))
            due += INTERVAL
            await asyncio.sleep(max(0.0, due - now()))

    async def wait(jobs: Jobs, urls: list[str]) -> None:
        connector = aiohttp.TCPConnector(limit=0)
        headers = {"Authorization": aiohttp.encode_basic_auth("u", "p")}
        async with (
            aiohttp.ClientSession(headers=headers, connector=connector) as session,
            asyncio.TaskGroup() as group,
        ):
            for n, url in enumerate(urls):
                own = range(n * jobs_each, (n + 1) * jobs_each)
                group.create_task(follow(session, url, jobs, {jobs.ids[each]: each for each in own}))

    return wait


CLIENTS: dict[str, Callable[[int], Wait]] = {
    "jobsource": ours,
    "jobsource+extras": ours,
    "jobsource over httpx": over_httpx,
    PEER: by_hand,
}
GOALS = {"jobsource": 2.0, "jobsource+extras": 2.0, "jobsource over httpx": 3.5}
"""Times the CPU of the hand-written peer."""


def _begin(systems: int, each: int, url: str, seed: int, window: float) -> tuple[Jobs, list[str]]:
    n = systems * each
    ports = control(url, f"/bench/ports?n={systems}")["ports"]
    query = urlencode({"n": n, "seed": seed, "window": window, "kind": "ontap"})
    start = control(url, f"/bench/start?{query}")["start"]
    jobs = drawn(n, seed, 0.0, window)
    jobs.ends = [start + end for end in jobs.ends]
    return jobs, [f"http://127.0.0.1:{port}" for port in ports]


def run(client: str, systems: int, each: int, url: str, seed: int) -> Row:
    """One client's run."""
    if client in ("jobsource", "jobsource over httpx"):
        without_extras()
    wait = CLIENTS[client](each)
    jobs, urls = _begin(systems, each, url, seed, WINDOW)
    gc.collect()
    gc.freeze()
    cpu = time.process_time()
    asyncio.run(_whole(wait, jobs, urls))
    cpu = time.process_time() - cpu
    lags = jobs.lags()
    return {
        "cpu": cpu,
        **control(url, "/bench/stats"),
        "lag_p50": at(lags, 0.5),
        "lag_p99": at(lags, 0.99),
        "missed": len(jobs.ids) - len(lags),
    }


async def _whole(wait: Wait, jobs: Jobs, urls: list[str]) -> None:
    await wait(jobs, urls)


async def _memory(urls: list[str], ids: list[str]) -> Row:
    from ontapjobs import OntapJobs

    def held() -> int:
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    def make(url: str) -> OntapJobs:
        return OntapJobs(url, auth=("u", "p"))

    first = make(urls[0])
    await first.get(ids[0])  # what is loaded and cached once a process
    tracemalloc.start()
    before = held()
    sources = [make(url) for url in urls[1:]]
    made = held()
    for source, id in zip(sources, ids[1:], strict=False):
        await source.get(id)
    asked = held()
    tracemalloc.stop()
    for source in (first, *sources):
        await source.aclose()
    return {"made_bytes": (made - before) / len(sources), "asked_bytes": (asked - before) / len(sources)}


def memory(systems: int, url: str) -> Row:
    """Bytes of a source as it is made, and with one kept connection."""
    jobs, urls = _begin(systems, 1, url, 1, 1e9)
    return asyncio.run(_memory(urls, jobs.ids))


def clusters(server: Server, report: Report, *, repeat: int, limit: float) -> None:
    """A table for each size, and whether the goals were reached."""
    for systems, each in SIZES:
        runs: dict[str, list[Row]] = {name: [] for name in CLIENTS}
        for seed in range(repeat):
            for name, found in runs.items():
                words = (name, str(systems), str(each), server.url, str(seed))
                found.append(python("-m", "tests.benchmarks.clusters", *words, limit=limit))
        rows = {name: {"client": name, "systems": systems, **median(found)} for name, found in runs.items()}
        for row in rows.values():
            row["cpu ratio"] = ratio(row, rows[PEER], "cpu")
        columns: dict[str, Form] = {
            "client": str,
            "cpu": fixed(2),
            "cpu ratio": times,
            "requests": fixed(0),
            "connections": fixed(0),
            "lag_p50": fixed(2),
            "lag_p99": fixed(2),
            "missed": fixed(0),
        }
        report.table(
            f"{systems:,} clusters x {each} jobs, one poll each {INTERVAL:g} s; medians of {repeat}",
            rows.values(),
            columns,
        )
        for name, most in GOALS.items():
            report.goal(
                f"{systems:,} clusters: CPU of {name} beside {PEER}", float(rows[name]["cpu ratio"]), most
            )
        report.goal(f"{systems:,} clusters: our lag_p99", float(rows["jobsource"]["lag_p99"]), 1.2)
    memory = python("-m", "tests.benchmarks.clusters", "memory", "500", server.url, limit=limit)
    report.table(
        "A source, traced bytes: as it is made, and with one kept connection",
        [{"what": "a source", **memory}],
        {"what": str, "made_bytes": fixed(0), "asked_bytes": fixed(0)},
    )
    report.goal("bytes of a source with one kept connection", memory.get("asked_bytes"), 20_000)


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    what, *given = sys.argv[1:]
    measure: Callable[[], Row]
    if what == "memory":
        measure = partial(memory, int(given[0]), given[1])
    else:
        measure = partial(run, what, int(given[0]), int(given[1]), given[2], int(given[3]))
    sys.stdout.write(json.dumps(measure()) + "\n")
