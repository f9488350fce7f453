"""What a set of waits costs does not grow with what else is waited for."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial

import anyio
import pytest

from common import JobSet
from tests.common.lab import Lab
from tests.costs import lines, lines_of

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

FEW, MANY = 20, 400


async def test_to_leave_or_to_store_a_set_costs_the_same_beside_any_number_of_other_waits() -> None:
    async def cost(others: int) -> tuple[int, int]:
        names = list(map(str, range(others)))
        lab, mine = Lab(*names, "mine", room=1000), AsyncExitStack()
        async with JobSet(lab, names):
            jobs = await mine.enter_async_context(JobSet(lab, ["mine"]))
            await anyio.sleep(0.5)
            return lines(jobs.checkpoint), await lines_of(mine.aclose())

    (few_stored, few_left), (many_stored, many_left) = await cost(FEW), await cost(MANY)
    assert many_stored == few_stored
    assert many_left < 2 * few_left  # trio runs its tasks in a random order


async def test_one_more_wait_for_a_job_costs_the_same_however_many_it_has() -> None:
    async def cost(others: int) -> int:
        lab = Lab("job", room=1000)
        async with JobSet(lab, ["job"] * others) as jobs:
            await anyio.sleep(0.5)
            jobs.add("job")
            return lines(partial(jobs.add, "job"))

    assert await cost(FEW) == await cost(MANY)


async def test_a_change_costs_each_of_its_watchers_the_same_however_many_they_are() -> None:
    async def cost(watchers: int) -> float:
        lab = Lab("job", room=1000)
        lab.end("job", anyio.current_time() + 1.5)

        async def watch() -> None:
            async for _ in lab.watch("job"):
                pass

        spent = 0
        async with anyio.create_task_group() as group:
            for _ in range(watchers):
                group.start_soon(watch)
            spent = await lines_of(anyio.sleep(1.2))
        return spent / watchers

    assert await cost(MANY) <= await cost(FEW)


async def test_to_discard_costs_the_same_beside_any_number_of_outcomes_that_nobody_took() -> None:
    async def cost(outcomes: int) -> list[int]:
        names = list(map(str, range(outcomes)))
        lab = Lab("waiting", room=1000)
        for name in names:
            lab.end(name, 0)
        async with JobSet(lab, [*names, "waiting"]) as jobs:
            await anyio.sleep(0.5)
            assert len(jobs) == outcomes + 1
            jobs.discard("absent")  # the first one looks through all
            costs = [
                lines(partial(jobs.discard, name)) for name in (names[-1], names[0], "absent", "waiting")
            ]
            assert len(jobs) == outcomes - 2
            return costs

    assert await cost(FEW) == await cost(MANY)


async def test_waits_of_one_deadline_that_are_resumed_share_what_holds_it() -> None:
    names = list(map(str, range(MANY)))
    lab = Lab(*names, room=1000)
    async with JobSet(lab, names, timeout=3600) as jobs:
        stored = jobs.checkpoint()
    async with JobSet(lab, checkpoint=stored) as resumed:
        assert len({id(wait.spec) for wait in resumed._unended()}) == 1
