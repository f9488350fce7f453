"""Create a volume, and wait for its job. A flow run that is killed and retried sends only one write."""

import asyncio

from prefect import flow

from ontapjobs.prefect import OntapCredentials, start_job, wait_for_job


@flow(log_prints=True)
async def make_a_volume(name: str) -> None:
    credentials = await OntapCredentials.aload("cluster1")
    for ref in await start_job(credentials, "POST", "/api/storage/volumes", {"name": name}):
        print(await wait_for_job(credentials, ref, timeout=3600, cancel_job=True))


if __name__ == "__main__":
    asyncio.run(make_a_volume("vol1"))
