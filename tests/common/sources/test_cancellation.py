"""Cancelling a wait: at each of its awaits, by either loop's means; what comes through, and what is left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

import anyio
import attrs
import httpx
import pytest
import sniffio
import trio

from cfjobs import CFJobs
from common import Action, Bearer, Job, JobNotFound, JobRef, JobState, WaitTimeout
from ontapjobs import OntapJobs
from ontapjobs.simulator import OntapSimulator
from tests.common.scripted import (
    ENDPOINT,
    JOB,
    OTHER,
    Answer,
    Script,
    about,
    after,
    done,
    error,
    gone,
    job,
    never,
    outcomes,
    raising,
    running,
    source,
    unavailable,
)
from tests.common.virtual import (
    Footprint,
    VirtualLoop,
    cancelled_at,
    count_awaits,
    stepped,
)

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

REF = JobRef("cf", ENDPOINT, JOB)
Wait = Callable[[CFJobs], Coroutine[Any, Any, Job]]


async def slow_probe(ref: JobRef, last: Job | None) -> JobState:
    del ref, last
    await anyio.sleep(5)
    await anyio.sleep(5)
    return JobState.SUCCEEDED


class Tokens:
    """Gives a fresh token for each request, after some thought."""

    def __init__(self) -> None:
        self.given = 0

    async def __call__(self) -> str:
        await anyio.sleep(0.5)
        self.given += 1
        return f"token-{self.given}"


@attrs.frozen
class Situation:
    """A wait on its way through something."""

    answers: tuple[Answer, ...]
    wait: Wait = lambda jobs: jobs.wait(JOB)

    def start(self) -> tuple[Script, CFJobs]:
        script = Script(*self.answers, by_id={OTHER: [done]})
        # One request at a time: a turn that is not given back would be missed at once.
        return script, CFJobs(
            ENDPOINT, auth=Bearer(Tokens()), transport=script, request_timeout=20, concurrency=1
        )


SITUATIONS: Mapping[str, Situation] = {
    "polls": Situation((running, running, done)),
    "slow replies": Situation((after(5, running), after(5, done))),
    "trouble": Situation((unavailable, unavailable, running, unavailable, done)),
    "a dropped connection": Situation((running, raising(httpx.ReadError("reset")), done)),
    "a request that takes too long": Situation((never, done)),
    "a token that has expired": Situation((error(401, 1000), done)),
    "the start grace": Situation((gone, gone, done)),
    "a floor": Situation((error(429, 10013, Retry_After="50"), done)),
    "a probe": Situation((running, gone), lambda jobs: jobs.wait(JOB, resolve_gone=slow_probe)),
    "a probe with a deadline": Situation(
        (running, gone), lambda jobs: jobs.wait(JOB, timeout=60, resolve_gone=slow_probe)
    ),
    "a deadline between polls": Situation((running,), lambda jobs: jobs.wait(JOB, timeout=3.5)),
    "a deadline during a poll": Situation((running, never), lambda jobs: jobs.wait(JOB, timeout=3.5)),
    "one read": Situation((after(1, running),), lambda jobs: jobs.wait(JOB, timeout=0)),
    "a job that had ended": Situation((never,), lambda jobs: jobs.wait(Job(REF, JobState.SUCCEEDED))),
}


@pytest.mark.slow
@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=SITUATIONS)
async def test_a_wait_can_be_cancelled_at_each_of_its_awaits(situation: Situation) -> None:
    _, jobs = situation.start()
    awaits = await count_awaits(situation.wait(jobs))
    assert awaits > 0
    for number in range(1, awaits + 1):
        script, jobs = situation.start()
        before = Footprint.now()
        assert await cancelled_at(number, situation.wait(jobs)), f"swallowed at await {number} of {awaits}"
        assert Footprint.now() == before
        assert script.open == 0

        asked = len(script.sent)
        await anyio.sleep(1000)
        assert len(script.sent) == asked
        assert (await jobs.wait(OTHER)).succeeded
        await jobs.aclose()


@pytest.mark.slow
async def test_a_wait_can_be_cancelled_at_any_time() -> None:
    # On the half seconds it meets a reply, a poll that falls due, and the deadline as they come in.
    for halves in range(24):
        script = Script(after(2, running), after(0.5, running), after(2, done), by_id={OTHER: [done]})
        jobs = source(script, concurrency=1)
        before = Footprint.now()
        with anyio.move_on_after(halves / 2):
            await outcomes(jobs.wait(JOB, timeout=9))
        assert Footprint.now() == before
        assert script.open == 0
        assert (await jobs.wait(OTHER)).succeeded
        await jobs.aclose()


async def test_a_watch_can_be_cancelled_at_each_of_its_awaits() -> None:
    async def watch(jobs: CFJobs) -> None:
        async for _ in jobs.watch(JOB, timeout=100):
            await anyio.sleep(1)

    situation = SITUATIONS["trouble"]
    awaits = await count_awaits(watch(situation.start()[1]))
    for number in range(1, awaits + 1):
        script, jobs = situation.start()
        before = Footprint.now()
        assert await cancelled_at(number, watch(jobs))
        assert Footprint.now() == before
        assert script.open == 0
        assert (await jobs.wait(OTHER)).succeeded
        await jobs.aclose()


async def test_a_wait_in_a_scope_that_is_cancelled_already_sends_nothing() -> None:
    script = Script(done)
    async with source(script) as jobs:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await jobs.wait(JOB)
        assert scope.cancelled_caught
        assert script.sent == []


async def test_a_wait_for_a_turn_can_be_cancelled() -> None:
    script = Script(done, by_id={OTHER: [after(20, done)]})
    async with source(script, concurrency=1) as jobs:

        async def give_up() -> Job:
            await anyio.sleep(1)
            awaits = await count_awaits(jobs.wait(JOB, timeout=5))
            for number in range(1, awaits + 1):
                assert await cancelled_at(number, jobs.wait(JOB, timeout=5))
            return Job(REF, JobState.UNKNOWN)

        ended = await outcomes(jobs.wait(OTHER), give_up())
        assert [isinstance(each, Job) for each in ended] == [True, True], ended
        assert [sent.id for sent in script.sent] == [OTHER]
        assert (await jobs.wait(JOB)).succeeded


@pytest.mark.parametrize("id", [JOB, OTHER], ids=["the same job", "another job"])
async def test_the_other_waits_of_a_source_go_on(id: str) -> None:
    answers = (after(0.3, running), unavailable, after(0.3, running), after(0.3, running), done)
    awaits = await count_awaits(source(Script(*answers)).wait(JOB))
    for number in range(1, awaits + 1):
        script = Script(*answers, done)
        async with source(script, concurrency=2) as jobs:

            async def give_up(jobs: CFJobs = jobs, number: int = number) -> Job:
                await cancelled_at(number, jobs.wait(JOB, timeout=1000))
                return Job(REF, JobState.UNKNOWN)

            ended = await outcomes(jobs.wait(id), give_up(), jobs.wait(id, timeout=1000))
            assert [isinstance(each, Job) for each in ended] == [True] * 3, ended
            assert script.open == 0


# --- on_cancel="cancel"


def cluster(**options: Any) -> tuple[OntapSimulator, OntapJobs, str]:
    """A cluster with one job that runs for ten seconds."""
    simulator = OntapSimulator(seed=1)
    id = simulator.add_job([("queued", 4), ("running", 6), ("success", None)])
    options.setdefault("auth", Bearer("token"))
    return simulator, OntapJobs("cluster1", transport=simulator.transport(), **options), id


async def test_a_wait_that_was_told_so_cancels_its_job_at_each_of_its_awaits() -> None:
    _, jobs, id = cluster()
    awaits = await count_awaits(jobs.wait(id, timeout=7))
    for number in range(1, awaits + 1):
        simulator, jobs, id = cluster(concurrency=1)
        before = Footprint.now()
        assert await cancelled_at(number, jobs.wait(id, timeout=7, on_cancel="cancel"))
        assert Footprint.now() == before
        writes = [request for request in simulator.journal if request.method == "PATCH"]
        assert [(write.query, write.status) for write in writes] == [({"action": "cancel"}, 200)]
        assert (await jobs.wait(id, check=False)).state is JobState.FAILED
        await jobs.aclose()


def in_a_nursery(answer: Answer) -> Answer:
    """As trio's own sockets do while they connect: a cancellation comes out of it in a group."""

    async def nested(request: httpx.Request) -> httpx.Response:
        if sniffio.current_async_library() != "trio":
            return await answer(request)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep, 1)
            return await answer(request)

    return nested


