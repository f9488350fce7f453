"""Seeded storms: crowds of waits under mixed faults, in virtual time, held to the journal of the server.

Under ``-s`` each prints a line of figures; ``python -m tests.faults.campaign`` runs them by the hundred.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tests.faults.storm as storms
from tests.contract.systems import System
from tests.contract.systems import name_of
from tests.faults.replay import LOOPS
from tests.faults.replay import Loop
from tests.faults.weather import SEEDS
from tests.faults.weather import SOURCES
from tests.faults.weather import WAITS

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("system", SOURCES, ids=name_of)
@pytest.mark.parametrize("seed", range(SEEDS))
def test_each_wait_in_a_storm_ends_once_in_time_and_on_the_servers_word(
    system: System, seed: int, loop: Loop
) -> None:
    tally = storms.storm(system, seed, WAITS, loop)
    print(tally)  # noqa: T201
    assert tally.waits >= WAITS
    assert tally.ends.total() == tally.waits


@pytest.mark.slow
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("system", SOURCES, ids=name_of)
def test_a_seed_takes_the_same_course_each_time(system: System, loop: Loop) -> None:
    first, second = (storms.storm(system, 3, 80, loop) for _ in range(2))
    assert len(first.trips) > 50
    assert first.trips == second.trips
    assert first.ends == second.ends
    assert storms.storm(system, 4, 80, loop).trips != first.trips


@pytest.mark.slow
@pytest.mark.parametrize("loop", LOOPS)
def test_a_seed_takes_the_same_course_in_another_process(loop: Loop) -> None:
    # Where sets of strings have another order, for one thing.
    options = ["--first", "5", "--seeds", "1", "--waits", "80", "--loop", loop]
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "tests.faults.campaign", *options],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    said = done.stdout.splitlines()
    assert said[:3] == [str(storms.storm(system, 5, 80, loop)) for system in SOURCES]
