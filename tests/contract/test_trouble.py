"""Which trouble a wait absorbs, which ends it, and how long it bears with it."""

from __future__ import annotations

import anyio
import httpx
import pytest

from common import (
    AuthenticationError,
    DecodeError,
    Event,
    EventKind,
    JobState,
    PermissionDenied,
    PollPolicy,
    RateLimited,
    ServerError,
    TransportError,
    UsageError,
    WaitTimeout,
)
from common.model.errors import ApiError, SourceError
from tests.common.scripted import Answer, about, after, raising, reply
from tests.contract.systems import ONTAP, PAGE, SYSTEMS, System, name_of

pytestmark = pytest.mark.anyio

RUNNING, SUCCEEDED = JobState.RUNNING, JobState.SUCCEEDED

ANYWHERE: dict[str, Answer] = {
    "408": reply(408),
    "425": reply(425),
    "429": reply(429, text="Too many requests"),
    "500": reply(500, {"message": "boom"}),
    "502": reply(502, text=PAGE),
    "503": reply(503),
    "504": reply(504, text=PAGE),
    "404 of a router": reply(404, text="404 page not found"),
    "400 of a proxy": reply(400, text=PAGE),
    "a page instead": reply(200, text=PAGE),
    "an array instead": reply(200, []),
    "null instead": reply(200, text="null"),
    "half a reply": reply(200, text='{"jo'),
    "a redirect on the same server": reply(302, Location="/login"),
    "refused": raising(httpx.ConnectError("connection refused")),
    "timed out": raising(httpx.ReadTimeout("read timed out")),
    "unreachable": raising(OSError(113, "No route to host")),
}


@pytest.mark.slow
@pytest.mark.parametrize("trouble", ANYWHERE.values(), ids=ANYWHERE)
async def test_trouble_that_passes_anywhere_is_absorbed(system: System, trouble: Answer) -> None:
    async with system.rig() as rig:
        rig.wire.reads += [trouble, None, trouble, trouble]
        assert (await rig.source.wait(rig.job((RUNNING, 5), (SUCCEEDED, None)))).succeeded
        assert rig.wire.reads == []


@pytest.mark.parametrize(
    ("system", "said"),
    [pytest.param(each, said, id=f"{each.name}-{said}") for each in SYSTEMS for said in each.passing],
)
async def test_what_the_provider_says_will_pass_is_absorbed(system: System, said: str) -> None:
    async with system.rig() as rig:
        rig.wire.reads += [system.passing[said], None, system.passing[said]]
        assert (await rig.source.wait(rig.job((RUNNING, 5), (SUCCEEDED, None)))).succeeded


async def test_a_404_that_is_not_the_apis_word_on_the_job_is_absorbed(system: System) -> None:
    async with system.rig() as rig:
        rig.wire.reads += [system.stray, None, *[system.stray] * 5]
        assert (await rig.source.wait(rig.job((RUNNING, 5), (SUCCEEDED, None)))).succeeded


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("unauthorized", AuthenticationError), ("forbidden", PermissionDenied), ("refused", ApiError)],
)
async def test_what_does_not_pass_ends_the_wait_at_once(
    system: System, kind: str, expected: type[SourceError]
) -> None:
    async with system.rig() as rig:
        job = rig.job((RUNNING, None))
        rig.wire.reads += [None, getattr(system, kind)]
        with pytest.raises(expected) as caught:
            await rig.source.wait(job, timeout=100)
        assert rig.wire.sent == ["GET", "GET"]
    assert caught.value.ref == rig.member.ref(job)
    assert caught.value.job is not None
    assert caught.value.job.state is RUNNING


@pytest.mark.parametrize(("status", "expected"), [(401, AuthenticationError), (403, PermissionDenied)])
async def test_401_and_403_end_it_also_when_a_proxy_says_so(
    system: System, status: int, expected: type[SourceError]
) -> None:
    async with system.rig() as rig:
        rig.wire.reads += [reply(status, text=PAGE)]
        with pytest.raises(expected):
            await rig.source.wait(rig.job((RUNNING, None)))


