"""A write stored as a block: people edit it in a form, without a change to the flow."""

import asyncio

from prefect import flow

from ontapjobs.prefect import OntapCredentials, RemoteJob


@flow(log_prints=True)
async def run_the_job(name: str) -> None:
    job: RemoteJob = await RemoteJob.aload(name)
    run = await job.trigger()
    await run.wait_for_completion()  # a failed job raises nothing here
    print(*await run.fetch_result(), sep="\n")


async def save_the_job(name: str) -> None:
    credentials = await OntapCredentials.aload("cluster1")
    job = RemoteJob(credentials=credentials, path="/api/storage/volumes", body={"name": "vol2"})
    await job.asave(name, overwrite=True)


if __name__ == "__main__":
    asyncio.run(save_the_job("make-vol2"))
    asyncio.run(run_the_job("make-vol2"))
