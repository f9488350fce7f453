"""A set of waits that grows and shrinks while it runs.

A member is a record in the poller of its source, a `Wait` without a task. For each poller one `WaiterGroup`
works for all members, in the set's own task group: a task that drives the poller, and one for each request in
flight. So a hundred thousand members cost no more than their records, and share requests like other waits.

A member goes through these states, each change in one turn of the event loop:

- *waiting*: in the poller, until the poller notifies the group, which calls `_settle`;
- *asking*: the caller's ``resolve_gone`` runs in a task, about a job that the server has forgotten;
- *untold*: ended and removed from the poller, its outcome kept until a consumer takes it. So a slow consumer
  delays no request and no other member, and no end is lost. A change is not kept: it is only marked at the
  member, which still waits, and the consumer gets the member's last observation at that time.

`discard` leaves a waiting member in the poller until `_settle` removes it: an observer may call `discard`
while the poller iterates over the waiters of the job.

Leaving the set first removes the members from the pollers, then cancels the tasks, which hand the requests of
other waits on. A cancellation from outside reaches the tasks before the block is left: the first one that it
reaches stops its group from sending (`WaiterGroup`), since each new task would be cancelled too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import datetime
from functools import partial
from itertools import chain
from types import TracebackType
from typing import Any, ClassVar, Self, cast
from weakref import WeakValueDictionary

import anyio.abc

from common.concurrency import restore_message
from common.model.async_only import AsyncContext, AsyncIteration
from common.model.errors import JobsError, UsageError
from common.model.job import Job, JobLike
from common.model.refs import JobRef
from common.options import check_on_update, read_deadline, read_timeout
from common.polling.policy import OnCancel, PollPolicy, Probe
from common.polling.poller import Poller
from common.polling.wait import Wait, is_cancellation
from common.polling.waiter_group import WaiterGroup, cancel_jobs
from common.polling.watch import Watch, parts_of
from common.set_module import set_module
from common.sources.base import BaseSource
from common.sources.batch_look import Outcome
from common.sources.fleet import BaseFleet, Member, each_of
from common.sources.sets.checkpoint import Resumed, read_checkpoint, write_checkpoint
from common.sources.sets.untold import Untold
from common.telemetry.callbacks import OnUpdate, tell_update


class JobSet(AsyncIteration, AsyncContext, AsyncIterator[Outcome]):
    """Many waits at once: ``async with JobSet(source, refs) as jobs:``, then ``async for outcome in jobs:``.

    An outcome is the `Job`, failed or not, or the `JobsError` that its wait raised; both have ``ref``. The
    iteration ends when the set is closed (`close`) and all outcomes have been returned; until then it waits
    for more. With ``changes=True`` it also returns each job's first observation and its changes, as `Job`
    objects that are not ``done``; a slow consumer gets only the latest one of each job. If several tasks
    iterate, each outcome is returned to one of them.

    ``source`` may be a `Fleet`, for jobs of several systems. ``timeout`` is in seconds for each job, from
    when it was added; ``deadline`` is one moment for all. ``on_update`` is called with each job's first
    observation and its changes, also while no task iterates. If the task that entered the set is cancelled,
    ``on_cancel="cancel"`` asks the servers to cancel the jobs; a function is called once for all of them.
    ``resolve_gone`` and ``policy`` are those of ``wait``. ``checkpoint`` is the result of `checkpoint`,
    perhaps of another process: its waits continue. Leaving the block ends the waits; the jobs keep running.

    Raise `UsageError` or `WrongSource` for any of the jobs before the first request. An exception that is not
    a `JobsError`, such as one of ``resolve_gone``, ends the set, and is raised by the block in a group.
    """

    _expression: ClassVar[str] = "JobSet(…)"  # how errors write the call that made the set

    def __init__(
        self,
        source: Member,
        jobs: Iterable[JobLike] = (),
        *,
        changes: bool = False,
        timeout: float | None = None,
        deadline: datetime | None = None,
        on_update: OnUpdate | None = None,
        on_cancel: OnCancel = "leave",
        resolve_gone: Probe | None = None,
        policy: PollPolicy | None = None,
        checkpoint: Mapping[str, Any] | None = None,
    ) -> None:
        if not isinstance(source, BaseSource | BaseFleet):
            raise UsageError(f"a JobSet takes a source, or a Fleet of sources, not {type(source).__name__}")
        if isinstance(jobs, str) or not isinstance(jobs, Iterable):
            raise UsageError("jobs must be a list of refs, ids or jobs: pass [job] for one")
        self._source = source
        self._changes = changes
        self._timeout = None if timeout is None else read_timeout(timeout)
        self._deadline = None if deadline is None else read_deadline(deadline, timeout)
        check_on_update(on_update)
        self._on_update = on_update
        self._on_cancel: OnCancel = on_cancel
        self._resolve_gone = resolve_gone
        self._policy = policy
        self._closed = self._exited = self._failed = False
        self._size, self._exited_at = 0, 0.0
        self._tasks: anyio.abc.TaskGroup | None = None
        # Weak, so that a set that goes on while systems come and go keeps nothing of those that have gone.
        self._groups: WeakValueDictionary[Poller, WaiterGroup] = WeakValueDictionary()
        self._untold = Untold()
        self._asking: dict[Wait, anyio.CancelScope] = {}
        self._discarded: set[Wait] = set()
        self._abandoned: list[Wait] = []
        resumed = read_checkpoint(checkpoint) if checkpoint is not None else []
        # Made now, so that any error in the arguments is raised before a wait begins.
        self._resumed = {self._watch(each.job, each.remaining, None): each for each in resumed}
        begun = partial(self._watch, timeout=timeout, deadline=deadline)
        self._to_begin = deque([*self._resumed, *each_of(begun, jobs, "jobs")])

    def add(self, job: JobLike, *, timeout: float | None = None, deadline: datetime | None = None) -> JobRef:
        """Add a wait for one job, from any task of the event loop, and return the job's complete ref.

        ``timeout`` is in seconds from now, ``deadline`` an aware datetime; without either, those of the set
        apply. A job that is added twice has two waits, with a deadline and an outcome each, which share
        requests. Raise `WrongSource`, and `UsageError` also if the set or the source is closed.
        """
        if self._closed or self._exited:
            raise UsageError("the set is closed: nothing can be added to it")
        if timeout is None and deadline is None:
            timeout, deadline = self._timeout, self._deadline
        watch = self._watch(job, timeout, deadline)
        self._begin(self._new(watch, anyio.current_time()))
        return watch.ref

    def discard(self, job: JobLike) -> bool:
        """End the wait of a job without an outcome. The job itself keeps running.

        Return False if the job has no wait here whose outcome is still to come. Of a job that was added
        twice, the last wait is ended. Raise `WrongSource` or `UsageError` if it is not a job of the source.
        """
        wait = self._find(self._watch(job, None, None))
        if wait is None:
            return False
        self._untold.discard(wait)
        if wait in self._asking:
            self._asking.pop(wait).cancel()
        elif wait.entered:
            self._discarded.add(wait)
            if not wait.notified:
                wait.notified = True
                cast("WaiterGroup", wait.tasks).notify(wait)
        self._size -= 1
        self._untold.wake()
        return True

    def close(self) -> None:
        """Accept no more jobs: the iteration ends after the last outcome. Safe to call twice."""
        self._closed = True
        self._untold.wake()

    def checkpoint(self) -> dict[str, Any]:
        """Return all waits whose outcome was not returned yet, as plain data for ``json.dumps``.

        ``JobSet(source, checkpoint=data)`` resumes them, also in another process, with the same deadlines and
        at the pace of each job. As JSON a wait takes about 110 bytes, and more if its outcome is in the data
        because it has ended. A wait that ended because its source was closed is resumed. After the block,
        this returns the waits that remained then.
        """
        now = self._exited_at if self._exited else anyio.current_time()
        going_on = ((wait, None) for wait in self._unended())
        return write_checkpoint(chain(going_on, self._untold.outcomes()), now)

    def __len__(self) -> int:
        """Return how many outcomes the iteration has not returned yet, those of running waits included."""
        return self._size

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Outcome:
        if self._tasks is None:
            raise UsageError(f"iterate over {self._expression} inside 'async with {self._expression} as …:'")
        if self._untold.turn_is_over():
            await self._untold.next_turn()
        while not self._untold:
            if self._exited or (self._closed and not self._size):
                raise StopAsyncIteration
            await self._untold.wait()
        wait, outcome = self._untold.take()
        if outcome is None:
            if wait.last is None:
                raise AssertionError("a change was told of a job that was never seen")
            return wait.last
        self._size -= 1
        self._untold.wake()
        return outcome

    async def __aenter__(self) -> Self:
        if self._tasks is not None:
            raise UsageError("a set can be entered only once: create another one")
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        # All begin at the same moment, so thousands of them share one time and one item of the poller's
        # queue.
        now = anyio.current_time()
        while self._to_begin:
            watch = self._to_begin.popleft()
            wait = self._new(watch, now, self._resumed.pop(watch, None))
            try:
                self._begin(wait)
            except UsageError as error:  # its source is closed
                self._size += 1
                self._tell(wait, error)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = self._tasks
        if tasks is None:
            return
        # A task of the set that failed has cancelled the block; nobody else wants the jobs cancelled.
        cancelled = error is not None and is_cancellation(error) and not self._failed
        self._exited_at, self._abandoned, self._exited = anyio.current_time(), self._unended(), True
        for group in self._groups.values():
            for wait in group.waits():
                group.remove(wait)
                wait.abandon()
        self._untold.discard_changes()
        self._untold.wake()
        tasks.cancel_scope.cancel()
        try:
            # The group is not given the block's exception, which it would wrap in another group. A bare
            # cancellation is not wrapped; if it were left out, the group would raise one of its own, without
            # the canceller's message.
            bare = isinstance(error, anyio.get_cancelled_exc_class())
            await tasks.__aexit__(*((kind, error, trace) if bare else (None, None, None)))
        except BaseException as late:
            restore_message(late, tasks.cancel_scope)
            raise
        finally:
            if cancelled:
                await cancel_jobs(self._abandoned)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._size} waits{', closed' if self._closed else ''}>"

    def _watch(self, job: JobLike, timeout: float | None, deadline: datetime | None) -> Watch:
        return self._source.watch(
            job,
            timeout=timeout,
            deadline=deadline,
            on_cancel=self._on_cancel,
            resolve_gone=self._resolve_gone,
            policy=self._policy,
        )

    def _group(self, poller: Poller) -> WaiterGroup:
        if (group := self._groups.get(poller)) is None:
            if self._tasks is None:
                raise UsageError(f"add jobs inside 'async with {self._expression} as …:'")
            group = self._groups[poller] = WaiterGroup(poller, self._tasks, self._settle, self._fail)
        return group

    def _new(self, watch: Watch, now: float, resumed: Resumed | None = None) -> Wait:
        terminal_only = not self._changes and self._on_update is None
        poller, seen, spec = parts_of(watch)
        tasks = self._group(poller)
        wait = Wait.begin(poller, watch.ref, seen, spec, terminal_only=terminal_only, tasks=tasks, now=now)
        if resumed is not None:
            wait.resume(resumed.run_time, resumed.limit)
            if resumed.error is not None:
                wait.fail(resumed.error)
        return wait

    def _begin(self, wait: Wait) -> None:
        over = wait.ended or wait.error is not None
        if not over:
            cast("WaiterGroup", wait.tasks).add(wait)
        self._size += 1
        if over:
            self._end(wait)

    def _settle(self, wait: Wait) -> None:
        """Take note of what a waiting member was notified of."""
        if not wait.entered:
            return  # the block was left meanwhile
        group = cast("WaiterGroup", wait.tasks)
        if wait in self._discarded:
            self._discarded.remove(wait)
            group.remove(wait)
            wait.abandon()
        elif not (wait.ended or wait.expired or wait.error is not None):
            wait.poller.rearm(wait)
            if self._changes:
                self._tell(wait, None)
            if wait.last is not None:
                tell_update(self._on_update, wait.last)  # which may use this set
        else:
            group.remove(wait)
            if wait.needs_probe and self._tasks is not None:
                scope = self._asking[wait] = anyio.CancelScope()
                self._tasks.start_soon(self._run_probe, wait, scope)
            else:
                self._end(wait)

    async def _run_probe(self, wait: Wait, scope: anyio.CancelScope) -> None:
        with scope:
            try:
                await wait.ask_probe()
            except JobsError as error:
                wait.fail(error)
            except BaseException as error:
                if not is_cancellation(error):
                    self._fail()
                wait.abandon()
                raise
        if self._asking.pop(wait, None) is not None and not self._exited:
            self._end(wait)

    def _fail(self) -> None:
        self._failed = True

    def _end(self, wait: Wait) -> None:
        if (outcome := wait.take_failure() or wait.last) is None:
            raise AssertionError("a wait ended with nothing to tell")
        self._tell(wait, outcome)
        if isinstance(outcome, Job):
            tell_update(self._on_update, outcome)

    def _tell(self, wait: Wait, outcome: Outcome | None) -> None:
        self._untold.put(wait, outcome)

    def _find(self, watch: Watch) -> Wait | None:
        """Return the last member for a job whose outcome no consumer has taken."""
        group, ref = self._groups.get(parts_of(watch)[0]), watch.ref
        waiting = group.waits(ref) if group is not None else []
        going_on = (wait for wait in reversed(waiting) if wait not in self._discarded)
        asking = (wait for wait in reversed(self._asking) if wait.ref == ref)
        return next(chain(going_on, asking, reversed(self._untold.ended(ref))), None)

    def _unended(self) -> list[Wait]:
        """Return the members that have not ended; after the block, those that had not when it was left."""
        if self._exited:
            return self._abandoned
        waiting = (wait for group in self._groups.values() for wait in group.waits())
        return [*(wait for wait in waiting if wait not in self._discarded), *self._asking]


set_module(JobSet)
