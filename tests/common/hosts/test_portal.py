"""The portal: one loop in a thread for whoever has none, which can be interrupted and left at any time."""

from __future__ import annotations

import asyncio
import atexit
import gc
import threading
import time
import weakref
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from common import (
    JobFailed,
    Portal,
    PortalFuture,
    UsageError,
    WaitTimeout,
    close_shared,
    connect,
    portal,
    shared_source,
    wait_all,
)
from common.hosts import portal as hosts
from common.hosts.portal import kept_portal
from common.testing import ScriptedSource
from tests.loopback import Loopback, raw
from tests.profiles import PASSWORD

TARGET = "ontap://cluster1"
SIGNED = {"user": "admin", "password": PASSWORD}


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "jobsource-portal"]


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Any:
    yield
    assert (threads(), hosts._shared_thread._users) == ([], 0)


async def thread_of_the_loop(*_: object) -> int:
    return threading.get_ident()


async def echo(*args: object, timeout: float, **kwargs: object) -> object:
    await anyio.lowlevel.checkpoint()
    return args, timeout, kwargs


# --- calls


def test_a_call_takes_arguments_and_returns_what_the_function_does() -> None:
    with portal() as p:
        assert isinstance(p, Portal)
        assert p.call(echo, 1, 2, timeout=3.0, function="f") == ((1, 2), 3.0, {"function": "f"})
        assert p.call(threading.get_ident) == p.call(thread_of_the_loop) != threading.get_ident()
        assert threads() == ["jobsource-portal"]


def test_what_a_function_raises_comes_through_and_the_loop_goes_on() -> None:
    with portal() as p:
        for error in (ZeroDivisionError(), SystemExit(3), KeyboardInterrupt(), BaseException()):
            with pytest.raises(type(error)) as caught:
                p.call(raises, error)
            assert caught.value is error
            with pytest.raises(type(error)):
                p.call(raise_at_once, error)
        assert p.call(thread_of_the_loop)


async def raises(error: BaseException) -> None:
    await anyio.lowlevel.checkpoint()
    raise error


def raise_at_once(error: BaseException) -> None:
    raise error


@pytest.mark.slow
def test_jobs_are_waited_for_from_a_thread_without_a_loop() -> None:
    source = ScriptedSource()
    good = [source.add_job([("running", 0.05), "succeeded"]) for _ in range(3)]
    bad = source.add_job([("running", 0.05), "failed"])
    endless = source.add_job(["running"])
    with portal() as p, p.enter(source) as entered:
        assert entered is source
        assert p.call(source.wait, good[0], timeout=10).succeeded
        assert [job.succeeded for job in p.call(wait_all, source, good, timeout=10)] == [True] * 3
        with pytest.raises(JobFailed):
            p.call(source.wait, bad, timeout=10)
        with pytest.raises(WaitTimeout):
            p.call(source.wait, endless, timeout=0.01)
    assert source.is_closed


def test_shared_sources_live_in_the_loop_and_end_with_it() -> None:
    with portal() as p:
        with p.enter(shared_source(TARGET, settings=SIGNED)) as first:
            pass
        with p.enter(shared_source(TARGET, settings=SIGNED)) as second:
            assert second is first
        while_open = first.is_closed
    assert (while_open, first.is_closed) == (False, True)
    with portal() as p, p.enter(shared_source(TARGET, settings=SIGNED)) as third:
        assert third is not first
    assert third.is_closed


def test_a_source_can_be_made_within_a_call() -> None:
    with portal() as p:
        source = p.call(connect, TARGET, settings=SIGNED)
        p.call(source.aclose)
    assert source.is_closed


