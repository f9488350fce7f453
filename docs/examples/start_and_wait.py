"""Send a write, wait for its jobs, and cancel a job that takes too long."""

from common import WaitTimeout, wait_all
from common.testing import run
from ontapjobs import OntapJobs
from ontapjobs.simulator import OntapSimulator


async def main() -> None:
    cluster = OntapSimulator()
    async with OntapJobs("cluster1", auth=("admin", "x"), transport=cluster.transport()) as jobs:
        started = await jobs.start("POST", "/api/storage/volumes", json={"name": "v1"}, inline=5)
        for job in await wait_all(jobs, started.waitable, timeout=600):
            print(job.state.name, job.operation)

        slow = cluster.add_job([("running", 7200), ("success", None)])
        try:
            await jobs.wait(slow, timeout=60)
        except WaitTimeout as late:
            print("still", late.job.state.name if late.job else "unknown")
            await jobs.cancel(slow)
            print((await jobs.wait(slow, check=False)).done)


run(main)  # as asyncio.run(main()), in virtual time

# SUCCEEDED POST /api/storage/volumes
# still RUNNING
# True
