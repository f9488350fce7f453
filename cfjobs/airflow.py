"""Waits for the jobs of Cloud Foundry in Apache Airflow 3.1 and later (extra ``airflow``)."""

from __future__ import annotations

from typing import Any

from cfjobs.driver import JOBS
from common.integrations.airflow import hook, operators, sensors, trigger
from common.integrations.airflow.links import JobLink
from common.model.refs import JobRef, encode_segment

__all__ = [
    "CFHook",
    "JobLink",
    "JobTrigger",
    "StartJobOperator",
    "WaitForJobOperator",
    "WaitForJobSensor",
]

# Airflow stores the paths of these classes. They begin with this package, which says what is wrong where
# another package called common stands in the place of ours.


class CFHook(hook.JobsHook):
    """A connection of type ``cf``."""

    provider = "cf"
    conn_type = "cf"
    hook_name = "Cloud Foundry"
    conn_name_attr = "cf_conn_id"
    default_conn_name = "cf_default"

    def __init__(self, cf_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(cf_conn_id, **kwargs)

    @classmethod
    def url(cls, ref: JobRef) -> str:
        """Return the URL of a job."""
        return f"{ref.endpoint}{JOBS}/{encode_segment(ref.id)}"


class JobTrigger(trigger.JobTrigger):
    """The trigger that waits for jobs of Cloud Foundry in the triggerer."""

    hook_class = CFHook


class WaitForJobOperator(operators.WaitForJobOperator):
    """Wait until jobs of Cloud Foundry have ended."""

    trigger_class = JobTrigger

    def __init__(self, *, cf_conn_id: str = CFHook.default_conn_name, **kwargs: Any) -> None:
        super().__init__(conn_id=cf_conn_id, **kwargs)


class WaitForJobSensor(sensors.WaitForJobSensor):
    """Wait until jobs of Cloud Foundry have ended, as a sensor."""

    trigger_class = JobTrigger

    def __init__(self, *, cf_conn_id: str = CFHook.default_conn_name, **kwargs: Any) -> None:
        super().__init__(conn_id=cf_conn_id, **kwargs)


class StartJobOperator(operators.StartJobOperator):
    """Start jobs of Cloud Foundry by a write, and wait until they have ended."""

    trigger_class = JobTrigger

    def __init__(self, *, cf_conn_id: str = CFHook.default_conn_name, **kwargs: Any) -> None:
        super().__init__(conn_id=cf_conn_id, **kwargs)
