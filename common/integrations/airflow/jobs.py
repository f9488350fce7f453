"""Which jobs a task's argument names: refs and ids, outcomes of other tasks, and lists of them."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

from common.model.errors import JobsError, UsageError
from common.model.job import Job
from common.model.serialize import from_dict

JobArgument = str | Mapping[str, Any] | Sequence["JobArgument"]
"""A job's ref or id, the XCom of a task that waited for it, or a list of them."""


def named_jobs(job: object) -> list[str]:
    """Return the refs and ids that ``job`` names, in order. Raise `UsageError`."""
    job = _value(job)
    if isinstance(job, str):
        return [job]
    if isinstance(job, Mapping):
        return [_ref_of(job)]
    if isinstance(job, Sequence):
        return [named for each in job for named in named_jobs(each)]
    raise UsageError(
        f"job= must be a job's ref or id, the outcome of a task, or a list of them, not {type(job).__name__}"
    )


def is_list(job: object) -> bool:
    """Whether ``job`` is a list, also of one: then the outcome is one too."""
    return not isinstance(_value(job), str | Mapping)


def _value(job: object) -> object:
    # Of an XCom, a template makes text; no ref and no id begins like that.
    if not isinstance(job, str) or not job.startswith(("[", "{")):
        return job
    try:
        return ast.literal_eval(job)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return job


def _ref_of(data: Mapping[str, Any]) -> str:
    try:
        outcome: Job | JobsError = from_dict(data)
    except JobsError as error:
        raise UsageError(f"job= is not the outcome of a task: {error}") from None
    if outcome.ref is None:
        raise UsageError(f"job= is an outcome without a job: {outcome}")
    return str(outcome.ref)
