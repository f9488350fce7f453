"""Virtual time on both event loops: it jumps where nothing happens, and not past what is real."""

from __future__ import annotations

import asyncio
import math
import socket
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import pytest
import trio
import trio.testing

from common import UsageError
from common.testing import VirtualTimeError, VirtualTimeLoop, run, virtual_clock, virtual_time_loop

_T = TypeVar("_T")

DAY = 24 * 3600.0
A_MOMENT = 0.2
"""Seconds of wall time that something real takes."""


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.slow
def test_a_day_in_many_sleeps_passes_at_once(backend: str) -> None:
    async def main() -> float:
        for _ in range(2880):
            await anyio.sleep(30)
        return anyio.current_time()

    assert run(main, backend=backend) == DAY


def test_timers_of_all_tasks_fire_in_their_order(backend: str) -> None:
    fired: list[tuple[float, float]] = []

    async def sleeper(seconds: float) -> None:
        await anyio.sleep(seconds)
        fired.append((seconds, anyio.current_time()))

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for seconds in (300.0, 0.5, DAY, 60.0):
                group.start_soon(sleeper, seconds)

    run(main, backend=backend)
    assert fired == [(0.5, 0.5), (60.0, 60.0), (300.0, 300.0), (DAY, DAY)]


def test_a_timeout_cuts_what_is_longer_and_not_what_is_shorter(backend: str) -> None:
    async def main() -> float:
        with anyio.fail_after(61):
            await anyio.sleep(60)
        with anyio.move_on_after(60):
            await anyio.sleep_forever()
        return anyio.current_time()

    assert run(main, backend=backend) == 120


def test_time_stands_still_while_tasks_run(backend: str) -> None:
    async def main() -> float:
        time.sleep(0.01)  # noqa: ASYNC251  # real time
        await anyio.lowlevel.checkpoint()
        return anyio.current_time()

    assert run(main, backend=backend) == 0


@pytest.mark.parametrize("late", [1e6, 1e9])
def test_a_sleep_too_short_to_count_ends(backend: str, late: float) -> None:
    async def main() -> None:
        await anyio.sleep(late)
        await anyio.sleep(1e-9)

    run(main, backend=backend)


def test_the_arguments_are_passed_on_and_what_is_raised_comes_through(backend: str) -> None:
    async def divide(above: int, below: int) -> float:
        await anyio.lowlevel.checkpoint()
        return above / below

    assert run(divide, 1, 2, backend=backend) == 0.5
    with pytest.raises(ZeroDivisionError):
        run(divide, 1, 0, backend=backend)


def test_another_backend_is_refused() -> None:
    with pytest.raises(UsageError, match="no virtual time for 'curio'"):
        run(anyio.sleep, 1, backend="curio")


def test_the_factories_are_what_the_event_loops_own_runners_take() -> None:
    async def main() -> float:
        await anyio.sleep(DAY)
        return anyio.current_time()

    with asyncio.Runner(loop_factory=virtual_time_loop) as runner:
        assert runner.run(main()) == DAY
    with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(100.0)) as runner:
        assert runner.run(main()) == DAY + 100
    assert trio.run(main, clock=virtual_clock(100.0)) == DAY + 100
    assert anyio.run(main, backend="asyncio", backend_options={"loop_factory": VirtualTimeLoop}) == DAY


# --- when time cannot go on


async def hopeless() -> None:
    await anyio.Event().wait()


async def restless() -> None:
    while True:
        await anyio.lowlevel.checkpoint()