async def test_a_cancellation_that_comes_in_a_group_is_one() -> None:
    script = Script(in_a_nursery(after(10, done)), job("COMPLETE", uuid=JOB, message="taken"))
    async with OntapJobs("cluster1", auth=Bearer("token"), transport=script) as jobs:
        with anyio.move_on_after(5) as scope:
            await jobs.wait(JOB, on_cancel="cancel")
        assert scope.cancelled_caught
    assert [sent.method for sent in script.sent] == ["GET", "PATCH", "GET"]


async def test_cancelling_the_job_takes_no_longer_than_ten_seconds() -> None:
    script = Script(never, by_id={JOB: [running]})
    simulator = OntapSimulator()
    id = simulator.add_job([("running", None)])

    async def handle(request: httpx.Request) -> httpx.Response:
        inner = simulator.transport() if request.method == "GET" else script
        return await inner.handle_async_request(request)

    async with OntapJobs("cluster1", auth=Bearer("token"), transport=httpx.MockTransport(handle)) as jobs:
        with anyio.move_on_after(5) as scope:
            await jobs.wait(id, on_cancel="cancel")
        assert scope.cancelled_caught
        assert anyio.current_time() == about(15)
        assert script.open == 0


async def test_whatever_goes_wrong_when_cancelling_the_job_the_cancellation_comes_through() -> None:
    asked: list[float] = []

    async def token() -> str:
        asked.append(anyio.current_time())
        if len(asked) > 1:
            raise RuntimeError("the vault is sealed")
        return "token"

    _, jobs, id = cluster(auth=Bearer(token))
    with anyio.move_on_after(0.5) as scope:
        await jobs.wait(id, on_cancel="cancel")
    assert scope.cancelled_caught
    assert len(asked) == 2
    await jobs.aclose()


