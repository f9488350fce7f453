"""From a write to its job: what a reply hands over is waited for like any other job."""

from __future__ import annotations

import json

import pytest

from common import JobFailed, JobRef, JobState, from_dict, to_dict
from common.simulator import NewJob
from tests.contract.systems import System

pytestmark = pytest.mark.anyio

RUNNING, SUCCEEDED, FAILED = JobState.RUNNING, JobState.SUCCEEDED, JobState.FAILED


def starts(system: System, end: JobState) -> NewJob:
    """What a write starts: a job that runs for 30 s and then ends like this."""
    life = [(system.words[RUNNING], 30), (system.words[end], None)]
    return NewJob(life, fields=system.failure if end is FAILED else {})


async def test_the_job_of_a_write_is_adopted_and_waited_for(system: System) -> None:
    async with system.rig() as rig:
        rig.simulator.on_write = starts(system, SUCCEEDED)
        [ref] = rig.member.adopt(await rig.write()).refs
        assert ref == rig.member.ref(next(iter(rig.simulator.jobs)))
        ended = await rig.source.wait(ref)
        assert (ended.ref, ended.state) == (ref, SUCCEEDED)


async def test_the_failure_of_a_write_comes_from_its_job(system: System) -> None:
    async with system.rig() as rig:
        rig.simulator.on_write = starts(system, FAILED)
        [ref] = rig.member.adopt(await rig.write()).refs
        with pytest.raises(JobFailed) as caught:
            await rig.source.wait(ref)
    assert caught.value.ref == ref
    assert all(message in str(caught.value) for message in system.messages)


async def test_what_was_adopted_survives_as_text_until_another_process_waits_for_it(system: System) -> None:
    async with system.rig() as rig:
        rig.simulator.on_write = starts(system, FAILED)
        stored = [str(ref) for ref in rig.member.adopt(await rig.write()).refs]
        await rig.source.aclose()
        async with system.connect(transport=rig.simulator.transport()) as again:
            assert [JobRef.parse(text) for text in stored] == [again.ref(text) for text in stored]
            assert (await again.wait(stored[0], check=False)).state is FAILED


async def test_a_job_survives_as_json_with_all_that_it_says(system: System) -> None:
    async with system.rig() as rig:
        job = await rig.source.get(rig.job((FAILED, None), **system.failure))
        again = from_dict(json.loads(json.dumps(to_dict(job))))
        assert again == job
        assert again.observed_at == job.observed_at
        with pytest.raises(JobFailed) as caught:
            await rig.source.wait(again)
        assert all(message in str(caught.value) for message in system.messages)
        assert rig.wire.sent == ["GET"]
