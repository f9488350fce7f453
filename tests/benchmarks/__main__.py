"""The benchmarks' command line: ``python -m tests.benchmarks``, or ``nox -s bench -- …``. Loopback only.

Without arguments it takes a quick look at everything, in less than three minutes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import attrs

from tests.benchmarks.clients import CLIENTS
from tests.benchmarks.clusters import clusters
from tests.benchmarks.decoding import decoding
from tests.benchmarks.fleet import fleets
from tests.benchmarks.harness import Report, Server
from tests.benchmarks.idle import idle
from tests.benchmarks.imports import imports
from tests.benchmarks.million.process import Order
from tests.benchmarks.million.report import SMALL, SMALL_SIZE, million
from tests.benchmarks.million.simulation import Size
from tests.benchmarks.sets import set_members, sets
from tests.benchmarks.single import gets, sources
from tests.benchmarks.trickling import tricklings
from tests.benchmarks.waits import waits
from tests.benchmarks.walk import walks

BENCHMARKS = (
    "waits-ontap",
    "defaults-ontap",
    "waits-cf",
    "defaults-cf",
    "sets",
    "members",
    "idle",
    "decode",
    "import",
    "get",
    "source",
    "walk",
    "fleet",
    "trickling",
    "clusters",
    "million",
)
OWN = ("jobsource", "jobsource+extras")
QUICK = {
    "waits-ontap": (*OWN[:1], "netapp_ontap", "aiohttp tasks"),
    "defaults-ontap": (*OWN[:1], "netapp_ontap"),
    "waits-cf": (*OWN, "aiohttp tasks"),
    "defaults-cf": (*OWN, "jobsource over httpx", "cloudfoundry-client"),
}
"""httpx with one task a job takes a minute by itself, and is left to the full runs."""
SIZES = {
    "defaults-ontap": [100],
    "defaults-cf": [100],
    "idle": [20_000],
    "sets": [10_000],
    "members": [20_000],
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=BENCHMARKS, help="may be given again")
    parser.add_argument("--n", type=int, action="append", help="jobs; may be given again (1000; idle: 20000)")
    parser.add_argument("--repeat", type=int, help="runs of each client, medians of which are shown")
    parser.add_argument("--client", action="append", choices=list(CLIENTS), help="may be given again")
    parser.add_argument("--interval", type=float, default=1.0, help="seconds between polls (waits-…)")
    parser.add_argument("--limit", type=float, default=90.0, help="seconds after which one run is cut")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "--full", action="store_true", help="N = 1 to 10,000 (idle: 100,000), all peers, five runs"
    )
    parser.add_argument("--former", metavar="COMMIT", help="whose packages to measure beside ours (sets)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the JSON lines there")
    return parser.parse_args()


def sizes(name: str, given: argparse.Namespace) -> list[int]:
    if given.n:
        return list(given.n)
    if given.full and name in ("waits-ontap", "waits-cf"):
        return [1, 100, 1_000, 10_000]
    if given.full and name == "idle":
        return [10_000, 100_000]
    if given.full and name == "members":
        return [100_000]
    return SIZES.get(name, [1_000])


def main() -> None:
    given = arguments()
    chosen = given.only or BENCHMARKS
    # Whoever asks for one benchmark gets all of its clients; the quick look at everything has the main ones.
    whole = bool(given.only) or given.full
    repeat = given.repeat or (5 if given.full else 1)
    report = Report(given.json)
    report.head()
    with Server() as server:
        for name in chosen:
            if name in QUICK:
                names = given.client or (list(CLIENTS) if whole else QUICK[name])
                kind = name.partition("-")[2]
                interval = given.interval if name.startswith("waits") else None
                for n in sizes(name, given):
                    waits(
                        server,
                        report,
                        kind=kind,
                        n=n,
                        names=names,
                        interval=interval,
                        repeat=repeat,
                        limit=given.limit,
                        seed=given.seed,
                    )
            elif name == "sets":
                for n in sizes(name, given):
                    sets(server, report, n=n, repeat=repeat, limit=given.limit, former=given.former)
            elif name == "members":
                for n in sizes(name, given):
                    set_members(report, n=n, limit=given.limit)
            elif name == "idle":
                idle(server, report, sizes=sizes(name, given), limit=given.limit * 3)
            elif name == "decode":
                decoding(report, repeat=repeat)
            elif name == "import":
                imports(report)
            elif name == "get":
                gets(server, report, repeat=repeat)
            elif name == "fleet":
                fleets(report, repeat=repeat, limit=given.limit)
            elif name == "clusters":
                clusters(server, report, repeat=repeat, limit=given.limit)
            elif name == "million":
                order = Order(url=server.url, **({} if whole else SMALL))
                million(report, order, attrs.evolve(Size() if whole else SMALL_SIZE, seed=given.seed))
            elif name == "trickling":
                tricklings(report)
            elif name == "source":
                sources(report, repeat=repeat)
            else:
                walks(report)
    report.close()


if __name__ == "__main__":
    main()
