"""Wait for jobs of several systems through one source."""

import asyncio

from bluexp_jobs import Bearer, BlueXPJobs
from bluexp_jobs.simulator import BlueXPSimulator
from cfjobs import CFJobs
from cfjobs.simulator import CFSimulator
from common import Fleet, Job, as_completed
from ontapjobs import OntapJobs
from ontapjobs.simulator import OntapSimulator


async def main() -> None:
    cluster, service, foundation = OntapSimulator(), BlueXPSimulator(), CFSimulator()
    ontap = OntapJobs("cluster1", auth=("admin", "x"), transport=cluster.transport())
    bluexp = BlueXPJobs(account="a1", agent="g1", auth=Bearer("t"), transport=service.transport())
    cf = CFJobs("api.example.org", auth=Bearer("t"), transport=foundation.transport())
    refs = [
        ontap.ref(cluster.add_job([("running", 10), ("success", None)])),
        bluexp.ref(service.add_job([("IN_PROGRESS", 20), ("COMPLETED", None)])),
        cf.ref(foundation.add_job([("PROCESSING", 5), ("FAILED", None)])),
    ]
    async with Fleet([ontap, bluexp, cf]) as fleet, as_completed(fleet, refs) as outcomes:
        async for outcome in outcomes:
            if isinstance(outcome, Job):  # else it is the JobsError that the wait ended with
                print(outcome.ref.provider, outcome.state.name)


asyncio.run(main())

# cf FAILED
# ontap SUCCEEDED
# bluexp SUCCEEDED
