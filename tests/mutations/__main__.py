"""Mutation testing: change the modules that decide how a wait ends, and see which changes no test notices.

Prints each mutant that survives, and the totals; the exit status is 1 if one survives that ``equivalent.txt``
does not have. All of them take an hour or two; ``--seconds`` draws a sample, another with each ``--seed``.
"""

from __future__ import annotations

import argparse
import importlib
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

import attrs
import pytest

from tests.mutations.forks import Task, answers
from tests.mutations.operators import Mutant, mutants
from tests.mutations.runner import (
    LATER,
    ROOT,
    SURVIVED,
    TIMED_OUT,
    Plugin,
    at_import,
    collected,
    live,
    reach,
)
from tests.mutations.targets import TARGETS, Target

EQUIVALENT = Path(__file__).with_name("equivalent.txt")
"""Mutants that no test can notice: a key on each line; what is indented below it says why."""
IMPORTED = ("hypothesis", "httpx", "respx", "trio")
"""What each process would import anew."""
SHARE = 90.0
"""Seconds that a group of modules gets at least in a sample: half of it shows which test reaches what."""


@attrs.frozen
class Run:
    """What to mutate, for how long, where to print, and what is known to be equivalent."""

    output: TextIO
    known: frozenset[str]
    jobs: int
    verbose: bool
    until: float | None

    def judge(self, tasks: Iterable[Task[Mutant]], again: list[Mutant] | None = None) -> Counter[str]:
        """Run tasks while there is time, and return how many mutants had which end.

        What is to be tried once more goes to ``again`` instead.
        """
        ends: Counter[str] = Counter()
        for mutant, answer in answers(self._while_there_is_time(tasks), jobs=self.jobs):
            end = answer if isinstance(answer, str) else TIMED_OUT
            if end in {SURVIVED, LATER} and mutant.key in self.known:
                end = "equivalent"
            elif again is not None and (end == LATER or (end == SURVIVED and mutant.function is None)):
                again.append(mutant)
                continue
            ends[end] += 1
            if self.verbose or end == SURVIVED:
                print(f"{end}  {mutant}", file=self.output, flush=True)
        return ends

    def _while_there_is_time(self, tasks: Iterable[Task[Mutant]]) -> Iterator[Task[Mutant]]:
        for task in tasks:
            if self.until is not None and time.monotonic() >= self.until:
                return
            yield task


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.mutations", description=__doc__)
    parser.add_argument("--only", action="append", metavar="PATH", help="part of a module's path; repeatable")
    parser.add_argument(
        "--mutant",
        action="append",
        metavar="TEXT",
        help="part of a mutant's line as it is printed; repeatable",
    )
    parser.add_argument("--seconds", type=float, help="draw a sample that takes about this long")
    parser.add_argument(
        "--seed", type=int, default=0, help="the order of modules and mutants in a sample (0)"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at a time")
    parser.add_argument(
        "--verbose", action="store_true", help="print all mutants, not only those that survive"
    )
    return parser.parse_args()


def known() -> frozenset[str]:
    """Return the keys of the mutants that are known to be equivalent."""
    lines = EQUIVALENT.read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith((" ", "#")))


def mutate(
    target: Target, modules: list[str], run: Run, rng: random.Random | None, only: list[str] | None
) -> Counter[str]:
    """Judge the mutants of some modules of a target."""
    todo = [each for path in modules for each in mutants(path, (ROOT / path).read_text(encoding="utf-8"))]
    for key in sorted(run.known - {each.key for each in todo}):
        if key.startswith(tuple(f"{path} " for path in modules)):
            print(f"{EQUIVALENT.name} has what is no mutant any more: {key}", file=run.output, flush=True)
    todo = [each for each in todo if _asked_for(str(each), only)]
    if rng is not None:
        rng.shuffle(todo)
    ends: Counter[str] = Counter()
    again: list[Mutant] = []
    began = time.monotonic()
    ran = False

    def loop(plugin: Plugin, items: list[pytest.Item]) -> None:
        nonlocal ran
        reached = reach(plugin, items, modules)
        ran = True
        for test in reached.failed:
            print(f"left out, since it fails without a mutant: {test}", file=run.output, flush=True)
        ends.update(run.judge(live(plugin, items, reached, todo), again))

    def work() -> tuple[Counter[str], list[Mutant]] | None:
        collected(target.arguments, loop)
        return (ends, again) if ran else None

    # In a process of its own, too: this one must not import what it mutates.
    [(_, found)] = answers([Task(None, work, timeout=86_400)])
    if not isinstance(found, tuple):
        raise SystemExit(f"The tests of {target.name} do not run without a mutant.")
    limit = 60 + 3 * (time.monotonic() - began)
    ends.update(found[0])
    ends.update(run.judge(at_import(target.arguments, found[1], timeout=limit)))
    return ends


def main() -> int:
    """Mutate what is asked for, and return the exit status."""
    options = arguments()
    began = time.monotonic()
    rng = random.Random(options.seed) if options.seconds else None
    chosen = [
        (target, modules)
        for target in TARGETS
        if (modules := [path for path in target.modules if _asked_for(path, options.only)])
    ]
    if rng is not None:
        rng.shuffle(chosen)
    for name in IMPORTED:
        importlib.import_module(name)
    ends: Counter[str] = Counter()
    with os.fdopen(os.dup(1), "w") as output:
        for number, (target, modules) in enumerate(chosen):
            until = None
            if options.seconds:
                left = began + options.seconds - time.monotonic()
                if left <= 0:
                    break
                until = time.monotonic() + min(left, max(SHARE, left / (len(chosen) - number)))
            run = Run(output, known(), options.jobs, options.verbose, until)
            found = mutate(target, modules, run, rng, options.mutant)
            print(f"{target.name}: {_shown(found)}", file=output, flush=True)
            ends += found
        print(f"{ends.total()} mutants in {time.monotonic() - began:.0f} s: {_shown(ends)}", file=output)
    return int(ends[SURVIVED] > 0)


def _asked_for(text: str, only: list[str] | None) -> bool:
    return only is None or any(part in text for part in only)


def _shown(ends: Counter[str]) -> str:
    return ", ".join(f"{count} {end}" for end, count in ends.most_common()) or "none"


if __name__ == "__main__":
    sys.exit(main())
