"""Wait on trio, with a deadline for the whole block."""

import trio

from ontapjobs import OntapJobs
from ontapjobs.simulator import OntapSimulator


async def main() -> None:
    cluster = OntapSimulator()
    uuid = cluster.add_job([("running", 2), ("success", None)])
    async with OntapJobs("cluster1", auth=("admin", "x"), transport=cluster.transport()) as jobs:
        with trio.move_on_after(0.5):
            await jobs.wait(uuid)
        print((await jobs.get(uuid)).state.name)
        print((await jobs.wait(uuid)).state.name)


trio.run(main)

# RUNNING
# SUCCEEDED
