"""Waits for the jobs of Cloud Foundry in Dagster (extra ``dagster``)."""

from __future__ import annotations

from typing import ClassVar

from common.integrations.dagster.failures import job_metadata
from common.integrations.dagster.resource import JobsResource, secret, setting
from common.integrations.dagster.sensor import job_sensor

__all__ = ["CFResource", "job_metadata", "job_sensor"]


class CFResource(JobsResource):
    """A Cloud Foundry; ``target`` is such as ``cf://api.example.org``."""

    provider: ClassVar[str] = "cf"

    refresh_token: str | None = secret("A user's refresh token")
    origin: str | None = setting("The identity provider of the user")
    login_url: str | None = setting("The UAA, if the API does not name it")
