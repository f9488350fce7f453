"""asyncio's own cancellation says why by its message, by which hosts tell one reason from another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import sniffio

from common import JobLike, JobSet, JobState, as_completed, wait_all
from common.sources.fleet import Member
from tests.common.virtual import NANOSECOND
from tests.contract.systems import Rig, System

pytestmark = pytest.mark.anyio

DEADLINE = 20.0
Work = Callable[[Member, JobLike], Awaitable[object]]


async def wait(source: Member, job: JobLike) -> None:
    await source.wait(job, timeout=DEADLINE)


async def wait_with_updates(source: Member, job: JobLike) -> None:
    await source.wait(job, timeout=DEADLINE, on_update=lambda job: None)


async def watch(source: Member, job: JobLike) -> None:
    async for _ in source.watch(job, timeout=DEADLINE):
        pass


async def wait_for_all(source: Member, job: JobLike) -> None:
    await wait_all(source, [job, job], timeout=DEADLINE)


async def each_as_it_comes(source: Member, job: JobLike) -> None:
    async with as_completed(source, [job], timeout=DEADLINE) as done:
        async for _ in done:
            pass


async def in_a_set(source: Member, job: JobLike) -> None:
    async with JobSet(source, [job], timeout=DEADLINE, changes=True) as jobs:
        async for _ in jobs:
            pass


async def in_a_set_that_nobody_reads(source: Member, job: JobLike) -> None:
    async with JobSet(source, [job], timeout=DEADLINE):
        await anyio.sleep_forever()


WORK: tuple[Work, ...] = (
    wait,
    wait_with_updates,
    watch,
    wait_for_all,
    each_as_it_comes,
    in_a_set,
    in_a_set_that_nobody_reads,
)


@pytest.mark.slow
@pytest.mark.parametrize("work", WORK)
async def test_a_cancellation_keeps_its_message_also_in_the_turn_of_a_poll(
    work: Work, system: System
) -> None:
    skip_unless_asyncio()

    async def message(rig: Rig, after: float) -> str:
        job = rig.job((JobState.RUNNING, None))
        return str(*await cancelled_at(asyncio.ensure_future(work(rig.source, job)), after))

    polls: list[float] = []
    async with system.rig() as rig:
        began = anyio.current_time()

        def no_latency() -> float:
            polls.append(anyio.current_time() - began)
            return 0.0

        rig.wire.latency = no_latency
        assert await message(rig, DEADLINE - 1) == "a person did it"
    assert len(polls) > 2
    for after in (0.5, polls[1], polls[2], DEADLINE):
        async with system.rig() as rig:
            # Behind the timers of that turn, which are due at the very moment.
            assert await message(rig, after + NANOSECOND / 2) == "a person did it", after


@pytest.mark.parametrize("work", [wait, wait_with_updates, watch, wait_for_all])
async def test_it_keeps_its_message_in_the_turn_in_which_the_deadline_cuts_a_request(
    work: Work, system: System
) -> None:
    skip_unless_asyncio()
    async with system.rig() as rig:
        rig.wire.latency = lambda: 10 * DEADLINE
        task = asyncio.ensure_future(work(rig.source, rig.job((JobState.RUNNING, None))))
        assert await cancelled_at(task, DEADLINE + NANOSECOND / 2) == ("a person did it",)


async def test_it_keeps_its_message_in_the_turn_in_which_a_request_takes_too_long(system: System) -> None:
    skip_unless_asyncio()
    async with system.rig(request_timeout=5) as rig:
        rig.wire.latency = lambda: 10 * DEADLINE
        task = asyncio.ensure_future(rig.source.get(rig.job((JobState.RUNNING, None))))
        assert await cancelled_at(task, 5 + NANOSECOND / 2) == ("a person did it",)


async def test_it_keeps_its_message_in_each_turn_in_which_a_set_is_left(system: System) -> None:
    skip_unless_asyncio()

    async def leave_early(rig: Rig) -> None:
        async with JobSet(rig.source, [rig.job((JobState.RUNNING, None))]):
            await anyio.lowlevel.checkpoint()

    turns, task = 0, None
    while task is None or task.cancelled():
        async with system.rig() as rig:
            task = asyncio.ensure_future(leave_early(rig))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel("a person did it")
            await asyncio.wait([task])
            if task.cancelled():
                with pytest.raises(asyncio.CancelledError) as caught:
                    await task
                assert caught.value.args == ("a person did it",), turns
        turns += 1
    assert turns > 3


async def test_a_scope_of_anyio_that_ends_a_request_is_no_cancellation_of_the_task(system: System) -> None:
    async with system.rig() as rig:
        rig.wire.latency = lambda: 10 * DEADLINE
        with anyio.move_on_after(DEADLINE / 2) as scope:
            await rig.source.wait(rig.job((JobState.RUNNING, None)), timeout=DEADLINE)
    assert scope.cancelled_caught


@pytest.mark.parametrize("work", [wait, wait_with_updates, watch, wait_for_all])
async def test_a_scope_catches_its_cancellation_in_the_turn_in_which_the_deadline_cuts_a_request(
    work: Work, system: System
) -> None:
    skip_unless_asyncio()
    async with system.rig() as rig:
        rig.wire.latency = lambda: 10 * DEADLINE
        with anyio.CancelScope() as scope:
            loop = asyncio.get_running_loop()
            loop.call_at(loop.time() + DEADLINE + NANOSECOND / 2, scope.cancel)
            await work(rig.source, rig.job((JobState.RUNNING, None)))
        assert scope.cancelled_caught


@pytest.mark.parametrize("survived", [False, True])
@pytest.mark.parametrize("work", WORK)
async def test_a_scope_catches_its_cancellation_of_a_task_that_awaits_another(
    work: Work, survived: bool, system: System
) -> None:
    skip_unless_asyncio()

    async def task(rig: Rig) -> None:
        if survived:
            await survive_a_cancellation()
        await work(rig.source, rig.job((JobState.RUNNING, None)))

    async with system.rig() as rig:
        with anyio.move_on_after(DEADLINE / 2) as scope:
            await asyncio.ensure_future(task(rig))
        assert scope.cancelled_caught


@pytest.mark.parametrize("work", [wait, wait_with_updates, watch, wait_for_all])
async def test_a_scope_catches_its_cancellation_also_in_the_turn_in_which_a_deadline_cuts_a_request(
    work: Work, system: System
) -> None:
    skip_unless_asyncio()

    async def task(rig: Rig) -> bool:
        await survive_a_cancellation(forget=False)
        with anyio.CancelScope() as scope:
            loop = asyncio.get_running_loop()
            loop.call_at(loop.time() + DEADLINE + NANOSECOND / 2, scope.cancel)
            await work(rig.source, rig.job((JobState.RUNNING, None)))
        return scope.cancelled_caught

    async with system.rig() as rig:
        rig.wire.latency = lambda: 10 * DEADLINE
        assert await asyncio.ensure_future(task(rig))


@pytest.mark.parametrize("work", WORK)
async def test_a_message_is_not_that_of_a_former_cancellation(work: Work, system: System) -> None:
    skip_unless_asyncio()

    async def task(rig: Rig) -> None:
        await survive_a_cancellation()
        await work(rig.source, rig.job((JobState.RUNNING, None)))

    async with system.rig() as rig:
        assert await cancelled_at(asyncio.ensure_future(task(rig)), DEADLINE / 2) == ("a person did it",)
    async with system.rig() as rig:
        waiting = asyncio.ensure_future(task(rig))
        asyncio.get_running_loop().call_later(DEADLINE / 2, waiting.cancel)
        with pytest.raises(asyncio.CancelledError) as caught:
            await waiting
        assert caught.value.args == ()


def skip_unless_asyncio() -> None:
    if sniffio.current_async_library() != "asyncio":
        pytest.skip("trio's cancellations have no message")


async def survive_a_cancellation(*, forget: bool = True) -> None:
    """Be cancelled with a message, which asyncio keeps in the task although it goes on."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel("some other reason")
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        if forget:
            task.uncancel()


async def cancelled_at(task: asyncio.Future[Any], after: float) -> tuple[object, ...]:
    """Return with what message a task ends that is cancelled after so many seconds."""
    loop = asyncio.get_running_loop()
    loop.call_at(loop.time() + after, task.cancel, "a person did it")
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    return caught.value.args
