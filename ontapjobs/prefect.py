"""Waits for the jobs of NetApp ONTAP in Prefect (extra ``prefect``)."""

from __future__ import annotations

from pydantic import Field, SecretStr

from common.integrations.prefect import blocks
from common.integrations.prefect.blocks import RemoteJobRun
from common.integrations.prefect.credentials import JobsCredentials
from common.integrations.prefect.tasks import start_job, wait_for_job, wait_for_jobs

__all__ = ["OntapCredentials", "RemoteJob", "RemoteJobRun", "start_job", "wait_for_job", "wait_for_jobs"]

# Prefect's database names these types; where another package called common stands in the place of ours, this
# package says so.


class OntapCredentials(JobsCredentials):
    """How to sign in to a cluster or SVM; its jobs are those of NetApp ONTAP."""

    _block_type_name = "ONTAP Credentials"
    _block_type_slug = "ontap-credentials"
    _provider = "ontap"

    user: str | None = Field(default=None, description="A user of the cluster or of an SVM")
    password: SecretStr | None = Field(default=None, description="The user's password")
    token: SecretStr | None = Field(default=None, description="An OAuth 2.0 access token, in place of a user")
    token_url: str | None = Field(
        default=None, title="Token URL", description="The authorization server's, for client credentials"
    )
    client_id: str | None = Field(default=None, title="Client id", description="OAuth 2.0 client credentials")
    client_secret: SecretStr | None = Field(
        default=None, title="Client secret", description="OAuth 2.0 client credentials"
    )


class RemoteJob(blocks.RemoteJob):
    """A write that starts a job of NetApp ONTAP."""

    _block_type_name = "ONTAP Job"
    _block_type_slug = "ontap-job"

    credentials: OntapCredentials = Field(description="The system, and how to sign in to it")
