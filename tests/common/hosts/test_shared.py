"""Shared sources: one per loop and system, counted, closed a while after its last user has left."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import anyio
import attrs
import httpx
import pytest

from common import JobState, SourceClosed, UsageError, close_shared, shared_source, wait_all
from common.hosts.shared import LINGER
from common.simulator import Simulator
from common.sources.base import BaseSource
from ontapjobs import OntapJobs
from ontapjobs.simulator import OntapSimulator
from tests.common.virtual import Footprint
from tests.costs import lines_of
from tests.profiles import PASSWORD, TOKEN, UserEnv

TARGET = "ontap://cluster1"
SIGNED = {"user": "admin", "password": PASSWORD}
pytestmark = [pytest.mark.anyio, pytest.mark.virtual]


@attrs.frozen
class Way(httpx.AsyncBaseTransport):
    """The way to a simulator, which another one to the same simulator equals."""

    simulator: Simulator

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self.simulator.transport().handle_async_request(request)


async def use(seconds: float = 0.0, settings: dict[str, str] = SIGNED) -> BaseSource:
    """Use a shared source for a while, and return it."""
    async with shared_source(TARGET, settings=settings) as source:
        await anyio.sleep(seconds)
    return source


@pytest.fixture(autouse=True)
async def _nothing_is_left() -> Any:
    yield
    await close_shared()
    await anyio.wait_all_tasks_blocked()


async def test_whoever_asks_gets_the_same_source() -> None:
    async with shared_source(TARGET, settings=SIGNED) as first:
        assert isinstance(first, OntapJobs)
        async with shared_source(f"{TARGET}/job-1", settings=dict(SIGNED)) as second:
            assert second is first
        assert not first.is_closed
        assert await use(LINGER * 2) is first
        assert not first.is_closed


async def test_first_users_at_once_get_one_source() -> None:
    sources: list[BaseSource] = []

    async def task() -> None:
        sources.append(await use(1))

    async with anyio.create_task_group() as group:
        for _ in range(50):
            group.start_soon(task)
    assert len(sources) == 50
    assert len(set(sources)) == 1


async def test_changed_credentials_make_a_new_source_beside_the_former() -> None:
    changed = {**SIGNED, "password": "another"}
    async with (
        shared_source(TARGET, settings=SIGNED) as former,
        shared_source(TARGET, settings=changed) as latter,
    ):
        assert latter is not former
        assert not former.is_closed


async def test_waits_of_many_tasks_share_requests() -> None:
    simulator = OntapSimulator()
    ids = [simulator.add_job([("running", 5), ("success", None)]) for _ in range(50)]

    async def task(id: str) -> None:
        async with shared_source(TARGET, auth=("a", "b"), transport=Way(simulator)) as source:
            assert (await source.wait(id, timeout=60)).succeeded

    async with anyio.create_task_group() as group:
        for id in ids:
            group.start_soon(task, id)
    assert len(simulator.journal) < 20


async def test_it_is_closed_a_while_after_its_last_user_has_left() -> None:
    before = Footprint.now()
    source = await use()
    closed = list[bool]()
    for _ in range(2):
        await anyio.sleep(LINGER - 0.1)
        closed.append(source.is_closed)
        assert await use() is source
    await anyio.sleep(LINGER + 0.1)
    other = await use(settings={"token": TOKEN})  # on trio the next use of any closes it
    assert [*closed, source.is_closed] == [False, False, True]
    assert await use() is not source
    await close_shared()
    assert other.is_closed
    assert Footprint.now() == before


async def test_a_user_who_is_cancelled_has_left() -> None:
    source: list[BaseSource] = []

    async def task() -> None:
        async with shared_source(TARGET, settings=SIGNED) as used:
            source.append(used)
            await anyio.sleep_forever()

    async with anyio.create_task_group() as group:
        group.start_soon(task)
        await anyio.sleep(1)
        group.cancel_scope.cancel()
    await anyio.sleep(LINGER + 1)
    assert await use() is not source[0]
    assert source[0].is_closed


async def test_a_user_who_fails_has_left() -> None:
    sources: list[BaseSource] = []

    async def fail() -> None:
        async with shared_source(TARGET, settings=SIGNED) as source:
            sources.append(source)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    await anyio.sleep(LINGER + 1)
    assert await use() is not sources[0]


async def test_a_connect_that_fails_is_not_kept(user_env: UserEnv) -> None:
    user_env.profile(f'endpoint = "{TARGET}"\nuser = "admin"\npassword = {{ env = "SECRET" }}')
    user_env.set(SECRET="")
    for _ in range(2):
        with pytest.raises(UsageError, match="the variable SECRET is empty"):
            async with shared_source(TARGET):
                pass
    user_env.set(SECRET=PASSWORD)
    async with shared_source(TARGET) as source, shared_source(profile="prod") as named:
        assert source.endpoint == named.endpoint == "https://cluster1"


async def test_a_source_that_somebody_closed_is_not_given_out_again() -> None:
    async with shared_source(TARGET, settings=SIGNED) as first:
        await first.aclose()
        second = await use()
        assert second is not first
        assert not second.is_closed
        assert await use() is second
    assert await use() is second


async def test_closing_all_ends_the_waits_that_go_on() -> None:
    simulator = OntapSimulator()
    id = simulator.add_job([("running", None)])
    ended: list[Exception] = []

    async def task(user: str) -> None:
        try:
            async with shared_source(TARGET, auth=(user, "b"), transport=Way(simulator)) as source:
                await source.wait(id)
        except SourceClosed as error:
            ended.append(error)

    async with anyio.create_task_group() as group:
        for user in "abc":
            group.start_soon(task, user)
        await anyio.sleep(1)
        await close_shared()
        async with shared_source(TARGET, auth=("a", "b"), transport=Way(simulator)) as source:
            assert (await source.get(id)).state is JobState.RUNNING
            await close_shared()
            await close_shared()
            assert source.is_closed
    assert len(ended) == 3


async def test_closing_all_comes_to_its_end_when_it_is_cancelled() -> None:
    sources = [await use(settings={"token": str(number)}) for number in range(3)]
    with anyio.CancelScope() as scope:
        scope.cancel()
        await close_shared()
    assert [source.is_closed for source in sources] == [True] * 3


async def test_a_failure_to_close_one_is_logged_and_closes_the_others(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await use(), await use(settings={"token": TOKEN})

    async def fail() -> None:
        raise ZeroDivisionError("no way")

    monkeypatch.setattr(first, "aclose", fail)
    await close_shared()
    assert second.is_closed
    assert "closing the shared source <OntapJobs 'https://cluster1'> failed" in caplog.text


async def test_it_is_entered_once_and_asynchronously() -> None:
    shared = shared_source(TARGET, settings=SIGNED)
    async with shared:
        with pytest.raises(UsageError, match="call shared_source"):
            await shared.__aenter__()
    with pytest.raises(UsageError, match="call shared_source"):
        await shared.__aenter__()
    wrongly: Any = shared_source(TARGET, settings=SIGNED)
    with pytest.raises(UsageError, match="async with"), wrongly:
        pass


async def test_it_serves_what_takes_many_jobs() -> None:
    simulator = OntapSimulator()
    ids = [simulator.add_job([("success", None)]) for _ in range(3)]
    async with shared_source(TARGET, auth=("a", "b"), transport=Way(simulator)) as source:
        assert [job.succeeded for job in await wait_all(source, ids, timeout=60)] == [True] * 3


async def test_a_use_costs_the_same_beside_any_number_of_shared_sources() -> None:
    async def cost(others: int) -> int:
        async with AsyncExitStack() as stack:
            for number in range(others):
                await use(settings={"token": f"idle-{number}"})
                await stack.enter_async_context(shared_source(TARGET, settings={"token": f"used-{number}"}))
            await use()
            return await lines_of(use())

    few = await cost(5)
    await close_shared()
    assert await cost(50) == few


async def test_what_has_expired_is_closed_at_once_and_not_one_after_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def slowly(_: OntapJobs) -> None:
        await anyio.sleep(30)

    before = Footprint.now()
    for number in range(20):
        await use(settings={"token": str(number)})
    monkeypatch.setattr(OntapJobs, "aclose", slowly)
    await anyio.sleep(LINGER + 1)
    began = anyio.current_time()
    await use()
    assert anyio.current_time() - began <= 30
    monkeypatch.undo()
    await anyio.sleep(LINGER + 30)
    await close_shared()
    assert Footprint.now() == before
