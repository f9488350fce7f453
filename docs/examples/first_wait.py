"""Watch one job, and print each change."""

import asyncio

from ontapjobs import OntapJobs
from ontapjobs.simulator import OntapSimulator


async def main() -> None:
    cluster = OntapSimulator()
    uuid = cluster.add_job(
        [("queued", 2), ("running", 8), ("success", None)], description="POST /api/storage/luns"
    )

    async with OntapJobs("cluster1", auth=("admin", "x"), transport=cluster.transport()) as jobs:
        async for job in jobs.watch(uuid):
            print(job.state.name, job.operation)


asyncio.run(main())

# QUEUED POST /api/storage/luns
# RUNNING POST /api/storage/luns
# SUCCEEDED POST /api/storage/luns
