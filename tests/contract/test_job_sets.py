"""A set of waits over each system, and over all of them: what it tells, and going on from its checkpoint."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack

import pytest

from common import Fleet, Job, JobGone, JobRef, JobSet, JobState
from tests.common.virtual import Footprint
from tests.contract.systems import SOURCES, System

pytestmark = pytest.mark.anyio

RUNNING, SUCCEEDED, FAILED = JobState.RUNNING, JobState.SUCCEEDED, JobState.FAILED


async def test_a_set_tells_the_end_of_each_job_with_its_errors(system: System) -> None:
    async with system.rig() as rig:
        before = Footprint.now()
        good = rig.job((RUNNING, 20), (SUCCEEDED, None))
        bad = rig.job((RUNNING, 5), (FAILED, None), **system.failure)
        async with JobSet(rig.source, [good, bad, good]) as jobs:
            jobs.close()
            found = [outcome async for outcome in jobs]
        assert Footprint.now() == before
    assert [each.state for each in found if isinstance(each, Job)] == [FAILED, SUCCEEDED, SUCCEEDED]
    assert isinstance(found[0], Job)
    assert all(message in str(found[0].errors) for message in system.messages)


@pytest.mark.slow
async def test_another_process_goes_on_from_a_checkpoint(system: System) -> None:
    async with system.rig() as rig:
        refs = [rig.member.ref(rig.job((RUNNING, 100 + n), (SUCCEEDED, None))) for n in range(3)]
        async with JobSet(rig.source, refs, timeout=500, changes=True) as jobs:
            async for outcome in jobs:
                if outcome.ref == refs[2]:
                    break
            data = json.loads(json.dumps(jobs.checkpoint()))
        rig.forget(refs[1])
        await rig.source.aclose()
        async with (
            system.connect(transport=rig.simulator.transport()) as again,
            JobSet(again, checkpoint=data) as jobs,
        ):
            jobs.close()
            found = {outcome.ref: outcome async for outcome in jobs}
    assert isinstance(found.pop(refs[1]), JobGone)
    assert {ref: isinstance(each, Job) and each.state for ref, each in found.items()} == {
        refs[0]: SUCCEEDED,
        refs[2]: SUCCEEDED,
    }


async def test_one_set_has_the_jobs_of_all_systems() -> None:
    async with AsyncExitStack() as stack:
        rigs = [await stack.enter_async_context(each.rig()) for each in SOURCES]
        fleet = Fleet([rig.member for rig in rigs])
        refs = [rig.member.ref(rig.job((RUNNING, 9), (SUCCEEDED, None))) for rig in rigs for _ in range(4)]
        got: list[JobRef | None] = []
        async with JobSet(fleet, refs[::2]) as jobs:
            for ref in refs[1::2]:
                jobs.add(str(ref), timeout=60)
            jobs.close()
            async for outcome in jobs:
                assert isinstance(outcome, Job)
                got.append(outcome.ref)
    assert sorted(map(str, got)) == sorted(map(str, refs))
