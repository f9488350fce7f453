"""Celery: a task waits for a set of jobs for five seconds, and then queues itself again.

So a long job does not occupy a worker process, and a worker can stop after five seconds.
"""

import asyncio
import os
from typing import Any

import anyio
from celery import Celery

from common import JobSet, connect, to_dict

FOLDER = os.environ["BROKER_FOLDER"]
SETTINGS = {"user": "admin", "password": os.environ["CLUSTER_PASSWORD"]}
SECONDS = 5

app = Celery("jobs", broker="filesystem://", backend=f"file://{FOLDER}/results")
app.conf.broker_transport_options = dict.fromkeys(
    ("data_folder_in", "data_folder_out", "control_folder"), f"{FOLDER}/queue"
)


async def wait(refs: list[str], checkpoint: dict[str, Any] | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the outcomes of the next seconds, and a checkpoint of the remaining waits."""
    ended: dict[str, Any] = {}
    async with connect(os.environ["CLUSTER"], settings=SETTINGS) as source:
        async with JobSet(source, refs, checkpoint=checkpoint) as jobs:
            jobs.close()
            with anyio.move_on_after(SECONDS):
                async for outcome in jobs:
                    ended[str(outcome.ref)] = to_dict(outcome)
        return ended, jobs.checkpoint()


@app.task(bind=True, max_retries=None, acks_late=True, reject_on_worker_lost=True)
def wait_for_jobs(
    self: Any, refs: list[str], checkpoint: dict[str, Any] | None = None, ended: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return the outcome of each job by ref, as plain data."""
    more, checkpoint = asyncio.run(wait(refs, checkpoint))
    ended = {**(ended or {}), **more}
    if checkpoint["waits"]:
        raise self.retry(args=([], checkpoint, ended), countdown=0)
    return ended
