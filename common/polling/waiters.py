"""The poller's records: a `Waiter` a wait, a `PolledJob` a job, a `PollRequest` a request in flight."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import anyio
import attrs

from common.model.errors import JobsError
from common.model.job import Job
from common.model.refs import DONE, JobRef
from common.polling.pollable import Reading
from common.polling.wait_progress import WaitProgress


# A wait is one object of three classes: WaitProgress (what replies mean, pure), Waiter (what the poller
# needs), Wait (what the caller's task does). As one it has one header and no references between its parts:
# with thousands of waits these bytes are most of what a wait costs.
@attrs.define(eq=False, kw_only=True, weakref_slot=False)
class Waiter(WaitProgress):
    """One wait for one job: of a task of its own, or one of many that `WaiterTasks` work for."""

    tasks: WaiterTasks | None = None
    """Who does its work; None for the task of its own."""
    terminal_only: bool = False
    """Notified of the end alone; a watch is notified of each change."""
    single_read: bool = False
    """``timeout=0``: one reply, which no deadline cuts."""
    sequence: int = attrs.field(default=0, init=False)
    """Requests with a lower number were sent before this wait began; 0 until then."""
    deadline_key: int = attrs.field(default=0, init=False)
    """By which `Deadlines` knows it; 0 for none."""
    number: int = attrs.field(default=0, init=False)
    """By which observers know it; 0 before it began and after its end, and where nobody observes."""
    active: bool = attrs.field(default=False, init=False)
    """Whether it counts: its task takes steps in the poller, or others do for it."""
    handle: Any = attrs.field(default=None, init=False)
    """What its parked task is woken by, None while it is not parked."""
    request: PollRequest | None = attrs.field(default=None, init=False)
    """The request that this waiter's task leads."""
    notified: bool = attrs.field(default=False, init=False)
    """There is something to tell: a change, the end, or ``error``."""
    error: JobsError | None = attrs.field(default=None, init=False)
    not_found: bool = attrs.field(default=False, init=False)
    """``error`` is the API's word that there is no such job: the caller's probe may know better."""
    expired: bool = attrs.field(default=False, init=False)
    """The deadline has passed. The exception is made by the wait's own task: they expire by the thousand."""

    def expire(self) -> None:
        """End the wait at its deadline."""
        self.expired = True
        self.notified = True

    def finish(self) -> None:
        """There is nothing more to wait for."""
        self.ended = self.notified = True

    def clear_error(self) -> None:
        """Forget the exception: it has been raised, or a probe knew better."""
        self.error = None

    def fail(self, error: JobsError) -> None:
        """End the wait with an exception of its own."""
        self.error = error
        self.notified = True


class WaiterTasks(Protocol):
    """Who works for waiters that have no task of their own."""

    def notify(self, waiter: Waiter) -> None:
        """Take note that there is something to tell. Called while its job's waiters are looked through."""
        ...

    def lead(self, request: PollRequest) -> None:
        """Send a request in a task, and complete it."""
        ...


@attrs.define(eq=False, weakref_slot=False)
class PolledJob:
    """One job that is asked about, for all its waiters at once."""

    ref: JobRef
    waiters: Sequence[Waiter]
    """A list where there is more than one: a tuple takes less, and a hundred thousand jobs have one each."""
    batch_cost: int
    """How many bytes it takes in a batch request; 0 if it must be asked for alone."""
    batch_id: str = ""
    """Its id in lower case, as the replies to batch requests have it."""
    due: float = math.inf
    """When to ask next; infinity while it is not in the queue."""
    first_due: float = math.inf
    """When it first fell due since the last request for it, however often it was put off."""
    delay: float = 0.0
    """Seconds from the request of its last good reply to the next one; 0 before the first."""
    in_flight: PollRequest | None = None
    """The request that asks about it now."""
    single_until: float = -math.inf
    """It is asked for alone until then: it was missing from a batch, or could not be decoded there."""
    reading: Reading | None = None
    """The last reply, or what a batch had of it: what has not changed is not decoded again."""
    unread: Job | None = None
    """The job that has ended, where its results are still to be read."""

    def next_due(self) -> float:
        """Return when to ask next for anybody who is to be told; infinity for nobody."""
        due = math.inf
        for waiter in self.waiters:
            if waiter.due < due and waiter.active and not waiter.notified:
                due = waiter.due
        return due

    def take_hints(self, waiter: Waiter) -> None:
        """Keep what a waiter's ref says beside the id, but not that a job is done that was seen to go on."""
        hints = {**dict(waiter.ref.hints), **dict(self.ref.hints)}
        if waiter.last is not None or self.reading is not None:
            hints.pop(DONE, None)
        self.ref = attrs.evolve(self.ref, hints=tuple(hints.items()))

    def keep_hints_of(self, job: Job) -> None:
        """Keep the hints that an observation has, which lacks those that it contradicts."""
        if job.ref.hints != self.ref.hints:
            self.ref = attrs.evolve(self.ref, hints=job.ref.hints)


@attrs.define(eq=False, weakref_slot=False)
class PollRequest:
    """One request: the jobs that it asks about, and the waiter whose task runs it, or is run for it."""

    sequence: int
    jobs: list[PolledJob]
    leader: Waiter
    batch_limit: int
    """The source's when it was sent: a refusal that asks for less must have made it smaller."""
    polled: int
    """How many jobs the source asked about when it was sent."""
    sent_at: float = math.nan
    """On the loop's clock."""
    scope: anyio.CancelScope | None = None
    """Cancels the request while it is in flight."""
    completed: bool = False

    @property
    def needed(self) -> bool:
        """Whether anybody could be told something by its reply."""
        return any(each.active and not each.notified for job in self.jobs for each in job.waiters)

    @property
    def abandoned(self) -> bool:
        """Whether nobody waits for any of its jobs."""
        return not any(job.waiters for job in self.jobs)

    def cancel(self) -> None:
        """Cut it, if it is being sent."""
        if self.scope is not None:
            self.scope.cancel()
