"""On each system, over sockets: sources that tasks share, and scripts without a loop."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import CancelledError
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from common import JobState, SourceClosed, close_shared, portal, shared_source, wait_all
from common.simulator import Simulator
from tests.contract.systems import SOURCES, TOKEN, System, name_of

pytestmark = pytest.mark.slow
on_each = pytest.mark.parametrize("system", SOURCES, ids=name_of)
SETTINGS = {"token": TOKEN, "policy": '{"initial": 0.05, "maximum": 0.05}', "request_timeout": "10"}


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def target_of(system: System, url: str) -> str:
    account = "/account-sim?agent=agent-sim" if system.provider == "bluexp" else ""
    return url.replace("http://", f"{system.provider}+http://") + account


def add_jobs(system: System, simulator: Simulator, count: int, seconds: float) -> list[str]:
    life = [(system.words[JobState.RUNNING], seconds), (system.words[JobState.SUCCEEDED], None)]
    return [simulator.add_job(life) for _ in range(count)]


@pytest.mark.anyio
@on_each
async def test_tasks_that_ask_for_a_system_share_its_source(system: System) -> None:
    simulator = system.simulate()
    sources: set[object] = set()

    async def task(target: str, settings: Mapping[str, Any], id: str) -> None:
        async with shared_source(target, settings=dict(settings)) as source:
            sources.add(source)
            assert (await source.wait(id, timeout=20)).succeeded

    async with simulator.serve() as url:
        target = target_of(system, url)
        async with anyio.create_task_group() as group:
            for id in add_jobs(system, simulator, 10, 0.2):
                group.start_soon(task, target, SETTINGS, id)
        [source] = sources
        async with shared_source(target, settings={**SETTINGS, "token": "changed"}) as changed:
            assert changed is not source
        await close_shared()
    tokens = {request.headers["authorization"] for request in simulator.journal}
    assert tokens == {f"Bearer {TOKEN}"}


@pytest.mark.anyio
@on_each
async def test_closing_all_ends_the_waits_of_each_system(system: System) -> None:
    simulator = system.simulate()
    [id] = add_jobs(system, simulator, 1, 1000)
    begun = anyio.Event()
    async with simulator.serve() as url, anyio.create_task_group() as group:

        async def task() -> None:
            async with shared_source(target_of(system, url), settings=SETTINGS) as source:
                await source.get(id)
                begun.set()
                with pytest.raises(SourceClosed):
                    await source.wait(id)

        group.start_soon(task)
        await begun.wait()
        await anyio.lowlevel.checkpoint()
        await close_shared()


@on_each
def test_a_script_without_a_loop_waits_for_jobs(system: System) -> None:
    simulator = system.simulate()
    ids = add_jobs(system, simulator, 3, 0.1)
    with portal() as p, p.enter(simulator.serve()) as url:
        target = target_of(system, url)
        with p.enter(shared_source(target, settings=SETTINGS)) as source:
            assert p.call(source.wait, ids[0], timeout=20).succeeded
            assert [job.succeeded for job in p.call(wait_all, source, ids, timeout=20)] == [True] * 3
            [endless] = add_jobs(system, simulator, 1, 1000)
            future, polls = p.start(source.wait, endless), len(simulator.journal)
            while len(simulator.journal) == polls:
                time.sleep(0.01)
            assert future.cancel()
            with pytest.raises(CancelledError):
                future.result(20)
            assert p.call(source.get, endless).state is JobState.RUNNING
