"""The additional fields of jobs of ONTAP's data engine: their path, progress and children.

Facts are from NetApp's Python client for 9.19, ``/data-engine/jobs`` and
``/data-engine/governance/file-preview/jobs``.
"""

from __future__ import annotations

from collections.abc import Mapping

from common.model.job import JobItem
from common.model.states import JobState, read_state
from ontapjobs.records.job_record import JobRecord, SubJob, error_detail

PATH = "path"
"""The part of a ref's scope that says where a job is polled, if not among the cluster's jobs."""

MORE_STATES: Mapping[str, JobState] = {
    "canceled": JobState.CANCELLED,
    "canceling": JobState.RUNNING,
    "timed_out": JobState.FAILED,
}
"""The words that only these jobs have."""


def read_progress(record: JobRecord) -> float | None:
    """Return ``percent_complete`` as a fraction, None if it is not a percentage."""
    percent = record.percent_complete
    return None if percent is None or not 0 <= percent <= 100 else percent / 100


def sub_job_items(
    record: JobRecord, table: Mapping[str, JobState], custom: Mapping[str, JobState] | None
) -> tuple[JobItem, ...]:
    """Return the children of a job. One that is only referred to is UNKNOWN."""
    return tuple(_item(index, child, table, custom) for index, child in enumerate(record.sub_jobs, 1))


def links_with_parent(record: JobRecord) -> Mapping[str, str]:
    """Return the links of a job, with its parent's as ``parent_job``."""
    parent = record.parent_job.links.get("self") if record.parent_job else None
    return {**record.links, "parent_job": parent} if parent else record.links


def _item(
    index: int, child: SubJob, table: Mapping[str, JobState], custom: Mapping[str, JobState] | None
) -> JobItem:
    id = child.uuid or child.name or str(index)
    return JobItem(
        id=id,
        kind="job",
        state=read_state(child.state, table, custom),
        native_state=child.state,
        errors=(error_detail(child.error, target=id),) if child.error else (),
    )
