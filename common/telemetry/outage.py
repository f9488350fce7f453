"""What the log says where polls fail: a line for each outage of a source, and not for each of its waits."""

from __future__ import annotations

import logging

import attrs

from common.telemetry.events import Event


@attrs.define(eq=False)
class OutageLog:
    """Logs an outage of one source: a WARNING when it begins, and INFO when it is over.

    It begins with the first poll that fails. It is over with the first good reply once no wait is left whose
    last poll failed, so that a server of which every other reply fails does not fill the log. A failure of
    another kind (the exception's class) is one more WARNING, once an outage.
    """

    _log: logging.Logger
    failing: set[object] = attrs.field(factory=set)
    """The waits whose last poll failed."""
    kinds: set[str] = attrs.field(factory=set)
    """The kinds of failures since the outage began; empty while there is none."""
    _began: float = 0.0
    _failures: int = 0

    def failed(self, wait: object, event: Event, *, jobs: int, now: float) -> None:
        """Note that a poll of a wait failed, as its event tells. The source is asked about so many jobs."""
        if not self.kinds:
            self._began, self._failures = now, 0
        self._failures += 1
        self.failing.add(wait)
        kind = type(event.error).__name__
        if kind in self.kinds:
            return
        self.kinds.add(kind)
        self._tell(
            logging.WARNING,
            f"polls fail: {event.error}; jobs waited for: {jobs}",
            event,
            {"event": "outage", "error": kind, "jobs": jobs},
        )

    def answered(self, wait: object, event: Event, *, now: float) -> None:
        """Note a good reply to a poll of a wait, while there is an outage."""
        self.failing.discard(wait)
        if self.failing:
            return
        self.kinds.clear()
        seconds = now - self._began
        self._tell(
            logging.INFO,
            f"polls succeed again: {self._failures} failed in {seconds:.0f} s",
            event,
            {"event": "recovered", "failures": self._failures, "seconds": seconds},
        )

    def _tell(self, level: int, text: str, event: Event, fields: dict[str, object]) -> None:
        ref = event.ref
        self._log.log(level, "%s: %s", ref.endpoint, text, extra={"job_ref": str(ref), **fields})
