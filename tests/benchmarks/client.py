"""One client's run, in a process of its own: ``python -m tests.benchmarks.client <order>``, one JSON line."""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
import time
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.benchmarks.clients import CLIENTS, EXTRAS, Order
from tests.benchmarks.jobs import drawn


def control(url: str, target: str) -> dict[str, Any]:
    line = HTTPConnection(urlsplit(url).netloc, timeout=60)
    line.request("GET", target)
    found: dict[str, Any] = json.loads(line.getresponse().read())
    line.close()
    return found


def without_extras() -> None:
    """Let importing an extra fail, as where it is not installed."""
    absent: Any = None  # which the import system takes for "not there"
    sys.modules.update(dict.fromkeys(EXTRAS, absent))


def at(values: list[float], share: float) -> float | None:
    """A percentile of sorted values."""
    return values[min(len(values) - 1, int(share * len(values)))] if values else None


def run(order: Order) -> dict[str, Any]:
    client = CLIENTS[order.client]
    if not client.extras:
        without_extras()
    wait = client.prepare(order)
    jobs = drawn(order.n, order.seed, 0.0, order.window)
    query = urlencode({"n": order.n, "seed": order.seed, "window": order.window, "kind": order.kind})
    start = control(order.url, f"/bench/start?{query}")["start"]
    jobs.ends = [start + end for end in jobs.ends]
    gc.collect()
    idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    time.sleep(max(0.0, start - time.monotonic()))
    cpu = time.process_time()
    wait(jobs)
    cpu, wall = time.process_time() - cpu, time.monotonic() - start
    stats = control(order.url, "/bench/stats")
    lags = jobs.lags()
    return {
        "wall": wall,
        "cpu": cpu,
        **stats,
        "lag_p50": at(lags, 0.5),
        "lag_p99": at(lags, 0.99),
        "missed": order.n - len(lags),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "before_mib": idle / 1024,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run(Order(**json.loads(sys.argv[1])))) + "\n")
    sys.stdout.flush()
    os._exit(0)  # threads of a peer that was cut may still sleep
