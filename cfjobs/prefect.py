"""Waits for the jobs of Cloud Foundry in Prefect (extra ``prefect``)."""

from __future__ import annotations

from pydantic import Field, SecretStr

from common.integrations.prefect import blocks
from common.integrations.prefect.blocks import RemoteJobRun
from common.integrations.prefect.credentials import JobsCredentials
from common.integrations.prefect.tasks import start_job, wait_for_job, wait_for_jobs

__all__ = ["CFCredentials", "RemoteJob", "RemoteJobRun", "start_job", "wait_for_job", "wait_for_jobs"]

# Prefect's database names these types; where another package called common stands in the place of ours, this
# package says so.


class CFCredentials(JobsCredentials):
    """How to sign in to a foundation; its jobs are those of Cloud Foundry."""

    _block_type_name = "Cloud Foundry Credentials"
    _block_type_slug = "cf-credentials"
    _provider = "cf"

    user: str | None = Field(default=None, description="A user of the UAA")
    password: SecretStr | None = Field(default=None, description="The user's password")
    origin: str | None = Field(default=None, description="The identity provider of the user")
    client_id: str | None = Field(default=None, title="Client id", description="A client of the UAA")
    client_secret: SecretStr | None = Field(
        default=None, title="Client secret", description="The client's secret"
    )
    refresh_token: SecretStr | None = Field(
        default=None, title="Refresh token", description="A refresh token of the UAA"
    )
    token: SecretStr | None = Field(default=None, description="An access token, which is not renewed")
    login_url: str | None = Field(
        default=None, title="Login URL", description="The UAA, if the API does not name it"
    )


class RemoteJob(blocks.RemoteJob):
    """A write that starts a job of Cloud Foundry."""

    _block_type_name = "Cloud Foundry Job"
    _block_type_slug = "cf-job"

    credentials: CFCredentials = Field(description="The system, and how to sign in to it")
