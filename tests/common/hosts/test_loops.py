"""Shared sources and event loops: each has its own, and takes them with it when it ends."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import pytest
import trio

from common import close_shared, shared_source
from common.hosts import shared
from common.sources.base import BaseSource
from tests.loopback import Loopback, raw

TARGET = "ontap://cluster1"
SIGNED = {"user": "admin", "password": "x"}
ID = "b5145e1d-b53b-11e8-8252-005056bbd8f5"

RUNS: dict[str, Callable[..., Any]] = {
    "asyncio.run": lambda main: asyncio.run(main()),
    "anyio on asyncio": anyio.run,
    "anyio on trio": partial(anyio.run, backend="trio"),
    "trio.run": trio.run,
}
on_each_run = pytest.mark.parametrize("run", RUNS.values(), ids=list(RUNS))


@pytest.mark.slow
@on_each_run
def test_a_loop_that_ends_takes_its_sources_and_their_sockets_with_it(run: Callable[..., Any]) -> None:
    found: list[weakref.ref[object]] = []

    async def main() -> None:
        async with shared_source(target, auth=("a", "b"), concurrency=2) as source:
            found.append(weakref.ref(source))
            assert (await source.get(ID)).succeeded

    with Loopback(lambda *_: raw({"uuid": ID, "state": "success"})) as server:
        target = server.url.replace("http://", "ontap+http://")
        for _ in range(3):
            run(main)
        gc.collect()
        assert [reference() for reference in found] == [None] * 3
        assert server.connections == 3
        while server._lines:  # until the server has noticed
            time.sleep(0.01)


def test_an_asyncio_loop_closes_it_though_no_task_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "LINGER", 0.01)

    async def main() -> BaseSource:
        async with shared_source(TARGET, settings=SIGNED) as source:
            pass
        loop = asyncio.get_running_loop()
        closed = loop.create_future()
        loop.call_later(0.05, closed.set_result, None)
        await closed
        return source

    assert asyncio.run(main()).is_closed


@on_each_run
def test_threads_with_loops_of_their_own_have_sources_of_their_own(run: Callable[..., Any]) -> None:
    sources: list[BaseSource] = []
    together = threading.Barrier(10)

    async def main() -> None:
        together.wait()
        for _ in range(20):
            async with (
                shared_source(TARGET, settings=SIGNED) as one,
                shared_source(TARGET, settings=SIGNED) as two,
            ):
                assert one is two
                sources.append(one)
        await close_shared()

    threads = [threading.Thread(target=run, args=(main,)) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(sources), len(set(sources))) == (200, 10)
    assert all(source.is_closed for source in sources)
