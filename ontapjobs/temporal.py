"""Waits for the jobs of NetApp ONTAP in Temporal (extra ``temporal``)."""

from __future__ import annotations

from common.integrations.temporal.activities import JobActivities
from common.integrations.temporal.errors import application_error, jobs_error
from common.integrations.temporal.plugin import JobsPlugin
from common.integrations.temporal.set_workflow import JobsWorkflow
from common.integrations.temporal.workflow import start_job, wait_for_job, wait_for_jobs

__all__ = [
    "JobActivities",
    "JobsPlugin",
    "JobsWorkflow",
    "application_error",
    "jobs_error",
    "start_job",
    "wait_for_job",
    "wait_for_jobs",
]
