"""Workflows of an application, as a worker's sandbox loads them."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow

from ontapjobs import Job, JobRef
from ontapjobs.temporal import start_job, wait_for_job

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


WORKFLOWS = [Wait, MakeVolume]
