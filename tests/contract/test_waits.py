"""How a wait goes, and how it ends."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import anyio
import attrs
import pytest

from bluexp_jobs.simulator import BlueXPSimulator, Missing
from common import (
    Job,
    JobFailed,
    JobGone,
    JobNotFound,
    JobPartiallyFailed,
    JobRef,
    JobState,
    PollPolicy,
    UnexpectedState,
    UsageError,
    WaitTimeout,
    from_dict,
    to_dict,
)
from tests.common.scripted import about, outcomes
from tests.contract.systems import BLUEXP, CF, NEVER_SEEN, ONTAP, System, name_of, systems

pytestmark = pytest.mark.anyio

RUNNING, PAUSED, SUCCEEDED, FAILED = JobState.RUNNING, JobState.PAUSED, JobState.SUCCEEDED, JobState.FAILED


async def test_a_wait_ends_soon_after_the_job_and_gives_it(system: System) -> None:
    async with system.rig() as rig:
        job = await rig.source.wait(rig.job((RUNNING, 600), (SUCCEEDED, None)))
        assert (job.state, job.done, job.succeeded) == (SUCCEEDED, True, True)
        assert 600 <= anyio.current_time() <= 600 + 61


async def test_a_watch_gives_each_state_once(system: System) -> None:
    async with system.rig() as rig:
        job = rig.job((RUNNING, 30), ("FLORBING", 30), (RUNNING, 30), (SUCCEEDED, None))
        states = [seen.state async for seen in rig.source.watch(job)]
    assert states == [RUNNING, JobState.UNKNOWN, RUNNING, SUCCEEDED]


@pytest.mark.slow
@pytest.mark.parametrize("system", systems(JobState.QUEUED, PAUSED), ids=name_of)
async def test_queued_and_paused_jobs_are_waited_through(system: System) -> None:
    async with system.rig() as rig:
        life = ((JobState.QUEUED, 60), (PAUSED, 3600), (RUNNING, 60), (SUCCEEDED, None))
        assert (await rig.source.wait(rig.job(*life))).succeeded


async def test_a_failed_job_raises_with_every_error_in_its_text(system: System) -> None:
    async with system.rig() as rig:
        job = rig.job((RUNNING, 5), (FAILED, None), **system.failure)
        with pytest.raises(JobFailed) as caught:
            await rig.source.wait(job)
        assert caught.value.ref == rig.member.ref(job)
        assert caught.value.job.state is FAILED
        assert all(message in str(caught.value) for message in system.messages)
        assert (await rig.source.wait(job, check=False)).state is FAILED


@pytest.mark.parametrize("system", systems(JobState.PARTIAL, JobState.CANCELLED), ids=name_of)
async def test_check_raises_for_partial_and_cancelled_jobs_too(system: System) -> None:
    async with system.rig() as rig:
        with pytest.raises(JobPartiallyFailed):
            await rig.source.wait(rig.job((JobState.PARTIAL, None)))
        with pytest.raises(JobFailed) as caught:
            await rig.source.wait(rig.job((JobState.CANCELLED, None)))
    assert caught.value.job.state is JobState.CANCELLED


@pytest.mark.slow
@pytest.mark.parametrize("check", [True, False])
async def test_a_state_that_was_asked_for_ends_the_wait_and_never_raises(system: System, check: bool) -> None:
    async with system.rig() as rig:
        job = rig.job((RUNNING, 30), (FAILED, None), **system.failure)
        first = await rig.source.wait(job, until={RUNNING}, check=check)
        last = await rig.source.wait(job, until={FAILED, SUCCEEDED}, check=check)
    assert (first.state, last.state) == (RUNNING, FAILED)


@pytest.mark.parametrize(("end", "expected"), [(FAILED, JobFailed), (SUCCEEDED, UnexpectedState)])
async def test_another_end_raises_whatever_check_says(
    system: System, end: JobState, expected: type[JobFailed | UnexpectedState]
) -> None:
    async with system.rig() as rig:
        with pytest.raises(expected) as caught:
            await rig.source.wait(rig.job((RUNNING, 5), (end, None)), until={PAUSED}, check=False)
    assert caught.value.job is not None
    assert caught.value.job.state is end


@pytest.mark.parametrize("system", systems(PAUSED), ids=name_of)
async def test_a_state_between_is_met_on_the_way(system: System) -> None:
    async with system.rig() as rig:
        job = rig.job((RUNNING, 60), (PAUSED, None))
        assert (await rig.source.wait(job, until={PAUSED})).state is PAUSED


@pytest.mark.slow
@pytest.mark.parametrize("timeout", [0, 0.5, 100])
async def test_a_deadline_ends_the_wait_in_time_and_leaves_the_job_alone(
    system: System, timeout: float
) -> None:
    async with system.rig() as rig:
        job = rig.job((RUNNING, 3600), (SUCCEEDED, None))
        with pytest.raises(WaitTimeout) as caught:
            await rig.source.wait(job, timeout=timeout)
        assert anyio.current_time() == about(timeout)
        assert caught.value.ref == rig.member.ref(job)
        assert caught.value.job is not None
        assert caught.value.job.state is RUNNING
        assert set(rig.wire.sent) == {"GET"}
        assert (await rig.source.wait(job)).succeeded


async def test_a_timeout_of_zero_makes_one_read(system: System) -> None:
    async with system.rig() as rig:
        with pytest.raises(WaitTimeout):
            await rig.source.wait(rig.job((RUNNING, None)), timeout=0)
        assert (await rig.source.wait(rig.job((SUCCEEDED, None)), timeout=0)).succeeded
        assert rig.wire.sent == ["GET", "GET"]


async def test_a_job_that_shows_late_is_found(system: System) -> None:
    async with system.rig() as rig:
        job = rig.job((SUCCEEDED, None))
        late = rig.simulator.jobs.pop(rig.member.ref(job).id)

        async def show() -> Job:
            await anyio.sleep(1.5)
            rig.simulator.jobs[late.id] = late
            return Job(rig.member.ref(job), SUCCEEDED)

        waited, _ = await outcomes(rig.source.wait(job), show())
    assert isinstance(waited, Job)
    assert waited.succeeded


async def test_a_job_that_never_shows_is_not_found_after_the_grace(system: System) -> None:
    async with system.rig(policy=PollPolicy(start_grace=10)) as rig:
        with pytest.raises(JobNotFound) as caught:
            await rig.source.wait(rig.named(NEVER_SEEN))
        assert anyio.current_time() == about(10)
    assert (caught.value.ref, caught.value.job) == (rig.member.ref(NEVER_SEEN), None)


@pytest.mark.parametrize("missing", ["empty", "null", "404"])
async def test_bluexp_has_three_ways_to_say_that_there_is_no_job(missing: Missing) -> None:
    async with BLUEXP.rig() as rig:
        assert isinstance(rig.simulator, BlueXPSimulator)
        rig.simulator.missing = missing
        with pytest.raises(JobNotFound):
            await rig.source.wait(NEVER_SEEN)
        with pytest.raises(JobGone):
            await rig.source.wait(Job(rig.member.ref(NEVER_SEEN), RUNNING))


@pytest.mark.parametrize("system", [ONTAP], ids=name_of)
async def test_an_id_that_can_never_be_a_jobs_is_not_found_at_once(system: System) -> None:
    async with system.rig() as rig:
        with pytest.raises(JobNotFound):
            await rig.source.wait("no-uuid")
        assert rig.wire.sent == ["GET"]


async def test_a_job_that_was_seen_and_is_forgotten_is_gone(system: System) -> None:
    async with system.rig() as rig:
        job = rig.job((RUNNING, None))
        watch = rig.source.watch(job)
        assert (await anext(watch)).state is RUNNING
        rig.forget(job)
        with pytest.raises(JobGone) as caught:
            await anext(watch)
        assert anyio.current_time() == about(rig.member.policy.initial + 15)
    assert caught.value.ref == rig.member.ref(job)
    assert caught.value.job is not None
    assert caught.value.job.state is RUNNING


async def test_a_job_that_is_missing_for_a_while_and_comes_back_is_waited_for(system: System) -> None:
    async with system.rig() as rig:
        job = rig.job((RUNNING, 30), (SUCCEEDED, None))
        watch = rig.source.watch(job)
        assert (await anext(watch)).state is RUNNING
        known = dict(rig.simulator.jobs)
        rig.forget(job)
        async with anyio.create_task_group() as group:
            group.start_soon(_come_back, rig.simulator.jobs, known, 10.0)
            assert [each.state async for each in watch][-1] is SUCCEEDED


async def _come_back(jobs: dict[str, Any], known: dict[str, Any], seconds: float) -> None:
    await anyio.sleep(seconds)
    jobs.update(known)


async def test_a_job_that_the_caller_saw_lately_is_looked_for_as_well(system: System) -> None:
    async with system.rig() as rig:
        job = rig.job((RUNNING, None))
        seen = await rig.source.get(job)
        rig.forget(job)
        with pytest.raises(JobGone):
            await rig.source.wait(seen)
        assert anyio.current_time() == about(15)
        assert len(rig.wire.sent) == 1 + 6


@pytest.mark.parametrize(
    ("system", "retention"),
    [(ONTAP, timedelta(seconds=300)), (BLUEXP, timedelta(days=15)), (CF, timedelta(days=90))],
    ids=["ontap", "bluexp", "cf"],
)
async def test_a_job_seen_longer_ago_than_the_system_keeps_jobs_is_gone_at_once(
    system: System, retention: timedelta
) -> None:
    async with system.rig() as rig:
        job = rig.job((RUNNING, None))
        seen = await rig.source.get(job)
        rig.forget(job)
        ago = attrs.evolve(seen, observed_at=seen.observed_at - retention - timedelta(seconds=1))
        with pytest.raises(JobGone):
            await rig.source.wait(ago)
        assert anyio.current_time() == about(0)
        ago = attrs.evolve(seen, observed_at=seen.observed_at - retention + timedelta(seconds=20))
        with pytest.raises(JobGone):
            await rig.source.wait(ago)
        assert anyio.current_time() == about(15)


async def test_a_deadline_while_a_missing_job_is_looked_for_is_a_timeout(system: System) -> None:
    async with system.rig() as rig:
        job = rig.job((RUNNING, None))
        seen = await rig.source.get(job)
        rig.forget(job)
        for timeout in (0, 14):
            with pytest.raises(WaitTimeout, match=r"last seen RUNNING.* may still be running") as caught:
                await rig.source.wait(seen, timeout=timeout)
            assert not caught.value.final


@pytest.mark.parametrize("end", [SUCCEEDED, FAILED])
async def test_a_probe_says_how_a_job_ended_that_is_gone(system: System, end: JobState) -> None:
    async def probe(ref: JobRef, last: Job | None) -> JobState:
        assert (ref, last) == (rig.member.ref(job), seen)
        return end

    async with system.rig() as rig:
        job = rig.job((RUNNING, None))
        seen = await rig.source.get(job)
        rig.forget(job)
        ended = await rig.source.wait(seen, resolve_gone=probe, check=False)
        assert (ended.state, ended.resolved, ended.ref) == (end, True, rig.member.ref(job))
        if end is FAILED:
            with pytest.raises(JobFailed):
                await rig.source.wait(seen, resolve_gone=probe)


@pytest.mark.slow
@pytest.mark.parametrize("word", ["FLORBING", None])
async def test_an_unknown_state_is_polled_on_and_bounded(system: System, word: Any) -> None:
    async with system.rig() as rig:
        job = rig.job((word, None))
        with pytest.raises(UnexpectedState) as caught:
            await rig.source.wait(job)
        assert anyio.current_time() == about(300)
    assert caught.value.job is not None
    assert caught.value.job.state is JobState.UNKNOWN


async def test_an_unknown_state_may_pass(system: System) -> None:
    async with system.rig() as rig:
        assert (await rig.source.wait(rig.job(("FLORBING", 120), (SUCCEEDED, None)))).succeeded


async def test_a_job_that_had_ended_costs_no_request(system: System) -> None:
    async with system.rig() as rig:
        ref = rig.member.ref(NEVER_SEEN)
        assert await rig.source.wait(Job(ref, SUCCEEDED), timeout=0) == Job(ref, SUCCEEDED)
        with pytest.raises(JobFailed):
            await rig.source.wait(Job(ref, FAILED))
        assert rig.wire.sent == []


@pytest.mark.slow
async def test_a_wait_goes_on_in_another_process_from_where_it_was_stored(system: System) -> None:
    async with system.rig() as rig:
        job = rig.job((RUNNING, 1000), (SUCCEEDED, None))
        with pytest.raises(WaitTimeout) as caught:
            await rig.source.wait(job, timeout=500)
        assert caught.value.job is not None
        stored = json.dumps(to_dict(caught.value.job))
        await rig.source.aclose()
        before = len(rig.simulator.journal)

        again = system.connect(transport=rig.simulator.transport())
        async with again:
            ended = await again.wait(from_dict(json.loads(stored)))
        assert (ended.ref, ended.state) == (rig.member.ref(job), SUCCEEDED)
        # It does not start fast again: 500 s at a tenth of the run time, not at one a second.
        assert len(rig.simulator.journal) - before < 30


@pytest.mark.slow
async def test_many_waits_each_get_their_own_job(system: System) -> None:
    async with system.rig() as rig:
        jobs = [rig.job((RUNNING, 5 * n), (SUCCEEDED if n % 2 else FAILED, None)) for n in range(12)]
        ended = await outcomes(*(rig.source.wait(job, check=False) for job in jobs))
    found = [(each.ref, each.state) for each in ended if isinstance(each, Job)]
    assert found == [(rig.member.ref(job), SUCCEEDED if n % 2 else FAILED) for n, job in enumerate(jobs)]


async def test_each_wait_of_one_job_gets_an_exception_of_its_own(system: System) -> None:
    async with system.rig() as rig:
        job = rig.job((RUNNING, 5), (FAILED, None))
        ended = await outcomes(*(rig.source.wait(job) for _ in range(3)))
        assert [type(each) for each in ended] == [JobFailed] * 3
        assert len({id(each) for each in ended}) == 3


@pytest.mark.slow
@pytest.mark.parametrize("system", [ONTAP], ids=name_of)
async def test_the_end_of_a_job_is_seen_before_the_server_forgets_it(system: System) -> None:
    async with system.rig() as rig:
        ended = await rig.source.wait(rig.job((RUNNING, 20_000), (SUCCEEDED, None)))
        assert ended.succeeded
        with pytest.raises(UsageError, match="240"):
            await rig.source.wait(ended, policy=PollPolicy(maximum=241))
