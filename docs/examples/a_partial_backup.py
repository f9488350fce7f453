"""A backup that reports success although one of its volumes failed."""

import asyncio

from bluexp_jobs import Bearer, BlueXPJobs, JobPartiallyFailed
from bluexp_jobs.simulator import BlueXPSimulator

VOLUMES = [
    {"id": "vol-1", "status": "SUCCESS"},
    {"id": "vol-2", "status": "FAILED", "error": "the snapshot was deleted"},
]


async def main() -> None:
    service = BlueXPSimulator()
    backup = {"multi-volume-backup": {"volume": VOLUMES}}
    id = service.add_job([("IN_PROGRESS", 30), ("COMPLETED", None)], data=backup)

    async with BlueXPJobs(
        account="account-x1", agent="agent-1", auth=Bearer("token"), transport=service.transport()
    ) as jobs:
        try:
            await jobs.wait(id)
        except JobPartiallyFailed as failure:
            for item in failure.job.items:
                print(item.kind, item.id, item.state.name, [error.message for error in item.errors])


asyncio.run(main())

# volume vol-1 SUCCEEDED []
# volume vol-2 FAILED ['the snapshot was deleted']
