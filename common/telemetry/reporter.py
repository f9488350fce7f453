"""How an event of a source becomes a line of its provider's log, and a call of its observer."""

from __future__ import annotations

import logging
from typing import Any

import attrs

from common.model.refs import JobRef
from common.telemetry.events import Event, EventKind, Observer, Several


def logger_of(provider: str) -> logging.Logger:
    """Return the logger of what concerns the jobs of a provider: ``jobsource.ontap``, for one."""
    return logging.getLogger(f"jobsource.{provider}")


def job_log(ref: JobRef) -> logging.LoggerAdapter[logging.Logger]:
    """Return the same for lines about one job, which have its ref as a field, ``job_ref``."""
    return logging.LoggerAdapter(logger_of(ref.provider), {"job_ref": str(ref)})


@attrs.frozen(eq=False, repr=False)
class Reporter:
    """Tells the log and the observer of a source what its waits do.

    Most waits have neither: callers of `tell` look first whether anybody listens.
    """

    observer: Observer | None = attrs.field(repr=False)  # error trackers keep the repr of every local
    log: logging.Logger

    def tell(self, event: Event, level: int = logging.DEBUG) -> None:
        """Log an event and pass it to the observer."""
        if self.log.isEnabledFor(level):
            line = _retry_line(event) if event.kind is EventKind.TROUBLE else _line(event)
            self.log.log(level, "%s", line, extra=_fields(event))
        if self.observer is None:
            return
        for each in self.observer.observers if isinstance(self.observer, Several) else (self.observer,):
            try:
                each(event)
            except Exception:
                self.log.exception(
                    "the observer failed on %s of %s", event.kind, event.ref, extra=_fields(event)
                )


def _line(event: Event) -> str:
    if event.kind is EventKind.CHANGED:
        return str(event.job)
    if event.kind is EventKind.THROTTLED:
        return f"{event.ref.endpoint} throttles: no poll for {event.next_in or 0.0:.1f} s; {event.error}"
    return f"{event.ref} {event.kind}: {event.error or (event.job and event.job.state)}"


def _retry_line(event: Event) -> str:
    what = str(event.error)
    about = "" if what.startswith(str(event.ref)) else f"{event.ref}: "
    after = (
        "no attempt is left before its deadline"
        if event.next_in is None
        else f"next attempt in {event.next_in:.1f} s"
    )
    return f"{about}{what}; attempt {event.attempt}, for {event.failing_for:.0f} s; {after}"


def _fields(event: Event) -> dict[str, Any]:
    """Return what a log record has beside its text, by which logs are searched."""
    return {
        "job_ref": str(event.ref),
        "event": event.kind.value,
        "state": None if event.job is None else event.job.state.name,
        "error": None if event.error is None else type(event.error).__name__,
        "attempt": event.attempt,
        "next_in": event.next_in,
    }
