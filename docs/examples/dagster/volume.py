"""Create a volume, and wait for its job in a second step, so a retry does not repeat the write."""

import dagster as dg

from ontapjobs.dagster import OntapResource, job_metadata


@dg.asset
async def volume_jobs(ontap: OntapResource) -> list[str]:
    return await ontap.start_job("POST", "/api/storage/volumes", body={"name": "vol1"})


@dg.asset(retry_policy=dg.RetryPolicy(max_retries=3, delay=30))
async def volume(volume_jobs: list[str], ontap: OntapResource) -> dg.MaterializeResult[None]:
    jobs = await ontap.wait_for_jobs(volume_jobs, timeout=3600, cancel_jobs=True)
    return dg.MaterializeResult(metadata=job_metadata(*jobs))


defs = dg.Definitions(
    assets=[volume_jobs, volume],
    resources={
        "ontap": OntapResource(
            target=dg.EnvVar("CLUSTER"),  # such as ontap://cluster1.example.com
            user="admin",
            password=dg.EnvVar("CLUSTER_PASSWORD"),
        )
    },
)