def test_a_context_manager_is_told_what_went_wrong_in_the_block() -> None:
    told: list[object] = []

    @asynccontextmanager
    async def manager() -> AsyncGenerator[float, None]:
        try:
            yield 7
        except ZeroDivisionError as error:
            told.append(error)
            raise

    with portal() as p:
        with pytest.raises(ZeroDivisionError) as caught, p.enter(manager()) as value:
            raise_at_once(ZeroDivisionError(value))
        with pytest.raises(UsageError, match="no credentials"):
            p.enter(shared_source(TARGET, settings={})).__enter__()
    assert told == [caught.value]


# --- one for all


def test_nested_portals_share_one_thread() -> None:
    with portal() as outer:
        with portal() as inner:
            assert inner.call(thread_of_the_loop) == outer.call(thread_of_the_loop)
        assert outer.call(thread_of_the_loop)
        with portal() as inner:
            assert inner.call(thread_of_the_loop) == outer.call(thread_of_the_loop)


@pytest.mark.slow
def test_fifty_threads_share_one_loop_and_one_source() -> None:
    id = "b5145e1d-b53b-11e8-8252-005056bbd8f5"
    together = threading.Barrier(50)
    sources: set[object] = set()

    def work(number: int) -> int:
        together.wait()
        for _ in range(5):
            with portal() as p, p.enter(shared_source(target, auth=("a", "b"))) as source:
                sources.add(source)
                assert p.call(source.wait, id, timeout=30).succeeded
        return number

    with Loopback(lambda *_: raw({"uuid": id, "state": "success"})) as server:
        target = server.url.replace("http://", "ontap+http://")
        with portal(), ThreadPoolExecutor(50) as pool:
            assert list(pool.map(work, range(50))) == list(range(50))
            assert threads() == ["jobsource-portal"]
    assert len(sources) == 1
    assert len(server.heads) < 250


@pytest.mark.slow
def test_portals_that_come_and_go_at_once_are_one_at_a_time() -> None:
    most: list[int] = []

    def work(_: int) -> None:
        for _ in range(10):
            with portal() as p:
                p.call(anyio.sleep, 0)
                most.append(len(threads()))

    with ThreadPoolExecutor(50) as pool:
        list(pool.map(work, range(50)))
    assert set(most) == {1}


# --- futures


def test_a_future_gives_what_the_function_returns() -> None:
    with portal() as p:
        future = p.start(echo, 1, timeout=2.0)
        assert isinstance(future, PortalFuture)
        assert future.result(10) == ((1,), 2.0, {})
        assert not future.cancel()
        failed = p.start(raises, ZeroDivisionError())
        assert isinstance(failed.exception(10), ZeroDivisionError)


def test_a_future_that_is_cancelled_ends_once_its_function_has() -> None:
    ended = threading.Event()
    finish = threading.Event()

    async def work() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(finish.wait)
            ended.set()

    with portal() as p:
        future = p.start(work)
        p.call(anyio.sleep, 0)
        assert future.cancel()
        assert future.cancel()
        assert not future.done()
        finish.set()
        with pytest.raises(CancelledError):
            future.result(10)
        assert future.cancelled()
        assert ended.is_set()
        assert wait([future], 10).done == {future}


def test_a_function_that_ends_well_in_spite_of_a_cancellation_is_not_cancelled() -> None:
    async def work() -> int:
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            return 7
        raise AssertionError

    with portal() as p:
        future = p.start(work)
        p.call(anyio.sleep, 0)
        future.cancel()
        assert future.result(10) == 7
        assert not future.cancelled()


def test_a_future_can_be_cancelled_before_its_function_has_begun() -> None:
    with portal() as p:
        futures = [p.start(anyio.sleep_forever) for _ in range(100)]
        assert all(future.cancel() for future in futures)
        assert len(wait(futures, 10).done) == 100
        assert all(future.cancelled() for future in futures)


def test_another_loop_can_await_a_future() -> None:
    async def main(p: Portal) -> object:
        slow = asyncio.ensure_future(asyncio.wrap_future(p.start(anyio.sleep_forever)))
        await asyncio.sleep(0)
        slow.cancel()
        return await asyncio.wrap_future(p.start(echo, timeout=1.0))

    with portal() as p:
        assert asyncio.run(main(p)) == ((), 1.0, {})