async def test_two_records_that_cannot_be_decoded_are_borne_and_a_third_is_not(system: System) -> None:
    bad = system.undecodable
    async with system.rig() as rig:
        rig.wire.reads += [bad, bad, None, bad, bad]
        assert (await rig.source.wait(rig.job((RUNNING, 5), (SUCCEEDED, None)))).succeeded
        rig.wire.reads += [None, *[bad] * 10]
        with pytest.raises(DecodeError) as caught:
            await rig.source.wait(rig.job((RUNNING, None)), timeout=100)
    assert caught.value.path.endswith(("state", "status"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trouble", "expected"),
    [
        (reply(503, text=PAGE), ServerError),
        (reply(429), RateLimited),
        (reply(200, text=PAGE), DecodeError),
        (raising(httpx.ConnectError("connection refused")), TransportError),
    ],
    ids=["503", "429", "page", "refused"],
)
async def test_an_outage_ends_the_wait_at_its_deadline_or_without_one_after_the_limit(
    system: System, trouble: Answer, expected: type[SourceError]
) -> None:
    async with system.rig(policy=PollPolicy(outage_limit=300, maximum=60)) as rig:
        job = rig.job((RUNNING, None))
        rig.wire.reads += [None, *[trouble] * 1000]
        with pytest.raises(WaitTimeout) as timed_out:
            await rig.source.wait(job, timeout=1000)
        assert isinstance(timed_out.value.__cause__, expected)
        with pytest.raises(expected) as caught:
            await rig.source.wait(job)
        assert 1300 <= anyio.current_time() <= 1361
    assert caught.value.ref == rig.member.ref(job)


async def test_retry_after_holds_every_wait_of_the_source(system: System) -> None:
    async with system.rig() as rig:
        jobs = [rig.job((RUNNING, 3), (SUCCEEDED, None)) for _ in range(3)]
        rig.wire.reads += [reply(503, text=PAGE, Retry_After="90")]
        first = rig.source.wait(jobs[0])

        async def others(number: int) -> None:
            await anyio.sleep(number)
            await rig.source.wait(jobs[number])

        async with anyio.create_task_group() as group:
            group.start_soon(others, 1)
            group.start_soon(others, 2)
            assert (await first).succeeded
        assert min(request.at for request in rig.simulator.journal) == about(90)


@pytest.mark.parametrize(
    ("system", "cap"), [(each, 120 if each.provider == "ontap" else 3600) for each in SYSTEMS]
)
async def test_retry_after_has_a_cap(system: System, cap: float) -> None:
    async with system.rig() as rig:
        rig.wire.reads += [reply(429, Retry_After="86400")]
        await rig.source.wait(rig.job((SUCCEEDED, None)))
        assert anyio.current_time() == about(cap)


async def test_a_read_that_hangs_is_cut_and_tried_again(system: System) -> None:
    async with system.rig(request_timeout=20) as rig:
        rig.wire.reads += [after(1e9, reply(200))]
        assert (await rig.source.wait(rig.job((SUCCEEDED, None)))).succeeded
        assert anyio.current_time() == about(20)


async def test_a_read_that_hangs_is_cut_at_the_deadline(system: System) -> None:
    async with system.rig() as rig:
        rig.wire.reads += [after(1e9, reply(200))]
        with pytest.raises(WaitTimeout):
            await rig.source.wait(rig.job((SUCCEEDED, None)), timeout=7)
        assert anyio.current_time() == about(7)


async def test_an_observer_is_told_of_trouble_changes_and_the_end(system: System) -> None:
    events: list[Event] = []
    async with system.rig(observer=events.append) as rig:
        job = rig.job((RUNNING, 5), (SUCCEEDED, None))
        rig.wire.reads += [reply(503)]
        await rig.source.wait(job)
    told = [event.kind for event in events if event.kind is not EventKind.SEEN]
    assert told == [EventKind.BEGAN, EventKind.TROUBLE, EventKind.CHANGED, EventKind.CHANGED, EventKind.ENDED]
    assert {event.ref for event in events} == {rig.member.ref(job)}


async def test_an_observer_that_fails_does_no_harm(system: System) -> None:
    def observer(_: Event) -> None:
        raise RuntimeError("the dashboard is down")

    async with system.rig(observer=observer) as rig:
        rig.wire.reads += [reply(503)]
        assert (await rig.source.wait(rig.job((RUNNING, 5), (SUCCEEDED, None)))).succeeded


async def test_a_closed_source_says_so(system: System) -> None:
    async with system.rig() as rig:
        await rig.source.aclose()
        await rig.source.aclose()
        for ask in (rig.source.get, rig.source.wait):
            with pytest.raises(UsageError, match="closed"):
                await ask(rig.job((SUCCEEDED, None)))


@pytest.mark.parametrize("system", [ONTAP], ids=name_of)
async def test_a_role_that_may_not_read_jobs_is_told_so(system: System) -> None:
    async with system.rig() as rig:
        rig.wire.reads += [system.forbidden]
        with pytest.raises(PermissionDenied, match="role"):
            await rig.source.wait(rig.job((RUNNING, None)))
