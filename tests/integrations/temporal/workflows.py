"""Workflows of an application, as a worker's sandbox loads them."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import workflow

from ontapjobs import Job, JobRef, to_dict
from ontapjobs.temporal import start_job, wait_for_job, wait_for_jobs

HEARTBEAT_TIMEOUT = timedelta(seconds=3)


@workflow.defn
class Wait:
    @workflow.run
    async def run(self, ref: JobRef, cancel_job: bool, timeout: float | None) -> Job:
        return await wait_for_job(
            ref, timeout=timeout, cancel_job=cancel_job, heartbeat_timeout=HEARTBEAT_TIMEOUT
        )


@workflow.defn
class MakeVolume:
    @workflow.run
    async def run(self, target: str) -> list[Job]:
        refs = await start_job(target, "POST", "/api/storage/volumes", body={"name": "vol1"})
        return [await wait_for_job(ref) for ref in refs]


@workflow.defn
class WaitForMany:
    """Returns the state or the error of each job."""

    @workflow.run
    async def run(self, refs: list[str], timeout: float | None, history_limit: int, shards: int) -> list[str]:
        outcomes = await wait_for_jobs(refs, timeout=timeout, history_limit=history_limit, shards=shards)
        return [data.get("error") or data["state"] for data in map(to_dict, outcomes)]


@workflow.defn
class WaitForOneOften:
    """Waits for one job in several calls at once, each with a timeout of its own; the first is cancelled.

    Returns the state or the error that each other call ended with.
    """

    @workflow.run
    async def run(self, ref: str, timeouts: list[float | None]) -> list[str]:
        calls = [asyncio.create_task(wait_for_jobs([ref], timeout=timeout)) for timeout in timeouts]
        await workflow.sleep(3)
        calls[0].cancel()
        outcomes = [outcome for call in calls[1:] for outcome in await call]
        return [data.get("error") or data["state"] for data in map(to_dict, outcomes)]


WORKFLOWS = [Wait, MakeVolume, WaitForMany, WaitForOneOften]
