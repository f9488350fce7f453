"""A task that is parked until another wakes it, and work that is completed whoever is cancelled."""

from __future__ import annotations

import asyncio
import gc
import math
import weakref
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import sniffio

from common import concurrency
from common.concurrency import (
    DetachedWork,
    Parking,
    begin_own_task,
    finish,
    parking,
    restore_message,
    run_together,
    running_loop,
    runs_in_own_task,
    was_cancelled,
)
from tests.common.virtual import Footprint

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]


def needs_asyncio() -> None:
    if sniffio.current_async_library() != "asyncio":
        pytest.skip("trio lets nobody cancel another's task")


class Place:
    """Where a task is parked."""

    handle: Any = None


# --- parking


async def park(lot: Parking, place: Place) -> None:
    await lot.park(place)


async def test_a_parked_task_goes_on_when_it_is_woken() -> None:
    lot, place, woken = parking(), Place(), list[float]()

    async def sleeper() -> None:
        await lot.park(place)
        woken.append(lot.now())

    async with anyio.create_task_group() as group:
        group.start_soon(sleeper)
        await anyio.sleep(5)
        assert place.handle is not None
        lot.unpark(place)
        assert place.handle is None
        lot.unpark(place)  # nobody is parked there any more
    assert woken == [anyio.current_time()] == [lot.now()]


async def test_a_parked_task_that_is_cancelled_leaves_its_place() -> None:
    lot, place = parking(), Place()
    with anyio.move_on_after(5) as scope:
        await lot.park(place)
    assert scope.cancelled_caught
    lot.unpark(place)
    assert place.handle is None
    async with anyio.create_task_group() as group:
        group.start_soon(park, lot, place)
        await anyio.sleep(1)
        lot.unpark(place)


async def test_a_task_may_be_woken_and_cancelled_at_once() -> None:
    lot, place = parking(), Place()
    async with anyio.create_task_group() as group:
        group.start_soon(park, lot, place)
        await anyio.sleep(1)
        group.cancel_scope.cancel()
        lot.unpark(place)
    assert place.handle is None


@pytest.mark.parametrize("woken_after", [2, 9])
async def test_a_task_is_parked_until_it_is_woken_or_its_time_has_come(woken_after: float) -> None:
    lot, place, woken = parking(), Place(), list[float]()

    async def sleeper() -> None:
        await lot.park_until(place, 5)
        woken.append(anyio.current_time())
        await lot.park_until(place, 1)  # in the past
        woken.append(anyio.current_time())

    async with anyio.create_task_group() as group:
        group.start_soon(sleeper)
        await anyio.sleep(woken_after)
        lot.unpark(place)
    assert woken == [min(woken_after, 5)] * 2
    assert Footprint.now().timer == math.inf


@pytest.mark.parametrize("until", [9, math.inf])
async def test_a_task_that_is_parked_for_a_time_leaves_nothing_when_it_is_cancelled(until: float) -> None:
    lot, place = parking(), Place()
    with anyio.move_on_after(1):
        await lot.park_until(place, until)
    assert Footprint.now().timer == math.inf
    lot.unpark(place)
    assert place.handle is None


async def test_the_running_loop_is_the_same_for_all_its_tasks() -> None:
    seen: list[object] = []

    async def look() -> None:
        await anyio.lowlevel.checkpoint()
        seen.append(running_loop())

    async with anyio.create_task_group() as group:
        group.start_soon(look)
        group.start_soon(look)
    assert seen == [running_loop()] * 2
    assert running_loop() is not None


def test_every_run_has_an_event_loop_of_its_own_and_without_one_there_is_none() -> None:
    async def look() -> object:
        await anyio.lowlevel.checkpoint()
        return running_loop()

    loops = [anyio.run(look, backend=backend) for backend in ("asyncio", "trio", "asyncio")]
    assert len({id(loop) for loop in loops}) == 3
    with pytest.raises((RuntimeError, LookupError)):
        running_loop()


# --- detached work


