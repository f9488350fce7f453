"""The checkpoint of a set of waits: plain data, small enough for a heartbeat, and back."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import attrs

from common.model.errors import DecodeError, UsageError
from common.model.job import Job
from common.model.refs import JobRef
from common.model.serialize import from_dict, to_dict
from common.model.states import JobState
from common.polling.wait import Wait

VERSION = 1
"""Written beside the waits, so that a later version can read what an earlier one wrote."""

Row = list[Any]
"""``[ref, state, run time, seen]``, and ``timeout, deadline`` where the wait has them.

Seconds; ``seen`` and ``deadline`` since 1970; ``state`` and ``seen`` are None for a job that was never seen.
For a job that was seen to end, all that was seen of it stands in place of the ref.
"""


@attrs.frozen
class Resumed:
    """A wait of another process, as its checkpoint tells it."""

    job: JobRef | Job
    ran: float
    timeout: float | None
    """As it was given there, in seconds."""
    remaining: float | None
    """Seconds to the deadline; 0 where it has passed, None where there is none."""


def write_checkpoint(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the checkpoint with these rows."""
    return {"version": VERSION, "waits": list(rows)}


def write_row(wait: Wait, job: Job | None, now: float) -> Row:
    """Return what another process needs to go on with a wait; ``now`` is the loop's time.

    ``job`` is what it has ended with, if it has.
    """
    last, seen_at = wait.last, wait.seen_at
    if job is None and last is not None and last.done:
        job = last  # its results are still to be read
    seen = None if seen_at is None else round(seen_at.timestamp(), 1)
    state = None if last is None or seen is None else last.state.value
    row: Row = [str(wait.ref) if job is None else to_dict(job), state, round(wait.run_time(now), 1), seen]
    if wait.timeout is not None and (job is None or not wait.ended):
        deadline = wait.began if wait.deadline == math.inf else wait.deadline
        row += [wait.timeout, round(time.time() + deadline - now, 1)]
    return row


def read_checkpoint(data: object) -> list[Resumed]:
    """Return the waits of a checkpoint.

    Raise `UsageError` for data of another version, and for what is none.
    """
    if not isinstance(data, Mapping) or not isinstance(data.get("waits"), list | tuple):
        raise UsageError("checkpoint= must be what JobSet.checkpoint() returned")
    if data.get("version") != VERSION:
        raise UsageError(
            f"the checkpoint is of version {data.get('version')!r}, but this release reads version {VERSION}"
        )
    return [_read_row(row, number) for number, row in enumerate(data["waits"])]


def _read_row(row: Any, number: int) -> Resumed:
    try:
        named, state, ran, seen, *limits = row
        timeout, deadline = limits or (None, None)
        numbers = [ran, *(each for each in (seen, timeout, deadline) if each is not None)]
        if any(isinstance(each, bool) or not 0 <= each < math.inf for each in numbers):
            raise ValueError("a time is no number of seconds")
        remaining = None if deadline is None else max(0.0, deadline - time.time())
        if isinstance(named, Mapping):
            job: JobRef | Job = _read_job(named)
        else:
            job = JobRef.parse(named)
            if seen is not None:
                job = Job(job, JobState(state), observed_at=datetime.fromtimestamp(seen, UTC))
                if job.done:
                    raise ValueError("a job that has ended is written in full")
        return Resumed(job, float(ran), timeout, remaining)
    except (TypeError, ValueError, OverflowError, OSError, DecodeError, UsageError) as error:
        raise UsageError(
            f"wait {number} of the checkpoint is not as JobSet.checkpoint() wrote it: {error}"
        ) from None


def _read_job(data: Mapping[str, Any]) -> Job:
    job = from_dict(data)
    if not isinstance(job, Job):
        raise TypeError("an error stands in the place of a job")
    return job
