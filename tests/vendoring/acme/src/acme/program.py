"""Wait for a job of the embedded simulator, beside two other packages called common."""

from __future__ import annotations

import asyncio
import pickle
import sys

from acme import common as own
from acme._vendor import bluexp_jobs, cfjobs, ontapjobs
from acme._vendor.common import Job, JobRef, JobSource, JobState, connect, preload, wait_all
from acme._vendor.ontapjobs import OntapJobs
from acme._vendor.ontapjobs.simulator import OntapSimulator, faults
from common import HELP


async def finished(source: JobSource, refs: list[JobRef]) -> list[Job]:
    return [await source.wait(ref, timeout=60) for ref in refs]


async def main() -> None:
    simulator = OntapSimulator()
    simulator.inject("GET *", faults.Status(503), times=1)
    uuid = simulator.add_job([("running", 0.1), ("success", None)])
    async with OntapJobs("cluster1", auth=("admin", "x"), transport=simulator.transport()) as source:
        (job,) = await finished(source, [source.ref(uuid)])
        assert await wait_all(source, [job], check=False) == [job]
    state: JobState = job.state
    record: ontapjobs.JobRecord = ontapjobs.record(job)
    assert state is JobState.SUCCEEDED
    assert record.uuid == uuid
    assert pickle.loads(pickle.dumps(job)) == job
    assert type(job).__module__ == "acme._vendor.common"
    async with connect(str(job.ref), settings={"user": "admin", "password": "x"}) as again:
        assert isinstance(again, OntapJobs)
    assert {cfjobs.CFJobs.provider, bluexp_jobs.BlueXPJobs.provider} == {"cf", "bluexp"}
    preload()
    named = ("common", "ontapjobs", "cfjobs", "bluexp_jobs")
    loaded = {name for name in sys.modules if name.partition(".")[0] in named}
    assert loaded == {"common"}, loaded
    print(state.name, own.NAME, HELP)


asyncio.run(main())
