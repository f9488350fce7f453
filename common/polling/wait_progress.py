"""The state of one wait, and what each reply means to it; without a clock or a socket.

A `WaitProgress` is given the result and the time of each poll. It decides whether the caller is told, when to
ask again, and with which exception the wait ends. The shared poller has one for each wait.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime

import attrs

from common.model.errors import (
    DecodeError,
    JobNotFound,
    JobsError,
    SourceError,
    UnexpectedState,
    UsageError,
    WaitTimeout,
    job_failure,
)
from common.model.failure_text import state_words
from common.model.job import UNREAD_RESULTS, Job, observed_again, with_warning
from common.model.refs import JobRef
from common.model.states import TERMINAL, JobState
from common.polling import wait_errors
from common.polling.policy import WaitRules, backoff, recheck_at, run_time

ROUNDING = 1e-6
"""Seconds: a poll at the limit of an outage is the last one, whatever the sum of two times is rounded to."""
BAD_RECORDS = 3
"""A wait ends after so many records of its job in a row that cannot be decoded."""


@attrs.define(eq=False)
class _Trouble:
    """The requests since the last good reply: failures, and replies that there is no such job."""

    failures: int = 0
    """How many requests there were."""
    error: JobsError | None = None
    """What the last one failed with."""
    outage_since: float | None = None
    """When the first of the latest failures in a row was sent; None after any reply of the API's own."""
    missing_since: float | None = None
    """When the server first said that there is no such job, of one that was seen; None if it has not."""
    bad_records: int = 0
    """How many replies in a row had a record of the job that cannot be decoded."""


