"""A service that stores its open jobs in SQLite, and resumes the waits after a restart."""

import json
import sqlite3

import anyio

from common import from_dict, to_dict
from common.testing import run
from ontapjobs import OntapJobs
from ontapjobs.simulator import OntapSimulator

cluster = OntapSimulator()
database = sqlite3.connect(":memory:")
database.execute("CREATE TABLE jobs (ref TEXT PRIMARY KEY, outcome TEXT, last TEXT)")


async def follow(source: OntapJobs, stored: str | None, ref: str) -> None:
    """Wait for one job, and store it at each change."""
    async for job in source.watch(from_dict(json.loads(stored)) if stored else ref):
        outcome = job.state.name if job.done else None
        row = (json.dumps(to_dict(job)), outcome, str(job.ref))
        database.execute("UPDATE jobs SET last = ?, outcome = ? WHERE ref = ?", row)


async def service(seconds: float) -> None:
    """Run for some seconds, as a process does between two deployments."""
    with anyio.move_on_after(seconds):
        async with (
            OntapJobs("cluster1", auth=("admin", "x"), transport=cluster.transport()) as source,
            anyio.create_task_group() as tasks,
        ):
            rows = database.execute("SELECT last, ref FROM jobs WHERE outcome IS NULL").fetchall()
            print(len(rows), "open")
            for last, ref in rows:
                tasks.start_soon(follow, source, last, ref)


async def main() -> None:
    for seconds in (20, 600):
        uuid = cluster.add_job([("running", seconds), ("success", None)])
        database.execute("INSERT INTO jobs (ref) VALUES (?)", [f"ontap://cluster1/{uuid}"])
    await service(60)  # the second job is still running when this ends
    await service(3600)
    print([outcome for (outcome,) in database.execute("SELECT outcome FROM jobs")])


run(main)  # as asyncio.run(main()), in virtual time
database.close()

# 2 open
# 1 open
# ['SUCCEEDED', 'SUCCEEDED']
