"""Start the workflow, and print how it ended."""

import asyncio
import os

from temporalio.client import Client, WorkflowFailureError
from workflows import MakeVolume

from ontapjobs.temporal import JobsPlugin, jobs_error


async def main() -> None:
    client = await Client.connect(os.environ.get("TEMPORAL", "localhost:7233"), plugins=[JobsPlugin()])
    try:
        jobs = await client.execute_workflow(
            MakeVolume.run, args=[os.environ["CLUSTER"], "vol1"], id="make-vol1", task_queue="jobs"
        )
    except WorkflowFailureError as failure:
        print(jobs_error(failure) or failure)
    else:
        print(*jobs, sep="\n")


if __name__ == "__main__":
    asyncio.run(main())
