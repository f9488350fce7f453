"""Waits for the jobs of NetApp ONTAP in Dagster (extra ``dagster``)."""

from __future__ import annotations

from typing import ClassVar

from common.integrations.dagster.failures import job_metadata
from common.integrations.dagster.resource import JobsResource, setting
from common.integrations.dagster.sensor import job_sensor

__all__ = ["OntapResource", "job_metadata", "job_sensor"]


class OntapResource(JobsResource):
    """An ONTAP cluster; ``target`` is such as ``ontap://cluster1.example.com``."""

    provider: ClassVar[str] = "ontap"

    token_url: str | None = setting("OAuth 2.0: where tokens are issued")
