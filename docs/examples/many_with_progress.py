"""Wait for many jobs, print how many are left, and collect those that failed."""

import asyncio

from common import Job, JobSet
from ontapjobs import OntapJobs
from ontapjobs.simulator import OntapSimulator


async def main() -> None:
    cluster = OntapSimulator()
    for number in range(1000):
        end = "failure" if number % 250 == 0 else "success"
        cluster.add_job([("running", 5 + number / 50), (end, None)])

    async with OntapJobs("cluster1", auth=("admin", "x"), transport=cluster.transport()) as source:
        failed: list[Job] = []
        async with JobSet(source, list(cluster.jobs), timeout=3600) as jobs:
            jobs.close()
            async for outcome in jobs:
                if isinstance(outcome, Job) and not outcome.succeeded:
                    failed.append(outcome)
                if len(jobs) % 250 == 0:
                    print(f"{len(jobs)} left")
    print(len(failed), "failed")


asyncio.run(main())

# 750 left
# 500 left
# 250 left
# 0 left
# 4 failed
