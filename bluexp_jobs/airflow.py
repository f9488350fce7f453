"""Waits for the jobs of BlueXP backup and recovery in Apache Airflow 3.1 and later (extra ``airflow``)."""

from __future__ import annotations

from typing import Any

from bluexp_jobs.driver import jobs_path
from common.integrations.airflow import asset_events, hook, operators, sensors, trigger
from common.integrations.airflow.links import JobLink
from common.model.refs import ACCOUNT, JobRef, encode_segment

__all__ = [
    "BlueXPHook",
    "JobLink",
    "JobTrigger",
    "JobsEndedTrigger",
    "StartJobOperator",
    "WaitForJobOperator",
    "WaitForJobSensor",
]

# Airflow stores the paths of these classes. They begin with this package, which says what is wrong where
# another package called common stands in the place of ours.


class BlueXPHook(hook.JobsHook):
    """A connection of type ``bluexp``."""

    provider = "bluexp"
    conn_type = "bluexp"
    hook_name = "NetApp BlueXP backup and recovery"
    conn_name_attr = "bluexp_conn_id"
    default_conn_name = "bluexp_default"

    def __init__(self, bluexp_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(bluexp_conn_id, **kwargs)

    @classmethod
    def url(cls, ref: JobRef) -> str:
        """Return the URL of a job."""
        return f"{ref.endpoint}{jobs_path(dict(ref.scope)[ACCOUNT])}/{encode_segment(ref.id)}"


class JobTrigger(trigger.JobTrigger):
    """The trigger that waits for jobs of BlueXP in the triggerer."""

    hook_class = BlueXPHook


class WaitForJobOperator(operators.WaitForJobOperator):
    """Wait until jobs of BlueXP have ended."""

    trigger_class = JobTrigger

    def __init__(self, *, bluexp_conn_id: str = BlueXPHook.default_conn_name, **kwargs: Any) -> None:
        super().__init__(conn_id=bluexp_conn_id, **kwargs)


class WaitForJobSensor(sensors.WaitForJobSensor):
    """Wait until jobs of BlueXP have ended, as a sensor."""

    trigger_class = JobTrigger

    def __init__(self, *, bluexp_conn_id: str = BlueXPHook.default_conn_name, **kwargs: Any) -> None:
        super().__init__(conn_id=bluexp_conn_id, **kwargs)


class StartJobOperator(operators.StartJobOperator):
    """Start jobs of BlueXP by a write, and wait until they have ended."""

    trigger_class = JobTrigger

    def __init__(self, *, bluexp_conn_id: str = BlueXPHook.default_conn_name, **kwargs: Any) -> None:
        super().__init__(conn_id=bluexp_conn_id, **kwargs)


class JobsEndedTrigger(asset_events.JobsEndedTrigger):
    """Fire an event for each job of BlueXP that ends, for an ``AssetWatcher``."""

    hook_class = BlueXPHook
