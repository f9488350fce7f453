"""One look at many jobs: few requests, and a job or an error for each, in the order given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import httpx
import pytest

from cfjobs import CFJobs
from cfjobs.simulator import CFSimulator
from common import (
    AuthenticationError,
    Bearer,
    Capability,
    DecodeError,
    Fleet,
    Job,
    JobLike,
    JobNotFound,
    JobsError,
    JobState,
    RateLimited,
    ServerError,
    SourceClosed,
    TransportError,
    UsageError,
    WrongSource,
    get_all,
)
from common.testing import ScriptedSource
from ontapjobs import OntapJobs
from ontapjobs.simulator import OntapSimulator
from tests.common.lab import EACH_SECOND, Lab
from tests.common.virtual import Footprint

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

BATCHES = frozenset(Capability)
LIFE = [("running", 10), ("success", None)]


def uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def scripted(number: int, **options: Any) -> ScriptedSource:
    """A system with so many running jobs."""
    source = ScriptedSource(capabilities=BATCHES, **options)
    for place in range(number):
        source.add_job([(JobState.RUNNING, None)], id=uuid(place))
    return source


def ids(outcomes: list[Job | JobsError]) -> list[str]:
    return [outcome.ref.id for outcome in outcomes if outcome.ref is not None]


def ontap(simulator: OntapSimulator, name: str = "cluster1") -> OntapJobs:
    return OntapJobs(name, auth=Bearer("t"), transport=simulator.transport())


async def test_one_list_request_answers_for_all_jobs_of_a_cluster() -> None:
    simulator = OntapSimulator()
    wanted = [simulator.add_job(LIFE) for _ in range(100)]
    async with ontap(simulator) as source:
        outcomes = await get_all(source, wanted)
    assert ids(outcomes) == wanted
    assert {outcome.state for outcome in outcomes if isinstance(outcome, Job)} == {JobState.RUNNING}
    assert len(simulator.journal) == 1


async def test_a_server_without_lists_is_asked_for_each_job_some_at_a_time() -> None:
    simulator = CFSimulator()
    wanted = [simulator.add_job([("PROCESSING", None)]) for _ in range(30)]
    async with CFJobs("api.example.org", auth=Bearer("t"), transport=simulator.transport()) as source:
        assert ids(await get_all(source, wanted)) == wanted
    assert len(simulator.journal) == 30
    lab = Lab(*map(str, range(30)), concurrency=4)
    lab.latency = lambda _: 1.0
    began = anyio.current_time()
    assert ids(await get_all(lab, map(str, range(30)))) == [str(place) for place in range(30)]
    assert (lab.most, lab.most_of_one) == (4, 1)
    assert anyio.current_time() - began == pytest.approx(8)


async def test_a_job_that_is_not_there_is_asked_for_alone_and_is_an_error_in_its_place() -> None:
    simulator = OntapSimulator()
    wanted = [simulator.add_job(LIFE) for _ in range(5)]
    wanted[2:2] = [uuid(7)]
    async with ontap(simulator) as source:
        outcomes = await get_all(source, wanted)
    missing = outcomes[2]
    assert isinstance(missing, JobNotFound)
    assert ids(outcomes) == wanted
    assert sum(isinstance(outcome, Job) for outcome in outcomes) == 5
    assert len(simulator.journal) == 2


async def test_a_failed_job_is_no_error() -> None:
    source = ScriptedSource({"bad": [(JobState.FAILED, None)], "good": [(JobState.SUCCEEDED, None)]})
    outcomes = await get_all(source, ["bad", "good"])
    assert [outcome.state for outcome in outcomes if isinstance(outcome, Job)] == ["failed", "succeeded"]


async def test_a_job_that_is_named_twice_is_asked_about_once_and_told_twice() -> None:
    source = scripted(2)
    names: list[JobLike] = [
        uuid(0),
        source.ref(uuid(1)),
        str(source.ref(uuid(0))),
        Job(source.ref(uuid(0)), JobState.QUEUED),
    ]
    outcomes = await get_all(source, [*names, "none", "none"])
    assert ids(outcomes) == [uuid(0), uuid(1), uuid(0), uuid(0), "none", "none"]
    assert outcomes[-1] is not outcomes[-2]
    assert sorted(id for asked in source.journal for id in asked.ids) == [uuid(0), uuid(1), "none"]


async def test_no_job_takes_no_request() -> None:
    source = scripted(0)
    assert await get_all(source, []) == []
    assert await get_all(Fleet([source]), iter(())) == []
    assert source.journal == []


async def test_jobs_of_several_systems_are_asked_about_at_the_same_time() -> None:
    sources = [scripted(3, endpoint=f"https://host-{place}", latency=1.0) for place in range(20)]
    wanted = [source.ref(uuid(place)) for place in range(3) for source in sources]
    began = anyio.current_time()
    async with Fleet(sources) as fleet:
        outcomes = await get_all(fleet, map(str, wanted))
    assert [outcome.ref for outcome in outcomes] == wanted
    assert anyio.current_time() - began == pytest.approx(1)
    assert all(len(source.journal) == 1 for source in sources)


@pytest.mark.parametrize("stranger", ["ontap://elsewhere/x", "scripted://elsewhere/x", "", 7, None, b"x"])
async def test_a_strangers_job_is_refused_before_any_request(stranger: Any) -> None:
    source, other = scripted(2), scripted(2, endpoint="https://other")
    refs = [source.ref(uuid(0)), other.ref(uuid(0))]
    async with Fleet([source, other]) as fleet:
        with pytest.raises(UsageError) as caught:
            await get_all(fleet, [*refs, stranger])
        assert isinstance(caught.value, WrongSource) == (isinstance(stranger, str) and "://" in stranger)
        with pytest.raises(UsageError):
            await get_all(source, [refs[0], stranger])
    assert source.journal == other.journal == []


@pytest.mark.parametrize("jobs", ["job-1", None, 7])
async def test_what_is_no_list_of_jobs_is_refused(jobs: Any) -> None:
    with pytest.raises(UsageError, match="list"):
        await get_all(scripted(1), jobs)


async def test_a_closed_source_is_asked_nothing() -> None:
    source = scripted(3)
    await source.aclose()
    with pytest.raises(UsageError, match="closed"):
        await get_all(source, [uuid(0), uuid(1)])
    assert source.journal == []


# --- Trouble


def answering(answer: Callable[[httpx.Request], httpx.Response]) -> tuple[OntapJobs, list[httpx.Request]]:
    sent: list[httpx.Request] = []

    def answered(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return answer(request)

    return OntapJobs("cluster1", auth=Bearer("t"), transport=httpx.MockTransport(answered)), sent


def asked_ids(request: httpx.Request) -> list[str]:
    asked = request.url.params.get("uuid")
    return asked.split("|") if asked else [request.url.path.rpartition("/")[2]]


def records(wanted: list[str], **more: Any) -> httpx.Response:
    found = [more.get(id, {"uuid": id, "state": "running"}) for id in wanted]
    return httpx.Response(200, json={"records": found, "num_records": len(found)})


@pytest.mark.parametrize(
    ("status", "kind"), [(401, AuthenticationError), (429, RateLimited), (503, ServerError)]
)
async def test_a_system_that_refuses_is_asked_no_more_than_it_takes_to_know(
    status: int, kind: type[JobsError]
) -> None:
    source, sent = answering(lambda _: httpx.Response(status, json={"error": {"message": "no", "code": "9"}}))
    wanted = [uuid(place) for place in range(2000)]
    async with source:
        outcomes = await get_all(source, wanted)
    assert [type(outcome) for outcome in outcomes] == [kind] * 2000
    assert ids(outcomes) == wanted
    assert len({id(outcome) for outcome in outcomes}) == 2000
    assert len(sent) <= 2 * source._throttle.max_in_flight


async def test_a_dead_system_takes_nothing_from_the_others_of_a_fleet() -> None:
    def dead(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    broken, _ = answering(dead)
    fine = scripted(3)
    async with Fleet([broken, fine]) as fleet:
        wanted = [*(broken.ref(uuid(place)) for place in range(3)), *(fine.ref(uuid(p)) for p in range(3))]
        outcomes = await get_all(fleet, wanted)
    assert [isinstance(outcome, TransportError) for outcome in outcomes] == [True] * 3 + [False] * 3
    assert [outcome.ref for outcome in outcomes] == wanted


async def test_some_failures_among_good_replies_are_those_jobs_own() -> None:
    lab = Lab(*map(str, range(100)))
    failing = {str(place) for place in range(1, 100, 2)}
    lab.trouble = lambda asked: TransportError("reset") if failing & set(asked) else None
    outcomes = await get_all(lab, [str(place) for place in range(100)])
    assert {o.ref.id for o in outcomes if isinstance(o, TransportError) and o.ref} == failing
    assert len(lab.asked) == 100


async def test_a_record_that_cannot_be_read_is_asked_for_alone() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        wanted = asked_ids(request)
        if len(wanted) > 1:
            return records(wanted, **{uuid(1): {"uuid": uuid(1), "state": 7}, uuid(2): {"uuid": uuid(2)}})
        return httpx.Response(
            200, json={"uuid": wanted[0], "state": 7 if wanted[0] == uuid(1) else "success"}
        )

    source, _ = answering(answer)
    async with source:
        outcomes = await get_all(source, [uuid(place) for place in range(4)])
    assert [type(outcome) for outcome in outcomes][1] is DecodeError
    assert sum(isinstance(outcome, Job) for outcome in outcomes) == 3


@pytest.mark.slow
@pytest.mark.parametrize("most", [40, 7, 1])
async def test_a_server_that_wants_smaller_requests_gets_them(most: int) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        wanted = asked_ids(request)
        return (
            httpx.Response(414)
            if len(wanted) > most
            else (
                records(wanted)
                if "uuid" in request.url.params
                else httpx.Response(200, json={"uuid": wanted[0], "state": "running"})
            )
        )

    source, sent = answering(answer)
    wanted = [uuid(place) for place in range(500)]
    async with source:
        outcomes = await get_all(source, wanted)
    assert ids(outcomes) == wanted
    assert all(isinstance(outcome, Job) for outcome in outcomes)
    assert sum(len(asked_ids(request)) for request in sent if len(asked_ids(request)) <= most) == 500


@pytest.mark.slow
async def test_a_server_that_refuses_the_filter_is_asked_for_each_job() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        wanted = asked_ids(request)
        if "uuid" in request.url.params:
            return httpx.Response(400, json={"error": {"message": "bad query", "code": "262197"}})
        return httpx.Response(200, json={"uuid": wanted[0], "state": "running"})

    source, sent = answering(answer)
    wanted = [uuid(place) for place in range(400)]
    async with source:
        outcomes = await get_all(source, wanted)
    assert all(isinstance(outcome, Job) for outcome in outcomes)
    assert ids(outcomes) == wanted
    assert len(sent) <= 400 + source._throttle.max_in_flight


async def test_a_look_can_be_cancelled_and_leaves_nothing() -> None:
    source = scripted(400, latency=5.0)
    before = Footprint.now()
    with anyio.move_on_after(2) as scope:
        await get_all(source, [uuid(place) for place in range(400)])
    assert scope.cancelled_caught
    assert Footprint.now() == before


async def test_a_source_that_is_removed_meanwhile_says_so_of_the_jobs_that_are_left() -> None:
    removed, stays = scripted(0, endpoint="https://removed", latency=1.0), scripted(2)
    for place in range(40):
        removed.add_job([(JobState.RUNNING, None)], id=f"job-{place}", errors={9: 500})
    looked: list[Job | JobsError] = []
    refs = [removed.ref(f"job-{place}") for place in range(40)]
    async with Fleet([removed, stays]) as fleet, anyio.create_task_group() as group:

        async def look() -> None:
            looked.extend(await get_all(fleet, [*refs, stays.ref(uuid(0))]))

        group.start_soon(look)
        await anyio.sleep(2.5)
        await fleet.remove(removed)
    closed = [outcome for outcome in looked if isinstance(outcome, SourceClosed)]
    assert 0 < len(closed) < 40
    assert [outcome.ref for outcome in looked] == [*refs, stays.ref(uuid(0))]
    assert sum(isinstance(outcome, Job) for outcome in looked) == 41 - len(closed)


async def test_what_is_a_mistake_comes_out_as_it_is() -> None:
    lab = Lab("a", "b", "c")

    def broken(asked: object) -> JobsError | None:
        raise ZeroDivisionError

    lab.trouble = broken
    with pytest.raises(ZeroDivisionError):
        await get_all(lab, ["a", "b", "c"])


async def test_a_look_beside_a_wait_disturbs_neither() -> None:
    source = ScriptedSource(capabilities=BATCHES, policy=EACH_SECOND)
    ref = source.add_job([(JobState.RUNNING, 5.0), (JobState.SUCCEEDED, None)], id=uuid(0))
    other = source.add_job([(JobState.RUNNING, None)], id=uuid(1))
    looked: list[Job | JobsError] = []
    async with anyio.create_task_group() as group:
        group.start_soon(source.wait, ref)
        await anyio.sleep(2.5)
        looked += await get_all(source, [ref, other])
    assert [seen.state for seen in looked if isinstance(seen, Job)] == [JobState.RUNNING] * 2
    assert source.polls(other) == [pytest.approx(2.5 + source.polls(ref)[0])]
