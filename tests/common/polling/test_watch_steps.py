"""The steps of a watch that are cancelled: by whatever means, the next one goes on, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

import anyio
import httpx
import pytest
import sniffio

from cfjobs import CFJobs
from common import (
    Bearer,
    Event,
    EventKind,
    Job,
    JobRef,
    JobState,
    SourceClosed,
    UsageError,
    WaitTimeout,
)
from common.polling.watch import Watch
from ontapjobs import OntapJobs
from ontapjobs.simulator import OntapSimulator
from tests.common.lab import EACH_SECOND, Lab
from tests.common.scripted import (
    ENDPOINT,
    JOB,
    Answer,
    Script,
    about,
    after,
    done,
    gone,
    job,
    never,
    running,
    source,
    unavailable,
)
from tests.common.virtual import Footprint, cancelled_at, count_awaits, stepped, virtual_asyncio

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

ANSWERS: tuple[Answer, ...] = (
    after(0.5, running),
    unavailable,
    after(0.5, running),
    after(0.5, job("POLLING")),
    after(0.5, done),
)
TOLD = ["PROCESSING", "POLLING", "COMPLETE"]
ONE_WAY = "trio knows no other cancellation than by a scope"


async def rest(watch: Watch) -> list[str | None]:
    return [seen.native_state async for seen in watch]


async def natively_cancelled_at(number: int, work: Coroutine[Any, Any, object]) -> bool:
    """`cancelled_at` by ``task.cancel()``, which anyio does not know of."""
    task = asyncio.current_task()
    assert task is not None
    try:
        await stepped(work, lambda count: count == number and task.cancel())
    except asyncio.CancelledError:
        task.uncancel()
        return True
    return False


Cancelled = Callable[[int, Coroutine[Any, Any, object]], Awaitable[bool]]


@pytest.mark.parametrize("cancel", [cancelled_at, natively_cancelled_at], ids=["by a scope", "natively"])
async def test_a_watch_goes_on_whatever_await_its_first_step_was_cancelled_at(cancel: Cancelled) -> None:
    if cancel is natively_cancelled_at and sniffio.current_async_library() == "trio":
        pytest.skip(ONE_WAY)
    awaits = await count_awaits(source(Script(*ANSWERS)).watch(JOB).__anext__())
    for number in range(1, awaits + 1):
        script = Script(*ANSWERS)
        async with source(script, concurrency=1) as jobs:
            before = Footprint.now()
            watch = jobs.watch(JOB)
            assert await cancel(number, watch.__anext__())
            assert Footprint.now() == before
            assert await rest(watch) == TOLD
            assert await rest(watch) == []
            assert script.open == 0


async def by_a_scope(seconds: float, step: Coroutine[Any, Any, Job]) -> Job | None:
    with anyio.move_on_after(seconds):
        return await step
    return None


async def by_a_timeout(seconds: float, step: Coroutine[Any, Any, Job]) -> Job | None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            return await step
    return None


async def by_wait_for(seconds: float, step: Coroutine[Any, Any, Job]) -> Job | None:
    with suppress(TimeoutError):
        return await asyncio.wait_for(step, seconds)
    return None


async def by_cancelling_its_task(seconds: float, step: Coroutine[Any, Any, Job]) -> Job | None:
    task = asyncio.create_task(step)
    await asyncio.wait([task], timeout=seconds)
    task.cancel()
    with suppress(asyncio.CancelledError):
        return await task
    return None


@pytest.mark.parametrize("limited", [by_a_scope, by_a_timeout, by_wait_for, by_cancelling_its_task])
@pytest.mark.parametrize("seconds", [0.6, 0.75, 1.0, 1.5, 1.6])
async def test_a_watch_loses_nothing_however_often_its_steps_are_cancelled(
    limited: Callable[[float, Coroutine[Any, Any, Job]], Awaitable[Job | None]], seconds: float
) -> None:
    if limited is not by_a_scope and sniffio.current_async_library() == "trio":
        pytest.skip(ONE_WAY)
    simulator = OntapSimulator()
    id = simulator.add_job([("queued", 4), ("running", 6), ("success", None)])

    async def answer(request: httpx.Request) -> httpx.Response:
        await anyio.sleep(0.5)
        return await simulator.transport().handle_async_request(request)

    told: list[JobState] = []
    transport = httpx.MockTransport(answer)
    async with OntapJobs("cluster1", auth=Bearer("token"), transport=transport) as jobs:
        watch = jobs.watch(id)
        while not told or not told[-1].terminal:
            seen = await limited(seconds, watch.__anext__())
            told += [seen.state] if seen is not None else []
        assert jobs._current_poller().idle
        assert await rest(watch) == []
    assert told == [JobState.QUEUED, JobState.RUNNING, JobState.SUCCEEDED]


@pytest.mark.parametrize("native", [False, True], ids=["by a scope", "natively"])
async def test_what_a_step_was_just_to_tell_when_it_was_cancelled_is_told_by_the_next(native: bool) -> None:
    if native and sniffio.current_async_library() == "trio":
        pytest.skip(ONE_WAY)
    cancel: list[Callable[[], object]] = []

    def observe(event: Event) -> None:
        if event.kind is EventKind.CHANGED and cancel and event.job and event.job.native_state == "POLLING":
            cancel.pop()()

    script = Script(running, job("POLLING"), running, done)
    async with source(script, observer=observe) as jobs, anyio.create_task_group() as group:
        group.start_soon(jobs.wait, JOB)  # without a deadline, and so the one that sends the requests
        watch = jobs.watch(JOB, timeout=100)
        assert (await anext(watch)).native_state == "PROCESSING"
        with anyio.CancelScope() as scope:
            task = asyncio.current_task() if native else None
            cancel.append(task.cancel if task else scope.cancel)
            try:
                await anext(watch)
                raise AssertionError("the step was not cancelled")
            except asyncio.CancelledError:
                if task is None:
                    raise
                task.uncancel()
        assert not cancel
        asked = len(script.sent)
        assert (await anext(watch)).native_state == "POLLING"
        assert len(script.sent) == asked
        assert await rest(watch) == ["PROCESSING", "COMPLETE"]


async def test_a_probe_whose_step_was_cancelled_is_asked_again() -> None:
    asked = []

    async def probe(ref: JobRef, last: Job | None) -> JobState:
        del ref, last
        asked.append(anyio.current_time())
        await anyio.sleep(5)
        return JobState.SUCCEEDED

    script = Script(running, gone)
    async with source(script) as jobs:
        watch = jobs.watch(JOB, resolve_gone=probe)
        await anext(watch)
        while not asked:
            with anyio.move_on_after(4):
                await anext(watch)
        polls = len(script.sent)
        ended = await anext(watch)
        assert (ended.state, ended.resolved) == (JobState.SUCCEEDED, True)
        assert await rest(watch) == []
    assert len(script.sent) == polls
    assert len(asked) == 2


async def test_a_cancelled_step_cancels_the_job_where_asked_to_and_the_next_tells_how_it_ended() -> None:
    simulator = OntapSimulator()
    id = simulator.add_job([("running", None)])
    transport = simulator.transport()
    async with OntapJobs("cluster1", auth=Bearer("token"), transport=transport) as jobs:
        watch = jobs.watch(id, on_cancel="cancel")
        assert (await anext(watch)).state is JobState.RUNNING
        with anyio.move_on_after(0.5) as scope:
            await anext(watch)
        assert scope.cancelled_caught
        assert [request.method for request in simulator.journal].count("PATCH") == 1
        assert [seen.done for seen in [seen async for seen in watch]][-1] is True
        assert [request.method for request in simulator.journal].count("PATCH") == 1


async def test_the_deadline_of_a_watch_counts_through_its_cancelled_steps() -> None:
    async with source(Script(running)) as jobs:
        watch = jobs.watch(JOB, timeout=5)
        await anext(watch)
        for _ in range(3):
            with anyio.move_on_after(1):
                await anext(watch)
        with pytest.raises(WaitTimeout):
            await anext(watch)
        assert anyio.current_time() == about(5)
        assert await rest(watch) == []


async def test_a_step_waits_for_one_that_is_still_on_its_way_out() -> None:
    async with source(Script(running, job("POLLING"), done)) as jobs:
        watch = jobs.watch(JOB)
        told: list[str | None] = []

        async def step() -> None:
            told.append((await anext(watch)).native_state)

        async with anyio.create_task_group() as group:
            for _ in TOLD:
                group.start_soon(step)
        assert told == TOLD
        assert await rest(watch) == []


async def test_a_watch_that_is_closed_during_a_step_stays_closed() -> None:
    script = Script(after(1, running), done)
    async with source(script) as jobs, anyio.create_task_group() as group:
        watch = jobs.watch(JOB)
        told: list[str | None] = []

        async def step() -> None:
            told.append((await anext(watch)).native_state)

        group.start_soon(step)
        await anyio.sleep(0.5)
        await watch.aclose()
        await anyio.sleep(10)
        assert await rest(watch) == []
        assert told == ["PROCESSING"]
    assert len(script.sent) == 1


async def test_a_watch_that_ended_with_an_exception_stays_ended() -> None:
    async def broken(ref: JobRef, last: Job | None) -> JobState:
        raise ZeroDivisionError

    async with source(Script(running, gone)) as jobs:
        watch = jobs.watch(JOB, resolve_gone=broken)
        await anext(watch)
        with pytest.raises(ZeroDivisionError):
            await anext(watch)
        assert await rest(watch) == []


async def test_the_last_observation_has_the_time_of_the_last_reply_also_if_it_told_nothing_new() -> None:
    simulator = OntapSimulator()
    ids = [simulator.add_job([("running", None)]) for _ in range(2)]
    async with OntapJobs("https://sim", auth=Bearer("t"), transport=simulator.transport()) as jobs:
        watch, seen = jobs.watch(ids[0]), []
        async with anyio.create_task_group() as group:
            group.start_soon(rest, watch)
            group.start_soon(jobs.wait, ids[1])  # together they are asked about by lists
            for _ in range(2):
                await anyio.sleep(20)
                seen.append(watch.last)
            group.cancel_scope.cancel()
    before, after = seen
    assert before is not None
    assert after is not None
    assert after == before
    assert after.observed_at > before.observed_at


@pytest.mark.parametrize("answer", [running, unavailable])
async def test_a_watch_whose_source_is_closed_between_its_steps_ends_as_a_wait_does(answer: Answer) -> None:
    jobs = CFJobs(ENDPOINT, auth=Bearer("token"), transport=Script(running, answer))
    watch = jobs.watch(JOB)
    await anext(watch)
    await jobs.aclose()
    with pytest.raises(SourceClosed, match="last seen RUNNING") as caught:
        await anext(watch)
    assert (caught.value.final, caught.value.job) == (False, watch.last)
    with pytest.raises(StopAsyncIteration):
        await anext(watch)
    with pytest.raises(UsageError):
        await anext(jobs.watch(JOB))


async def test_a_cancelled_step_of_a_closed_source_does_not_hide_that_it_was_closed() -> None:
    jobs = CFJobs(ENDPOINT, auth=Bearer("token"), transport=Script(never))
    watch = jobs.watch(JOB)
    with anyio.move_on_after(1):
        await anext(watch)
    await jobs.aclose()
    with pytest.raises((SourceClosed, UsageError), match="closed"):
        await anext(watch)


def test_a_watch_whose_step_was_cancelled_goes_on_in_another_event_loop_at_its_own_pace() -> None:
    lab = Lab("job", policy=EACH_SECOND)
    lab.latency = lambda _: 1e9
    watch = lab.watch("job", timeout=50)

    async def begins() -> None:
        with anyio.move_on_after(20):
            await anext(watch)

    async def goes_on() -> None:
        with pytest.raises(WaitTimeout):
            await anext(watch)
        assert anyio.current_time() == pytest.approx(1e6 + 30, abs=1)

    for start, part in ((0.0, begins), (1e6, goes_on)):
        backend, options = virtual_asyncio(start)
        anyio.run(part, backend=backend, backend_options=options)
