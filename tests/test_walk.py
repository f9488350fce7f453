"""How far a reader has to walk: the changes of file in a wait and in a connect grow only on purpose."""

from __future__ import annotations

import pytest

from tests.benchmarks.harness import Row, python

CEILINGS = {"wait": 75, "connect": 70}
"""To be lowered when the code needs less; `tests.benchmarks.walk` says what is counted, and the goals."""


@pytest.fixture(scope="module")
def counted() -> Row:
    """Counted in a process of its own, where nothing but the walk was imported or made known."""
    found = python("-m", "tests.benchmarks.walk", limit=60.0)
    assert "failed" not in found, found["failed"]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("call", CEILINGS)
def test_a_call_changes_file_no_more_often_than_it_did(counted: Row, call: str) -> None:
    assert counted[call] <= CEILINGS[call]
