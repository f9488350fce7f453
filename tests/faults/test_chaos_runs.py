"""Chaos runs: waits under a fault schedule, in virtual time, checked against the server's journal.

Under ``-s`` each prints its figures; ``python -m tests.faults.chaos`` runs as many seeds as one likes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.systems import SOURCES, System, name_of
from tests.faults.chaos.chaos_run import run_chaos
from tests.faults.chaos.fault_schedule import SEEDS, WAITS
from tests.faults.chaos.repeatable_loop import LOOPS, Loop

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("system", SOURCES, ids=name_of)
@pytest.mark.parametrize("seed", range(SEEDS))
def test_each_wait_ends_once_in_time_and_as_the_server_said(system: System, seed: int, loop: Loop) -> None:
    summary = run_chaos(system, seed, WAITS, loop)
    print(summary)  # noqa: T201
    assert summary.waits >= WAITS
    assert summary.ends.total() == summary.waits


@pytest.mark.slow
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("system", SOURCES, ids=name_of)
def test_a_seed_gives_the_same_run_each_time(system: System, loop: Loop) -> None:
    first, second = (run_chaos(system, 3, 80, loop) for _ in range(2))
    assert len(first.exchanges) > 50
    assert first.exchanges == second.exchanges
    assert first.ends == second.ends
    assert run_chaos(system, 4, 80, loop).exchanges != first.exchanges


@pytest.mark.slow
@pytest.mark.parametrize("loop", LOOPS)
def test_a_seed_gives_the_same_run_in_another_process(loop: Loop) -> None:
    # There sets of strings have another order, for one thing.
    options = ["--first", "5", "--seeds", "1", "--waits", "80", "--loop", loop]
    completed = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "tests.faults.chaos", *options],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = completed.stdout.splitlines()
    assert lines[:3] == [str(run_chaos(system, 5, 80, loop)) for system in SOURCES]
