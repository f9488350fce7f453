"""Whoever waits for jobs: ourselves, the peers, and floors without any library.

A client is a function that gets ready (imports, a connection's settings) and returns what does the waiting;
only the latter is measured. The peers are loaded by name: nothing but their own runs needs them installed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from tests.benchmarks.jobs import Jobs

Wait = Callable[[Jobs], None]
"""Waits for all of the jobs, and notes when it learnt of each end."""

EXTRAS = ("msgspec", "orjson")
"""What makes us faster where it is installed."""
POOL = 8
"""Connections of the floors: as many as ours."""
CHUNK = 150
"""Ids in one request of the floor that asks for many."""
ENDED = frozenset({"success", "failure", "COMPLETE", "FAILED"})
PATHS = {"ontap": "/api/cluster/jobs/", "cf": "/v3/jobs/"}


@dataclass(frozen=True, slots=True)
class Order:
    """One run. ``interval`` is the seconds between two polls of a job; None takes the client's defaults."""

    client: str
    kind: str
    url: str
    n: int
    seed: int
    window: float
    interval: float | None
    limit: float
    """Seconds after which the run is cut; who has not learnt of an end by then has missed it."""


# Ourselves


def jobsource(order: Order) -> Wait:
    """As installed without extras; the runner keeps them from being imported."""
    return _ours(order)


def jobsource_extras(order: Order) -> Wait:
    """With the extras, all of them."""
    import_module("msgspec")
    return _ours(order)


def jobsource_over_httpx(order: Order) -> Wait:
    """Without extras, and with httpx to send the requests."""
    os.environ["JOBSOURCE_HTTP"] = "httpx"
    return _ours(order)


def _ours(order: Order) -> Wait:
    from cfjobs import CFJobs
    from common import Bearer, PollPolicy
    from ontapjobs import OntapJobs

    _load_httpx()

    async def run(jobs: Jobs) -> None:
        interval = order.interval
        policy = None if interval is None else PollPolicy(initial=interval, maximum=interval)
        source: OntapJobs | CFJobs = (
            OntapJobs(order.url, auth=("admin", "secret"), policy=policy)
            if order.kind == "ontap"
            else CFJobs(order.url, auth=Bearer("token"), policy=policy)
        )

        async def follow(index: int) -> None:
            await source.wait(jobs.ids[index])
            jobs.learn(index)

        async with source:
            await _all(order, jobs, follow)

    return lambda jobs: asyncio.run(run(jobs))


def _load_httpx() -> Any:
    """Now, not within what is measured: imports are a benchmark of their own."""
    for name in ("httpcore", "anyio._backends._asyncio"):
        import_module(name)
    return import_module("httpx")


# One task a job


def httpx_tasks(order: Order) -> Wait:
    """httpx with its own pool; without timeouts, for with its defaults most requests end as PoolTimeout."""
    httpx = _load_httpx()

    async def run(jobs: Jobs) -> None:
        async with httpx.AsyncClient(timeout=None, auth=("admin", "secret")) as client:

            async def ask(url: str) -> bytes:
                reply: bytes = (await client.get(url)).content
                return reply

            await _all(order, jobs, _poll(order, jobs, ask))

    return lambda jobs: asyncio.run(run(jobs))


def aiohttp_tasks(order: Order) -> Wait:
    """aiohttp at its defaults: 100 connections."""
    aiohttp = import_module("aiohttp")

    async def run(jobs: Jobs) -> None:
        async with aiohttp.ClientSession(auth=aiohttp.BasicAuth("admin", "secret")) as session:

            async def ask(url: str) -> bytes:
                async with session.get(url) as response:
                    body: bytes = await response.read()
                    return body

            await _all(order, jobs, _poll(order, jobs, ask))

    return lambda jobs: asyncio.run(run(jobs))


def _poll(
    order: Order, jobs: Jobs, ask: Callable[[str], Awaitable[bytes]]
) -> Callable[[int], Awaitable[None]]:
    interval = order.interval or 1.0

    async def follow(index: int) -> None:
        now = asyncio.get_running_loop().time
        url = f"{order.url}{PATHS[order.kind]}{jobs.ids[index]}"
        due = now()
        while json.loads(await ask(url))["state"] not in ENDED:
            due = max(due + interval, now())
            await asyncio.sleep(due - now())
        jobs.learn(index)

    return follow


async def _all(order: Order, jobs: Jobs, follow: Callable[[int], Awaitable[None]]) -> None:
    async def caller(index: int) -> None:
        await follow(index)

    try:
        async with asyncio.timeout(order.limit), asyncio.TaskGroup() as group:
            for index in range(len(jobs.ids)):
                group.create_task(caller(index))
    except TimeoutError:
        pass


# Floors: no library at all