async def test_a_job_that_had_ended_is_not_cancelled_with_its_wait() -> None:
    simulator, jobs, id = cluster()
    ended = await jobs.wait(id)
    asked = len(simulator.journal)
    assert await cancelled_at(1, jobs.wait(ended, on_cancel="cancel"))
    assert len(simulator.journal) == asked
    await jobs.aclose()


@pytest.mark.parametrize("how", ["deadline", "failure", "left"])
async def test_only_a_cancellation_cancels_the_job(how: str) -> None:
    simulator, jobs, id = cluster()
    if how == "deadline":
        with pytest.raises(WaitTimeout):
            await jobs.wait(id, timeout=5, on_cancel="cancel")
    elif how == "failure":
        simulator.jobs.clear()
        with pytest.raises(JobNotFound):
            await jobs.wait(id, on_cancel="cancel")
    else:
        async for _ in jobs.watch(id, on_cancel="cancel"):
            break
    assert {request.method for request in simulator.journal} == {"GET"}
    await jobs.aclose()


# --- The other calls


@pytest.mark.parametrize(
    "call",
    [
        lambda jobs, id: jobs.get(id),
        lambda jobs, id: jobs.act(id, Action.PAUSE),
        lambda jobs, _: jobs.count(),
    ],
    ids=["get", "act", "count"],
)
async def test_every_call_can_be_cancelled_at_each_of_its_awaits(
    call: Callable[[OntapJobs, str], Coroutine[Any, Any, object]],
) -> None:
    _, jobs, id = cluster()
    awaits = await count_awaits(call(jobs, id))
    for number in range(1, awaits + 1):
        simulator, jobs, id = cluster(concurrency=1)
        before = Footprint.now()
        assert await cancelled_at(number, call(jobs, id))
        assert Footprint.now() == before
        assert sum(request.method == "PATCH" for request in simulator.journal) <= 1
        assert (await jobs.get(id)).id == id
        await jobs.aclose()