@pytest.mark.parametrize("cancels", [False, True])
def test_a_future_is_done_where_its_callbacks_are_called(cancels: bool) -> None:
    done: list[bool] = []
    with portal() as p:
        future = p.start(anyio.sleep, 3600 if cancels else 0.05)
        future.add_done_callback(lambda ended: done.append(ended.done()))
        if cancels:
            future.cancel()
        wait([future], 10)
    assert done == [True]


@pytest.mark.parametrize("cancels", [False, True])
def test_a_callback_can_take_the_result(cancels: bool) -> None:
    taken: list[object] = []

    def take(ended: Future[None]) -> None:
        with pytest.raises(CancelledError) if cancels else nullcontext():
            taken.append((ended.exception(), ended.result()))
        taken.append("ended")

    with portal() as p:
        future = p.start(anyio.sleep, 3600 if cancels else 0.05)
        future.add_done_callback(take)
        if cancels:
            future.cancel()
        wait([future], 10)
    assert taken == (["ended"] if cancels else [(None, None), "ended"])


# --- leaving


def test_leaving_the_last_portal_ends_what_still_waits() -> None:
    source = ScriptedSource()
    job = source.add_job(["running"])
    cancelled: list[BaseException] = []

    def work(p: Portal) -> None:
        try:
            p.call(source.wait, job)
        except CancelledError as error:
            cancelled.append(error)

    with portal() as p, portal():
        waiting = [threading.Thread(target=work, args=(p,)) for _ in range(5)]
        for thread in waiting:
            thread.start()
        future = p.start(source.wait, job)
        while not source.polls(job):
            time.sleep(0.001)
    for thread in waiting:
        thread.join(10)
    assert len(cancelled) == 5
    assert future.cancelled()


def test_a_portal_that_was_left_says_so() -> None:
    with portal() as p:
        pass
    for use in (p.call, p.start):
        with pytest.raises(UsageError, match="the portal is closed"):
            use(anyio.sleep, 0)


def test_an_exception_in_the_block_leaves_it_too() -> None:
    with ExitStack() as stack:
        future = stack.enter_context(portal()).start(anyio.sleep_forever)
        stack.push(lambda *_: True)
        raise_at_once(ZeroDivisionError())
    assert future.cancelled()


# --- where it would block a loop


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_thread_with_a_running_loop_is_refused(backend: str) -> None:
    async def main(p: Portal) -> None:
        with pytest.raises(UsageError, match=r"portal\.call\(\) would block the event loop"):
            p.call(anyio.sleep, 0)
        with pytest.raises(UsageError, match=r"portal\.enter\(\) would block the event loop"):
            p.enter(shared_source(TARGET, settings=SIGNED))
        with pytest.raises(UsageError, match=r"portal\(\) would block the event loop"), portal():
            pass
        assert p.start(thread_of_the_loop).result(10)

    with portal() as p:
        anyio.run(main, p, backend=backend)


def test_the_loop_of_the_portal_is_refused_also_in_a_callback() -> None:
    refused: list[str] = []

    def use(function: Callable[..., Any]) -> None:
        try:
            function(anyio.sleep, 0)
        except UsageError as error:
            refused.append(str(error))

    async def main() -> None:
        for function in (p.call, p.start):
            use(function)
            asyncio.get_running_loop().call_soon(use, function)
        await asyncio.sleep(0.01)

    with portal() as p:
        p.call(main)
        p.call(use, p.call)
    assert len(refused) == 5
    assert all("would block the event loop that runs in this thread" in said for said in refused)


def test_a_worker_thread_of_the_loop_may_call() -> None:
    async def main() -> object:
        return await anyio.to_thread.run_sync(lambda: p.call(echo, timeout=1.0))

    with portal() as p:
        assert p.call(main) == ((), 1.0, {})


# --- secrets and leftovers