async def with_company(task: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(task)
        await hopeless()


@pytest.mark.slow
def test_a_deadlock_is_one_error_that_says_where(backend: str) -> None:
    with pytest.raises(
        VirtualTimeError, match=r"deadlock: every task waits, and no timer is set \(.*hopeless"
    ):
        run(hopeless, backend=backend)


@pytest.mark.slow
@pytest.mark.parametrize("sleep", [anyio.sleep_forever, partial(anyio.sleep, math.inf)])
def test_sleeping_for_ever_is_a_deadlock_too(backend: str, sleep: Callable[[], Any]) -> None:
    with pytest.raises(VirtualTimeError, match="deadlock"):
        run(sleep, backend=backend)


def test_a_sleep_of_ages_passes_at_once(backend: str) -> None:
    ages = 1e17

    async def main() -> float:
        with anyio.move_on_after(ages):
            await anyio.sleep_forever()
        await anyio.sleep(ages)
        return anyio.current_time()

    assert run(main, backend=backend) == pytest.approx(2e17)


@pytest.mark.parametrize(
    "times", [{"start": math.nan}, {"start": math.inf}, {"start": "0"}, {"patience": -1}]
)
def test_times_that_are_none_are_refused_before_anything_is_open(times: Any) -> None:
    for make in (virtual_time_loop, virtual_clock):
        with pytest.raises(UsageError, match=r"(start|patience)= is in seconds"):
            make(**times)


@pytest.mark.slow
def test_a_deadlock_of_several_tasks_is_one_error(backend: str) -> None:
    with pytest.raises(
        VirtualTimeError, match=rf"deadlock: .*{__name__.rpartition('.')[2]}\.py:\d+, .*\.py:\d+"
    ):
        run(with_company, hopeless, backend=backend)


@pytest.mark.slow
def test_after_a_deadlock_the_finalizers_run(backend: str) -> None:
    ended: list[str] = []

    async def main() -> None:
        try:
            await hopeless()
        finally:
            ended.append(backend)

    with pytest.raises(VirtualTimeError):
        run(main, backend=backend)
    assert ended == [backend]


@pytest.mark.slow
def test_a_spin_is_one_error(backend: str) -> None:
    with pytest.raises(
        VirtualTimeError, match="busy loop: 100000 turns of the event loop, while the time stays at 0"
    ):
        run(restless, backend=backend)
    with pytest.raises(VirtualTimeError, match="busy loop"):
        run(with_company, restless, backend=backend)


# --- what is real


@pytest.mark.slow
def test_a_thread_takes_the_time_that_it_takes(backend: str) -> None:
    async def main() -> float:
        with anyio.fail_after(30):
            await anyio.to_thread.run_sync(time.sleep, A_MOMENT)
        return anyio.current_time()

    assert A_MOMENT * 0.9 <= run(main, backend=backend) < 30


@pytest.mark.slow
def test_a_timeout_shorter_than_a_thread_passes_in_real_time(backend: str) -> None:
    over = threading.Event()

    async def main() -> tuple[bool, float]:
        with anyio.move_on_after(A_MOMENT) as scope:
            await anyio.to_thread.run_sync(over.wait, 10, abandon_on_cancel=True)
        cut = anyio.current_time()
        over.set()
        return scope.cancelled_caught, cut

    cancelled, cut = run(main, backend=backend)
    assert cancelled
    assert A_MOMENT <= cut < 10


def test_after_a_thread_time_jumps_again(backend: str) -> None:
    async def main() -> float:
        await anyio.to_thread.run_sync(time.sleep, 0.01)
        began = anyio.current_time()
        await anyio.sleep(DAY)
        return anyio.current_time() - began

    assert run(main, backend=backend) == pytest.approx(DAY)


@pytest.mark.slow
def test_asking_for_a_thread_again_and_again_is_no_spin(backend: str) -> None:
    async def main() -> None:
        done = False

        async def work() -> None:
            nonlocal done
            await anyio.to_thread.run_sync(time.sleep, 1.0)
            done = True

        async with anyio.create_task_group() as group:
            group.start_soon(work)
            while not done:
                await anyio.lowlevel.checkpoint()

    run(main, backend=backend)


@pytest.mark.slow
def test_asyncios_own_threads_are_known_and_joined_in_real_time() -> None:
    async def main() -> float:
        async with asyncio.timeout(30):
            await asyncio.gather(asyncio.to_thread(time.sleep, A_MOMENT), asyncio.sleep(0.05))
        loop = asyncio.get_running_loop()
        assert await loop.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM)
        _ = loop.run_in_executor(None, time.sleep, A_MOMENT)  # which the loop's end waits for
        return anyio.current_time()

    assert A_MOMENT * 0.9 <= run(main) < 30


def test_a_child_process_takes_the_time_that_it_takes() -> None:
    async def main() -> tuple[bytes, float]:
        with anyio.fail_after(30):
            done = await anyio.run_process([sys.executable, "-c", "print(1)"])
        return done.stdout.strip(), anyio.current_time()

    output, took = run(main)
    assert output == b"1"
    assert 0 < took < 30


@pytest.mark.slow
def test_a_child_process_in_a_shell_does_too() -> None:
    async def main() -> int:
        async with asyncio.timeout(30):
            child = await asyncio.create_subprocess_shell(f"sleep {A_MOMENT}; exit 3")
            return await child.wait()

    assert run(main) == 3


def test_on_trio_a_child_process_gets_the_patience_that_it_needs() -> None:
    async def main() -> int | None:
        with anyio.fail_after(30):
            return (await anyio.run_process([sys.executable, "-c", ""])).returncode

    assert trio.run(main, clock=virtual_clock(patience=10)) == 0


def test_sockets_of_this_machine_are_heard_before_time_jumps(backend: str) -> None:
    async def answer(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            request = await stream.receive()
            await anyio.sleep(3600)
            await stream.send(request)

    async def main() -> float:
        async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
            port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610  # no database
            async with anyio.create_task_group() as group:
                group.start_soon(listener.serve, answer)
                with anyio.fail_after(3601):
                    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                        await stream.send(b"?")
                        assert await stream.receive() == b"?"
                group.cancel_scope.cancel()
        return anyio.current_time()

    assert 3600 <= run(main, backend=backend) < 3601


@pytest.mark.slow
def test_a_thread_that_the_loop_does_not_know_may_end_a_wait(backend: str) -> None:
    async def main() -> None:
        woken, token = anyio.Event(), anyio.lowlevel.current_token()

        def wake() -> None:
            time.sleep(A_MOMENT)
            anyio.from_thread.run_sync(woken.set, token=token)

        thread = threading.Thread(target=wake)
        thread.start()
        await woken.wait()
        thread.join()

    run(main, backend=backend)


@pytest.mark.parametrize("cushion", [0.0, 0.05])
def test_on_trio_waiting_for_all_tasks_comes_before_a_jump(cushion: float) -> None:
    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 10)
            await trio.testing.wait_all_tasks_blocked(cushion)
            assert anyio.current_time() == 0

    run(main, backend="trio")


@pytest.mark.slow
def test_the_error_survives_in_a_group_as_itself() -> None:
    async def main() -> Any:
        await with_company(hopeless)

    with pytest.raises(ExceptionGroup) as caught:
        trio.run(main, clock=virtual_clock())
    assert caught.group_contains(VirtualTimeError, match="deadlock")