# --- asyncio's own means, which know no scopes


def on_asyncio(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())


@pytest.mark.slow
@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=SITUATIONS)
def test_a_task_that_waits_can_be_cancelled_at_each_of_its_awaits(situation: Situation) -> None:
    async def run(number: int, jobs: CFJobs) -> None:
        task = asyncio.current_task()
        assert task is not None
        await stepped(situation.wait(jobs), lambda count: task.cancel() if count == number else None)

    async def main() -> None:
        awaits = await count_awaits(situation.wait(situation.start()[1]))
        for number in range(1, awaits + 1):
            script, jobs = situation.start()
            before = Footprint.now()
            task = asyncio.create_task(run(number, jobs))
            with pytest.raises(asyncio.CancelledError):
                await task
            assert task.cancelled()
            assert Footprint.now() == before
            assert script.open == 0
            assert (await jobs.wait(OTHER)).succeeded
            await jobs.aclose()

    on_asyncio(main)


async def in_timeout(work: Awaitable[Job], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        await work


@pytest.mark.parametrize("seconds", [0, 0.5, 1, 1.5, 2, 2.5, 3])
@pytest.mark.parametrize("limit", [in_timeout, asyncio.wait_for])
def test_asyncios_own_timeouts_cut_a_wait(limit: Callable[..., Awaitable[None]], seconds: float) -> None:
    async def main() -> None:
        script = Script(after(0.5, running), by_id={OTHER: [done]})
        async with source(script, concurrency=1) as jobs:
            before = Footprint.now()
            with pytest.raises(TimeoutError) as caught:
                await limit(jobs.wait(JOB, timeout=10), seconds)
            assert not isinstance(caught.value, WaitTimeout)
            task = asyncio.current_task()
            assert task is not None
            assert task.cancelling() == 0
            assert Footprint.now() == before
            assert script.open == 0
            assert (await jobs.wait(OTHER)).succeeded

    on_asyncio(main)


@pytest.mark.parametrize("first", ["the task's end", "the deadline"])
def test_a_task_that_is_cancelled_at_its_deadline_is_cancelled(first: str) -> None:
    async def main() -> None:
        async with source(Script(never)) as jobs:
            task = asyncio.create_task(jobs.wait(JOB, timeout=3))
            if first == "the deadline":
                await asyncio.sleep(1)  # the wait sets its timer before
            asyncio.get_running_loop().call_at(3, task.cancel)
            ended = (await asyncio.gather(task, return_exceptions=True))[0]
            assert isinstance(ended, asyncio.CancelledError)

    on_asyncio(main)


def test_a_task_group_that_fails_takes_its_waits_along() -> None:
    async def main() -> None:
        simulator, jobs, id = cluster()

        async def fail() -> None:
            await asyncio.sleep(5)
            raise ZeroDivisionError

        async def run_all() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(jobs.wait(id, on_cancel="cancel"))
                group.create_task(jobs.wait(id))
                group.create_task(fail())

        with pytest.raises(ExceptionGroup) as caught:
            await run_all()
        assert [type(each) for each in caught.value.exceptions] == [ZeroDivisionError]
        assert sum(request.method == "PATCH" for request in simulator.journal) == 1
        await jobs.aclose()

    on_asyncio(main)
