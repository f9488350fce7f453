"""What time it is in a simulator: on the loop's clock, on a faster one, and when stepped by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import anyio
import pytest

from common.simulator.clock import Clock, parse_clock

pytestmark = [pytest.mark.anyio, pytest.mark.virtual(1000.1)]

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def test_it_is_the_loops_time_by_default() -> None:
    clock = Clock(NOON)
    for _ in range(3):
        assert clock.now() == anyio.current_time()
        await clock.sleep(0.7)
    assert anyio.current_time() == pytest.approx(1002.2)
    assert clock.wall(clock.now()) == NOON + timedelta(seconds=2.1)


async def test_a_scaled_clock_goes_ahead_of_the_loop() -> None:
    clock = Clock.scaled(60, NOON)
    began = clock.now()
    await anyio.sleep(2)
    assert clock.now() - began == pytest.approx(120)
    await clock.sleep(60)
    assert anyio.current_time() == pytest.approx(1003.1)
    assert clock.wall(clock.now()) == NOON + timedelta(minutes=3)
    assert clock.real(30) == 0.5


async def test_a_stepped_clock_stands_still_and_a_step_wakes_whose_time_has_come() -> None:
    clock, woken = Clock.stepped(NOON), list[float]()

    async def sleep(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(seconds)

    async with anyio.create_task_group() as group:
        for seconds in (5, 0, 10):
            group.start_soon(sleep, seconds)
        await anyio.sleep(1000)
        assert woken == [0]
        for step, expected in ((4, [0]), (1, [0, 5]), (100, [0, 5, 10])):
            clock.step(step)
            await anyio.wait_all_tasks_blocked()
            assert woken == expected
    assert clock.wall(clock.now()) == NOON + timedelta(seconds=105)


async def test_any_clock_can_be_stepped_and_change_its_pace_under_a_sleeper() -> None:
    clock = Clock()
    began = clock.now()
    async with anyio.create_task_group() as group:
        group.start_soon(clock.sleep, 100)
        await anyio.sleep(10)
        clock.step(30)
        clock.scale = 6
        assert clock.now() - began == pytest.approx(40)
    assert anyio.current_time() == pytest.approx(1000.1 + 10 + 10)
    clock.scale = 0
    assert clock.now() - began == pytest.approx(100)
    await anyio.sleep(50)
    clock.scale = 1
    assert clock.now() - began == pytest.approx(100)


async def test_a_sleeper_that_is_cancelled_leaves_nothing_behind() -> None:
    clock = Clock.stepped()
    with anyio.move_on_after(1):
        await clock.sleep(1)
    assert not clock._sleepers


async def test_sleeping_for_no_time_lets_others_run() -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        await Clock().sleep(0)
    assert scope.cancelled_caught


def test_the_pace_can_be_set_before_there_is_a_loop() -> None:
    clock = Clock()
    clock.scale = 5
    assert clock.scale == 5
    with pytest.raises(RuntimeError):
        clock.now()


@pytest.mark.parametrize("scale", [-1.0, float("nan"), float("inf")])
def test_time_does_not_run_backwards(scale: float) -> None:
    with pytest.raises(ValueError, match="scale is 0 or more"):
        Clock(scale=scale)
    with pytest.raises(ValueError, match="0 seconds or more"):
        Clock().step(scale)


@pytest.mark.parametrize(("text", "scale"), [("loop", 1), ("stepped", 0), ("scaled:2.5", 2.5)])
def test_a_clock_by_name(text: str, scale: float) -> None:
    assert parse_clock(text).scale == scale


@pytest.mark.parametrize("text", ["", "fast", "scaled", "scaled:", "scaled:x", "loop:1", "scaled:-1"])
def test_no_clock_by_that_name(text: str) -> None:
    with pytest.raises(ValueError, match=r"clock|float"):
        parse_clock(text)
