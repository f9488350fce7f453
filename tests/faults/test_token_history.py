"""The books of a token issuer, and ours: whatever happens to those who need a token, they are the same.

``python -m tests.faults.token_history`` runs as many seeds as one likes, and counts the events.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest
import sniffio

from common import AuthenticationError, PollPolicy, SourceClosed, UsageError, WaitTimeout
from tests.common.virtual import VIRTUAL
from tests.faults.token_history.__main__ import socket_run, virtual_run
from tests.faults.token_history.issuer import Issuer
from tests.faults.token_history.run import by_scope, by_task, by_timeout, by_wait_for
from tests.faults.token_history.sign_ins import AUTH_CASES, AuthCase, Place
from tests.faults.token_history.worlds import API, LOGIN, VirtualWorld

ROTATING = [way for way in AUTH_CASES if way.rotates]
SLOW = 25.0
"""Seconds that the issuer takes, less than ``request_timeout``."""
JOB = "00000001-0000-4000-8000-000000000000"

all_ways = pytest.mark.parametrize("way", AUTH_CASES, ids=lambda way: way.name)
rotating_ways = pytest.mark.parametrize("way", ROTATING, ids=lambda way: way.name)
loops = pytest.mark.parametrize("loop", VIRTUAL)


# --- random schedules


@loops
@all_ways
def test_our_refresh_token_is_the_issuers_after_each_event(way: AuthCase, loop: str, tmp_path: Path) -> None:
    assert virtual_run(0, way, loop, tmp_path)["checks"] > 20


@pytest.mark.slow
@loops
@all_ways
@pytest.mark.parametrize("first", range(1, 21, 10))
def test_our_refresh_token_is_the_issuers_on_many_schedules(
    way: AuthCase, loop: str, first: int, tmp_path: Path
) -> None:
    for seed in range(first, first + 10):
        virtual_run(seed, way, loop, tmp_path)


@pytest.mark.slow
@loops
@rotating_ways
def test_our_refresh_token_is_the_issuers_over_sockets_in_real_time(
    way: AuthCase, loop: str, tmp_path: Path
) -> None:
    assert socket_run(1, way, loop, tmp_path)["checks"] > 20


# --- single events


class Rig:
    """An issuer without faults, and sources that sign in at it in one way."""

    def __init__(self, way: AuthCase, folder: Path, on_rotate: Callable[[str], object] | None = None) -> None:
        self.told: list[str] = []
        self.issuer = Issuer(Random(0), rotates=way.rotates, password=way.password, faults=False)
        self.issuer.latency = SLOW
        self.world = VirtualWorld(self.issuer)
        self.place = Place(API, LOGIN, folder, on_rotate or self.told.append)
        self.way = way
        self.auth = way.make(self.place)

    def connect(self, **options: Any) -> Any:
        return self.way.connect(
            self.place, self.auth, PollPolicy(initial=1), **{**self.world.options(), **options}
        )

    @property
    def balanced(self) -> bool:
        """Whether our books are the issuer's, and one sign-in was made."""
        ours = not self.way.rotates or self.auth._refresh_token == self.issuer.current
        return ours and self.issuer.respent == [] and self.issuer.replies.total() == 1


@pytest.mark.anyio
@all_ways
async def test_the_wait_that_began_a_sign_in_keeps_its_deadline_and_others_get_the_token(
    way: AuthCase, tmp_path: Path
) -> None:
    rig = Rig(way, tmp_path)
    ends: list[float] = []

    async def get() -> None:
        await anyio.sleep(0.5)
        await source.get(JOB)
        ends.append(anyio.current_time() - start)

    async with rig.connect() as source, anyio.create_task_group() as group:
        start = anyio.current_time()
        group.start_soon(get)
        with pytest.raises(WaitTimeout):
            await source.wait(JOB, timeout=1)
        assert anyio.current_time() == pytest.approx(start + 1)
    assert ends == [pytest.approx(SLOW)]
    assert rig.balanced


