"""Create a volume, and wait for its job: a workflow that survives the loss of its workers."""

from temporalio import workflow

from ontapjobs import Job
from ontapjobs.temporal import start_job, wait_for_job


@workflow.defn
class MakeVolume:
    @workflow.run
    async def run(self, cluster: str, name: str) -> list[Job]:
        refs = await start_job(cluster, "POST", "/api/storage/volumes", body={"name": name})
        return [await wait_for_job(ref, timeout=3600, cancel_job=True) for ref in refs]
