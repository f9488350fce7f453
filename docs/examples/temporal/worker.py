"""A worker. Only it has the password; it closes its connections when it stops."""

import asyncio
import os

from temporalio.client import Client
from temporalio.worker import Worker
from workflows import MakeVolume

from ontapjobs.temporal import JobsPlugin


async def main() -> None:
    cluster = os.environ["CLUSTER"]  # such as ontap://cluster1.example.com
    plugin = JobsPlugin({cluster: {"user": "jobs", "password": os.environ["CLUSTER_PASSWORD"]}})
    client = await Client.connect(os.environ.get("TEMPORAL", "localhost:7233"), plugins=[plugin])
    async with Worker(client, task_queue="jobs", workflows=[MakeVolume], max_concurrent_activities=1000):
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