def test_no_frame_or_repr_shows_the_arguments_of_a_call() -> None:
    shown: list[str] = []

    def look(error: BaseException | None) -> None:
        trace = error.__traceback__ if error else None
        while trace is not None:
            if (
                "common" in trace.tb_frame.f_code.co_filename
                and "tests" not in trace.tb_frame.f_code.co_filename
            ):
                shown.extend(map(repr, trace.tb_frame.f_locals.values()))
            trace = trace.tb_next

    with portal() as p:
        for function in (raise_for, raise_for_later):
            with pytest.raises(ZeroDivisionError) as caught:
                p.call(function, PASSWORD, password=PASSWORD)
            look(caught.value)
            future = p.start(function, PASSWORD, password=PASSWORD)
            look(future.exception(10))
            shown.append(repr(future))
    assert shown
    assert not [text for text in shown if PASSWORD in text]


def raise_for(*args: object, **kwargs: object) -> None:
    raise ZeroDivisionError


async def raise_for_later(*args: object, **kwargs: object) -> None:
    await anyio.lowlevel.checkpoint()
    raise ZeroDivisionError


def open_files() -> int:
    """How many files and sockets this process has open; 0 where the system does not tell."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


@pytest.mark.slow
def test_nothing_of_a_portal_is_left() -> None:
    before = open_files()
    loops: list[weakref.ref[object]] = []

    def use() -> None:
        with portal() as p:
            loops.append(weakref.ref(p.call(asyncio.get_running_loop)))
            with p.enter(shared_source(TARGET, settings=SIGNED)):
                p.start(anyio.sleep_forever)
            p.call(close_shared)

    for _ in range(5):
        use()
    gc.collect()
    assert [loop() for loop in loops] == [None] * 5
    assert open_files() == before


@pytest.fixture
def kept() -> Any:
    yield kept_portal()
    hosts._shared_thread.release()


@pytest.mark.anyio
async def test_another_event_loop_awaits_what_runs_in_the_portal(kept: Portal) -> None:
    thread = await kept.acall(thread_of_the_loop, 1)
    assert thread != threading.get_ident()
    assert await kept.acall(echo, 1, 2, timeout=3, more=4) == ((1, 2), 3, {"more": 4})
    assert await kept.acall(threading.get_ident) == thread


@pytest.mark.anyio
async def test_what_is_raised_in_the_portal_is_raised_where_it_is_awaited(kept: Portal) -> None:
    async def fail() -> None:
        raise WaitTimeout("late")

    with pytest.raises(WaitTimeout, match="late"):
        await kept.acall(fail)


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_cancelled_await_returns_once_the_call_has_ended(kept: Portal) -> None:
    steps: list[str] = []

    async def work() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.05)
            steps.append("ended")

    with anyio.move_on_after(0.05) as scope:
        await kept.acall(work)
    assert scope.cancelled_caught
    assert steps == ["ended"]


@pytest.mark.anyio
async def test_a_task_of_the_portal_cannot_await_the_portal_itself(kept: Portal) -> None:
    with pytest.raises(UsageError, match="portal"):
        await kept.acall(kept.acall, echo, timeout=1)


def test_a_kept_portal_is_one_thread_which_outlives_those_who_come_and_go(kept: Portal) -> None:
    with portal() as entered:
        assert entered.call(threading.get_ident) == kept.call(threading.get_ident)
    assert kept_portal().call(threading.get_ident) == kept.call(threading.get_ident)
    assert len(threads()) == 1


def test_a_kept_portal_ends_when_the_interpreter_exits(monkeypatch: pytest.MonkeyPatch) -> None:
    at_exit: list[Callable[[], object]] = []
    monkeypatch.setattr(atexit, "register", at_exit.append)
    work = kept_portal().start(anyio.sleep_forever)
    assert kept_portal().call(threading.get_ident)
    [call] = at_exit
    call()
    assert work.cancelled()
    assert threads() == []
