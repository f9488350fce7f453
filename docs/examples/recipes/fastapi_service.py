"""FastAPI and SQLite: a service that starts jobs, waits for them, and resumes after a restart."""

import asyncio
import json
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from common import Job, JobsError, JobSet, connect, from_dict, to_dict

SETTINGS = {"user": "admin", "password": os.environ["CLUSTER_PASSWORD"]}
db = sqlite3.connect(os.environ["DATABASE"], isolation_level=None)
db.execute("CREATE TABLE IF NOT EXISTS volumes (name TEXT PRIMARY KEY, ref TEXT, last TEXT, ended TEXT)")


def keep(outcome: Job | JobsError, sql: str = "UPDATE volumes SET last = ? WHERE ref = ?") -> None:
    """Store the last observation of a job: the next process then knows that the job existed."""
    db.execute(sql, (json.dumps(to_dict(outcome)), str(outcome.ref)))


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    rows = db.execute("SELECT ref, last FROM volumes WHERE ref NOTNULL AND ended ISNULL").fetchall()
    known = [from_dict(json.loads(last)) if last else ref for ref, last in rows]
    async with (
        connect(os.environ["CLUSTER"], settings=SETTINGS) as app.state.source,
        JobSet(app.state.source, known, on_update=keep) as app.state.jobs,
    ):

        async def follow() -> None:
            async for outcome in app.state.jobs:
                keep(outcome, "UPDATE volumes SET ended = ? WHERE ref = ?")

        following = asyncio.create_task(follow())
        yield
        following.cancel()


app = FastAPI(lifespan=lifespan)


@app.put("/volumes/{name}")
async def make(name: str) -> dict[str, Any]:
    """Create a volume. Its name is stored before the write is sent, so the write is never repeated."""
    if db.execute("INSERT OR IGNORE INTO volumes (name) VALUES (?)", [name]).rowcount:
        adopted = await app.state.source.start("POST", "/api/storage/volumes", json={"name": name})
        [ref] = map(str, adopted.refs)
        db.execute("UPDATE volumes SET ref = ? WHERE name = ?", (ref, name))
        app.state.jobs.add(ref)
    return await look(name)


@app.get("/volumes/{name}")
async def look(name: str) -> dict[str, Any]:
    row = db.execute("SELECT ref, last, ended FROM volumes WHERE name = ?", [name]).fetchone()
    return dict(zip(("ref", "last", "ended"), row, strict=True)) if row else {}
