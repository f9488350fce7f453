"""Waits for the jobs of BlueXP backup and recovery in Dagster (extra ``dagster``)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from common.integrations.dagster.failures import job_metadata
from common.integrations.dagster.resource import JobsResource, secret, setting
from common.integrations.dagster.sensor import job_sensor

__all__ = ["BlueXPResource", "job_metadata", "job_sensor"]


class BlueXPResource(JobsResource):
    """BlueXP backup and recovery; ``target`` names another endpoint in private mode, the agent's own."""

    provider: ClassVar[str] = "bluexp"

    target: str = Field(default="bluexp://api.bluexp.netapp.com", description="The service, or an agent")
    account: str | None = setting("The account's id")
    agent: str | None = setting("The id of the agent (connector) that runs the jobs")
    refresh_token: str | None = secret("A user's refresh token")
