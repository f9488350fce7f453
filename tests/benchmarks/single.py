"""One `get` against one bare request, and the making of a second source.

``python -m tests.benchmarks.single <what> [url]`` prints one JSON line.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable

from tests.benchmarks.client import control
from tests.benchmarks.harness import Form, Report, Row, Server, fixed, median, python, times
from tests.benchmarks.jobs import drawn

BLOCKS = 25
PER_BLOCK = 60
"""Requests one after the other; a block of one kind, then of the other."""


async def _alternate(url: str) -> Row:
    import httpx

    from ontapjobs import OntapJobs

    control(url, "/bench/start?n=1&seed=1&window=3600&kind=ontap")
    id = drawn(1, 1, 0.0, 1.0).ids[0]
    target = f"{url}/api/cluster/jobs/{id}"
    auth = ("admin", "secret")
    source = OntapJobs(url, auth=auth)
    async with source, httpx.AsyncClient(auth=auth) as client:

        async def bare() -> None:
            json.loads((await client.get(target)).content)

        async def own() -> None:
            await source.get(id)

        took: dict[str, list[float]] = {"bare": [], "own": []}
        wall: dict[str, list[float]] = {"bare": [], "own": []}
        kinds: list[tuple[str, Callable[[], Awaitable[None]]]] = [("bare", bare), ("own", own)]
        for block in range(BLOCKS + 1):
            for name, ask in kinds:
                began, at = time.process_time(), time.perf_counter()
                for _ in range(PER_BLOCK):
                    await ask()
                if block:
                    took[name].append((time.process_time() - began) / PER_BLOCK * 1e6)
                    wall[name].append((time.perf_counter() - at) / PER_BLOCK * 1e6)
    # Of neighbours, so that what disturbs the machine for a while disturbs both.
    ratios = [a / b for a, b in zip(took["own"], took["bare"], strict=True)]
    return {
        "bare_us": statistics.median(took["bare"]),
        "own_us": statistics.median(took["own"]),
        "bare_wall_us": statistics.median(wall["bare"]),
        "own_wall_us": statistics.median(wall["own"]),
        "ratio": statistics.median(ratios),
        "wall_ratio": statistics.median(a / b for a, b in zip(wall["own"], wall["bare"], strict=True)),
    }


def get_over_httpx(url: str) -> Row:
    os.environ["JOBSOURCE_HTTP"] = "httpx"
    return asyncio.run(_alternate(url))


def get_direct(url: str) -> Row:
    os.environ["JOBSOURCE_HTTP"] = "direct"
    return asyncio.run(_alternate(url))


def making(_: str) -> Row:
    """With TLS, as in production; nothing is connected to."""
    import httpx

    from cfjobs import CFJobs
    from common import Bearer
    from ontapjobs import OntapJobs

    def ontap() -> object:
        return OntapJobs("https://cluster1.example.com", auth=("admin", "secret"))

    def cf() -> object:
        return CFJobs("https://api.example.org", auth=Bearer("token"))

    def took(make: Callable[[], object]) -> float:
        began = time.perf_counter()
        make()
        return (time.perf_counter() - began) * 1e3

    return {
        "client_ms": statistics.median(took(httpx.AsyncClient) for _ in range(5)),
        "first_ms": took(ontap),
        "second_ms": statistics.median(took(ontap) for _ in range(20)),
        "other_ms": statistics.median(took(cf) for _ in range(20)),
    }


WHAT: dict[str, Callable[[str], Row]] = {"httpx": get_over_httpx, "direct": get_direct, "making": making}


def gets(server: Server, report: Report, *, repeat: int) -> None:
    rows: dict[str, Row] = {}
    for name, title in (("httpx", "httpx"), ("direct", "connections of our own, the default")):
        runs = [python("-m", "tests.benchmarks.single", name, server.url, limit=60.0) for _ in range(repeat)]
        rows[name] = {"over": title, **median(runs)}
    columns: dict[str, Form] = {
        "over": str,
        "bare_us": fixed(0),
        "own_us": fixed(0),
        "ratio": times,
        "bare_wall_us": fixed(0),
        "own_wall_us": fixed(0),
        "wall_ratio": times,
    }
    report.table(
        f"One get() and one bare GET with json.loads: µs of CPU, medians of {repeat}", rows.values(), columns
    )
    report.goal("one get, times a bare httpx GET and json.loads (CPU)", rows["direct"].get("ratio"), 0.5)
    report.goal("the same over httpx", rows["httpx"].get("ratio"), 1.15)


def sources(report: Report, *, repeat: int) -> None:
    row = median([python("-m", "tests.benchmarks.single", "making", limit=60.0) for _ in range(repeat)])
    columns: dict[str, Form] = {name: fixed(2) for name in ("client_ms", "first_ms", "second_ms", "other_ms")}
    report.table(
        f"Making an httpx.AsyncClient, a first source, a second, another system's (ms); medians of {repeat}",
        [{"what": "made", **row}],
        {"what": str, **columns},
    )
    report.goal("a second source, ms", row.get("second_ms"), 1.0)
    report.goal("a source of another system, ms", row.get("other_ms"), 1.0)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(WHAT[sys.argv[1]](*(sys.argv[2:] or [""]))) + "\n")
