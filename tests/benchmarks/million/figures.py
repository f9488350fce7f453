"""What a simulation shows: requests a second, how late ends are reported, and recovery after trouble.

``python -m tests.benchmarks.million.figures --help`` tells how to run another size; it prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import sys
from collections import Counter
from collections.abc import Iterable, Sequence

import attrs

from common.testing import run
from tests.benchmarks.client import at
from tests.benchmarks.harness import Row
from tests.benchmarks.million.cluster import Cluster, End
from tests.benchmarks.million.simulation import WARM_UP, Size, simulate

AGES = {
    "jobs of up to 10 s": (0.0, 10.0),
    "of up to a minute": (10.0, 60.0),
    "of up to ten minutes": (60.0, 600.0),
    "of more": (600.0, math.inf),
}
"""Seconds that jobs ran, from and below, where nothing disturbed their waits."""
DISTURBED = {"outage": "an outage came between", "loss": "the loss of a worker came between"}
AFTER = 10.0
"""Seconds after a loss or an outage in which requests are counted."""


def simulated(size: Size) -> Row:
    """The rows of all tables of one run."""
    clusters = run(simulate, size)
    return {
        "requests": requests(size, clusters),
        "lags": lags(size, clusters),
        "recovery": recovery(size, clusters),
        "outcomes": outcomes(size, clusters),
    }


def requests(size: Size, clusters: Sequence[Cluster]) -> list[Row]:
    """Requests a second, by what time of the run."""
    seconds = Counter(int(sent) for cluster in clusters for sent in cluster.sent)
    counted = [seconds[each] for each in range(int(WARM_UP), int(size.until))]
    minutes = [sum(counted[start : start + 60]) / 60 for start in range(0, len(counted), 60)]
    rates = {
        "the minute in which all begin": sum(seconds[each] for each in range(60)) / 60,
        "mean": sum(counted) / len(counted),
        "the busiest minute": max(minutes),
    }
    return [
        {
            "requests": name,
            "all": rate * size.scale,
            "a worker": rate * size.scale / size.workers,
            "a cluster": rate / len(clusters),
        }
        for name, rate in rates.items()
    ]


def lags(size: Size, clusters: Sequence[Cluster]) -> list[Row]:
    """Seconds from a job's end on its cluster to our outcome."""
    kinds: dict[str, list[End]] = {name: [] for name in (*AGES, *DISTURBED.values())}
    for cluster in clusters:
        for end in cluster.ends:
            if WARM_UP <= end.at < size.until:
                kinds[_kind(cluster, end)].append(end)
    kinds["all"] = [end for ends in kinds.values() for end in ends]
    return [
        {
            "lag": name,
            "ends": len(ends),
            **_spread(end.reported_at - end.at for end in ends),
            "gone": sum(end.gone for end in ends),
        }
        for name, ends in kinds.items()
    ]


def _kind(cluster: Cluster, end: End) -> str:
    for trouble in cluster.troubles:
        if trouble.since <= end.reported_at and end.at < trouble.until:
            return DISTURBED[trouble.kind]
    return next(name for name, (least, most) in AGES.items() if least <= end.ran < most)


def _spread(values: Iterable[float]) -> Row:
    ordered = sorted(values)
    return {"p50": at(ordered, 0.5), "p99": at(ordered, 0.99), "most": at(ordered, 1.0)}


def recovery(size: Size, clusters: Sequence[Cluster]) -> list[Row]:
    """What the clusters of lost workers, and those that were out, took to recover."""
    resumed: list[float] = []
    reported: dict[str, list[float]] = {kind: [] for kind in DISTURBED}
    sent: dict[str, list[float]] = {kind: [] for kind in DISTURBED}
    for cluster in clusters:
        for trouble in cluster.troubles:
            if trouble.until + AFTER > size.until:
                continue
            ends = [end.reported_at for end in cluster.ends if trouble.since <= end.at < trouble.until]
            since = trouble.since if trouble.kind == "loss" else trouble.until
            reported[trouble.kind].append(max([*ends, trouble.until]) - since)
            sent[trouble.kind].append(sum(0 <= each - trouble.until < AFTER for each in cluster.sent))
            if trouble.kind == "loss":
                resumed.append(trouble.until - trouble.since)
    rows = {
        "loss: s until another worker goes on": resumed,
        "loss: s until the last end in it is reported": reported["loss"],
        f"loss: requests of a cluster in the {AFTER:g} s after": sent["loss"],
        "outage: s from its end until the last end in it is reported": reported["outage"],
        f"outage: requests of a cluster in the {AFTER:g} s after": sent["outage"],
    }
    return [{"recovery": name, "clusters": len(found), **_spread(found)} for name, found in rows.items()]


def outcomes(size: Size, clusters: Sequence[Cluster]) -> list[Row]:
    """How many ends were reported; the other columns must be 0."""
    return [
        {
            "outcomes": "of jobs that ended",
            "reported": sum(len(cluster.ends) for cluster in clusters),
            "reported twice": sum(cluster.reported_twice for cluster in clusters),
            "not reported": sum(cluster.overdue(size.until) for cluster in clusters),
        }
    ]


def main() -> None:
    parser = argparse.ArgumentParser("python -m tests.benchmarks.million.figures", description=__doc__)
    for field in attrs.fields(Size):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=int, default=field.default)
    logging.getLogger("jobsource").setLevel(logging.ERROR)  # each outage is a warning
    sys.stdout.write(json.dumps(simulated(Size(**vars(parser.parse_args())))) + "\n")


if __name__ == "__main__":
    main()