CANCEL = {"scope": by_scope, "task": by_task, "timeout": by_timeout, "wait_for": by_wait_for}


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize("cancel", CANCEL.values(), ids=CANCEL)
@pytest.mark.parametrize("after", [0.0, 1.0, SLOW / 2, 20.0])
@rotating_ways
async def test_a_cancelled_wait_ends_at_once_and_its_sign_in_later(
    way: AuthCase, after: float, cancel: Callable[..., Awaitable[None]], tmp_path: Path
) -> None:
    if cancel is not by_scope and sniffio.current_async_library() == "trio":
        pytest.skip("trio has no such way")
    rig = Rig(way, tmp_path)
    source = rig.connect()
    start = anyio.current_time()
    await cancel(lambda: source.wait(JOB), after, 0)
    assert anyio.current_time() == pytest.approx(start + after)
    await source.aclose()
    assert anyio.current_time() <= start + SLOW + 1e-6
    ours = rig.auth._refresh_token
    assert ours == rig.issuer.current
    assert rig.told == ([ours] if rig.issuer.replies and way.tells else [])


class ClosingTransport(httpx.AsyncBaseTransport):
    """A transport that knows whether it was closed."""

    def __init__(self, world: VirtualWorld) -> None:
        self.closed = False
        self._inner: httpx.AsyncBaseTransport = world.options()["transport"]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await anyio.lowlevel.checkpoint()
        self.closed = True


@asynccontextmanager
async def cancelled_at(seconds: float, *, natively: bool) -> AsyncGenerator[None, None]:
    """Cancel the block after some seconds, and absorb that."""
    if not natively:
        with anyio.move_on_after(seconds):
            yield
        return
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().call_later(seconds, task.cancel)
    with suppress(asyncio.CancelledError):
        yield
    task.uncancel()


def closing_rig(way: AuthCase, folder: Path, *, natively: bool) -> tuple[Rig, ClosingTransport]:
    """Return a rig, and a transport that says whether it was closed; skip what the event loop has not."""
    if natively and sniffio.current_async_library() == "trio":
        pytest.skip("trio has no such way")
    rig = Rig(way, folder)
    return rig, ClosingTransport(rig.world)


@pytest.mark.anyio
@pytest.mark.parametrize("natively", [False, True], ids=["scope", "task"])
@rotating_ways
async def test_a_source_whose_block_is_cancelled_closes_once_its_sign_in_has_ended(
    way: AuthCase, natively: bool, tmp_path: Path
) -> None:
    rig, transport = closing_rig(way, tmp_path, natively=natively)
    start = anyio.current_time()
    async with cancelled_at(2, natively=natively), rig.connect(transport=transport) as source:
        await source.wait(JOB)
    assert anyio.current_time() == pytest.approx(start + SLOW)
    assert (rig.balanced, transport.closed) == (True, True)


@pytest.mark.anyio
@pytest.mark.parametrize("natively", [False, True], ids=["scope", "task"])
@rotating_ways
async def test_closing_that_is_cancelled_itself_goes_on_to_its_end(
    way: AuthCase, natively: bool, tmp_path: Path
) -> None:
    rig, transport = closing_rig(way, tmp_path, natively=natively)
    source = rig.connect(transport=transport)
    with anyio.move_on_after(1):
        await source.wait(JOB)
    async with cancelled_at(2, natively=natively):
        await source.aclose()
    assert (rig.balanced, transport.closed) == (True, True)


@pytest.mark.anyio
@pytest.mark.parametrize("latency", [1e6, 5.0], ids=["the issuer hangs", "on_rotate hangs"])
async def test_closing_waits_no_longer_than_a_request_may_take(latency: float, tmp_path: Path) -> None:
    rig = Rig(AUTH_CASES[0], tmp_path, hangs)
    rig.issuer.latency = latency
    transport = ClosingTransport(rig.world)
    source = rig.connect(transport=transport, request_timeout=7)
    with anyio.move_on_after(1):
        await source.wait(JOB)
    start = anyio.current_time()
    await source.aclose()
    assert anyio.current_time() <= start + 7
    assert transport.closed


@pytest.mark.anyio
async def test_closing_does_not_wait_for_another_try_of_a_sign_in(tmp_path: Path) -> None:
    rig = Rig(AUTH_CASES[1], tmp_path)
    source = rig.connect(transport=httpx.MockTransport(failing_slowly))
    start = anyio.current_time()
    async with anyio.create_task_group() as group:

        async def get() -> None:
            with pytest.raises(UsageError, match="closed"):
                await source.get(JOB)

        group.start_soon(get)
        await anyio.sleep(3)
        await source.aclose()
        assert anyio.current_time() == pytest.approx(start + 4)


