"""Waits for the jobs of NetApp ONTAP in Apache Airflow 3.1 and later (extra ``airflow``)."""

from __future__ import annotations

from typing import Any

from common.integrations.airflow import asset_events, hook, operators, sensors, trigger
from common.integrations.airflow.links import JobLink
from common.model.endpoints import split_endpoint
from common.model.refs import JobRef, encode_segment
from ontapjobs.paths.gateway import outer_path
from ontapjobs.paths.links import JOBS
from ontapjobs.records.data_engine import PATH

__all__ = [
    "JobLink",
    "JobTrigger",
    "JobsEndedTrigger",
    "OntapHook",
    "StartJobOperator",
    "WaitForJobOperator",
    "WaitForJobSensor",
]

# Airflow stores the paths of these classes. They begin with this package, which says what is wrong where
# another package called common stands in the place of ours.


class OntapHook(hook.JobsHook):
    """A connection of type ``ontap``."""

    provider = "ontap"
    conn_type = "ontap"
    hook_name = "NetApp ONTAP"
    conn_name_attr = "ontap_conn_id"
    default_conn_name = "ontap_default"

    def __init__(self, ontap_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(ontap_conn_id, **kwargs)

    @classmethod
    def url(cls, ref: JobRef) -> str:
        """Return the URL of a job."""
        path = f"{dict(ref.scope).get(PATH, JOBS)}/{encode_segment(ref.id)}"
        return ref.endpoint + outer_path(path, split_endpoint(ref.endpoint)[1])


class JobTrigger(trigger.JobTrigger):
    """The trigger that waits for jobs of ONTAP in the triggerer."""

    hook_class = OntapHook


class WaitForJobOperator(operators.WaitForJobOperator):
    """Wait until jobs of ONTAP have ended."""

    trigger_class = JobTrigger

    def __init__(self, *, ontap_conn_id: str = OntapHook.default_conn_name, **kwargs: Any) -> None:
        super().__init__(conn_id=ontap_conn_id, **kwargs)


class WaitForJobSensor(sensors.WaitForJobSensor):
    """Wait until jobs of ONTAP have ended, as a sensor."""

    trigger_class = JobTrigger

    def __init__(self, *, ontap_conn_id: str = OntapHook.default_conn_name, **kwargs: Any) -> None:
        super().__init__(conn_id=ontap_conn_id, **kwargs)


class StartJobOperator(operators.StartJobOperator):
    """Start jobs of ONTAP by a write, and wait until they have ended."""

    trigger_class = JobTrigger

    def __init__(self, *, ontap_conn_id: str = OntapHook.default_conn_name, **kwargs: Any) -> None:
        super().__init__(conn_id=ontap_conn_id, **kwargs)


class JobsEndedTrigger(asset_events.JobsEndedTrigger):
    """Fire an event for each job of ONTAP that ends, for an ``AssetWatcher``."""

    hook_class = OntapHook
