"""The exit status of the command: what each outcome counts as, and which one wins where several are mixed."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from common.model.errors import (
    ActionRefused,
    ActionUncertain,
    JobFailed,
    JobGone,
    JobNotFound,
    JobsError,
    SourceClosed,
    SourceError,
    UnexpectedState,
    Unsupported,
    UsageError,
    WaitTimeout,
)
from common.model.job import Job


class ExitStatus(IntEnum):
    """What the command returns to the shell."""

    OK = 0
    """Every job succeeded, or was read where nothing was waited for."""
    FAILED = 1
    """A job failed, was cancelled or ended partially; the server refused an action or a write."""
    USAGE = 2
    """The command line, a profile or a variable is wrong; or the system has no such operation."""
    GONE = 3
    """There is no such job, or the server has forgotten it."""
    UNREACHABLE = 4
    """Sign-in, permission or connection: the system could not be asked, or gave no usable answer."""
    DEADLINE = 124
    """The deadline passed first. The jobs go on."""
    INTERRUPTED = 130
    """SIGINT (Ctrl-C). The jobs go on."""
    BROKEN_PIPE = 141
    """What read the output went away, as ``head`` does."""
    TERMINATED = 143
    """SIGTERM. The jobs go on."""


PRECEDENCE: tuple[ExitStatus, ...] = (
    ExitStatus.USAGE,
    ExitStatus.FAILED,
    ExitStatus.GONE,
    ExitStatus.UNREACHABLE,
    ExitStatus.DEADLINE,
    ExitStatus.OK,
)
"""Of several outcomes the first of these counts: what is final comes before what may pass."""

ERRORS: tuple[tuple[type[JobsError], ExitStatus], ...] = (
    (UsageError, ExitStatus.USAGE),
    (Unsupported, ExitStatus.USAGE),
    (JobFailed, ExitStatus.FAILED),
    (ActionRefused, ExitStatus.FAILED),
    (UnexpectedState, ExitStatus.FAILED),
    (JobNotFound, ExitStatus.GONE),
    (JobGone, ExitStatus.GONE),
    (SourceError, ExitStatus.UNREACHABLE),
    (ActionUncertain, ExitStatus.UNREACHABLE),
    (SourceClosed, ExitStatus.UNREACHABLE),
    (WaitTimeout, ExitStatus.DEADLINE),
)
"""The status of each kind of error; a subclass counts as its base."""


def status_of(outcome: Job | JobsError) -> ExitStatus:
    """Return the status of one outcome. A job that has not ended is no failure."""
    if isinstance(outcome, Job):
        return ExitStatus.FAILED if outcome.done and not outcome.succeeded else ExitStatus.OK
    return next((status for kind, status in ERRORS if isinstance(outcome, kind)), ExitStatus.FAILED)


def combined(statuses: Iterable[ExitStatus]) -> ExitStatus:
    """Return the status that counts among several, by `PRECEDENCE`; OK for none."""
    return min(statuses, key=PRECEDENCE.index, default=ExitStatus.OK)