class Work:
    """Five seconds of work that may be cancelled, then five that may not."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    async def __call__(self) -> str:
        await anyio.sleep(5)
        self.steps.append("sent")
        with anyio.CancelScope(shield=True):
            await anyio.sleep(5)
            self.steps.append("stored")
        await anyio.lowlevel.checkpoint()
        return "done"


def detach(work: Any) -> DetachedWork[Any]:
    detached = DetachedWork[Any]()
    detached.start(work)
    return detached


async def test_detached_work_has_a_value_for_all_who_wait() -> None:
    detached = detach(Work())
    assert not detached.done
    async with anyio.create_task_group() as group:
        group.start_soon(detached.wait)
        group.start_soon(detached.join)
        await detached.wait()
    assert (detached.done, detached.value, detached.error) == (True, "done", None)
    assert anyio.current_time() == 10
    await detached.wait()
    assert detached.loop is running_loop()


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(3)], ids=repr)
async def test_detached_work_that_fails_has_an_error_of_whatever_kind(error: BaseException) -> None:
    async def fail() -> None:
        await anyio.sleep(1)
        raise error

    detached = detach(fail)
    await detached.wait()
    assert (detached.done, detached.value, detached.error) == (True, None, error)


@pytest.mark.parametrize(("after", "steps", "ends"), [(3, [], 3), (7, ["sent", "stored"], 10)])
async def test_work_that_nobody_waits_for_ends_but_for_what_it_shields(
    after: float, steps: list[str], ends: float
) -> None:
    work = Work()
    detached = detach(work)
    with anyio.move_on_after(after) as scope:
        await detached.wait()
    assert (scope.cancelled_caught, anyio.current_time()) == (True, after)
    await detached.join()
    assert (anyio.current_time(), work.steps) == (ends, steps)
    assert (detached.done, detached.value, detached.error) == (True, None, None)


async def test_work_goes_on_while_one_of_those_who_wait_is_left() -> None:
    detached = detach(Work())
    async with anyio.create_task_group() as group:
        group.start_soon(detached.wait)
        for _ in range(3):
            with anyio.move_on_after(1):
                await detached.wait()
    assert detached.value == "done"


async def test_one_who_waits_and_is_given_up_by_its_loop_takes_nothing_with_it() -> None:
    needs_asyncio()
    detached = detach(Work())
    given_up = detached.wait()
    given_up.send(None)
    given_up.close()
    await anyio.sleep(11)
    assert detached.value == "done"


async def test_who_only_waits_for_the_end_does_not_keep_work_going() -> None:
    detached = detach(Work())
    async with anyio.create_task_group() as group:
        group.start_soon(detached.join)
        with anyio.move_on_after(1):
            await detached.wait()
    assert (detached.done, detached.value, anyio.current_time()) == (True, None, 1)


async def test_work_that_is_cancelled_ends_for_all() -> None:
    detached = detach(Work())
    async with anyio.create_task_group() as group:
        group.start_soon(detached.wait)
        await anyio.sleep(1)
        detached.cancel()
    assert (detached.done, detached.value, anyio.current_time()) == (True, None, 1)


async def test_work_has_the_context_of_whoever_began_it() -> None:
    variable: ContextVar[str] = ContextVar("variable")

    async def read() -> str:
        await anyio.lowlevel.checkpoint()
        found = variable.get()
        variable.set("the work's")
        return found

    variable.set("the caller's")
    detached = detach(read)
    await detached.wait()
    assert (detached.value, variable.get()) == ("the caller's", "the caller's")


async def test_work_that_awaits_something_cancelled_has_failed() -> None:
    needs_asyncio()

    async def await_it() -> None:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    detached = detach(await_it)
    await detached.wait()
    assert "cancelled" in str(detached.error)


@pytest.mark.parametrize("seconds", [0, 1])
async def test_work_whose_own_task_is_cancelled_ends_without_an_error(seconds: float) -> None:
    needs_asyncio()
    mine = asyncio.all_tasks()
    detached = detach(Work())
    if seconds:
        await anyio.sleep(seconds)
    (task,) = asyncio.all_tasks() - mine
    task.cancel()
    await detached.wait()
    assert (detached.done, detached.value, detached.error) == (True, None, None)


async def test_nothing_is_left_of_detached_work_that_has_ended() -> None:
    before = set(concurrency._tasks)  # of other tests, whose loop has ended
    detached = detach(Work())
    await detached.wait()
    gone = weakref.ref(detached)
    del detached
    await anyio.sleep(1)
    gc.collect()
    assert gone() is None
    assert concurrency._tasks <= before


# --- work that is finished first


async def test_a_cancellation_is_raised_once_the_work_is_finished() -> None:
    work = Work()
    with anyio.move_on_after(1) as scope:
        await finish(work)
        await anyio.lowlevel.checkpoint()
    assert (scope.cancelled_caught, work.steps, anyio.current_time()) == (True, ["sent", "stored"], 10)


async def test_native_cancellations_are_raised_once_the_work_is_finished() -> None:
    needs_asyncio()
    work = Work()
    task = asyncio.ensure_future(finish(work))
    for _ in range(3):
        await anyio.sleep(1)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (work.steps, anyio.current_time()) == (["sent", "stored"], 10)


async def test_work_that_fails_raises_its_error_to_whoever_finishes_it() -> None:
    async def fail() -> None:
        await anyio.sleep(1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await finish(fail)
    await finish(anyio.lowlevel.checkpoint)


# --- functions that run at once


class Ending:
    """Functions that end after some seconds, with an error or without; which did so is kept."""

    def __init__(self) -> None:
        self.ended: list[object] = []

    def after(self, seconds: float, end: object) -> Callable[[], Awaitable[None]]:
        async def work() -> None:
            await anyio.sleep(seconds)
            self.ended.append(end)
            if isinstance(end, Exception):
                raise end

        return work


async def test_functions_run_at_once_until_the_last_has_ended() -> None:
    ending = Ending()
    await run_together([ending.after(2, "a"), ending.after(3, "b"), ending.after(1, "c")])
    assert (ending.ended, anyio.current_time()) == (["c", "a", "b"], 3)


async def test_the_first_error_of_functions_that_run_at_once_ends_all_and_is_raised_itself() -> None:
    ending, errors = Ending(), [KeyError("one"), ValueError("two")]
    with pytest.raises((KeyError, ValueError)) as caught:
        await run_together(
            [ending.after(1, "a"), *(ending.after(2, error) for error in errors), ending.after(3, "b")]
        )
    assert anyio.current_time() == 2
    assert ending.ended[0] == "a"
    assert caught.value is ending.ended[1]  # and not the other one, which asyncio raises in the same moment


async def test_functions_that_run_at_once_end_with_their_caller() -> None:
    ending = Ending()
    with anyio.move_on_after(1) as scope:
        await run_together([ending.after(2, "a"), ending.after(2, "b")])
    await anyio.sleep(2)
    assert (scope.cancelled_caught, ending.ended) == (True, [])


async def test_a_cancellation_in_the_moment_of_an_error_keeps_its_message() -> None:
    needs_asyncio()
    loop = asyncio.get_running_loop()

    async def fail() -> None:
        await anyio.sleep(1)
        loop.call_soon(task.cancel, "a person did it")  # behind the error, which cancels the others
        raise ValueError

    task = asyncio.ensure_future(run_together([fail, anyio.sleep_forever]))
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert caught.value.args == ("a person did it",)


async def test_an_exception_that_cannot_tell_its_text_is_left_as_it_is() -> None:
    class Odd(Exception):
        def __str__(self) -> str:
            raise ZeroDivisionError

    restore_message(Odd("as raised"), anyio.CancelScope())


# --- whose cancellation it is


async def test_a_task_knows_its_own_cancellation_from_that_of_what_it_awaits() -> None:
    assert not was_cancelled()
    with anyio.CancelScope() as scope:
        scope.cancel()
        try:
            await anyio.lowlevel.checkpoint()
        finally:
            assert was_cancelled()
    assert not was_cancelled()


async def test_a_timer_that_comes_a_tick_early_resumes_nobody() -> None:
    """asyncio runs timers up to a tick of its clock early: a poller would look again and again until then."""

    found, when = parking(), anyio.current_time() + 0.3
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.sleep_until, when - 1e-10)
        await found.park_until(Place(), when)
        assert found.now() >= when


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_task_of_ours_is_known_in_itself_alone() -> None:
    found: list[bool] = []

    async def look() -> None:
        found.append(runs_in_own_task())
        await anyio.lowlevel.checkpoint()

    async def ours() -> None:
        begin_own_task()
        await look()
        async with anyio.create_task_group() as group:
            group.start_soon(look)  # which inherits its context

    await look()
    async with anyio.create_task_group() as group:
        group.start_soon(ours)
    assert found == [False, True, False]
