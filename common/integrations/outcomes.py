"""How waits ended, as an orchestrator stores it: plain data, and whether to try again."""

from __future__ import annotations

from collections.abc import Iterable

from common.model.errors import (
    ActionUncertain,
    AuthenticationError,
    JobsError,
    JobsFailed,
    PermissionDenied,
    Unsupported,
    UsageError,
    job_failure,
)
from common.model.job import Job

_SETTLED = (ActionUncertain, AuthenticationError, PermissionDenied, Unsupported, UsageError)
"""Errors for which another try is useless or harmful: refused credentials, tried again and again, lock an
account, and a write that may have been carried out is never sent twice."""


def failure_of(outcome: Job | JobsError) -> JobsError | None:
    """Return the error of an outcome that is not a success, None for a job that succeeded."""
    if isinstance(outcome, JobsError):
        return outcome
    return None if outcome.succeeded else job_failure(outcome)


def check_all(outcomes: Iterable[Job | JobsError]) -> list[Job]:
    """Return the jobs, which all have succeeded; else raise `JobsFailed`, with every outcome by ref."""
    checked = [failure_of(outcome) or outcome for outcome in outcomes]
    if any(isinstance(outcome, JobsError) for outcome in checked):
        raise JobsFailed.of((outcome.ref, outcome) for outcome in checked if outcome.ref is not None)
    return [outcome for outcome in checked if isinstance(outcome, Job)]


def is_settled(outcome: Job | JobsError) -> bool:
    """Whether nothing more can be learnt about the job: it has ended, or the error is ``final``."""
    return outcome.final if isinstance(outcome, JobsError) else outcome.done


def worth_retrying(error: JobsError) -> bool:
    """Whether another try may succeed: not after a final error, and not if the call itself was wrong."""
    return not (error.final or isinstance(error, _SETTLED))


def failures_of(outcomes: Iterable[Job | JobsError]) -> tuple[str, bool]:
    """Return the text of all failures, one a line, and whether another try may succeed; "" for none."""
    errors = [error for error in map(failure_of, outcomes) if error is not None]
    return "\n".join(map(str, errors)), all(map(worth_retrying, errors))
