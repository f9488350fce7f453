"""N jobs that end at random, and clients that wait for all of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from tests.benchmarks.clients import CLIENTS, Order
from tests.benchmarks.harness import Form, Report, Row, Server, fixed, median, python, ratio, times

WINDOW = 10.0
"""Seconds within which the jobs end."""
OWN = "jobsource"
COLUMNS: dict[str, Form] = {
    "client": str,
    "wall": fixed(1),
    "cpu": fixed(3),
    "cpu ratio": times,
    "requests": fixed(0),
    "req ratio": times,
    "lag_p50": fixed(2),
    "lag_p99": fixed(2),
    "missed": fixed(0),
    "peak_mib": fixed(0),
    "server_cpu": fixed(2),
}


def waits(
    server: Server,
    report: Report,
    *,
    kind: str,
    n: int,
    names: Sequence[str],
    interval: float | None,
    repeat: int,
    limit: float,
    seed: int = 7,
) -> None:
    """All clients in turn, then all again: what disturbs the machine disturbs each of them."""
    runs: dict[str, list[Row]] = {name: [] for name in names}
    for round_ in range(repeat):
        for name, found in runs.items():
            client = CLIENTS[name]
            if kind not in client.kinds or n > client.most:
                continue
            order = Order(name, kind, server.url, n, seed + round_, WINDOW, interval, limit)
            found.append(
                python("-m", "tests.benchmarks.client", json.dumps(asdict(order)), limit=limit + 30.0)
            )
    rows = {name: {"client": name, **median(found)} for name, found in runs.items() if found}
    if not rows:
        report.say(f"\n{n:,} {kind} waits: none of {', '.join(names)} bears them")
        return
    own = rows.get(OWN) or next(iter(rows.values()))
    for row in rows.values():
        row |= {
            "n": n,
            "kind": kind,
            "interval": interval,
            "cpu ratio": ratio(row, own, "cpu"),
            "req ratio": ratio(row, own, "requests"),
        }
    pace = "each client's defaults" if interval is None else f"one poll each {interval:g} s"
    report.table(
        f"{n:,} {kind} waits, {pace}; medians of {repeat} (seconds; client's own CPU)", rows.values(), COLUMNS
    )
    _goals(report, rows, kind, n, interval)


def _goals(report: Report, rows: dict[str, Row], kind: str, n: int, interval: float | None) -> None:
    own, extras = rows.get(OWN), rows.get(f"{OWN}+extras")

    def against(name: str, what: str, least: float, *, of: Row | None = own) -> None:
        if name in rows:
            report.goal(f"{name}: times our {what}", ratio(rows[name], of, what), least, least=True)

    def share(name: str, what: str, most: float, *, of: Row | None = own, who: str = "our") -> None:
        if name in rows and of is not None:
            report.goal(f"{who} {what} as a share of {name}", ratio(of, rows[name], what), most)

    def ours(what: str, most: float, row: Row | None = own, who: str = "our") -> None:
        if row is not None:
            report.goal(f"{who} {what}", row.get(what), most)

    if (kind, n, interval) == ("ontap", 1_000, 1.0):
        ours("requests", 60)
        ours("lag_p50", 0.6)
        ours("lag_p99", 1.1)
        against("httpx tasks", "cpu", 100)
        against("netapp_ontap", "cpu", 25)
        against("aiohttp tasks", "cpu", 5)
    elif (kind, n, interval) == ("ontap", 10_000, 1.0):
        ours("requests", 500)
        ours("lag_p99", 1.1)
        ours("cpu", 2.0)
        ours("cpu", 0.6, extras, "with the extras our")
    elif (kind, n, interval) == ("ontap", 100, None):
        against("netapp_ontap", "requests", 20)
        share("netapp_ontap", "lag_p50", 0.25)
        share("netapp_ontap", "lag_p99", 0.25)
    elif (kind, n, interval) == ("cf", 100, None):
        share("cloudfoundry-client", "lag_p99", 0.2)
        share("cloudfoundry-client", "requests", 1.5)
        share("cloudfoundry-client", "cpu", 0.7)
        share("cloudfoundry-client", "cpu", 1.5, of=rows.get(f"{OWN} over httpx"), who="over httpx our")
    elif (kind, n, interval) == ("cf", 1_000, 1.0):
        share("aiohttp tasks", "cpu", 1.5, of=extras)
        ours("lag_p99", 1.2, extras, "with the extras our")
        ours("lag_p99", 5.0)
