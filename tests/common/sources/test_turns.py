"""How many outcomes of a set a consumer takes before other tasks run."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from common import JobSet
from common.sources.sets import untold
from tests.common.lab import Lab

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]


async def turns_of_others(ends: int) -> int:
    """Return how often another task ran while a consumer took outcomes that were all there."""
    lab = Lab()
    ids = [lab.end(f"job{number}", 0) for number in range(ends)]
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await anyio.lowlevel.checkpoint()
            turns += 1

    async with JobSet(lab, ids) as jobs, anyio.create_task_group() as group:
        jobs.close()
        await anyio.sleep(30)
        group.start_soon(other)
        assert len([outcome async for outcome in jobs]) == ends
        group.cancel_scope.cancel()
    return turns


async def test_a_consumer_of_ends_that_are_there_waits_for_no_other_task() -> None:
    assert await turns_of_others(1_000) == 0


async def test_a_consumer_of_thousands_of_ends_lets_others_run_also_where_time_stands_still() -> None:
    assert await turns_of_others(5_000) in range(2, 5)


async def test_a_consumer_that_takes_long_lets_others_run_each_32_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(untold, "TURN", 0.0)
    assert await turns_of_others(1_000) in range(28, 32)  # it starts in one of the first


async def test_a_turn_begins_when_an_outcome_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = list[float]()
    lab = Lab()
    ids = [lab.end(f"job{number}", number // 40 * 5) for number in range(80)]
    async with JobSet(lab, ids) as jobs:
        jobs.close()
        lets_others_run = jobs._untold.next_turn

        async def next_turn() -> None:
            looks.append(anyio.current_time())
            await lets_others_run()

        monkeypatch.setattr(jobs._untold, "next_turn", next_turn)
        assert len([outcome async for outcome in jobs]) == 80
    assert looks == []
