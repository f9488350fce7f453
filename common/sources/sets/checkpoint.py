"""The checkpoint of a set of waits: plain data, small enough for a heartbeat, and back."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import attrs

from common.model.errors import DecodeError, JobsError, SourceClosed, UsageError
from common.model.job import Job
from common.model.refs import JobRef
from common.model.serialize import from_dict, to_dict
from common.model.states import JobState
from common.options import read_deadline
from common.polling.wait import Wait
from common.sources.batch_look import Outcome

VERSION = 1
"""The version of the format, stored so that a later release can read it."""

Row = list[Any]
"""``[ref, state, run time, seen]``, and ``limit, deadline`` where the wait has them.

Times are in seconds, ``seen`` and ``deadline`` since 1970; ``state`` and ``seen`` are None for a job that was
never seen. ``limit`` is what the caller gave: seconds, or a date as text. For a wait that has ended, the job
or the error as plain data takes the place of the ref.
"""


@attrs.frozen
class Resumed:
    """A wait of another process, read from its checkpoint."""

    job: JobRef | Job
    run_time: float
    """Seconds for which the job had been running when it was last seen."""
    limit: float | datetime | None
    """The ``timeout`` in seconds, or the ``deadline``, that was given there."""
    remaining: float | None
    """Seconds to the deadline; 0 where it has passed, None where there is none."""
    error: JobsError | None = None
    """The error that it ended with there."""


def write_checkpoint(waits: Iterable[tuple[Wait, Outcome | None]], now: float) -> dict[str, Any]:
    """Return what another process needs to continue these waits; ``now`` is the loop's time.

    Each wait comes with its outcome, None if it has not ended.
    """
    ahead = time.time() - now  # read once: waits with the same deadline keep the same one in the checkpoint
    return {"version": VERSION, "waits": [_write_row(wait, outcome, now, ahead) for wait, outcome in waits]}


def _write_row(wait: Wait, outcome: Outcome | None, now: float, ahead: float) -> Row:
    last, seen_at = wait.last, wait.seen_at
    if isinstance(outcome, SourceClosed | UsageError):
        outcome = None  # this says nothing about the job: another process continues the wait
    known = outcome
    if known is None and last is not None and last.done:
        known = last  # its results are still to be read
    seen = None if seen_at is None else round(seen_at.timestamp(), 1)
    state = None if last is None or seen is None else last.state.value
    named: str | dict[str, Any] = str(wait.ref)
    if isinstance(known, JobsError):
        named = {**to_dict(known), "ref": named}  # the caller's probe may have raised one without
    elif known is not None:
        named = to_dict(known)
    row: Row = [named, state, round(wait.run_time(now), 1), seen]
    if wait.limit is not None and outcome is None:
        limit = wait.limit.isoformat() if isinstance(wait.limit, datetime) else wait.limit
        deadline = wait.began if wait.deadline == math.inf else wait.deadline
        row += [limit, round(deadline + ahead, 1)]
    return row


def read_checkpoint(data: object) -> list[Resumed]:
    """Return the waits of a checkpoint.

    Raise `UsageError` for a checkpoint of another version, and for data that is no checkpoint.
    """
    if not isinstance(data, Mapping) or not isinstance(data.get("waits"), list | tuple):
        raise UsageError("checkpoint= must be what JobSet.checkpoint() returned")
    if data.get("version") != VERSION:
        raise UsageError(
            f"the checkpoint is of version {data.get('version')!r}, but this release reads version {VERSION}"
        )
    # Read once: waits with the same deadline then have the same time left, and share one `WaitSpec`.
    now = time.time()
    return [_read_row(row, number, now) for number, row in enumerate(data["waits"])]


def _read_row(row: Any, number: int, now: float) -> Resumed:
    try:
        named, state, run_time, seen, *limits = row
        limit, deadline = limits or (None, None)
        given = None if isinstance(limit, str) else limit
        numbers = [run_time, *(each for each in (seen, given, deadline) if each is not None)]
        if any(isinstance(each, bool) or not 0 <= each < math.inf for each in numbers):
            raise ValueError("a time is not a number of seconds")
        remaining = None if deadline is None else max(0.0, deadline - now)
        if isinstance(limit, str):
            limit = read_deadline(datetime.fromisoformat(limit))
        error = None
        if isinstance(named, Mapping):
            job, error = _read_outcome(named)
        else:
            job = JobRef.parse(named)
            if seen is not None:
                job = Job(job, JobState(state), observed_at=datetime.fromtimestamp(seen, UTC))
                if job.done:
                    raise ValueError("a job that has ended is written in full")
        return Resumed(job, float(run_time), limit, remaining, error)
    except (TypeError, ValueError, OverflowError, OSError, DecodeError, UsageError) as error:
        raise UsageError(f"wait {number} of the checkpoint is invalid: {error}") from None


def _read_outcome(data: Mapping[str, Any]) -> tuple[JobRef | Job, JobsError | None]:
    outcome: Outcome = from_dict(data)
    if isinstance(outcome, Job):
        return outcome, None
    if outcome.ref is None:
        raise ValueError("an error has no job")
    return outcome.ref, outcome
