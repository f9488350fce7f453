"""Leader election: several processes run this program, and the one that holds the lock waits for the jobs.

In Kubernetes, use a Lease as the lock, and a database that all pods can reach.
"""

import asyncio
import fcntl
import json
import os
import sqlite3
from pathlib import Path

import anyio.to_thread

from common import JobSet, connect, to_dict

FOLDER = Path(os.environ["FOLDER"])
SETTINGS = {"user": "admin", "password": os.environ["CLUSTER_PASSWORD"]}
POLL = 0.5


async def lead(database: sqlite3.Connection) -> None:
    """Wait for all jobs in the table that have no outcome, and for new ones."""
    added: set[str] = set()
    async with (
        connect(os.environ["CLUSTER"], settings=SETTINGS) as source,
        JobSet(source) as jobs,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(record, jobs, database)
        while True:
            for (ref,) in database.execute("SELECT ref FROM jobs WHERE outcome IS NULL").fetchall():
                if ref not in added:
                    added.add(ref)
                    jobs.add(ref)
            await anyio.sleep(POLL)


async def record(jobs: JobSet, database: sqlite3.Connection) -> None:
    async for outcome in jobs:
        row = (json.dumps(to_dict(outcome)), str(outcome.ref))
        database.execute("UPDATE jobs SET outcome = ? WHERE ref = ?", row)


async def main() -> None:
    database = sqlite3.connect(FOLDER / "jobs.db", isolation_level=None, timeout=60)
    database.execute("PRAGMA journal_mode = WAL")  # who writes does not block who reads
    database.execute("CREATE TABLE IF NOT EXISTS jobs (ref TEXT PRIMARY KEY, outcome TEXT)")
    with (FOLDER / "leader.lock").open("w") as lock:
        # The lock is released when the process ends, however it ends.
        await anyio.to_thread.run_sync(fcntl.flock, lock, fcntl.LOCK_EX, abandon_on_cancel=True)
        print("leader", flush=True)
        await lead(database)


if __name__ == "__main__":
    asyncio.run(main())
