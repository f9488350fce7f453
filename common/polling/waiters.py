"""What the shared poller keeps: a waiter a task, an entry a job, a flight a request."""

from __future__ import annotations

import math
from typing import Any

import anyio
import attrs

from common.model.errors import JobsError
from common.model.job import Job
from common.model.refs import JobRef
from common.polling.pollable import Reading
from common.polling.wait_progress import WaitProgress


@attrs.define(eq=False, kw_only=True, weakref_slot=False)
class Waiter(WaitProgress):
    """One task that waits for one job."""

    terminal_only: bool = False
    """Woken by the end alone; a watch is woken by each change."""
    single_read: bool = False
    """A time allowed of 0: one answer, which the deadline does not cut."""
    sequence: int = attrs.field(default=0, init=False)
    """Requests with a higher number left after this wait began."""
    deadline_key: int = attrs.field(default=0, init=False)
    """By which its deadline is remembered."""
    active: bool = attrs.field(default=False, init=False)
    handle: Any = attrs.field(default=None, init=False)
    request: PollRequest | None = attrs.field(default=None, init=False)
    """The request that this waiter's task is to carry."""
    notified: bool = attrs.field(default=False, init=False)
    """There is something to tell: news, the end, or ``error``."""
    error: JobsError | None = attrs.field(default=None, init=False)
    not_found: bool = attrs.field(default=False, init=False)
    """``error`` is the API's word that there is no such job: the caller's probe may know better."""

    @property
    def request_deadline(self) -> float:
        """When a request that this waiter carries is cut."""
        return math.inf if self.single_read else self.deadline

    def fail(self, error: JobsError) -> None:
        """End the wait with an exception of its own."""
        self.error = error
        self.notified = True

    def rearm(self) -> None:
        """Wait for the next thing to tell."""
        self.notified = False

    def finish(self) -> None:
        """There is nothing more to wait for."""
        self.ended = True
        self.notified = True

    def pop_error(self) -> JobsError | None:
        """The exception that the wait ends with, once."""
        error, self.error = self.error, None
        return error


@attrs.define(eq=False, weakref_slot=False)
class PolledJob:
    """One job that is asked about, for all its waiters at once."""

    ref: JobRef
    waiters: list[Waiter]
    batch_cost: int
    """How many bytes it takes in a request for many; 0 where it must be asked for alone."""
    due: float = math.inf
    """When it is in the queue for; infinity while it is in none."""
    first_due: float = math.inf
    """When it first fell due since it was last asked about, however often it was put off."""
    delay: float = 0.0
    """Seconds from its last good answer's request to the next; 0 before the first answer."""
    in_flight: bool = False
    single_until: float = -math.inf
    """To be asked for by itself until then: it was absent from a sweep, or could not be read there."""
    reading: Reading | None = None
    """The last answer about it alone."""
    record: Any = None
    """What the last sweep brought: an unchanged record is not decoded again."""
    job: Job | None = None


@attrs.define(eq=False, weakref_slot=False)
class PollRequest:
    """One request: who is asked about, and the waiter whose task carries it."""

    sequence: int
    jobs: list[PolledJob]
    leader: Waiter
    batch_limit: int
    """The source's when it left: a refusal that asks for less must have made it smaller."""
    sent_at: float = math.nan
    """When its request did, on the loop's clock."""
    scope: anyio.CancelScope | None = None
    """Cuts the request, once it is under way."""
    completed: bool = False
