"""The shared poller: all waits of one source, asked about together.

It has no task of its own; the tasks that wait do its work. That keeps a source free of background tasks:
nothing outlives the last wait, nothing has to be started or closed, and a wait works on asyncio and trio
alike. Each waiter is the task of some caller, and between its own steps it takes one of three roles:

- Most waiters are *parked*: suspended until somebody wakes them (see `common.concurrency`). They cost no
  timer.
- One of them is the *timer*: parked too, but in a cancel scope that ends when the next job falls due or the
  next deadline passes, whichever is first.
- For each request in flight one waiter is its *leader*: the request runs in that task, and its reply is
  delivered to all other waiters of its jobs.

A waiter finds out what to do next in `Poller.next_step`, which first dispatches: it ends waits that are past
their deadline, takes from the queue what is due, and assigns each request to a leader. The leader is the
waiter with the latest deadline among those that the request is for. The request runs in a cancel scope with
that deadline, so that a deadline cuts a request only where nobody is left who needs it; led by expiring
waiters, a shared request would be cut again and again.

A task may be cancelled at any await, and whoever goes hands its role over on the way out. `_elect_timer`
wakes some parked waiter, which becomes the timer in its next step. `_complete`, in a ``finally`` of the
leader, returns the request's jobs to the queue: still due, they are sent again with another leader. So any
waiter can go at any time and the rest go on, without a lock: everything between two awaits is atomic on an
event loop.

Two orders of events need care. A newcomer can join a job whose request is in flight: the sequence number of
requests and waits says which began first, and a reply older than the wait tells it nothing but an end. And a
request that was assigned may never be sent, because its leader was cancelled first: `remove` completes it.

A waiter may also have no task of its own: thousands of them are the members of a set, which is told of their
ends through `WaiterTasks` (see `common.polling.waiter_group`). They never park, and hold no role. One task
works for all of them: the driver, a waiter that waits for no job, parks and becomes the timer like any other,
and so drives the poller. A request whose leader is such a member is sent in a task that `WaiterTasks.lead`
starts. The member's deadline bounds it, and it is cut once nobody needs it any more (`remove`).
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

import anyio

from common.concurrency import parking, restore_message
from common.model.errors import UsageError
from common.model.job import Job
from common.model.refs import JobRef, Scope
from common.polling.deadlines import Deadlines
from common.polling.executor import PollExecutor
from common.polling.pollable import Pollable
from common.polling.schedule import PollQueue
from common.polling.throttle import Throttle
from common.polling.wait_errors import source_closed
from common.polling.waiters import PolledJob, PollRequest, Waiter, WaiterTasks
from common.telemetry.reporter import Reporter

_Key = str | tuple[str, Scope]
"""A job's id, with its scope where it has one: there may be jobs of several kinds with equal ids."""


