"""Chaos runs: waits and other calls while faults are injected, checked against the server's journal.

Prints a line for each run and the totals of all; the exit status is 1 if any run failed. The same seed gives
the same run each time, on any machine: compare the digest of its requests.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
import traceback
from collections import Counter

from tests.contract.systems import SOURCES
from tests.faults.chaos.chaos_run import Summary, run_chaos
from tests.faults.chaos.repeatable_loop import LOOPS

SYSTEMS = {system.name: system for system in SOURCES}
MAX_ERROR_LENGTH = 4_000
"""Characters shown of an error, and of each of its notes."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.faults.chaos", description=__doc__)
    parser.add_argument("--first", type=int, default=0, metavar="SEED", help="the first seed (0)")
    parser.add_argument(
        "--seeds", type=int, default=10, help="how many seeds to run on each system and event loop (10)"
    )
    parser.add_argument("--waits", type=int, default=200, help="how many waits in each run (200)")
    parser.add_argument(
        "--system", action="append", choices=list(SYSTEMS), help="only this system; can be repeated"
    )
    parser.add_argument(
        "--loop", action="append", choices=list(LOOPS), help="only this event loop; can be repeated"
    )
    parser.add_argument("--journal", action="store_true", help="also print every request")
    return parser.parse_args()


def main() -> int:
    """Run all seeds, and return the exit status."""
    options = arguments()
    logging.disable(logging.ERROR)  # the injected faults would fill the log
    os.environ.setdefault("JOBSOURCE_HTTP", "httpx")
    began, failed = time.perf_counter(), 0
    summaries: list[Summary] = []
    for seed in range(options.first, options.first + options.seeds):
        for name in options.system or SYSTEMS:
            for loop in options.loop or LOOPS:
                try:
                    summary = run_chaos(SYSTEMS[name], seed, options.waits, loop)
                except (Exception, BaseExceptionGroup) as error:
                    failed += 1
                    print(f"FAILED {name}/{seed} on {loop}\n{describe(error)}", flush=True)
                    continue
                summaries.append(summary)
                print(summary, flush=True)
                if options.journal:
                    print(*summary.exchanges, sep="\n")
    print(totals(summaries, failed, time.perf_counter() - began))
    return 1 if failed else 0


def describe(error: BaseException) -> str:
    """Return where an error was raised, the error itself, and its notes."""
    where = "".join(traceback.format_tb(error.__traceback__)[-2:])
    text = f"{error!r:.{MAX_ERROR_LENGTH}}".replace("\\n", "\n")
    notes = "\n".join(note[:MAX_ERROR_LENGTH] for note in getattr(error, "__notes__", ()))
    return f"{where}{text}\n{notes}"


def totals(summaries: list[Summary], failed: int, seconds: float) -> str:
    """Return the totals of all runs, as text."""
    ends, faults_met = Counter[str](), Counter[str]()
    for summary in summaries:
        ends += summary.ends
        faults_met += summary.faults_met
    days = sum(summary.seconds for summary in summaries) / 86_400
    counts = ", ".join(
        f"{sum(getattr(summary, name) for summary in summaries):,} {name.replace('_', '-')}"
        for name in ("waits", "requests", "sign_ins", "operations", "restarts")
    )
    details = "\n".join(
        f"{title}: " + ", ".join(f"{name} {count:,}" for name, count in counter.most_common())
        for title, counter in (("waits ended", ends), (f"{faults_met.total():,} faults met", faults_met))
    )
    return (
        f"\n{len(summaries) + failed} runs, {failed} failed; {counts}; {days:.1f} virtual days "
        f"in {seconds:.0f} s\n{details}"
    )


if __name__ == "__main__":
    sys.exit(main())
