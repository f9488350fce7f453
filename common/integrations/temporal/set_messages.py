"""The messages between a set's workflow, its activity and its requesters, with few bytes for each job."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

JOBS_WORKFLOW = "jobsource.Jobs"
WATCH_JOBS = "jobsource.watch_jobs"
ADD_JOBS = "jobsource.add_jobs"
_T = TypeVar("_T")

ADD = "add"
DISCARD = "discard"
TOLD = "told"
MORE = "more"
JOBS_ENDED = "jobsource.jobs_ended"
# Histories hold these names: they stay as they are.

MAX_JOBS = 10_000
"""Open jobs of a set, and jobs of one call: all of them are in one payload, which may have 2 MiB."""
BATCH = 100
"""Outcomes in a signal: it may have 2 MiB."""

SEEN = 4

OutcomeRow = list[Any]
"""``[call, job, outcome]``: the id of a call, a whole ref, and how its wait ended as plain data."""
Row = list[Any]
"""``[job, deadline, requester, call, seen]``; `SEEN` is the index of the last one.

These are a job as `shorten` writes it, seconds since 1970 or None, the id of the workflow to which the
outcome is reported, the id of its call, and whether the job has been seen. In `SetChanges`, the row's number
comes first.
"""


@dataclass(frozen=True)
class SetState:
    """A set as a run of its workflow begins with it: the system, and the rows that are open.

    A run ends after some ``history_limit`` events, and another one goes on.
    """

    target: str
    rows: list[Row] = field(default_factory=list[Row])
    history_limit: int = 10_000


@dataclass(frozen=True)
class SetChanges:
    """The changes of a set since its activity last asked.

    These are the new rows, the number that the next row will have, whether the activity is to end, and the
    numbers of discarded rows.
    """

    rows: list[Row]
    following: int
    over: bool
    discarded: list[int] = field(default_factory=list[int])


@dataclass(frozen=True)
class AddRequest:
    """Jobs to wait for in the sets of their systems, each in one of so many ``shards``.

    ``requester`` is the id of the workflow that asks, ``call`` tells its calls apart.
    """

    jobs: list[str]
    deadline: float | None
    requester: str
    call: str
    shards: int = 1
    history_limit: int = 10_000


def shorten(job: str, target: str) -> str:
    """Return a ref without what it has of the target, before the job's id and after it."""
    address, mark, scope = target.partition("?")
    short = job.removeprefix(address).removesuffix(mark + scope)
    return short if lengthen(short, target) == job else job


def lengthen(job: str, target: str) -> str:
    """Return the ref that was shortened."""
    address, mark, scope = target.partition("?")
    return job if "://" in job else f"{address}{job}{mark}{scope}"


def batches(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    """Yield the items in lists of at most ``size``."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
