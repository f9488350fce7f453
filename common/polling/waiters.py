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
    """Whether it is notified of its end alone, and not of each change."""
    single_read: bool = False
    """Whether it makes one read (``timeout=0``), which no deadline cuts."""
    sequence: int = attrs.field(default=0, init=False)
    """Requests with a lower number were sent before this wait began; 0 until then."""
    deadline_key: int = attrs.field(default=0, init=False)
    """Its key in `Deadlines`; 0 for none."""
    number: int = attrs.field(default=0, init=False)
    """Its number in the events for observers; 0 before it began, after its end, and without an observer."""
    active: bool = attrs.field(default=False, init=False)
    """Whether it is in the poller, where it is told of replies and can lead a request."""
    handle: Any = attrs.field(default=None, init=False)
    """The future or task that resumes its parked task; None while it is not parked."""
    request: PollRequest | None = attrs.field(default=None, init=False)
    """The request that this waiter's task leads."""
    notified: bool = attrs.field(default=False, init=False)
    """Whether its task is to be told something: a change, the end, or ``error``."""
    error: JobsError | None = attrs.field(default=None, init=False)
    not_found: bool = attrs.field(default=False, init=False)
    """Whether ``error`` says that there is no such job, so that the caller's probe is asked."""
    expired: bool = attrs.field(default=False, init=False)
    """Whether the deadline has passed. Its own task makes the exception: waits expire by the thousand."""

    def expire(self) -> None:
        """End the wait at its deadline."""
        self.expired = True
        self.notified = True

    def finish(self) -> None:
        """End the wait: its task is to be told so."""
        self.ended = self.notified = True

    def fail(self, error: JobsError) -> None:
        """End the wait with an exception of its own."""
        self.error = error
        self.notified = True

    # Subclasses call these instead of assigning the fields, which type checkers would take for new fields
    # without a declared type.

    def clear_error(self) -> None:
        """Forget the exception: it has been raised, or a probe knew better."""
        self.error = None

    def set_number(self, number: int) -> None:
        """Set the number in the events for observers; 0 for none."""
        self.number = number


class WaiterTasks(Protocol):
    """The tasks that work for waiters without a task of their own."""

    def notify(self, waiter: Waiter) -> None:
        """Note that a waiter was notified. Called while the poller iterates over the job's waiters."""
        ...

    def lead(self, request: PollRequest) -> None:
        """Send a request in a task, and complete it."""
        ...


@attrs.define(eq=False, weakref_slot=False)
class PolledJob:
    """One job that the poller asks about, for all of its waiters."""

    ref: JobRef
    waiters: Sequence[Waiter]
    """A list where there are several; a tuple of one takes less memory, and most jobs have one."""
    batch_cost: int
    """How many bytes it takes in a batch request; 0 if it must be asked for alone."""
    batch_id: str = ""
    """Its id in lower case, as the replies to batch requests have it."""
    due: float = math.inf
    """When to ask next; infinity while it is not in the queue."""
    first_due: float = math.inf
    """When it first fell due after the last request for it, however often it has been postponed since."""
    delay: float = 0.0
    """Seconds from the request of its last good reply to the next one; 0 before the first."""
    in_flight: PollRequest | None = None
    """The request that asks about it now."""
    single_until: float = -math.inf
    """It is asked for alone until then: it was missing from a batch, or could not be decoded there."""
    reading: Reading | None = None
    """The last reply, or what a batch had of it: what has not changed is not decoded again."""
    unread: Job | None = None
    """The job as it ended, while its results are still to be read."""

    def next_due(self) -> float:
        """Return when the first of its waiters wants the next request; infinity for none."""
        due = math.inf
        for waiter in self.waiters:
            if waiter.due < due and waiter.active and not waiter.notified:
                due = waiter.due
        return due

    def take_hints(self, waiter: Waiter) -> None:
        """Take over the hints of a waiter's ref, but not `DONE` for a job that was seen going on."""
        hints = {**dict(waiter.ref.hints), **dict(self.ref.hints)}
        if waiter.last is not None or self.reading is not None:
            hints.pop(DONE, None)
        self.ref = attrs.evolve(self.ref, hints=tuple(hints.items()))

    def keep_hints_of(self, job: Job) -> None:
        """Take over the hints of an observation, which has dropped those that it contradicts."""
        if job.ref.hints != self.ref.hints:
            self.ref = attrs.evolve(self.ref, hints=job.ref.hints)


@attrs.define(eq=False, weakref_slot=False)
class PollRequest:
    """One request: the jobs that it asks about, and the waiter whose task runs it, or is run for it."""

    sequence: int
    jobs: list[PolledJob]
    leader: Waiter
    batch_limit: int
    """The source's limit when this request was made, in bytes of ids."""
    polled: int
    """How many jobs the source asked about when it was sent."""
    observed: bool = False
    """Whether an observer, or the log, is told of each observation that it brings."""
    sent_at: float = math.nan
    """On the loop's clock."""
    scope: anyio.CancelScope | None = None
    """Cancels the request while it is in flight."""

    @property
    def needed(self) -> bool:
        """Whether its reply could tell any waiter something."""
        return any(each.active and not each.notified for job in self.jobs for each in job.waiters)

    @property
    def abandoned(self) -> bool:
        """Whether nobody waits for any of its jobs."""
        return not any(job.waiters for job in self.jobs)

    def cancel(self) -> None:
        """Cut it, if it is being sent."""
        if self.scope is not None:
            self.scope.cancel()
