"""Waits that begin one after another: how many requests they cost, in virtual time.

Jobs of 120 s begin at random within 20 s, each with a wait of its own and the default policy. One source
waits for all of them at a server that answers for many ids. Nothing is timed, so the numbers are the same on
any machine: requests, those for one job alone, records, and how late each end was learnt of.

``python -m tests.benchmarks.trickling <n>`` prints one JSON line.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
from random import Random
from uuid import UUID

from common import Capability, JobState
from common.testing import ScriptedSource, VirtualTimeLoop
from tests.benchmarks.harness import Form, Report, Row, fixed, python

JOB_SECONDS = 120.0
WITHIN = 20.0
"""Seconds within which the jobs begin."""
LATENCY = 0.05
"""Seconds that a request takes."""
SEEDS = range(8)
GOALS = {50: 90, 200: 140, 1_000: 300}
"""Requests at most, singles included, by the number of waits."""
MOST_SINGLES = 3


async def _trickle(n: int, seed: int, within: float) -> Row:
    random = Random(seed)
    now = asyncio.get_running_loop().time
    source = ScriptedSource(capabilities=[Capability.BATCH], latency=LATENCY)
    lags: list[float] = []

    async def wait(begins: float) -> None:
        await asyncio.sleep(begins)
        id = str(UUID(int=random.getrandbits(128), version=4))
        source.add_job([(JobState.RUNNING, JOB_SECONDS), (JobState.SUCCEEDED, None)], id=id)
        ended_at = now() + JOB_SECONDS
        await source.wait(id)
        lags.append(now() - ended_at)

    async with source, asyncio.TaskGroup() as group:
        for _ in range(n):
            group.create_task(wait(random.uniform(0.0, within)))
    sizes = [len(asked.ids) for asked in source.journal]
    return {
        "requests": len(sizes),
        "singles": sizes.count(1),
        "records": sum(sizes),
        "lag_p50": statistics.median(lags),
        "lag_p99": sorted(lags)[int(0.99 * n)],
    }


def trickle(n: int, seed: int, within: float = WITHIN) -> Row:
    """The counts of one run."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(_trickle(n, seed, within))


def seeds(n: int) -> Row:
    """Of counts the most of all seeds, of lags the mean; and the counts of waits that begin at once."""
    rows = [trickle(n, seed) for seed in SEEDS]
    row: Row = {name: max(each[name] for each in rows) for name in ("requests", "singles", "records")}
    row |= {name: statistics.mean(each[name] for each in rows) for name in ("lag_p50", "lag_p99")}
    together = trickle(n, 0, within=0.0)
    return row | {"at_once": together["requests"], "records_at_once": together["records"]}


def tricklings(report: Report) -> None:
    """A row for each number of waits, and whether the goals were reached."""
    rows: dict[int, Row] = {
        n: {"waits": n, **python("-m", "tests.benchmarks.trickling", str(n), limit=120.0)} for n in GOALS
    }
    columns: dict[str, Form] = {
        "waits": fixed(0),
        "requests": fixed(0),
        "singles": fixed(0),
        "records": fixed(0),
        "lag_p50": fixed(2),
        "lag_p99": fixed(2),
        "at_once": fixed(0),
        "records_at_once": fixed(0),
    }
    report.table(
        f"Jobs of {JOB_SECONDS:g} s that begin within {WITHIN:g} s: requests in all, the most of "
        f"{len(SEEDS)} seeds; beside as many that begin at once (virtual seconds)",
        rows.values(),
        columns,
    )
    for n, most in GOALS.items():
        report.goal(f"{n:,} trickling waits: requests", rows[n].get("requests"), most)
        report.goal(f"{n:,} trickling waits: requests for one job", rows[n].get("singles"), MOST_SINGLES)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(seeds(int(sys.argv[1]))) + "\n")
