"""A record is the asked job's only if it says so: by its own id, whether the job is running or has ended."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from bluexp_jobs import BlueXPJobs
from cfjobs import Bearer, CFJobs
from common import DecodeError, Fleet, Job
from common.sources.http import HttpSource
from ontapjobs import OntapJobs

pytestmark = pytest.mark.anyio

OTHER = "another-job"
RUNNING = {"ontap": "running", "bluexp": "IN_PROGRESS", "cf": "PROCESSING"}
ENDED = {"ontap": "success", "bluexp": "COMPLETED", "cf": "COMPLETE"}


def body(system: str, id: str | None, state: str) -> Any:
    match system:
        case "ontap":
            return {"state": state, **({"uuid": id} if id else {})}
        case "bluexp":
            return {"job": [{"status": state, "type": "t", **({"id": id} if id else {})}]}
        case _:
            return {"state": state, "operation": "app.delete", **({"guid": id} if id else {})}


def source_of(system: str, answer: Any) -> HttpSource:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=answer))
    match system:
        case "ontap":
            return OntapJobs("cluster1", auth=("u", "p"), transport=transport)
        case "bluexp":
            return BlueXPJobs(account="a", agent="g", auth=Bearer("t"), transport=transport)
        case _:
            return CFJobs("https://api.example.org", auth=Bearer("t"), transport=transport)


@pytest.mark.parametrize("states", [RUNNING, ENDED], ids=["running", "ended"])
@pytest.mark.parametrize("system", RUNNING)
async def test_a_record_of_another_job_is_not_the_asked_jobs(system: str, states: dict[str, str]) -> None:
    async with source_of(system, body(system, OTHER, states[system])) as source:
        with pytest.raises(DecodeError, match="another job") as caught:
            await source.get("asked-job")
    assert caught.value.transient


@pytest.mark.parametrize("states", [RUNNING, ENDED], ids=["running", "ended"])
@pytest.mark.parametrize("system", ["bluexp", "cf"])
async def test_a_record_without_an_id_is_not_the_apis(system: str, states: dict[str, str]) -> None:
    async with source_of(system, body(system, None, states[system])) as source:
        with pytest.raises(DecodeError, match="so it cannot be identified") as caught:
            await source.get("asked-job")
    assert caught.value.transient


async def test_ontap_leaves_the_uuid_out_where_only_some_fields_are_asked_for() -> None:
    async with source_of("ontap", body("ontap", None, "running")) as source:
        assert (await source.get("asked-job")).id == "asked-job"


async def test_of_several_records_the_one_with_the_id_is_taken_and_none_without() -> None:
    records = [{"status": "COMPLETED"}, {"id": "asked-job", "status": "IN_PROGRESS"}]
    async with source_of("bluexp", {"job": records}) as source:
        job: Job = await Fleet([source]).get(source.ref("asked-job"))
        assert not job.done
    async with source_of("bluexp", {"job": [{"status": "COMPLETED"}, {"id": OTHER}]}) as source:
        with pytest.raises(DecodeError, match="none with the requested id"):
            await source.get("asked-job")