class Streams:
    """Keep-alive connections of asyncio streams, and nothing but the length of a reply is looked at."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._free: asyncio.LifoQueue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.LifoQueue()
        self._writers: list[asyncio.StreamWriter] = []

    async def open(self) -> None:
        for _ in range(POOL):
            line = await asyncio.open_connection(self._host, self._port, limit=1 << 20)
            self._writers.append(line[1])
            self._free.put_nowait(line)

    async def get(self, target: str) -> bytes:
        line = await self._free.get()
        reader, writer = line
        try:
            writer.write(f"GET {target} HTTP/1.1\r\nHost: {self._host}\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            at = head.index(b"Content-Length: ") + 16
            return await reader.readexactly(int(head[at : head.index(b"\r", at)]))
        finally:
            self._free.put_nowait(line)

    def close(self) -> None:
        for writer in self._writers:
            writer.close()


def streams(order: Order) -> Wait:
    """Raw asyncio streams, one task a job."""

    async def run(jobs: Jobs) -> None:
        lines = Streams(order.url)
        await lines.open()

        async def ask(url: str) -> bytes:
            return await lines.get(url.removeprefix(order.url))

        await _all(order, jobs, _poll(order, jobs, ask))
        lines.close()

    return lambda jobs: asyncio.run(run(jobs))


def streams_batched(order: Order) -> Wait:
    """Raw asyncio streams, many ids a request, one task for all: what batching could cost at the least."""

    async def run(jobs: Jobs) -> None:
        lines = Streams(order.url)
        await lines.open()
        now = asyncio.get_running_loop().time
        left = {id: index for index, id in enumerate(jobs.ids)}
        due, stop = now(), now() + order.limit
        while left and now() < stop:
            ids = list(left)
            for at in range(0, len(ids), CHUNK):
                query = "%7C".join(ids[at : at + CHUNK])
                page = json.loads(await lines.get(f"/api/cluster/jobs?fields=*&uuid={query}"))
                for record in page["records"]:
                    if record["state"] in ENDED:
                        jobs.learn(left.pop(record["uuid"]))
            due += order.interval or 1.0
            await asyncio.sleep(max(0.0, due - now()))
        lines.close()

    return lambda jobs: asyncio.run(run(jobs))


# The official clients, one thread a job


def netapp_ontap(order: Order) -> Wait:
    """``netapp_ontap.utils.watch_job``, which its resources' ``poll`` ends in, over one connection object."""
    utils = import_module("netapp_ontap.utils")
    connection = import_module("netapp_ontap").HostConnection(
        "127.0.0.1",
        username="admin",
        password="secret",
        verify=False,
        port=urlsplit(order.url).port,
        scheme="http",
    )
    _quiet()

    def follow(id: str) -> None:
        if order.interval is None:
            utils.watch_job(f"/api/cluster/jobs/{id}", connection=connection)
        else:
            utils.watch_job(
                f"/api/cluster/jobs/{id}",
                connection=connection,
                timeout=int(order.limit),
                interval=order.interval,
            )

    return lambda jobs: _threads(order, jobs, follow)


def cloudfoundry_client(order: Order) -> Wait:
    """``client.v3.jobs.wait_for_job_completion`` of one client object."""
    client = import_module("cloudfoundry_client.client").CloudFoundryClient(order.url)
    client.init_with_user_credentials("admin", "secret")
    _quiet()

    def follow(id: str) -> None:
        if order.interval is None:
            client.v3.jobs.wait_for_job_completion(id)
        else:
            client.v3.jobs.wait_for_job_completion(id, step=order.interval, step_function=lambda step: step)

    return lambda jobs: _threads(order, jobs, follow)


def _threads(order: Order, jobs: Jobs, follow: Callable[[str], None]) -> None:
    threading.stack_size(256 * 1024)
    failures: list[Exception] = []
    stop = threading.Event()
    left = threading.Semaphore(0)

    def caller(index: int) -> None:
        try:
            follow(jobs.ids[index])
            if not stop.is_set():
                jobs.learn(index)
        except Exception as error:  # it counts as missed, and the first is shown
            failures.append(error)
        finally:
            left.release()

    watchdog = threading.Timer(order.limit, left.release, (len(jobs.ids),))
    watchdog.daemon = True
    watchdog.start()
    for index in range(len(jobs.ids)):
        threading.Thread(target=caller, args=(index,), daemon=True).start()
    for _ in jobs.ids:
        left.acquire()
    stop.set()
    watchdog.cancel()
    if failures:
        logging.getLogger(__name__).error("%d waits failed: %r", len(failures), failures[0])


def _quiet() -> None:
    # A warning for each connection beyond their pool of ten would cost them time that is not theirs.
    logging.getLogger("urllib3").setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True)
class Client:
    """``kinds`` are the systems that it speaks to, ``most`` the jobs that it bears."""

    prepare: Callable[[Order], Wait]
    kinds: tuple[str, ...] = ("ontap", "cf")
    most: int = 10_000
    extras: bool = True


CLIENTS: dict[str, Client] = {
    "jobsource": Client(jobsource, extras=False),
    "jobsource+extras": Client(jobsource_extras),
    "jobsource over httpx": Client(jobsource_over_httpx, extras=False),
    "netapp_ontap": Client(netapp_ontap, ("ontap",), 1_000),
    "cloudfoundry-client": Client(cloudfoundry_client, ("cf",), 1_000),
    "aiohttp tasks": Client(aiohttp_tasks),
    "httpx tasks": Client(httpx_tasks, most=1_000),
    "streams tasks": Client(streams),
    "streams batched": Client(streams_batched, ("ontap",)),
}
