"""The events of waits, which observers receive: the interface for metrics and traces."""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable, Iterable

import attrs

from common.model.errors import JobsError
from common.model.job import Job
from common.model.refs import JobRef
from common.set_module import set_module

logger: logging.Logger = logging.getLogger("jobsource")


class EventKind(enum.StrEnum):
    """The kind of an event."""

    BEGAN = "began"
    """A wait began. The observer is called in the caller's own task, where the caller's span is current."""
    SEEN = "seen"
    """A poll succeeded; the job may be unchanged."""
    CHANGED = "changed"
    """The first observation of a wait, or one that differs from the last."""
    TROUBLE = "trouble"
    """A poll failed, and the wait goes on."""
    GONE = "gone"
    """The server no longer has a job that was seen. The wait checks again before it raises `JobGone`."""
    THROTTLED = "throttled"
    """A response to a poll had a ``Retry-After``, or was a 429: the source sends fewer requests, or none.

    It concerns the source, and occurs once for each such response; ``ref`` is one of the polled jobs.
    """
    ENDED = "ended"
    """A wait ended: with a job, with an error, or both."""
    ABANDONED = "abandoned"
    """A wait was cancelled, discarded or closed, or ended by an exception of a probe.

    This says nothing about the job. A watch whose step was cancelled may go on: that is another wait.
    """


@attrs.frozen
class Event:
    """One event of one wait, or of a source (THROTTLED). It contains no secret."""

    kind: EventKind
    ref: JobRef
    job: Job | None = None
    error: JobsError | None = None
    wait: int = attrs.field(default=0, kw_only=True)
    """The number of the wait, the same in all of its events and no other's in this process; 0 for none."""
    elapsed: float = attrs.field(default=0.0, kw_only=True)
    """With ENDED and ABANDONED: how many seconds the wait took."""
    attempt: int = attrs.field(default=0, kw_only=True)
    """With TROUBLE: how many polls in a row have failed, including this one."""
    failing_for: float = attrs.field(default=0.0, kw_only=True)
    """With TROUBLE: for how many seconds polls have failed."""
    next_in: float | None = attrs.field(default=None, kw_only=True)
    """Seconds until the next poll; None where the wait's deadline comes first.

    With TROUBLE it is that of this wait, with THROTTLED the first that the source may send.
    """

    @property
    def lag(self) -> float | None:
        """With ENDED: how many seconds after its end the job was observed.

        That is by the server's clock and this machine's. None where the server does not tell when the job
        ended, and where it had ended before the wait began.
        """
        job = self.job
        if self.kind is not EventKind.ENDED or job is None or job.finished_at is None:
            return None
        lag = (job.observed_at - job.finished_at).total_seconds()
        return max(0.0, lag) if lag <= self.elapsed else None


Observer = Callable[[Event], None]
"""Called in the event loop, so it must not block. An exception that it raises is logged and suppressed."""


@attrs.frozen
class Several:
    """Some observers as one."""

    observers: tuple[Observer, ...] = attrs.field(repr=False)

    def __call__(self, event: Event) -> None:
        """Call each of them with the event."""
        for each in self.observers:
            each(event)


def combined(observers: Iterable[Observer]) -> Observer | None:
    """Return observers as one, which calls each with each event once; None if there are none."""
    each = tuple(dict.fromkeys(observers))
    return Several(each) if len(each) > 1 else next(iter(each), None)


set_module(EventKind, Event)
