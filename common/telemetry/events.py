"""The events of waits, and how observers and the log receive them: the interface for metrics and traces."""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable

import attrs

from common.model.errors import JobsError
from common.model.job import Job
from common.model.refs import JobRef

logger: logging.Logger = logging.getLogger("jobsource")


class EventKind(enum.StrEnum):
    """The kind of an event."""

    SEEN = "seen"
    """A poll succeeded; the job may be unchanged."""
    CHANGED = "changed"
    """The first observation of a wait, or one that differs from the last."""
    TROUBLE = "trouble"
    """A poll failed, and the wait goes on."""
    ENDED = "ended"
    """A wait ended: with a job, with an error, or both."""
    ABANDONED = "abandoned"
    """A wait was cancelled, or ended by an exception of a probe. This says nothing about the job."""


@attrs.frozen
class Event:
    """One event of one wait. It contains no secret."""

    kind: EventKind
    ref: JobRef
    job: Job | None = None
    error: JobsError | None = None
    attempt: int = attrs.field(default=0, kw_only=True)
    """With TROUBLE: how many polls in a row have brought no state of the job, this one too."""
    failing_for: float = attrs.field(default=0.0, kw_only=True)
    """With TROUBLE: for how many seconds that has been so."""
    next_in: float | None = attrs.field(default=None, kw_only=True)
    """With TROUBLE: seconds until the next poll; None where the wait's deadline comes first."""


Observer = Callable[[Event], None]
"""Called in the event loop, so it must not block. An exception that it raises is logged and suppressed."""


def tell(
    observer: Observer | None,
    kind: EventKind,
    ref: JobRef,
    job: Job | None = None,
    error: JobsError | None = None,
) -> None:
    """Make an event and `emit` it, if anybody receives it: most do not need to be made."""
    if observer is not None or kind is EventKind.TROUBLE or logger.isEnabledFor(logging.DEBUG):
        emit(observer, Event(kind, ref, job, error))


def _retry_line(event: Event) -> str:
    what = str(event.error)
    about = "" if what.startswith(str(event.ref)) else f"{event.ref}: "
    after = (
        "no attempt is left before its deadline"
        if event.next_in is None
        else f"asking again in {event.next_in:.1f} s"
    )
    return f"{about}{what}; attempt {event.attempt}, for {event.failing_for:.0f} s; {after}"


def emit(observer: Observer | None, event: Event) -> None:
    """Log an event and pass it to the observer."""
    if event.kind is EventKind.TROUBLE:
        logger.warning(_retry_line(event))
    elif logger.isEnabledFor(logging.DEBUG):
        logger.debug("%s %s: %s", event.ref, event.kind, event.error or (event.job and event.job.state))
    if observer is None:
        return
    for each in observer.observers if isinstance(observer, _Several) else (observer,):
        try:
            each(event)
        except Exception:
            logger.exception("the observer failed on %s of %s", event.kind, event.ref)


@attrs.frozen
class _Several:
    """Some observers as one, each called with each event."""

    observers: tuple[Observer, ...]

    def __call__(self, event: Event) -> None:
        for each in self.observers:
            each(event)


def combined(*observers: Observer | None) -> Observer | None:
    """Return observers as one, which calls each with each event once; None if there are none."""
    each: dict[Observer, None] = {}
    for observer in observers:
        several = observer.observers if isinstance(observer, _Several) else (observer,)
        each.update(dict.fromkeys(one for one in several if one is not None))
    return _Several(tuple(each)) if len(each) > 1 else next(iter(each), None)
