"""When to ask again, pure arithmetic without a clock or a socket; and the arguments of a wait, checked."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Literal

import attrs

from common.model.errors import UsageError
from common.model.job import Job
from common.model.refs import JobRef
from common.model.states import JobState
from common.set_module import set_module
from common.telemetry.callbacks import wants_cancel

LONGEST = 1e9
"""The limit of all settings in seconds (thirty years): beyond it, clocks lose precision."""


def _seconds(least: float) -> Any:
    def check(_instance: object, attribute: attrs.Attribute[float], value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < LONGEST:
            raise UsageError(f"PollPolicy.{attribute.name} must be a number of seconds, below {LONGEST:g}")
        if value < least:
            raise UsageError(f"PollPolicy.{attribute.name} must be at least {least:g}, not {value:g}")

    return check


@attrs.frozen(kw_only=True)
class PollPolicy:
    """How often to poll, and how long to retry. All values are seconds, except ``fraction``.

    The delay after a poll is ``fraction`` of the job's run time, between ``initial`` and ``maximum``. So an
    end is detected at most max(initial, a tenth of the run time) late, and the number of polls grows with
    the logarithm of the run time. Raise `UsageError` for invalid numbers.
    """

    initial: float = attrs.field(default=1.0, validator=_seconds(0.001))
    """The shortest delay."""
    maximum: float = attrs.field(default=30.0, validator=_seconds(0.001))
    """The longest delay."""
    fraction: float = attrs.field(default=0.1, validator=_seconds(0.0))
    """The delay as a fraction of the job's run time."""
    start_grace: float = attrs.field(default=2.0, validator=_seconds(0.0))
    """How long a job that was never seen may be unknown: servers lag behind their own 202."""
    gone_grace: float = attrs.field(default=15.0, validator=_seconds(0.0))
    """How long a job that was seen must be unknown before it counts as gone.

    This applies while the server cannot have deleted the job yet, because it keeps finished jobs for longer:
    a node that lags behind, or a gateway, can be wrong. With 0, the first response counts.
    """
    outage_limit: float = attrs.field(default=3600.0, validator=_seconds(0.0))
    """How long a wait without a deadline retries without a good response."""
    unknown_limit: float = attrs.field(default=300.0, validator=_seconds(0.0))
    """How long a job may stay in an unknown state."""

    def __attrs_post_init__(self) -> None:
        if self.maximum < self.initial:
            raise UsageError(
                f"PollPolicy.maximum ({self.maximum:g} s) must not be below initial ({self.initial:g} s)"
            )


def healthy_delay(policy: PollPolicy, run_time: float) -> float:
    """Return the seconds from one good poll to the next. Without jitter, so that jobs stay due together."""
    delay = run_time * policy.fraction
    if delay <= policy.initial:
        return policy.initial
    return min(policy.maximum, delay)


def backoff(policy: PollPolicy, outage: float, jitter: float) -> float:
    """Return the seconds until the next try, ``outage`` seconds after the last good reply.

    Doubles the outage at each try, up to the policy's cap; ``jitter`` (0.0 to 1.0) takes up to half of it
    off, so that thousands of waits do not come back at the same moment.
    """
    return min(policy.maximum, max(policy.initial, outage)) * (1.0 - jitter / 2)


FIRST_RECHECK = 1.0
"""Seconds from the first "no such job" to the next look."""
LONGEST_RECHECK = 60.0
"""At most so many seconds between two looks, so that a job that is there after all cannot end unseen."""


def recheck_at(missing: float, grace: float) -> float:
    """Return when to look again for a job that has been missing for ``missing`` seconds.

    Counted from the first "no such job": at 1, 2, 4, 8, … and, for the last time, ``grace`` seconds.
    """
    return min(grace, missing + min(LONGEST_RECHECK, max(FIRST_RECHECK - missing, missing)))


def run_time(job: Job, date: datetime | None, waited: float) -> float:
    """Return for how many seconds the job has been running, never below 0.

    The server's own clock (the reply's ``Date``) less the job's start, so that neither this machine's
    clock nor a restart of the waiting process matters; without both, ``waited``.
    """
    start = job.started_at or job.created_at
    if start is None or date is None:
        return max(0.0, waited)
    return max(0.0, (date - start).total_seconds())


DelayRule = Callable[[PollPolicy, Job, float], float]
"""The provider's delay after a good poll, from the policy, the job and its run time in seconds.

It is never outside of ``initial`` and ``maximum`` of the policy, and is not called where these are equal.
"""


def plain_delay(policy: PollPolicy, job: Job, ran: float) -> float:
    """Return the delay of a provider whose delay depends on the run time alone."""
    del job
    return healthy_delay(policy, ran)


@attrs.frozen(eq=False, kw_only=True)
class WaitRules:
    """The arguments of a wait by which it interprets replies. Waits with the same arguments share them."""

    policy: PollPolicy
    delay: DelayRule = plain_delay
    until: frozenset[JobState] | None = None
    retention: float = math.inf
    """Seconds for which the server keeps a job that has ended."""


Probe = Callable[[JobRef, Job | None], Awaitable[JobState | Job]]
"""Asked when the API has forgotten a job: looks at the resource itself and returns a terminal state.

It may also return a `Job` in such a state, with its errors. Sources have ready ones: ``absent``, ``present``,
and on Cloud Foundry ``last_operation``.
"""

OnCancel = Literal["leave", "cancel"] | Callable[[], bool]
"""What a cancelled wait does to the remote job: nothing, or ask the server to cancel it.

A function is called when the wait is cancelled, in the event loop, so it must not block. True cancels the
job; where it raises, that is logged, and the job is left alone.
"""

CancelJob = Callable[[JobRef], Awaitable[object]]
"""Asks the server to cancel a job."""


@attrs.frozen(eq=False, kw_only=True)
class WaitSpec(WaitRules):
    """The arguments of a wait, checked."""

    timeout: float | None
    deadline: datetime | None
    cancel: CancelJob | None
    """Called if the wait is cancelled; None leaves the remote job alone."""
    cancel_if: Callable[[], bool] | None
    """The caller's ``on_cancel`` function, which decides whether ``cancel`` is called; None for always."""
    resolve_gone: Probe | None

    def cancels(self, ref: JobRef) -> bool:
        """Whether a wait that is being cancelled now is to cancel the remote job too."""
        return self.cancel is not None and (self.cancel_if is None or wants_cancel(self.cancel_if, ref))


set_module(PollPolicy)
