"""The blocks of all three systems: their forms, what they sign in with, and a write in a block."""

from __future__ import annotations

import asyncio
import pickle
from types import ModuleType
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from attrs import frozen
from prefect import flow
from prefect.client.orchestration import get_client
from pydantic import SecretStr

import bluexp_jobs.prefect
import cfjobs.prefect
import ontapjobs.prefect
from bluexp_jobs.simulator import BlueXPSimulator
from cfjobs.simulator import CFSimulator
from common import JobFailed, JobsFailed, JobState, UsageError
from common.integrations.prefect.credentials import JobsCredentials
from common.simulator import NewJob, Simulator
from ontapjobs import OntapJobs
from ontapjobs.prefect import OntapCredentials, RemoteJobRun
from ontapjobs.simulator import OntapSimulator
from tests.integrations.prefect.deployment import PASSWORD, Deployment

SECRET = SecretStr(PASSWORD)
SECRETS = {"password", "token", "refresh_token", "client_secret"}


@frozen
class System:
    """What differs between the systems."""

    name: str
    module: ModuleType
    simulator: Simulator
    credentials: type[JobsCredentials]
    fields: dict[str, Any]
    method: str
    path: str
    end: str


SYSTEMS = [
    System(
        "ontap",
        ontapjobs.prefect,
        OntapSimulator(users={"jobs": PASSWORD}),
        OntapCredentials,
        {"user": "jobs", "password": SECRET},
        "POST",
        "/api/storage/volumes",
        "success",
    ),
    System(
        "bluexp",
        bluexp_jobs.prefect,
        BlueXPSimulator(account="account-x1", agent="a1"),
        bluexp_jobs.prefect.BlueXPCredentials,
        {"account": "account-x1", "agent": "a1", "token": SECRET},
        "POST",
        "/account/account-x1/providers/cloudmanager_cbs/api/v1/backup/working-environment/we-1",
        "COMPLETED",
    ),
    System(
        "cf",
        cfjobs.prefect,
        CFSimulator(users={"jobs": PASSWORD}),
        cfjobs.prefect.CFCredentials,
        {"user": "jobs", "password": SECRET},
        "DELETE",
        "/v3/apps/1cb006ee-fb05-47e1-b541-c34179ddc446",
        "COMPLETE",
    ),
]
on_each = pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)


@on_each
def test_each_provider_exports_the_same_names(system: System) -> None:
    names = {"RemoteJob", "RemoteJobRun", "start_job", "wait_for_job", "wait_for_jobs"}
    assert set(system.module.__all__) == names | {system.credentials.__name__}
    assert system.module.RemoteJob.get_block_type_slug() == f"{system.name}-job"


@on_each
def test_the_form_says_what_each_field_is_and_masks_the_secrets(system: System) -> None:
    for block in (system.credentials, system.module.RemoteJob):
        assert all(field.get("description") for field in block.model_json_schema()["properties"].values())
    schema = system.credentials.model_json_schema()
    assert set(schema["secret_fields"]) == SECRETS & schema["properties"].keys()


@on_each
def test_each_field_is_a_setting(system: System) -> None:
    for name in system.credentials.model_fields.keys() - {"endpoint", "options"}:
        fields: Any = {"endpoint": "host", **system.fields, name: "x", "options": {"no-such": "x"}}
        with pytest.raises(UsageError) as caught:
            system.credentials(**fields).get_client()
        assert "'no-such'" in str(caught.value)


@pytest.mark.anyio
async def test_a_block_gives_a_source_of_ones_own() -> None:
    credentials = OntapCredentials(endpoint="https://cluster1:8443/", user="jobs", password=SECRET)
    assert PASSWORD not in f"{credentials!r} {credentials.system()!r}"
    async with credentials.get_client(concurrency=4) as source:
        assert isinstance(source, OntapJobs)
        assert source.endpoint == "https://cluster1:8443"


def test_a_run_is_not_stored_for_it_can_sign_in() -> None:
    run = RemoteJobRun(OntapCredentials(endpoint="cluster1"), ["ontap://cluster1/1"])
    with pytest.raises(TypeError, match="credentials"):
        pickle.dumps(run)


@pytest.mark.slow
@pytest.mark.usefixtures("prefect")
def test_a_server_that_starts_knows_the_block_types() -> None:
    async def slugs() -> set[str]:
        async with get_client() as client:
            return {block.slug for block in await client.read_block_types()}

    expected = {f"{system.name}-{kind}" for system in SYSTEMS for kind in ("credentials", "job")}
    assert expected <= asyncio.run(slugs())


@pytest.mark.slow
@pytest.mark.usefixtures("prefect")
@on_each
def test_a_write_in_a_block_starts_a_job_of_each_system(system: System) -> None:
    job_block: Any = system.module.RemoteJob

    @flow
    async def make(block: str) -> Any:
        run = await (await job_block.aload(block)).trigger()
        await run.wait_for_completion()
        return await run.fetch_result()

    async def save_and_make(url: str) -> Any:
        credentials = system.credentials(endpoint=url, **system.fields)
        await credentials.asave(system.name)
        stored: Any = await system.credentials.aload(system.name)
        await job_block(credentials=stored, path=system.path, method=system.method).asave(
            f"make-{system.name}"
        )
        return await make(f"make-{system.name}")

    system.simulator.on_write = NewJob([(system.end, None)])
    with start_blocking_portal() as loop, loop.wrap_async_context_manager(system.simulator.serve()) as url:
        [job] = asyncio.run(save_and_make(url))
    assert job.state is JobState.SUCCEEDED
    assert job.ref.provider == system.name


@pytest.mark.slow
def test_only_who_fetches_the_result_of_a_failed_job_is_told_so(prefect: Deployment) -> None:
    @flow
    async def wait(*refs: str) -> Any:
        run = RemoteJobRun(prefect.credentials, refs)
        await run.wait_for_completion()
        await run.fetch_result()

    target = prefect.credentials.system().target
    failed, done = (f"{target}{prefect.add_job(0.1, end)}" for end in ("failure", "success"))
    with pytest.raises(JobFailed):
        asyncio.run(wait(failed))
    with pytest.raises(JobsFailed) as caught:
        asyncio.run(wait(done, failed))
    assert [type(outcome).__name__ for outcome in caught.value.outcomes.values()] == ["Job", "JobFailed"]
