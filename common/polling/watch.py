"""Watching one job: a wait that is told of each change, one step at a time."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import TYPE_CHECKING

import anyio

from common.model.async_only import AsyncContext, AsyncIteration
from common.model.job import Job
from common.model.refs import JobRef
from common.polling.policy import WaitSpec
from common.set_module import set_module
from common.telemetry.callbacks import OnUpdate, tell_update

if TYPE_CHECKING:
    from common.polling.poller import Poller
    from common.polling.wait import Wait


class Watch(AsyncIteration, AsyncContext, AsyncIterator[Job]):
    """The observations of one job: the first, then each change, until it ends.

    Made by ``source.watch(job)``; ``timeout`` counts from the first step. The iteration stops after the
    job's last observation; if the wait ends otherwise, it raises. Cancelling a step does not end the watch:
    the next step returns what the cancelled one would have returned. Between steps it holds no task, timer
    or connection.
    """

    def __init__(self, poller: Callable[[], Poller], ref: JobRef, seen: Job | None, spec: WaitSpec) -> None:
        self.ref = ref
        self._poller = poller
        self._seen = seen
        self._spec = spec
        self._wait: Wait | None = None
        self._finished = False
        self._paused = 0.0, 0.0
        self._stepping = False
        self._step_over: anyio.Event | None = None

    @property
    def last(self) -> Job | None:
        """The last observation so far, with the time of the last reply also if nothing had changed."""
        return self._wait.last_observed if self._wait else self._seen

    def __aiter__(self) -> Watch:
        return self

    async def __anext__(self) -> Job:
        while self._stepping:  # in another task, perhaps a cancelled one that is still on its way out
            self._step_over = self._step_over or anyio.Event()
            await self._step_over.wait()
        if self._finished:
            raise StopAsyncIteration
        poller = self._poller()
        if self._wait is None:
            from common.polling.wait import Wait  # lazily: a source that only reads jobs needs none

            self._wait = Wait.begin(poller, self.ref, self._seen, self._spec, terminal_only=False)
        wait, self._stepping = self._wait, True
        try:
            if poller is not wait.poller:  # the event loop is another one than at the last step
                then, when = self._paused
                wait.move(poller, poller.now() - then - (time.monotonic() - when))
            async with wait:
                while (pending := wait.next_step()) is not None:
                    await pending
        except Exception:
            self._finished = True
            raise
        except BaseException:  # a cancellation, as a rule
            self._paused = wait.poller.now(), time.monotonic()
            raise
        finally:
            self._stepping = False
            if self._step_over is not None:
                self._step_over.set()
                self._step_over = None
        self._paused = wait.poller.now(), time.monotonic()
        if wait.last is None:
            raise AssertionError("a watch was told of nothing")
        self._finished = self._finished or wait.ended
        return wait.last

    async def aclose(self) -> None:
        """Stop watching. The remote job is left alone."""
        wait = self._wait
        if wait is not None and wait.number and not self._stepping:
            wait.abandon()
        self._finished = True

    async def __aenter__(self) -> Watch:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class UpdatingWait(Watch):
    """A wait that calls a function with each observation: ``source.wait(job, on_update=function)``."""

    async def result(self, on_update: OnUpdate, *, check: bool) -> Job:
        """Wait, and return the job or raise what ``wait`` does."""
        async for job in self:
            tell_update(on_update, job)
        if self._wait is None:
            raise AssertionError("a watch ended without a step")
        return self._wait.result(check=check)


def parts_of(watch: Watch) -> tuple[Poller, Job | None, WaitSpec]:
    """Return the poller of a watch's source, of the running event loop, the job that was seen, and its spec.

    For sets. It is no property, since users of a watch only iterate.
    """
    return watch._poller(), watch._seen, watch._spec  # pyright: ignore[reportPrivateUsage]


set_module(Watch)
