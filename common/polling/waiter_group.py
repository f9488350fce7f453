"""The tasks that work for many waits of one poller, none of which has a task of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import cast

import anyio
import anyio.abc
import anyio.lowlevel

from common.concurrency import begin_own_task
from common.model.errors import JobsError, UsageError
from common.model.refs import JobRef
from common.polling.poller import Poller
from common.polling.wait import Wait, cancel_remote, is_cancellation
from common.polling.waiters import PollRequest, Waiter

FEW = 1_000
"""A group of up to this many waits has a table of them, since one source may have thousands of small sets. A
larger group has none, which saves 50 bytes a wait: it searches the poller's jobs for its waits."""


class WaiterGroup:
    """Runs waits of one poller in a task group: one task drives the poller, and one runs each request.

    ``settle`` is called with each wait soon after it was notified, and must call `remove` if the wait has
    ended, else `Poller.rearm`. ``fail`` is called where a task ends with an exception of its own, which
    cancels all the others. Its waits and its tasks hold it, and nobody else needs to.
    """

    def __init__(
        self,
        poller: Poller,
        tasks: anyio.abc.TaskGroup,
        settle: Callable[[Wait], None],
        fail: Callable[[], None],
    ) -> None:
        self.poller = poller
        self._tasks = tasks
        self._settle = settle
        self._fail = fail
        self._size = 0
        self._few: dict[Wait, None] | None = {}
        """The waits, None once there were more than `FEW`."""
        self._notified: list[Wait] = []
        self._driver: Waiter | None = None

    def add(self, wait: Wait) -> None:
        """Begin a wait. Raise `UsageError` if its source is closed: then it has ended with that."""
        try:
            self.poller.add(wait)
        except UsageError as error:
            wait.end_with(error)
            raise
        wait.entered = True
        self._size += 1
        if self._few is not None:
            self._few[wait] = None
            if self._size > FEW:
                self._few = None
        if self._driver is None:
            # It waits for no job: its ref is never read.
            self._driver = Waiter(ref=wait.ref, rules=wait.rules, began=wait.began)
            self._tasks.start_soon(self._drive, self._driver)

    def remove(self, wait: Wait) -> None:
        """End a wait."""
        wait.entered = False
        self.poller.remove(wait)
        self._size -= 1
        if self._few is not None:
            del self._few[wait]
        elif not self._size:
            self._few = {}

    def waits(self, ref: JobRef | None = None) -> list[Wait]:
        """Return the waits that have not been removed; those for one job, if named."""
        if ref is None and self._few is not None:
            return list(self._few)
        return cast("list[Wait]", self.poller.waiters_of(self, ref))

    def notify(self, waiter: Waiter) -> None:
        """See `WaiterTasks`. Nothing is settled here, where the waiters of a job are being looked through."""
        self._notified.append(cast("Wait", waiter))
        if self._driver is not None and not self._driver.notified:
            self.poller.wake(self._driver)

    def lead(self, request: PollRequest) -> None:
        """See `WaiterTasks`."""
        self._tasks.start_soon(self._send, request)

    async def _send(self, request: PollRequest) -> None:
        leader = request.leader
        begin_own_task()
        try:
            if request.needed:
                with anyio.CancelScope(deadline=leader.deadline) as scope:
                    request.scope = scope
                    await self.poller.executor.execute(request)
        except JobsError as error:
            # Neither a reply nor a failure of the request: it ends the leader's wait alone.
            if leader.active and not leader.notified:
                error.about(leader.ref, leader.last_observed)
                leader.fail(error)
                self.notify(leader)
        except BaseException as error:
            self._abandon(error)
            raise
        finally:
            self.poller.complete(request)

    async def _drive(self, driver: Waiter) -> None:
        try:
            await anyio.lowlevel.checkpoint()  # whatever begins before the next turn joins the first request
            while True:
                driver.notified = False
                notified, self._notified = self._notified, []
                for wait in notified:
                    self._settle(wait)
                if not self._size:
                    break
                if notified:  # ends come by the thousand: let others run between two lots of them
                    await anyio.lowlevel.checkpoint()
                while (step := self.poller.next_step(driver)) is not None:
                    await step
        except BaseException as error:
            self._abandon(error)
            raise
        finally:
            self._driver = None
            self.poller.leave(driver)

    def _abandon(self, error: BaseException) -> None:
        """Let no more requests be sent for these waits: all the tasks are being cancelled."""
        if not is_cancellation(error):
            self._fail()
        for wait in self.waits():
            wait.active = False


async def cancel_jobs(waits: Iterable[Wait]) -> None:
    """Ask the servers to cancel the jobs of a set that is being cancelled, if its ``on_cancel`` says so."""
    running = [wait for wait in waits if wait.last is None or not wait.last.done]
    # All waits of a set have the same ``on_cancel``, so it is asked once, for the first of them.
    if not running or not running[0].spec.cancels(running[0].ref):
        return
    wanted = {wait.ref: wait.spec.cancel for wait in running if wait.spec.cancel is not None}
    with anyio.CancelScope(shield=True):
        async with anyio.create_task_group() as group:
            for ref, cancel in wanted.items():
                group.start_soon(cancel_remote, cancel, ref)
