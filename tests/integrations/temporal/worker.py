"""A worker as a process: ``worker.py ADDRESS TASK_QUEUE SYSTEMS`` (JSON); SIGTERM stops it in order."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import warnings

from temporalio.client import Client
from temporalio.worker import Worker

from ontapjobs.temporal import JobsPlugin
from tests.integrations.temporal.workflows import WORKFLOWS


async def main(address: str, task_queue: str, systems: str) -> None:
    plugin = JobsPlugin(json.loads(systems))
    client = await Client.connect(address, plugins=[plugin])
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with Worker(client, task_queue=task_queue, workflows=WORKFLOWS):
        print("ready", flush=True)
        await stop.wait()


if __name__ == "__main__":
    warnings.simplefilter("error")
    asyncio.run(main(*sys.argv[1:]))
