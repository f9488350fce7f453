"""Start many jobs, and wait for all of them in one task."""

import asyncio

from prefect import flow

from ontapjobs import JobsError
from ontapjobs.prefect import OntapCredentials, start_job, wait_for_jobs


@flow(log_prints=True)
async def make_many(names: list[str]) -> None:
    credentials = await OntapCredentials.aload("cluster1")
    writes = [start_job(credentials, "POST", "/api/storage/volumes", {"name": name}) for name in names]
    refs = [ref for started in await asyncio.gather(*writes) for ref in started]
    outcomes = await wait_for_jobs(credentials, refs, timeout=3600, check=False)
    failed = [outcome for outcome in outcomes if isinstance(outcome, JobsError) or not outcome.succeeded]
    print(f"{len(outcomes) - len(failed)} made, {len(failed)} failed", *failed, sep="\n")


if __name__ == "__main__":
    asyncio.run(make_many([f"vol{number}" for number in range(20)]))
