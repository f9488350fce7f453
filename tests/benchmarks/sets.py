"""Many jobs in one set: what waiting for them costs, and what a member holds that waits for nothing yet.

``ends`` is the real thing over HTTP, through ``as_completed``, over httpx and with the extras. With
``--former <commit>`` the packages of that commit take their turns in the same run. ``members`` is a set over
a source without a network, so that all that is measured is the set itself.

``python tests/benchmarks/sets.py <what> <json>`` prints one JSON line. It is run by its path, so that
``PYTHONPATH`` decides whose packages it measures.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.benchmarks.client import at, control, without_extras
from tests.benchmarks.harness import ROOT, Form, Report, Row, Server, fixed, median, python, ratio, times
from tests.benchmarks.jobs import drawn

SEED = 7
WINDOW = 10.0
"""Seconds within which the jobs end."""
GOALS = {"httpx": 0.45, "extras": 0.3}
"""Times the CPU of the former ``as_completed``."""


async def _ends(url: str, n: int) -> Row:
    from common import PollPolicy, as_completed
    from ontapjobs import OntapJobs

    jobs = drawn(n, SEED, 0.0, WINDOW)
    places = {id: place for place, id in enumerate(jobs.ids)}
    policy = PollPolicy(initial=1.0, maximum=1.0)
    async with OntapJobs(url, auth=("admin", "secret"), policy=policy) as source:
        start = control(url, f"/bench/start?n={n}&seed={SEED}&window={WINDOW}&kind=ontap")["start"]
        jobs.ends = [start + end for end in jobs.ends]
        gc.collect()
        await asyncio.sleep(max(0.0, start - time.monotonic()))
        cpu = time.process_time()
        async with as_completed(source, jobs.ids) as done:
            async for outcome in done:
                ref: Any = outcome.ref
                jobs.learn(places[ref.id])
        cpu = time.process_time() - cpu
    lags = jobs.lags()
    stats = control(url, "/bench/stats")
    return {"cpu": cpu, **stats, "lag_p50": at(lags, 0.5), "lag_p99": at(lags, 0.99), "missed": n - len(lags)}


def ends(order: dict[str, Any]) -> Row:
    """CPU of waiting for ``n`` ONTAP jobs that end at random, each polled once a second."""
    if order["over"] == "extras":
        importlib.import_module("msgspec.json")
    else:
        without_extras()
    os.environ["JOBSOURCE_HTTP"] = "httpx" if order["over"] == "httpx" else "direct"
    for name in ("anyio._backends._asyncio", "httpcore", "httpx"):
        importlib.import_module(name)
    return asyncio.run(_ends(order["url"], order["n"]))


async def _members(n: int) -> Row:
    from common import JobSet, JobState
    from tests.benchmarks.idle import TICK, Instant, resident

    source = Instant(max(1.0, n * 1.5e-5))
    jobs, ids = source.jobs, drawn(n, SEED, 0.0, 1.0).ids
    before, cpu = resident(), time.process_time()
    async with JobSet(source, ids) as waits:
        waits.close()
        for _ in range(3):
            await asyncio.sleep(TICK)  # all of them have begun, and the first requests are out
        row: Row = {"start_us": (time.process_time() - cpu) / n * 1e6}
        row["unseen_bytes"] = (resident() - before) / n
        jobs.gate.set()
        row["first_us"] = await _polled(source, n)
        row["tick_us"] = min([await _polled(source, n) for _ in range(5)])
        jobs.state = JobState.SUCCEEDED
        cpu = time.process_time()
        async for _ in waits:
            pass
        row["last_us"] = (time.process_time() - cpu) / n * 1e6
    # The last poll brings another state, as the first did, and that is decoded.
    row["end_us"] = row["last_us"] - row["first_us"]
    return row


async def _polled(source: Any, n: int) -> float:
    """CPU of a job, in µs, of the next so many answers."""
    from tests.benchmarks.idle import await_answers

    cpu = time.process_time()
    await await_answers(source.jobs, source.jobs.answers + n)
    return (time.process_time() - cpu) / n * 1e6


def members(order: dict[str, Any]) -> Row:
    """Bytes and CPU of a member of a set."""
    return asyncio.run(_members(order["n"]))


def pages(_: dict[str, Any]) -> Row:
    """CPU of a record, in µs, of reading a page of 150 as new, as known, and of decoding it whole."""
    from tests.benchmarks.server import ontap_record

    now, read_page = datetime.now(UTC), importlib.import_module("ontapjobs.records.batch_page").read_page
    records = [ontap_record(id, "running", now) for id in drawn(150, SEED, 0.0, 1.0).ids]
    body = json.dumps({"records": records, "num_records": 150}, separators=(",", ":")).encode()
    known = read_page(body, {}).records
    decode = importlib.import_module("msgspec.json").decode
    ways: dict[str, Callable[[], object]] = {
        "new_us": lambda: read_page(body, {}),
        "known_us": lambda: read_page(body, known),
        "json_us": lambda: json.loads(body),
        "msgspec_us": lambda: decode(body),
    }
    return {name: min(_took(way) for _ in range(200)) / 150 for name, way in ways.items()}


def _took(work: Callable[[], object]) -> float:
    began = time.process_time_ns()
    work()
    return (time.process_time_ns() - began) / 1e3


WHAT = {"ends": ends, "members": members, "pages": pages}


@contextmanager
def packages_of(commit: str | None) -> Generator[Path | None]:
    """Give the folder of an earlier commit's packages, None for none."""
    if commit is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "former"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), commit], check=True)
        try:
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def sets(server: Server, report: Report, *, n: int, repeat: int, limit: float, former: str | None) -> None:
    """A row for each way to send requests, and for the packages of the former commit beside ours."""
    rows: list[Row] = []
    with packages_of(former) as tree:
        trees = {"former": tree, "now": ROOT} if tree else {"now": ROOT}
        runs: dict[tuple[str, str], list[Row]] = {(whose, over): [] for over in GOALS for whose in trees}
        for _ in range(repeat):
            for (whose, over), found in runs.items():
                order = json.dumps({"n": n, "url": server.url, "over": over})
                found.append(python(__file__, "ends", order, limit=limit, packages=trees[whose]))
    for (whose, over), found in runs.items():
        rows.append({"as_completed": f"{whose}, {over}", "whose": whose, "over": over, **median(found)})
    columns: dict[str, Form] = {
        "as_completed": str,
        "cpu": fixed(3),
        "cpu ratio": times,
        "requests": fixed(0),
        "lag_p50": fixed(2),
        "lag_p99": fixed(2),
        "missed": fixed(0),
    }
    before = {row["over"]: row for row in rows if row["whose"] == "former"}
    for row in rows:
        row["cpu ratio"] = ratio(row, before.get(row["over"]), "cpu")
    report.table(
        f"{n:,} ONTAP jobs through as_completed, polled each second; medians of {repeat}", rows, columns
    )
    for row in rows:
        if former is not None and row["whose"] == "now":
            report.goal(f"{row['over']}: CPU beside {former}", row["cpu ratio"], GOALS[row["over"]])


def set_members(report: Report, *, n: int, limit: float) -> None:
    """One row: what a member of a set holds and costs."""
    row = python(__file__, "members", json.dumps({"n": n}), limit=limit)
    names = ("start_us", "first_us", "tick_us", "end_us")
    columns: dict[str, Form] = {"what": str, "unseen_bytes": fixed(0), **dict.fromkeys(names, fixed(1))}
    report.table(
        f"A JobSet of {n:,}: bytes of a member, µs of CPU to begin, poll and end one",
        [{"what": "JobSet", **row}],
        columns,
    )
    row_of_pages = python(__file__, "pages", "{}", limit=limit)
    report.table(
        "A page of 150 ONTAP records of 480 bytes: µs of CPU a record",
        [{"read": "page", **row_of_pages}],
        {"read": str, **dict.fromkeys(("new_us", "known_us", "json_us", "msgspec_us"), fixed(2))},
    )
    report.goal("bytes of a member that was not seen yet", row.get("unseen_bytes"), 600)
    report.goal("µs to end a member, beyond the poll that told it", row.get("end_us"), 5.0)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(WHAT[sys.argv[1]](json.loads(sys.argv[2]))) + "\n")