async def failing_slowly(request: httpx.Request) -> httpx.Response:
    if request.method == "POST":
        await anyio.sleep(4)
        return httpx.Response(503)
    return httpx.Response(200, json={"links": {"login": {"href": LOGIN}}})


@pytest.mark.anyio
async def test_a_source_that_closes_leaves_its_sign_in_to_the_others(tmp_path: Path) -> None:
    rig = Rig(AUTH_CASES[0], tmp_path)
    first, second = rig.connect(), rig.connect()
    async with anyio.create_task_group() as group:

        async def wait() -> None:
            with pytest.raises(SourceClosed):
                await first.wait(JOB)

        group.start_soon(wait)
        await anyio.sleep(1)
        group.start_soon(second.get, JOB)
        await anyio.sleep(1)
        await first.aclose()
    await second.aclose()
    assert rig.balanced


# --- an API that refuses every token


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize("latency", [0.0, 15.0])
@all_ways
async def test_hundreds_of_waits_at_an_api_that_refuses_every_token_sign_in_twice(
    way: AuthCase, latency: float, tmp_path: Path
) -> None:
    rig = Rig(way, tmp_path)
    rig.issuer.accepts, rig.issuer.latency = False, latency
    ended: list[str] = []

    async def wait(number: int) -> None:
        with pytest.raises(AuthenticationError):
            await source.wait(f"{number:08x}-0000-4000-8000-000000000000")
        ended.append(str(number))

    async with rig.connect() as source, anyio.create_task_group() as group:
        for number in range(300):
            group.start_soon(wait, number)
    assert len(ended) == 300
    assert rig.issuer.replies["token"] == 2


@pytest.mark.anyio
async def test_an_api_that_refuses_tokens_for_a_while_is_asked_with_a_new_one_now_and_then(
    tmp_path: Path,
) -> None:
    rig = Rig(AUTH_CASES[0], tmp_path)
    rig.issuer.accepts, rig.issuer.latency = False, 0.0
    async with rig.connect() as source:
        for _ in range(60):
            with pytest.raises(AuthenticationError):
                await source.get(JOB)
            await anyio.sleep(1)
        assert 2 <= rig.issuer.replies["token"] <= 8
        rig.issuer.revoke()
        rig.issuer.accepts = True
        await anyio.sleep(10)
        assert await source.get(JOB)
        # After a success it counts afresh.
        for _ in range(5):
            rig.issuer.revoke()
            assert await source.get(JOB)
            await anyio.sleep(1)


# --- on_rotate


def raises(_: str) -> object:
    raise ValueError("disk full")


def stops(_: str) -> object:
    raise StopIteration


async def stops_later(_: str) -> object:
    raise StopAsyncIteration


async def awaits_what_is_cancelled(_: str) -> None:
    if sniffio.current_async_library() == "trio":
        raise trio_cancellation()
    task = asyncio.ensure_future(anyio.sleep_forever())
    asyncio.get_running_loop().call_soon(task.cancel)
    await task


def trio_cancellation() -> BaseException:
    import trio

    return trio.Cancelled._create(source="unknown")


async def hangs(_: str) -> None:
    await anyio.sleep_forever()


def raises_a_group(_: str) -> object:
    raise ExceptionGroup("several", [ValueError("disk full")])


@pytest.mark.anyio
@pytest.mark.parametrize(
    "on_rotate",
    [raises, stops, stops_later, awaits_what_is_cancelled, hangs, raises_a_group],
    ids=lambda function: function.__name__,
)
async def test_an_on_rotate_that_misbehaves_is_logged_and_loses_nothing(
    on_rotate: Callable[[str], object], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rig = Rig(AUTH_CASES[1], tmp_path, on_rotate)
    rig.issuer.latency = 0.0
    async with rig.connect(request_timeout=60) as source:
        with suppress(Exception):
            await source.get(JOB)
        assert await source.get(JOB)
    assert rig.balanced
    assert "on_rotate failed" in caplog.text
    assert str(rig.issuer.current) not in caplog.text


@pytest.mark.anyio
async def test_an_on_rotate_that_ends_the_program_ends_it_with_the_token_kept(tmp_path: Path) -> None:
    def leaves(_: str) -> object:
        raise SystemExit(3)

    rig = Rig(AUTH_CASES[1], tmp_path, leaves)
    async with rig.connect() as source:
        with pytest.raises(SystemExit):
            await source.get(JOB)
    assert rig.balanced