class Poller:
    """Asks about all jobs that anybody waits for. Belongs to one source and one event loop."""

    def __init__(self, pollable: Pollable, throttle: Throttle, reporter: Reporter) -> None:
        self.throttle = throttle
        self.reporter = reporter
        self._pollable = pollable
        self._parking = parking()
        self.now: Callable[[], float] = self._parking.now
        self.executor: PollExecutor = PollExecutor(
            pollable, throttle, reporter, now=self.now, wake=self._wake
        )
        self._jobs: dict[_Key, PolledJob] = {}
        self._queue = PollQueue()
        self._deadlines = Deadlines()
        self._parked: dict[Waiter, None] = {}
        self._single_reads: dict[Waiter, None] = {}
        self._timer: Waiter | None = None
        self._wake_at = math.inf
        self._active = self._in_flight = 0
        self._next_request = 1
        self._closed = False

    @property
    def idle(self) -> bool:
        """Whether nobody waits, so that nothing at all is held."""
        held = self._parked or self._single_reads or self._jobs or self._queue or self._deadlines
        return not held and self._timer is None and not self._in_flight and not self._active

    def has_ended(self, job: Job) -> bool:
        """Whether nothing is left to ask about a job: it has ended, and so has the reading of its results."""
        return job.done and not (job.ref.hints and self._pollable.has_unread_results(job))

    def next_step(self, waiter: Waiter) -> Awaitable[object] | None:
        """Return what this waiter's task is to await next, None once it has been notified.

        The task awaits it itself, in the one frame that a wait has: there are thousands of them at a time.
        """
        if _is_notified(waiter):
            return None
        now = self.now()
        self._dispatch(now)
        if now >= waiter.deadline:
            waiter.expire()  # its request was completed in the very moment of its deadline
        if _is_notified(waiter):
            return None
        if waiter.request is not None:
            return self._send(waiter.request)
        if self._timer is None or self._timer is waiter:
            return self._run_timer(waiter, now)
        self._parked[waiter] = None
        return self._parking.park(waiter)

    def close(self) -> None:
        """End every wait with an exception, cancel the requests in flight, and take no more waits."""
        self._closed = True
        for job in self._jobs.values():
            for waiter in job.waiters:
                if not waiter.notified:
                    waiter.fail(source_closed(waiter.ref, waiter.last_observed))
                    self._wake(waiter)
            if job.in_flight is not None:
                job.in_flight.cancel()

    # Adding and removing waiters

    def add(self, waiter: Waiter) -> None:
        """Begin a wait, or a step of it: its task takes steps now.

        Once the source is closed, raise `SourceClosed` for a wait that had begun before, else `UsageError`.
        """
        if self._closed:
            if waiter.sequence:  # a watch, between two of its steps
                raise source_closed(waiter.ref, waiter.last_observed)
            raise UsageError("the source is closed: make a new one, or close it later", ref=waiter.ref)
        key = _key(waiter.ref)
        job = self._jobs.get(key)
        if job is None:
            id, cost = waiter.ref.id, self._pollable.batch_cost(waiter.ref)
            job = PolledJob(waiter.ref, (waiter,), cost, id if id == id.lower() else id.lower())
            self._jobs[key] = job
        elif isinstance(job.waiters, list):
            job.waiters.append(waiter)
        else:
            job.waiters = [*job.waiters, waiter]
        if waiter.ref.hints:
            job.take_hints(waiter)
        if waiter.last is not None and waiter.last.done:
            job.unread = waiter.last  # its end was seen: only the results are read
        if not waiter.sequence:
            waiter.sequence = self._next_request
            if waiter.due < self._queue.gathering_until and job.batch_cost and len(self._jobs) > 1:
                waiter.due = self._queue.newcomer_due(waiter)
        waiter.active = True
        self._active += 1
        if waiter.deadline < math.inf:
            self._deadlines.put(waiter)
        if waiter.single_read:
            self._single_reads[waiter] = None
        self._wake_timer(waiter.deadline)
        self._enqueue(job, waiter)

    def remove(self, waiter: Waiter) -> None:
        """End a wait, or a step of it, also in a cancelled task: its roles go to others."""
        self._parked.pop(waiter, None)
        if waiter.single_read:
            self._single_reads.pop(waiter, None)
        waiter.active = False
        self._active -= 1
        self.executor.outage.failing.discard(waiter)
        job = self._jobs[_key(waiter.ref)]
        if isinstance(job.waiters, list):
            job.waiters.remove(waiter)
        else:
            job.waiters = ()
        request, waiter.request = waiter.request, None
        if request is not None:
            self.complete(request)  # cancelled after it was chosen as a leader, before it sent the request
        if not job.waiters:
            if job.in_flight is None:
                self._drop(job)
            elif job.in_flight.leader.tasks is not None and job.in_flight.abandoned:
                job.in_flight.cancel()
        if self._timer is waiter:
            self._elect_timer()
        if self._queue.heap:
            self._queue.prune(len(self._jobs))
        if waiter.deadline_key or self._deadlines.heap:
            self._deadlines.discard(waiter, self._active)

    def rearm(self, waiter: Waiter) -> None:
        """Let a wait go on whose tasks have taken the change that it was notified of."""
        waiter.notified = False
        if waiter.single_read:
            waiter.expire()
            self._wake(waiter)
        else:
            self._enqueue(self._jobs[_key(waiter.ref)], waiter)

    def waiters_of(self, tasks: WaiterTasks, ref: JobRef | None = None) -> list[Waiter]:
        """Return the waiters that these tasks work for, in the order of their jobs; of one job, if named."""
        jobs = self._jobs.values() if ref is None else filter(None, [self._jobs.get(_key(ref))])
        return [waiter for job in jobs for waiter in job.waiters if waiter.tasks is tasks]

    def leave(self, driver: Waiter) -> None:
        """Let the driver of a `WaiterGroup` go: its role goes to another waiter."""
        self._parked.pop(driver, None)
        if self._timer is driver:
            self._elect_timer()

    def wake(self, driver: Waiter) -> None:
        """Resume the driver of a `WaiterGroup`, whose waits were notified."""
        driver.notified = True
        self._wake(driver)

    def _drop(self, job: PolledJob) -> None:
        job.due = math.inf  # makes its items in the queue stale
        key = _key(job.ref)
        if self._jobs.get(key) is job:
            del self._jobs[key]

    def _wake(self, waiter: Waiter) -> None:
        if waiter.tasks is not None:
            waiter.tasks.notify(waiter)
            return
        self._parked.pop(waiter, None)
        if waiter.handle is not None:
            self._parking.unpark(waiter)

    # The timer

    async def _run_timer(self, waiter: Waiter, now: float) -> None:
        self._timer = waiter
        self._wake_at = self._next_wake(now)
        self._parked[waiter] = None
        await self._parking.park_until(waiter, self._wake_at)
        self._parked.pop(waiter, None)  # it woke by itself, and may be about to send

    def _elect_timer(self) -> None:
        # The last one: it mostly has the latest deadline, and to find the first key of a dict Python passes
        # the empty slots of all that were removed before it.
        self._timer = next(reversed(self._parked), None)
        if self._timer is not None:
            self._wake(self._timer)

    def _wake_timer(self, at: float) -> None:
        """Wake the timer if it would sleep past ``at``; it then sleeps for less."""
        # A timer that was woken is no longer parked: of many waits that begin in one turn, the first wakes
        # it.
        if self._timer is not None and at < self._wake_at and self._timer in self._parked:
            self._wake(self._timer)

    def _next_wake(self, now: float) -> float:
        due = self._queue.first_due() if self._queue.heap else math.inf
        if due < math.inf:
            due = max(due, self.throttle.next_send_at(now, self._in_flight))
        return min(due, self._deadlines.first()) if self._deadlines.heap else due

    # Dispatching

    def _enqueue(self, job: PolledJob, waiter: Waiter) -> None:
        """Let a waiter's job fall due earlier, if that waiter wants it: its others are not looked at."""
        if job.in_flight is None and (due := waiter.due) < job.due:
            self._queue.put(job, due)
            if due < self._wake_at:
                self._wake_timer(due)

    def _dispatch(self, now: float) -> None:
        """End the waits that are past their deadline, and assign what is due to leaders."""
        if self._deadlines.heap and not self._deadlines.expire(now, self._wake):
            # The others end in the next turns of the loop: the timer's next wake is in the past. Until then
            # nothing is sent, so that no replies delay them further.
            return
        queue, throttle = self._queue, self.throttle
        while queue.heap and queue.first_due() <= now and throttle.next_send_at(now, self._in_flight) <= now:
            limit = self._pollable.batch_limit if now >= self.executor.batch_after else 0
            jobs = queue.next_batch(limit, now, recovered_at=throttle.recovered_at)
            if not jobs:
                break
            self._assign(jobs, now)
        for waiter in self._single_reads:
            # The one read of timeout=0 need not wait for the end of a Retry-After (a time after now), but for
            # fewer requests in flight (infinity).
            if not now < throttle.next_send_at(now, self._in_flight) < math.inf:
                break
            job = self._jobs[_key(waiter.ref)]
            if not waiter.notified and not job.in_flight:
                self._assign([job], now)

    def _assign(self, jobs: list[PolledJob], now: float) -> None:
        leader, latest = None, now
        for job in jobs:
            job.due = job.first_due = math.inf
            for each in job.waiters if latest < math.inf else ():
                if each.deadline > latest and each.active and not each.notified:
                    leader, latest = each, each.deadline
        if leader is None:
            return  # nobody is left who could wait for the reply
        self._in_flight += 1
        number, self._next_request = self._next_request, self._next_request + 1
        request = PollRequest(number, jobs, leader, self._pollable.batch_limit, len(self._jobs))
        for job in jobs:
            job.in_flight = request
        if leader.tasks is not None:
            leader.tasks.lead(request)
            return
        leader.request = request
        self._wake(leader)

    async def _send(self, request: PollRequest) -> None:
        leader = request.leader
        if self._timer is leader:
            self._elect_timer()
        request.scope = scope = anyio.CancelScope(deadline=leader.deadline)
        try:
            with scope:
                await self.executor.execute(request)
            if scope.cancelled_caught and not leader.notified:
                leader.expire()
        except BaseException as error:
            restore_message(error, scope)
            leader.active = False  # cancelled, and on its way out: it is assigned nothing more
            raise
        finally:
            leader.request = None
            self.complete(request)

    def complete(self, request: PollRequest) -> None:
        """Return a request's jobs to the queue, also where it was never sent."""
        self._in_flight -= 1
        put = self._queue.put
        for job in request.jobs:
            job.in_flight = None
            if not job.waiters:
                self._drop(job)
            elif (due := job.next_due()) != job.due:
                put(job, due)
        now = self.now()
        self._dispatch(now)
        if self._timer is not None:  # it may sleep until a request completes, as this one just did
            self._wake_timer(self._next_wake(now))


def _is_notified(waiter: Waiter) -> bool:
    return waiter.notified  # a function: type checkers take the attribute for unchanged between two reads


def _key(ref: JobRef) -> _Key:
    return (ref.id, ref.scope) if ref.scope else ref.id
