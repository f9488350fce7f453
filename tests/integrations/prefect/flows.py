"""Flows of an application, as a runner loads them. Each writes its process's number to a file first."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from prefect import Flow, flow

from ontapjobs import Job
from ontapjobs.prefect import OntapCredentials, start_job, wait_for_job, wait_for_jobs


def tell_process(folder: str, name: str) -> None:
    Path(folder, f"{name}.pid").write_text(str(os.getpid()))


@flow(name="wait")
async def wait(block: str, folder: str, jobs: list[str], cancel_job: bool = False) -> None:
    credentials = await OntapCredentials.aload(block)
    tell_process(folder, "wait")
    await wait_for_jobs(credentials, jobs, cancel_job=cancel_job)


@flow(name="submit")
def submit(block: str, folder: str, jobs: list[str], cancel_job: bool = False) -> None:
    credentials: Any = OntapCredentials.load(block)
    tell_process(folder, "submit")
    waits: list[Any] = [wait_for_job.submit(credentials, job, cancel_job=cancel_job) for job in jobs]
    for each in waits:
        each.result()


@flow(name="inner")
async def inner(block: str, folder: str, jobs: list[str], cancel_job: bool) -> None:
    await wait(block, folder, jobs, cancel_job)


@flow(name="outer")
async def outer(block: str, folder: str, jobs: list[str], cancel_job: bool = False) -> None:
    await inner(block, folder, jobs, cancel_job)


@flow(name="make")
async def make(block: str, folder: str, names: list[str]) -> list[Job]:
    credentials = await OntapCredentials.aload(block)
    refs: list[str] = []
    for name in names:
        refs += await start_job(credentials, "POST", "/api/storage/volumes", {"name": name})
    tell_process(folder, "make")
    return [await wait_for_job(credentials, ref) for ref in refs]


FLOWS: list[Flow[..., Any]] = [wait, submit, outer, make]