@attrs.define(eq=False, kw_only=True, weakref_slot=False)
class WaitProgress:
    """One wait. Times are seconds on the loop's clock; ``deadline`` may be infinite."""

    ref: JobRef
    rules: WaitRules
    began: float
    deadline: float = math.inf
    limit: float | datetime | None = None
    """As the caller gave it: ``timeout`` in seconds, or ``deadline``; None for no deadline."""
    last: Job | None = None
    """The last observation; at the start the job that the caller had seen before, if any."""
    due: float = attrs.field(init=False)
    """When to ask next."""
    ended: bool = attrs.field(default=False, init=False)
    _told: bool = attrs.field(default=False, init=False)
    _last_seen: float | None = attrs.field(default=None, init=False)
    """The time of the request by which the job was last seen; None for never."""
    _head_start: float = attrs.field(default=0.0, init=False)
    """Seconds for which the job had been running when this wait began, as far as its caller knew."""
    _trouble: _Trouble | None = attrs.field(default=None, init=False)
    """None after a good reply."""
    _unknown_since: float | None = attrs.field(default=None, init=False)
    _seen_at: datetime | None = attrs.field(default=None, init=False)
    """When the last reply was received, if ``last`` is from an earlier, equal one; else None."""

    def __attrs_post_init__(self) -> None:
        self.due = self.began
        if self.last is not None:
            seen_ago = (datetime.now(UTC) - self.last.observed_at).total_seconds()
            self._last_seen = self.began - max(0.0, seen_ago)
            # A wait that resumes goes on from the run time that the job had, not from its first second.
            self._head_start = run_time(self.last, self.last.observed_at, 0.0)

    def observe(
        self,
        job: Job,
        *,
        sent_at: float,
        date: datetime | None = None,
        at: datetime | None = None,
        spacing: float = 0.0,
    ) -> bool:
        """Take a good reply to a request sent at ``sent_at``. Return whether the caller is to be told.

        ``date`` is the reply's ``Date``. ``at`` is when it was received if ``job`` is the object of an
        earlier, equal reply. ``spacing`` is the least delay in seconds that the server's rate budget allows;
        it counts up to the policy's ``maximum``. Raise `UnexpectedState` if the state was UNKNOWN for too
        long.
        """
        self._trouble = None
        last, told, rules, state = self.last, self._told, self.rules, job.state
        self._last_seen, self._seen_at, self.last, self._told = sent_at, at, job, True
        if state in TERMINAL or (rules.until and state in rules.until and sent_at >= self.began):
            self.ended = True
            return True
        policy = rules.policy
        delay = policy.initial
        if policy.maximum > delay:  # else it is the same for each run time
            waited = self._head_start + sent_at - self.began
            delay = rules.delay(policy, job, run_time(job, date, waited))
        if spacing > delay:
            delay = max(delay, min(spacing, policy.maximum))
        self.due = sent_at + delay
        if state is JobState.UNKNOWN:
            self._bound_unknown(job, sent_at)
        else:
            self._unknown_since = None
        # Most replies tell nothing new, and are the same object. An end is told whatever it differs in.
        return not told or (job is not last and (last is None or job.differs(last)))

    def job_not_found(self, error: JobNotFound, *, sent_at: float) -> JobsError | None:
        """Take the API's own word that there is no such job.

        Return what the wait ends with, None if it goes on.
        """
        trouble = self._trouble = self._trouble or _Trouble()
        outage, trouble.outage_since = trouble.outage_since, None
        trouble.error, trouble.bad_records, trouble.failures = error, 0, trouble.failures + 1
        policy, last_seen = self.rules.policy, self._last_seen
        if error.certain or (last_seen is None and sent_at >= self.began + policy.start_grace):
            not_found = wait_errors.not_found(error, self.ref, waited=sent_at - self.began)
            not_found.about(self.ref, self.last_observed)
            return not_found
        if last_seen is None:
            self.due = min(sent_at + policy.initial, self.began + policy.start_grace)
            return None
        seen_ago, grace = sent_at - last_seen, policy.gone_grace
        if trouble.missing_since is None:
            if seen_ago > self.rules.retention:
                grace = 0.0
            trouble.missing_since = sent_at
        elif outage is not None:
            trouble.missing_since += sent_at - outage  # without replies, the time does not count
        missing = sent_at - trouble.missing_since
        if sent_at >= trouble.missing_since + grace:
            return wait_errors.gone(self.ref, self.last_observed, seen_ago=seen_ago, missing=missing)
        self.due = trouble.missing_since + recheck_at(missing, grace)
        return None

    def is_recheck(self, sent_at: float) -> bool:
        """Return whether a batch without a record of the job counts as one more "no such job".

        It does not count as the first or the last one of a job that was seen: these must come from single
        GETs.
        """
        missing_since = self._missing_since
        return missing_since is not None and sent_at < missing_since + self.rules.policy.gone_grace

    def run_time(self, now: float) -> float:
        """Return for how many seconds the job had been running when it was last seen; if never, until now."""
        if self.last is None or self._last_seen is None:
            return self._head_start + max(0.0, now - self.began)
        waited = self._head_start + max(0.0, self._last_seen - self.began)
        return run_time(self.last, self._seen_at or self.last.observed_at, waited)

    @property
    def seen_at(self) -> datetime | None:
        """When the job was last seen, by this machine's clock; None for never."""
        return self._seen_at or (self.last.observed_at if self.last is not None else None)

    def resume(self, run_time: float, limit: float | datetime | None) -> None:
        """Continue the wait of another process: the job's run time in seconds, and the limit given there."""
        self._head_start, self.limit = run_time, limit

    def failing_for(self, now: float) -> float:
        """Return for how many seconds requests have brought no state of the job."""
        trouble = self._trouble or _Trouble()
        starts = (start for start in (trouble.outage_since, trouble.missing_since) if start is not None)
        return now - min(starts, default=now)

    @property
    def failures(self) -> int:
        """How many requests in a row brought no state of the job."""
        return 0 if self._trouble is None else self._trouble.failures

    @property
    def last_error(self) -> JobsError | None:
        """What the last request failed with, None after a good reply."""
        return None if self._trouble is None else self._trouble.error

    @property
    def _missing_since(self) -> float | None:
        return None if self._trouble is None else self._trouble.missing_since

    @property
    def missing(self) -> bool:
        """Whether the job was seen, and the server now says that there is none."""
        return self._missing_since is not None

    @property
    def last_recheck(self) -> bool:
        """Whether the next request decides if a missing job is gone."""
        missing_since = self._missing_since
        return missing_since is not None and self.due >= missing_since + self.rules.policy.gone_grace

    def request_failed(
        self, error: SourceError, *, sent_at: float, now: float, jitter: float
    ) -> SourceError | None:
        """Take a failure. Return what the wait ends with, an error of its own, or None if it goes on.

        ``jitter`` is 0.0 to 1.0, drawn once for each request, however many waits it served.
        """
        trouble, policy = self._trouble or _Trouble(), self.rules.policy
        self._trouble = trouble
        trouble.error, trouble.failures = error, trouble.failures + 1
        if isinstance(error, DecodeError) and not error.transient:
            trouble.bad_records += 1
            if trouble.bad_records >= BAD_RECORDS:
                return self._give_up(error, now, f"so {BAD_RECORDS} times in a row")
        elif not error.transient:
            return self._give_up(error, now)
        if trouble.outage_since is None:
            trouble.outage_since = sent_at
        outage = now - trouble.outage_since
        if self.limit is None and self.deadline == math.inf and outage >= policy.outage_limit - ROUNDING:
            if self.last is not None and self.last.done:
                self._give_up_results()
                return None
            reason = f"no good response for {outage:.0f} s, the limit for a wait without a deadline"
            return self._give_up(error, now, reason)
        wait = backoff(policy, outage, jitter)
        self.due = max(sent_at + wait, now + (error.retry_after or 0.0), now)
        return None

    def end_seen(self, job: Job, *, now: float) -> None:
        """Take the end of a job whose results are read next. The caller is told of both at once."""
        self.last, self._last_seen, self._seen_at, self.due = job, now, None, now
        self._trouble = None

    def end_without_results(self) -> bool:
        """At the deadline, end with a job that has failed although its results were not read.

        Return whether the wait has ended. A success must not be reported so: some of its records may have
        failed.
        """
        if self.last is None or not self.last.done or self.last.state is JobState.SUCCEEDED:
            return False
        self._give_up_results()
        return True

    def _give_up_results(self) -> None:
        if self.last is not None:
            reason = self.last_error or "the deadline passed"
            self.last = with_warning(self.last, f"{UNREAD_RESULTS}: {reason}")
        self.ended = self._told = True

    def shift_clock(self, seconds: float) -> None:
        """Convert all times to another clock, which is ahead by so many seconds."""
        self.began += seconds
        self.deadline += seconds
        self.due += seconds
        if self._unknown_since is not None:
            self._unknown_since += seconds
        if self._last_seen is not None:
            self._last_seen += seconds
        trouble = self._trouble
        if trouble is not None and trouble.outage_since is not None:
            trouble.outage_since += seconds
        if trouble is not None and trouble.missing_since is not None:
            trouble.missing_since += seconds

    def resolve(self, found: object) -> Job:
        """Return the job in the state that the caller's probe found; in a `Job`, with all that it tells.

        Raise `UsageError` if that is not terminal.
        """
        state = found.state if isinstance(found, Job) else found
        try:
            known = JobState(str(state))
        except ValueError:
            known = JobState.UNKNOWN
        if known not in TERMINAL:
            raise UsageError(
                f"resolve_gone must return a terminal JobState, not {state!r}",
                ref=self.ref,
                job=self.last,
            )
        job = found if isinstance(found, Job) else (self.last or Job(self.ref, known))
        job = attrs.evolve(job, ref=self.ref, state=known, native_state=None, resolved=True)
        self.last, self.ended, self._told = job, True, True
        return job

    def timeout_error(self) -> WaitTimeout:
        """Return the exception for a deadline that has passed."""
        return wait_errors.timeout_error(
            self.ref, self.last_observed, limit=self.limit, cause=self.last_error
        )

    def result(self, *, check: bool) -> Job:
        """Return the job that the wait ended with, or raise the exception that the caller asked for."""
        job, until = self.last, self.rules.until
        if job is None or not self.ended:
            raise AssertionError("the result of a wait was asked for before it ended")
        if until is None:
            if check and job.state is not JobState.SUCCEEDED:
                raise job_failure(job)
            return job
        if job.state in until:
            return job
        if job.state is not JobState.SUCCEEDED:
            raise job_failure(job)
        wanted = ", ".join(sorted(state.name for state in until))
        raise UnexpectedState(
            f"{self.ref}: ended as {state_words(job)}, waited for {wanted}", ref=self.ref, job=job
        )

    @property
    def last_observed(self) -> Job | None:
        """The last observation, with the time of the last reply also if nothing had changed."""
        if self.last is None or self._seen_at is None:
            return self.last
        return observed_again(self.last, self._seen_at)

    def _give_up(self, error: SourceError, now: float, reason: str = "") -> SourceError:
        waited = now - self.began
        return wait_errors.given_up(error, self.ref, self.last_observed, waited=waited, reason=reason)

    def _bound_unknown(self, job: Job, sent_at: float) -> None:
        if self._unknown_since is None:
            self._unknown_since = sent_at
        limit = self._unknown_since + self.rules.policy.unknown_limit
        if sent_at >= limit:
            raise wait_errors.unknown_too_long(self.ref, job, self.rules.policy.unknown_limit)
        self.due = min(self.due, limit)
