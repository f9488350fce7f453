"""The plan for a million waits: its simulation loses no wait, and its page quotes what the program prints."""

from __future__ import annotations

import json
import re
from pathlib import Path

import attrs
import pytest

from tests.benchmarks.harness import ROOT, Report, Row, Server, python
from tests.benchmarks.million.figures import simulated
from tests.benchmarks.million.process import Order
from tests.benchmarks.million.report import million, options
from tests.benchmarks.million.simulation import Size
from tests.documentation.reader import blocks

PAGE = ROOT / "docs/concepts/million-waits.md"
SMALL = Size(workers=2, clusters=5, clusters_each=5, jobs=100, minutes=6, seed=22)
"""In which a worker is lost, with ends since its last checkpoint, and a cluster is out."""


@pytest.fixture(scope="module")
def figures() -> Row:
    """What the small simulation shows."""
    return simulated(SMALL)


def row(figures: Row, table: str, name: str) -> Row:
    """Return the row of a table whose first column begins with this."""
    return next(each for each in figures[table] if next(iter(each.values())).startswith(name))


@pytest.mark.slow
def test_workers_that_are_lost_lose_no_wait(figures: Row) -> None:
    assert row(figures, "recovery", "loss")["clusters"] > 0
    assert row(figures, "recovery", "outage")["clusters"] > 0
    outcomes = row(figures, "outcomes", "of jobs")
    assert outcomes["reported"] > 0
    assert outcomes["reported twice"] == outcomes["not reported"] == 0


@pytest.mark.slow
def test_a_simulation_gives_the_same_figures_in_another_process(figures: Row) -> None:
    again = python("-m", "tests.benchmarks.million.figures", *options(SMALL), limit=600.0)
    assert again == json.loads(json.dumps(figures))
    other_seed = attrs.evolve(SMALL, seed=SMALL.seed + 1, minutes=1)
    assert simulated(other_seed) != figures


@pytest.mark.slow
def test_the_page_quotes_what_the_program_prints(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with Server() as server:
        order = Order(url=server.url, clusters=1, jobs=20)
        million(Report(tmp_path / "lines.json"), order, attrs.evolve(SMALL, minutes=1))
    printed = shape(capsys.readouterr().out)
    assert printed
    assert [line for block in blocks(PAGE, "text") for line in shape(block.values[0])] == printed


def shape(text: str) -> list[str]:
    """Return the lines of a table without their numbers, and without the spaces that align them."""
    lines = (re.sub(r"(?<!\S)(-|\d[\d,.]*)(?!\S)", "#", line) for line in text.splitlines())
    return [" ".join(line.split()) for line in lines if line.strip()]
