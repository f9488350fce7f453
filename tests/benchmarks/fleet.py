"""Waits on many systems through one `Fleet`, beside the same waits at their sources. In memory: no socket.

``python -m tests.benchmarks.fleet <sources> <jobs of each>`` prints one JSON line.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import Awaitable

from tests.benchmarks.harness import Form, Report, Row, fixed, median, python, times

SIZES = ((300, 10), (1_000, 10))
GOAL = 1.2
"""Times the CPU of the same waits without a fleet."""


async def _run(systems: int, jobs: int) -> Row:
    import httpx

    from common import Fleet, Job
    from ontapjobs import OntapJobs

    def answer(request: httpx.Request) -> httpx.Response:
        ids = request.url.params["uuid"].split("|")
        records = [{"uuid": id, "state": "success"} for id in ids]
        return httpx.Response(200, json={"records": records, "num_records": len(records)})

    def sources() -> list[OntapJobs]:
        transport = httpx.MockTransport(answer)
        return [
            OntapJobs(f"c{number}.example.com", auth=("u", "p"), transport=transport)
            for number in range(systems)
        ]

    async def cost(waits: list[Awaitable[Job]]) -> float:
        gc.collect()
        began = time.process_time()
        await asyncio.gather(*waits)
        return (time.process_time() - began) / len(waits) * 1e6

    ids = [f"00000000-0000-4000-8000-{number:012d}" for number in range(jobs)]
    refs = [f"ontap://c{number}.example.com/{id}" for number in range(systems) for id in ids]
    row: Row = {}
    for _ in range(2):  # the first is to warm up
        alone = sources()
        row["direct_us"] = await cost([alone[n // jobs].wait(ref) for n, ref in enumerate(refs)])
        members = sources()
        began = time.process_time()
        fleet = Fleet(members)
        row["make_ms"] = (time.process_time() - began) * 1e3
        row["fleet_us"] = await cost([fleet.wait(ref) for ref in refs])
        for source in alone:
            await source.aclose()
        await fleet.aclose()
    return {**row, "ratio": row["fleet_us"] / row["direct_us"]}


def fleets(report: Report, *, repeat: int, limit: float) -> None:
    """A row for each size, and whether the goal was reached."""
    rows: list[Row] = []
    for systems, jobs in SIZES:
        runs = [python("-m", __name__, str(systems), str(jobs), limit=limit) for _ in range(repeat)]
        rows.append({"fleet": f"{systems:,} sources x {jobs}", **median(runs)})
    columns: dict[str, Form] = {
        "fleet": str,
        "make_ms": fixed(1),
        "direct_us": fixed(0),
        "fleet_us": fixed(0),
        "ratio": times,
    }
    report.table("Waits through a Fleet, CPU of one (us), and making the Fleet (ms)", rows, columns)
    for row in rows:
        report.goal(f"{row['fleet']}: CPU beside waits at the sources", row.get("ratio"), GOAL)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(_run(int(sys.argv[1]), int(sys.argv[2])))) + "\n")
