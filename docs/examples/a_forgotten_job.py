"""A job that the server has deleted: find out how it ended from the resource."""

import anyio

from common import JobGone
from common.testing import run
from ontapjobs import JobState, OntapJobs
from ontapjobs.simulator import OntapSimulator


async def main() -> None:
    cluster = OntapSimulator()
    async with OntapJobs("cluster1", auth=("admin", "x"), transport=cluster.transport()) as jobs:
        seen = await jobs.get(cluster.add_job([("running", 5), ("success", None)]))
        await anyio.sleep(3600)  # our process was down for an hour; ONTAP keeps finished jobs for 5 minutes

        try:
            await jobs.wait(seen)
        except JobGone as gone:
            print("gone:", gone.job is not None)

        async def look(ref: object, last: object) -> JobState:
            return JobState.SUCCEEDED  # for example, because the volume is no longer there

        job = await jobs.wait(seen, resolve_gone=look)
        print(job.state.name, "resolved" if job.resolved else "as the server said")


run(main)  # as asyncio.run(main()), in virtual time

# gone: True
# SUCCEEDED resolved
