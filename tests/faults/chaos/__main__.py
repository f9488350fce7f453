"""Storms by the hundred: ``python -m tests.faults.chaos --seeds 60 --waits 300``, or ``nox -s storms``.

Prints a line for each storm and the sum of all; ends with 1 where any failed. A seed takes the same course
each time, on any machine: the digest of its journal tells.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
import traceback
from collections import Counter

from tests.faults.chaos.chaos_run import Tally, storm
from tests.faults.chaos.fault_schedule import SOURCES

SYSTEMS = {system.name: system for system in SOURCES}
BRIEF = 4_000
"""So many characters of what went wrong are shown."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.faults.chaos", description=__doc__)
    parser.add_argument("--first", type=int, default=0, metavar="SEED")
    parser.add_argument("--seeds", type=int, default=10, help="how many storms of each kind (10)")
    parser.add_argument("--waits", type=int, default=200, help="in each storm (200)")
    parser.add_argument("--system", action="append", choices=list(SYSTEMS), help="may be given again")
    parser.add_argument("--loop", action="append", choices=["asyncio", "trio"], help="may be given again")
    parser.add_argument("--journal", action="store_true", help="print every request too")
    return parser.parse_args()


def main() -> int:
    """Ride them all, and tell how many failed."""
    given = arguments()
    logging.disable(logging.ERROR)  # trouble is what storms are made of
    os.environ.setdefault("JOBSOURCE_HTTP", "httpx")
    began, failed = time.perf_counter(), 0
    tallies: list[Tally] = []
    for seed in range(given.first, given.first + given.seeds):
        for name in given.system or SYSTEMS:
            for loop in given.loop or ("asyncio", "trio"):
                try:
                    tally = storm(SYSTEMS[name], seed, given.waits, loop)
                except (Exception, BaseExceptionGroup) as error:
                    failed += 1
                    where = "".join(traceback.format_tb(error.__traceback__)[-2:])
                    notes = "\n".join(each[:BRIEF] for each in getattr(error, "__notes__", ()))
                    said = f"{error!r:.{BRIEF}}".replace("\\n", "\n")
                    print(f"FAILED {name}/{seed} on {loop}\n{where}{said}\n{notes}", flush=True)
                    continue
                tallies.append(tally)
                print(tally, flush=True)
                if given.journal:
                    print(*tally.trips, sep="\n")
    print(total(tallies, failed, time.perf_counter() - began))
    return 1 if failed else 0


def total(tallies: list[Tally], failed: int, seconds: float) -> str:
    """The sum of all storms, as text."""
    ends, met = Counter[str](), Counter[str]()
    for tally in tallies:
        ends += tally.ends
        met += tally.met
    days = sum(tally.seconds for tally in tallies) / 86_400
    counts = ", ".join(
        f"{sum(getattr(tally, name) for tally in tallies):,} {name.replace('_', '-')}"
        for name in ("waits", "requests", "sign_ins", "errands", "restarts")
    )
    shown = "\n".join(
        f"{title}: " + ", ".join(f"{name} {count:,}" for name, count in counted.most_common())
        for title, counted in (("waits ended", ends), (f"{met.total():,} faults met", met))
    )
    return (
        f"\n{len(tallies) + failed} storms, {failed} failed; {counts}; {days:.1f} virtual days "
        f"in {seconds:.0f} s\n{shown}"
    )


if __name__ == "__main__":
    sys.exit(main())
