"""Test a day of waiting with outages in it; in virtual time it takes milliseconds."""

import anyio

from common.testing import run
from ontapjobs import OntapJobs
from ontapjobs.simulator import OntapSimulator, faults


async def main() -> None:
    cluster = OntapSimulator()
    uuid = cluster.add_job([("running", 24 * 3600), ("success", None)])
    cluster.inject("GET *", faults.RetryAfter(90), times=1, after=3)
    cluster.inject("GET *", faults.Reset(), times=5, after=10)
    cluster.inject("GET *", faults.Html(504), times=3, after=30)

    async with OntapJobs("cluster1", auth=("admin", "x"), transport=cluster.transport()) as jobs:
        job = await jobs.wait(uuid)
    cluster.verify()  # fails unless each fault was met
    print(job.state.name, "after", round(anyio.current_time() / 3600), "hours")


run(main)

# SUCCEEDED after 24 hours
