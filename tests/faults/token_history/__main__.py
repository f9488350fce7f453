"""The history of tokens: runs of random schedules, whose seeds make them repeatable in virtual time.

Prints a line for each run that failed, and the number of events of all; the exit status is 1 if any failed.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path
from random import Random

import anyio

from tests.common.virtual import VIRTUAL
from tests.faults.token_history.issuer import Issuer
from tests.faults.token_history.run import Run
from tests.faults.token_history.sign_ins import AUTH_CASES, AuthCase
from tests.faults.token_history.worlds import VirtualWorld, World, folder_of, sockets

TIMEOUT = 1e7
"""Seconds of virtual time: a run that takes longer will never end."""


def virtual_run(seed: int, way: AuthCase, loop: str, folder: Path) -> Counter[str]:
    """Perform a run in virtual time, and return its events. Raise `AssertionError`."""
    issuer = new_issuer(seed, way)
    return _perform(seed, way, loop, issuer, VirtualWorld(issuer), folder)


def socket_run(seed: int, way: AuthCase, loop: str, folder: Path) -> Counter[str]:
    """Perform a run over sockets, in real time, and return its events. Raise `AssertionError`."""
    issuer = new_issuer(seed, way)
    with sockets(issuer) as world:
        return _perform(seed, way, loop, issuer, world, folder)


def new_issuer(seed: int, way: AuthCase) -> Issuer:
    """Return an issuer for one way to sign in."""
    return Issuer(Random(f"issuer {seed}"), rotates=way.rotates, password=way.password)


def _perform(seed: int, way: AuthCase, loop: str, issuer: Issuer, world: World, folder: Path) -> Counter[str]:
    async def main() -> Counter[str]:
        with anyio.fail_after(TIMEOUT):
            return await Run(seed, way, issuer, world, folder_of(folder, seed)).perform()

    backend, options = VIRTUAL[loop]() if isinstance(world, VirtualWorld) else (loop, {})
    return anyio.run(main, backend=backend, backend_options=options)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.faults.token_history", description=__doc__)
    parser.add_argument("--first", type=int, default=0, metavar="SEED", help="the first seed (0)")
    parser.add_argument("--seeds", type=int, default=10, help="how many for each way and event loop (10)")
    parser.add_argument(
        "--way", action="append", choices=[way.name for way in AUTH_CASES], help="only this one"
    )
    parser.add_argument("--loop", action="append", choices=list(VIRTUAL), help="only this event loop")
    parser.add_argument("--sockets", action="store_true", help="in real time, over sockets")
    return parser.parse_args()


def main() -> int:
    """Run all seeds, and return the exit status."""
    options = arguments()
    logging.disable(logging.CRITICAL)  # the faults would fill the log
    run = socket_run if options.sockets else virtual_run
    events: Counter[str] = Counter()
    runs = failed = 0
    for way in AUTH_CASES:
        if options.way and way.name not in options.way:
            continue
        for loop in options.loop or VIRTUAL:
            for seed in range(options.first, options.first + options.seeds):
                runs += 1
                with tempfile.TemporaryDirectory() as folder:
                    try:
                        events += run(seed, way, loop, Path(folder))
                    except (Exception, BaseExceptionGroup) as error:
                        failed += 1
                        shown = "".join(traceback.format_exception(error))[-3000:]
                        print(f"FAILED {way.name}, seed {seed}, {loop}\n{shown}", flush=True)
    for name, count in sorted(events.items()):
        print(f"{count:8} {name}")
    print(f"{runs} runs, {failed} failed, {events.total()} events")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
