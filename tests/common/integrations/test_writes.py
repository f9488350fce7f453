"""What a write of an orchestrator started, as refs, and waits that begin together."""

from __future__ import annotations

import anyio
import pytest

from common import Unsupported
from common.integrations.systems import System, start_together
from common.integrations.writes import start_jobs
from common.simulator import NewJob
from common.testing import ScriptedSource
from ontapjobs import OntapJobs
from ontapjobs.simulator import OntapSimulator


@pytest.mark.anyio
async def test_the_refs_of_a_write_are_those_of_its_jobs_and_its_errors_are_told() -> None:
    told: list[str] = []
    simulator = OntapSimulator(on_write=NewJob([("running", 60), ("success", None)], id="a1"))
    async with OntapJobs("https://cluster1", auth=("u", "p"), transport=simulator.transport()) as source:
        refs = await start_jobs(source, "POST", "/api/storage/volumes", {"name": "v"}, warn=told.append)
    assert refs == ["ontap://cluster1/a1"]
    assert told == []
    assert simulator.journal[0].json() == {"name": "v"}


@pytest.mark.anyio
async def test_a_source_without_writes_refuses_one() -> None:
    async with ScriptedSource() as source:
        with pytest.raises(Unsupported, match="takes no writes"):
            await start_jobs(source, "POST", "/", None, warn=print)


def test_a_system_shows_no_secret() -> None:
    assert repr(System("ontap://c/", {"password": "p4ssw0rd"})) == "System(target='ontap://c/')"


@pytest.mark.anyio
@pytest.mark.virtual
async def test_waits_that_begin_within_a_second_begin_at_one_moment() -> None:
    moments: list[float] = []

    async def begin(after: float) -> None:
        await anyio.sleep(after)
        await start_together()
        moments.append(anyio.current_time())

    async with anyio.create_task_group() as group:
        for after in (0.1, 0.4, 0.9, 1.1):
            group.start_soon(begin, after)
    assert sorted(moments) == [1.0, 1.0, 1.0, 2.0]
