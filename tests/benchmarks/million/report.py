"""The tables of the plan for a million waits: one process as it is, and twenty in virtual time."""

from __future__ import annotations

import json
from collections.abc import Mapping

import attrs

from tests.benchmarks.harness import Form, Report, Row, fixed, python
from tests.benchmarks.million.process import Order
from tests.benchmarks.million.simulation import Size

AGES: Mapping[str, float | None] = {
    "10 s old": 10.0,
    "1 minute old": 60.0,
    "10 minutes old": 600.0,
    "of all ages": None,
}
SMALL = {"clusters": 2, "jobs": 100}
"""Of a process, for a quick look."""
SMALL_SIZE = Size(workers=2, clusters=2, clusters_each=2, jobs=100, minutes=10)
LIMIT = 3_600.0
"""Seconds of wall time that a part may take; it needs some minutes of CPU at its full size."""

PROCESS: Mapping[str, Form] = {
    "jobs": str,
    "gap_s": fixed(0),
    "requests_s": fixed(1),
    "connections_s": fixed(1),
    "request_cpu_ms": fixed(1),
    "cores": fixed(2),
    "mib": fixed(0),
    "begin_cpu_s": fixed(1),
    "checkpoint_cpu_s": fixed(1),
    "checkpoint_bytes": fixed(0),
}
SPREAD: Mapping[str, Form] = {"p50": fixed(1), "p99": fixed(1), "most": fixed(1)}
TABLES: Mapping[str, tuple[str, Mapping[str, Form]]] = {
    "requests": (
        "Requests a second",
        {"requests": str, "all": fixed(0), "a worker": fixed(1), "a cluster": fixed(2)},
    ),
    "lags": (
        "Seconds from a job's end on its cluster to our outcome, by how long it ran",
        {"lag": str, "ends": fixed(0), **SPREAD, "gone": fixed(0)},
    ),
    "recovery": (
        "Recovery of the clusters of lost workers, and of clusters that were out",
        {"recovery": str, "clusters": fixed(0), **SPREAD},
    ),
    "outcomes": (
        "Outcomes in all",
        {"outcomes": str, "reported": fixed(0), "reported twice": fixed(0), "not reported": fixed(0)},
    ),
}


def million(report: Report, order: Order, size: Size) -> None:
    """All tables: one process for each age of the jobs, and one simulation."""
    processes(report, order)
    simulations(report, size)


def processes(report: Report, order: Order) -> None:
    """One row for each age of the jobs."""
    rows: list[Row] = []
    for name, age in AGES.items():
        text = json.dumps(attrs.asdict(attrs.evolve(order, age=age)))
        rows.append({"jobs": name, **python("-m", "tests.benchmarks.million.process", text, limit=LIMIT)})
    report.table(
        f"One process, {order.clusters} clusters x {order.jobs:,} jobs over TLS, by the age of the jobs",
        rows,
        PROCESS,
    )


def simulations(report: Report, size: Size) -> None:
    """Tables of one simulation."""
    found = python("-m", "tests.benchmarks.million.figures", *options(size), limit=LIMIT)
    report.say(
        f"\n{size.workers} workers x {size.clusters_each} clusters x {size.jobs:,} jobs in virtual time, "
        f"{size.clusters} of each worker's clusters simulated, {size.minutes} minutes, seed {size.seed}"
    )
    if "failed" in found:
        report.say(f"  failed: {found['failed']}")
    for name, (title, columns) in TABLES.items():
        report.table(title, found.get(name, []), columns)


def options(size: Size) -> list[str]:
    """The options of the simulation's own command."""
    return [f"--{name.replace('_', '-')}={value}" for name, value in attrs.asdict(size).items()]
