"""The programs of docs/examples print what the comment at their end says, in virtual time."""

from __future__ import annotations

import asyncio
import runpy
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from common.testing import run, virtual_clock
from tests.documentation.reader import ROOT

EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.py"))
LONGEST = 60
"""Lines of a program: what is longer is no example."""


def expected(program: Path) -> list[str]:
    """Return the lines of the comment at the end of a program."""
    lines = program.read_text("utf-8").rstrip().splitlines()
    last = next(index for index in reversed(range(len(lines))) if not lines[index].startswith("#"))
    return [line.removeprefix("# ") for line in lines[last + 1 :]]


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 10


@pytest.mark.parametrize("program", EXAMPLES, ids=lambda program: program.stem)
def test_an_example_is_short(program: Path) -> None:
    assert len(program.read_text("utf-8").splitlines()) <= LONGEST


@pytest.mark.slow
@pytest.mark.parametrize("program", EXAMPLES, ids=lambda program: program.stem)
def test_an_example_prints_what_it_says(
    program: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trio_run = trio.run

    def on_trio(main: Callable[[], Awaitable[Any]]) -> None:
        trio_run(main, clock=virtual_clock())

    monkeypatch.setattr(asyncio, "run", lambda main: run(lambda: main))
    monkeypatch.setattr(trio, "run", on_trio)
    assert expected(program)
    runpy.run_path(str(program), run_name="__main__")
    assert capsys.readouterr().out.splitlines() == expected(program)
