"""The exceptions with which a wait ends: each says which job, after how long, and how it was last seen."""

from __future__ import annotations

from datetime import datetime

from common.model.errors import (
    JobGone,
    JobNotFound,
    SourceClosed,
    SourceError,
    UnexpectedState,
    WaitTimeout,
)
from common.model.failure_text import last_words, native_word
from common.model.job import UNREAD_RESULTS, Job
from common.model.refs import JobRef

MAY_RUN = "The job may still be running."


def timeout_error(
    ref: JobRef, job: Job | None, *, limit: float | datetime | None, cause: BaseException | None
) -> WaitTimeout:
    """Return the exception for a deadline that has passed. ``limit`` is seconds, or the deadline itself.

    Where the job has ended, the deadline passed while its results were read.
    """
    if isinstance(limit, datetime):
        in_time = f"by {limit.isoformat()}"
    else:
        in_time = "within the time allowed" if limit is None else f"within {limit:g} s"
    text, advice = f"{ref}: not ended {in_time}; last seen {last_words(job)}", MAY_RUN
    if job is not None and job.done:
        text = f"{ref}: ended {last_words(job)}, but {UNREAD_RESULTS} {in_time}"
        advice = "Wait again for them."
    if cause is not None:
        text += f"; the last poll failed: {cause}"
    error = WaitTimeout(f"{text}. {advice}", ref=ref, job=job)
    error.__cause__ = cause
    return error


def given_up(
    error: SourceError, ref: JobRef, job: Job | None, *, waited: float, reason: str = ""
) -> SourceError:
    """Return a request's failure as the end of one wait, which began ``waited`` seconds ago."""
    why = f"{reason}; " if reason else ""
    how_long = f"gave up waiting for {ref} after {waited:.0f} s; last seen {last_words(job)}"
    return error.copy_for(ref, job, f"{error}; {why}{how_long}.{_may_run(job)}")


def not_found(error: JobNotFound, ref: JobRef, *, waited: float) -> JobNotFound:
    """Return the end of a wait for a job that was never seen."""
    grace = f"; polled for {waited:.0f} s" if waited >= 1 else ""
    return JobNotFound(f"{error}{grace}", certain=error.certain, ref=ref)


def gone(ref: JobRef, job: Job | None, *, seen_ago: float, missing: float) -> JobGone:
    """Return the end of a wait for a job that was seen so many seconds ago, and is ``missing`` since then."""
    confirmed = f" (confirmed for {missing:.0f} s)" if missing > 0 else ""
    return JobGone(
        f"{ref}: the server no longer has the job{confirmed}, so its outcome is unknown; last seen "
        f"{last_words(job)} {seen_ago:.0f} s ago",
        ref=ref,
        job=job,
    )


def unknown_too_long(ref: JobRef, job: Job, limit: float) -> UnexpectedState:
    """Return the end of a wait for a job that was UNKNOWN for ``limit`` seconds."""
    return UnexpectedState(
        f"{ref}: the server reported the unknown state {native_word(job)} for {limit:g} s: map it with "
        f"states=, or raise PollPolicy.unknown_limit. {MAY_RUN}",
        ref=ref,
        job=job,
    )


def source_closed(ref: JobRef, job: Job | None) -> SourceClosed:
    """Return the end of a wait whose source was closed."""
    return SourceClosed(
        f"{ref}: the source was closed during the wait; last seen {last_words(job)}.{_may_run(job)}",
        ref=ref,
        job=job,
    )


def _may_run(job: Job | None) -> str:
    return "" if job is not None and job.done else f" {MAY_RUN}"  # one that has ended has results to be read
