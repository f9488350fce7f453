"""The programs of docs/examples print what the comment at their end says, in virtual time."""

from __future__ import annotations

import asyncio
import runpy
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio

from common.testing import run, virtual_clock
from tests.documentation.reader import ROOT

EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.py"))
LONGEST = 60
"""Lines of a program: what is longer is no example."""
LONGEST_RUN = 40
"""Seconds that a program may take in real time; one that waits longer uses `common.testing.run`."""


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

    async def soon(main: Awaitable[Any]) -> None:
        await main
        assert anyio.current_time() < LONGEST_RUN  # in virtual time here, but not for who types it

    monkeypatch.setattr(asyncio, "run", lambda main: run(soon, main))
    monkeypatch.setattr(trio, "run", on_trio)
    assert expected(program)
    runpy.run_path(str(program), run_name="__main__")
    assert capsys.readouterr().out.splitlines() == expected(program)
