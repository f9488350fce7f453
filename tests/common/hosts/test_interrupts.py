"""Signals and forks, in processes of their own: what is interrupted ends, a child makes its own portal."""

from __future__ import annotations

import signal
import textwrap

import pytest

from tests.common.test_embedding import ROOT, run

pytestmark = pytest.mark.slow

HEAD = """
import asyncio, os, signal, sys, threading, time, warnings
import anyio
from concurrent.futures import CancelledError
from common import UsageError, portal, shared_source
from common.testing import ScriptedSource

warnings.simplefilter("ignore", DeprecationWarning)  # of 3.12: a fork beside threads

def say(*words):
    print(*words, flush=True)

def signal_soon():
    asyncio.get_running_loop().call_later(0.1, os.kill, os.getpid(), {number})

async def work(cleanup=0.0):
    signal_soon()
    try:
        await anyio.sleep_forever()
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(cleanup)
        say("cleaned up")
"""


def interrupted(code: str, number: signal.Signals = signal.SIGINT) -> list[str]:
    """What a script prints in a process that gets this signal a moment after ``work`` has begun."""
    done = run(f"{HEAD.format(number=int(number))}{textwrap.dedent(code)}", ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_ctrl_c_cancels_the_call_waits_for_its_end_and_raises() -> None:
    printed = interrupted(
        """
        with portal() as p:
            try:
                p.call(work, cleanup=0.2)
            except KeyboardInterrupt:
                say("interrupted")
            say(p.call(threading.active_count))
        say(threading.active_count())
        """
    )
    assert printed == ["cleaned up", "interrupted", "2", "1"]


def test_ctrl_c_waits_for_so_long_and_no_longer() -> None:
    printed = interrupted(
        """
        from common.hosts import portal as hosts
        hosts.INTERRUPT_GRACE = 0.1
        with portal() as p:
            try:
                p.call(work, cleanup=1.0)
            except KeyboardInterrupt:
                say("interrupted")
        """
    )
    assert printed == ["interrupted", "cleaned up"]


def test_ctrl_c_ends_the_calls_of_other_threads_as_the_block_is_left() -> None:
    printed = interrupted(
        """
        def other(p):
            try:
                p.call(work)
            except CancelledError:
                say("the other was cancelled")
        try:
            with portal() as p:
                thread = threading.Thread(target=other, args=(p,))
                thread.start()
                p.call(anyio.sleep_forever)
        except KeyboardInterrupt:
            thread.join()
            say("interrupted")
        """
    )
    assert printed == ["cleaned up", "the other was cancelled", "interrupted"]


def test_ctrl_c_asks_the_server_to_cancel_the_job_where_the_wait_says_so() -> None:
    printed = interrupted(
        """
        source = ScriptedSource()
        job = source.add_job(["running"])
        async def wait():
            signal_soon()
            await source.wait(job, on_cancel="cancel")
        with portal() as p:
            try:
                p.call(wait)
            except KeyboardInterrupt:
                say(p.call(source.get, job).state)
        """
    )
    assert printed == ["cancelled"]


def test_a_signal_handler_may_cancel_a_future() -> None:
    printed = interrupted(
        """
        with portal() as p:
            future = p.start(work)
            signal.signal(signal.SIGTERM, lambda *_: say(future.cancel()))
            try:
                future.result()
            except CancelledError:
                say("cancelled", future.cancelled())
        """,
        signal.SIGTERM,
    )
    assert printed in (["True", "cleaned up", "cancelled True"], ["cleaned up", "True", "cancelled True"])


def test_a_signal_handler_may_cancel_at_any_step_of_the_main_thread() -> None:
    # Hundreds of signals, each a little later within start() and result(): none may be lost.
    printed = interrupted(
        """
        with portal() as p:
            future = None
            def cancel(*_):
                if future is not None:
                    future.cancel()
            signal.signal(signal.SIGALRM, cancel)
            ended = 0
            for number in range(400):
                future = None
                signal.setitimer(signal.ITIMER_REAL, 0.0001 + number * 2e-6, 0.001)
                future = p.start(anyio.sleep_forever)
                try:
                    future.result(20)
                except CancelledError:
                    ended += 1
                signal.setitimer(signal.ITIMER_REAL, 0)
            say(ended)
        """
    )
    assert printed == ["400"]


def test_what_a_handler_raises_cancels_at_any_step_too() -> None:
    printed = interrupted(
        """
        class Stop(BaseException): ...
        armed = False
        def stop(*_):
            global armed
            if armed:
                armed = False
                raise Stop
        running = 0
        async def count():
            global running
            running += 1
            try:
                await anyio.sleep_forever()
            finally:
                running -= 1
        with portal() as p:
            signal.signal(signal.SIGALRM, stop)
            ended = 0
            for number in range(400):
                signal.setitimer(signal.ITIMER_REAL, 0.0001 + number * 2e-6, 0.001)
                try:
                    armed = True
                    p.call(count)
                except Stop:
                    ended += 1
                signal.setitimer(signal.ITIMER_REAL, 0)
            say(ended, p.call(lambda: running))
        """
    )
    assert printed == ["400 0"]


def test_a_forked_child_makes_its_own() -> None:
    printed = interrupted(
        """
        settings = {"token": "t"}
        def child():
            with portal() as mine, mine.enter(shared_source("ontap://h", settings=settings)) as source:
                assert mine.call(os.getpid) == os.getpid()
                assert source is not theirs
                try:
                    p.call(os.getpid)
                except UsageError as error:
                    say(error)
            assert source.is_closed and threading.active_count() == 1
        with portal() as p, p.enter(shared_source("ontap://h", settings=settings)) as theirs:
            pid = os.fork()
            if not pid:
                child()
                sys.stdout.flush()
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
            assert p.call(os.getpid) == os.getpid() and not theirs.is_closed
        """
    )
    assert printed == ["the portal belongs to the parent process: call portal() in this process"]


def test_a_child_that_leaves_the_block_of_its_parent_harms_nobody() -> None:
    printed = interrupted(
        """
        with portal() as p:
            pid = os.fork()
            if pid:
                assert os.waitpid(pid, 0)[1] == 0
                say(p.call(os.getpid) == os.getpid())
        with portal() as p:
            say(p.call(os.getpid) == os.getpid())
        """
    )
    assert printed == ["True"] * 3


def test_a_process_ends_though_a_daemon_thread_still_waits() -> None:
    printed = interrupted(
        """
        def other():
            with portal() as p:
                p.call(anyio.sleep_forever)
        threading.Thread(target=other, daemon=True).start()
        time.sleep(0.5)
        """
    )
    assert printed == []
