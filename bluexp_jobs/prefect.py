"""Waits for the jobs of NetApp BlueXP backup and recovery in Prefect (extra ``prefect``)."""

from __future__ import annotations

from pydantic import Field, SecretStr

from bluexp_jobs.provider import ENDPOINT
from common.integrations.prefect import blocks
from common.integrations.prefect.blocks import RemoteJobRun
from common.integrations.prefect.credentials import JobsCredentials
from common.integrations.prefect.tasks import start_job, wait_for_job, wait_for_jobs

__all__ = ["BlueXPCredentials", "RemoteJob", "RemoteJobRun", "start_job", "wait_for_job", "wait_for_jobs"]

# Prefect's database names these types; where another package called common stands in the place of ours, this
# package says so.


class BlueXPCredentials(JobsCredentials):
    """How to sign in to BlueXP; its jobs are those of NetApp BlueXP backup and recovery."""

    _block_type_name = "BlueXP Credentials"
    _block_type_slug = "bluexp-credentials"
    _provider = "bluexp"

    endpoint: str = Field(default=ENDPOINT, description="Another one only in private mode: the agent's URL")
    account: str = Field(description="The account's id: account-…")
    agent: str = Field(description="The agent's (connector's) client id")
    refresh_token: SecretStr | None = Field(
        default=None, title="Refresh token", description="Of a user, from BlueXP's developer site"
    )
    client_id: str | None = Field(default=None, title="Client id", description="Of a service account")
    client_secret: SecretStr | None = Field(
        default=None, title="Client secret", description="Of a service account"
    )
    token: SecretStr | None = Field(default=None, description="An access token, which is not renewed")
    user: str | None = Field(default=None, description="A user who is not federated")
    password: SecretStr | None = Field(default=None, description="The user's password")
    token_url: str | None = Field(default=None, title="Token URL", description="Of another issuer")


class RemoteJob(blocks.RemoteJob):
    """A write that starts a job of NetApp BlueXP backup and recovery."""

    _block_type_name = "BlueXP Job"
    _block_type_slug = "bluexp-job"

    credentials: BlueXPCredentials = Field(description="The system, and how to sign in to it")
