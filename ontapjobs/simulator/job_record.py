"""The record of a job at a given time in a given release, and when the job is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ontapjobs.simulator.errors import FAILED, NOT_BEGUN, TERMINAL
from ontapjobs.simulator.fields import Version, selectable

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from common.simulator.script import ScriptedJob

JOBS = "/api/cluster/jobs"
"""The path of the cluster's jobs."""
HIDDEN = frozenset({"path", "results", "results_path"})
"""The fields that say where a job is and what its results are. They are in no record."""


def link(job: ScriptedJob) -> dict[str, Any]:
    """Return how other responses name a job: its uuid and its link."""
    return {"uuid": job.id, "_links": {"self": {"href": f"{jobs_path(job)}/{job.id}"}}}


def jobs_path(job: ScriptedJob) -> str:
    """Return the path of the collection that a job is in: the cluster's jobs, unless it says otherwise."""
    path: str = job.fields.get("path") or JOBS
    return path


def is_gone(job: ScriptedJob, now: float, retention: float) -> bool:
    """Whether a job is gone: its script has run out, or it ended ``retention`` seconds ago or earlier."""
    ended = job.life.entered(TERMINAL)
    return job.at(now) is None or (ended is not None and now >= ended + retention)


def has_ended(job: ScriptedJob, now: float) -> bool:
    """Whether a job is in a terminal state, or gone."""
    moment = job.at(now)
    return moment is None or moment.state in TERMINAL


def render(
    job: ScriptedJob, now: float, version: Version, wall: Callable[[float], datetime]
) -> dict[str, Any]:
    """Return the record of a job, without fields that are None. Raise `ValueError` once it is gone."""
    moment = job.at(now)
    if moment is None:
        raise ValueError(f"the script of job {job.id} has run out")
    names = selectable(version)
    fields: dict[str, Any] = {
        **link(job),
        "state": moment.state,
        "code": 0,
        **_times(job, now, wall),
        **moment.fields,
    }
    if moment.state == "success":
        fields.setdefault("message", "success")
    if moment.state in FAILED and "error" not in fields and fields.get("message"):
        fields["error"] = {"message": fields["message"], "code": str(fields["code"])}
    old = HIDDEN | ({"svm", "error", "node"} - names)
    return {key: value for key, value in fields.items() if value is not None and key not in old}


def _times(job: ScriptedJob, now: float, wall: Callable[[float], datetime]) -> dict[str, str]:
    moments = {"start_time": job.life.left(NOT_BEGUN), "end_time": job.life.entered(TERMINAL)}
    return {
        name: wall(at).isoformat(timespec="seconds")
        for name, at in moments.items()
        if at is not None and at <= now
    }
