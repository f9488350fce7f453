"""Sources that are closed while a request begins, and loops that end first: httpx leaves nothing open."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable, Generator
from functools import partial
from importlib.util import find_spec
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import httpx
import pytest
from anyio.lowlevel import current_token

from common.http.selection import BACKEND_VARIABLE
from common.model.errors import TransportError
from ontapjobs import ClientCredentials, OntapJobs
from tests.common.http.hung_up import hung_up
from tests.loopback import Loopback, raw, server_tls

AUTH = ("admin", "hunter2")
JOB = {"uuid": "j1", "state": "success"}
Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def over_httpx(monkeypatch: pytest.MonkeyPatch) -> Generator[None, None, None]:
    """Over httpx; what is left open is an error, a ResourceWarning at the latest when it is collected."""
    monkeypatch.setenv(BACKEND_VARIABLE, "httpx")
    yield
    gc.collect()


@pytest.fixture
def server() -> Generator[Loopback, None, None]:
    with Loopback(lambda *_: raw(JOB)) as loopback:
        yield loopback


def on_uvloop(call: Callable[[], Any]) -> Any:
    import uvloop  # lazily: it is not for every platform

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(call())


def on_a_loop_that_is_closed_at_once(call: Callable[[], Any]) -> Any:
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(call())
    finally:
        loop.close()


RUNS: dict[str, Run] = {
    "asyncio": partial(anyio.run, backend="asyncio"),
    "trio": partial(anyio.run, backend="trio"),
}
if find_spec("uvloop") is not None:
    RUNS["uvloop"] = on_uvloop


@pytest.mark.slow
@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_connections_are_closed_with_the_loop_that_they_belong_to(run: Run, server: Loopback) -> None:
    source = OntapJobs(server.url, auth=AUTH)

    async def once() -> bool:
        assert (await source.get("j1")).succeeded
        return not hung_up(server, within=0.0)

    for _ in range(3):
        assert run(once)  # open while the loop runs
        assert hung_up(server)
    assert server.connections == 3


@pytest.mark.slow
def test_so_they_are_over_tls_and_to_a_token_endpoint(ca: str, key: str) -> None:
    token = {"access_token": "t1", "token_type": "bearer", "expires_in": 3600}
    with (
        Loopback(lambda *_: raw(JOB), tls=server_tls(ca, key)) as api,
        Loopback(lambda *_: raw(token), tls=server_tls(ca, key)) as tokens,
    ):
        auth = ClientCredentials(f"{tokens.url}/token", "id", "secret")
        source = OntapJobs(api.url, auth=auth, verify=ca)
        for run in (RUNS["asyncio"], RUNS["trio"]):
            assert run(lambda: source.get("j1")).succeeded
            assert hung_up(api)
            assert hung_up(tokens)


@pytest.mark.parametrize("closes", [False, True])
@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_a_loop_that_has_ended_is_not_kept(run: Run, closes: bool, server: Loopback) -> None:
    loops: list[weakref.ref[Any]] = []

    async def once() -> None:
        loops.append(weakref.ref(current_token().native_token))
        source = OntapJobs(server.url, auth=AUTH)
        await source.get("j1")
        if closes:
            await source.aclose()

    run(once)
    if closes:
        on_a_loop_that_is_closed_at_once(once)
    gc.collect()
    assert [loop() for loop in loops] == [None] * len(loops)


@pytest.mark.slow
@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_those_of_a_loop_that_was_closed_without_a_word_are_closed_at_the_next_use(
    run: Run, server: Loopback
) -> None:
    source = OntapJobs(server.url, auth=AUTH)
    on_a_loop_that_is_closed_at_once(lambda: source.get("j1"))
    run(source.aclose)
    assert hung_up(server)


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize("tls", [False, True])
async def test_those_of_a_source_that_was_dropped_are_closed_by_the_running_loop(
    tls: bool, ca: str, key: str
) -> None:
    with Loopback(lambda *_: raw(JOB), tls=server_tls(ca, key) if tls else None) as server:
        source = OntapJobs(server.url, auth=AUTH, verify=ca)
        await source.get("j1")
        del source
        gc.collect()
        assert await anyio.to_thread.run_sync(hung_up, server)


@pytest.mark.slow
@pytest.mark.parametrize("other", RUNS.values(), ids=RUNS)
@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_a_source_that_is_used_on_two_loops_by_turns_closes_what_it_leaves(
    run: Run, other: Run, server: Loopback
) -> None:
    source = OntapJobs(server.url, auth=AUTH)
    turns = threading.Barrier(2, timeout=20.0)

    async def by_turns(begins: bool) -> None:
        for turn in range(6):
            if (turn % 2 == 0) is begins:
                assert (await source.get("j1")).succeeded
            turns.wait()  # holds the loop, which stays open all the same
        if begins:
            await source.aclose()

    thread = threading.Thread(target=other, args=(partial(by_turns, False),))
    thread.start()
    run(partial(by_turns, True))
    thread.join()
    gc.collect()  # what a loop has left may be in a cycle of its objects
    assert hung_up(server)
    assert server.connections == 6


@pytest.mark.slow
def test_a_client_of_the_caller_is_left_alone(server: Loopback) -> None:
    async def main() -> bool:
        async with httpx.AsyncClient(trust_env=False) as client:
            await OntapJobs(server.url, auth=AUTH, http=client).get("j1")
            await asyncio.get_running_loop().shutdown_asyncgens()
            return client.is_closed

    assert not asyncio.run(main())


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize("steps", [0, 1, 3])
async def test_a_connection_that_is_being_made_is_closed_with_its_source(
    steps: int, server: Loopback
) -> None:
    source = OntapJobs(server.url, auth=AUTH)
    began = anyio.Event()

    async def get() -> None:
        began.set()
        with pytest.raises(TransportError):
            await source.get("j1")

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(get)
            await began.wait()
            for _ in range(steps):
                await anyio.lowlevel.checkpoint()
            await source.aclose()
    assert await anyio.to_thread.run_sync(hung_up, server)
