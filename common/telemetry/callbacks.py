"""Functions of a caller's own that a wait calls in the event loop: what they raise is logged, not raised."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from common.model.job import Job
from common.model.refs import JobRef
from common.telemetry.reporter import job_log

OnUpdate = Callable[[Job], None]
"""Called in the event loop with the first observation of a job and with each change, so it must not block."""


def is_async(function: object) -> bool:
    """Whether a function is an async one, whose call would do nothing until it is awaited."""
    if not callable(function):
        return False
    return any(
        inspect.iscoroutinefunction(each) or inspect.isasyncgenfunction(each)
        for each in (function, function.__call__)
    )


def tell_update(on_update: OnUpdate | None, job: Job) -> None:
    """Pass an observation to the caller's function, if there is one."""
    if on_update is not None:
        _call(on_update, "on_update", job.ref, job)


def wants_cancel(on_cancel: Callable[[], bool], ref: JobRef) -> bool:
    """Ask the caller whether the remote job is to be cancelled: only True means so."""
    return _call(on_cancel, "on_cancel", ref) is True


def _call(function: Callable[..., Any], name: str, ref: JobRef, *args: object) -> Any:
    """Return what a function returns; None where it fails, which the log says."""
    try:
        value = function(*args)
    except Exception:
        job_log(ref).exception("%s: %s failed", ref, name)
        return None
    if inspect.iscoroutine(value):
        value.close()
        problem = "must be a plain function: what it returned would have to be awaited"
        job_log(ref).error("%s: %s %s", ref, name, problem)
        return None
    return value
