"""A fleet that changes while it runs: sources come and go, and observers see the jobs of all."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from cProfile import Profile
from functools import partial
from random import Random
from typing import Any

import anyio
import pytest

from common import (
    Capability,
    Event,
    EventKind,
    Fleet,
    Job,
    JobLike,
    JobRef,
    JobsError,
    JobState,
    SourceClosed,
    UsageError,
    WrongSource,
    as_completed,
    get_all,
)
from common.model import refs
from common.sources.base import BaseSource, replace_observers
from common.testing import ScriptedSource
from ontapjobs import OntapJobs
from tests.common.virtual import Footprint
from tests.costs import lines
from tests.turns import counted

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

LIFE = [(JobState.RUNNING, 10.0), (JobState.SUCCEEDED, None)]


def system(name: str, **options: Any) -> ScriptedSource:
    """A system with one job, "job-1", that takes ten seconds."""
    source = ScriptedSource(endpoint=f"https://{name}", **options)
    source.add_job(LIFE)
    return source


def job_of(name: str) -> str:
    return f"scripted://{name}/job-1"


def calls(action: Callable[[], object]) -> int:
    """Return how many functions are called by one."""
    profile = Profile(builtins=True)
    profile.runcall(action)
    profile.create_stats()
    return sum(entry.callcount for entry in profile.getstats())


async def test_a_source_that_joins_later_gets_its_jobs() -> None:
    async with Fleet([system("a"), system("b")]) as fleet:
        with pytest.raises(WrongSource):
            await fleet.get(job_of("c"))
        fleet.add(system("c"))
        assert (await fleet.wait(job_of("c"))).succeeded
        assert [source.endpoint for source in fleet.sources if isinstance(source, ScriptedSource)] == [
            "https://a",
            "https://b",
            "https://c",
        ]


async def test_a_removed_source_ends_its_waits_and_no_others() -> None:
    gone, stays = system("gone"), system("stays")
    fleet = Fleet([gone, stays])
    before = Footprint.now()
    ended: dict[str, Any] = {}

    async def wait(name: str) -> None:
        try:
            ended[name] = await fleet.wait(job_of(name))
        except SourceClosed as error:
            ended[name] = error

    async with anyio.create_task_group() as group:
        group.start_soon(wait, "gone")
        group.start_soon(wait, "stays")
        await anyio.sleep(3)
        await fleet.remove(gone)
        await anyio.sleep(0.1)
        assert list(ended) == ["gone"]
    error = ended["gone"]
    assert isinstance(error, SourceClosed)
    assert error.ref == JobRef.parse(job_of("gone"))
    assert error.job is not None
    assert not error.final
    assert ended["stays"].succeeded
    assert Footprint.now() == before
    assert fleet.sources == (stays,)
    with pytest.raises(WrongSource):
        await fleet.get(job_of("gone"))


async def test_a_watch_of_a_removed_source_ends_too() -> None:
    gone = system("gone")
    async with Fleet([gone, system("stays")]) as fleet:
        watch = fleet.watch(job_of("gone"))
        assert (await anext(watch)).state is JobState.RUNNING
        await fleet.remove(gone)
        with pytest.raises(SourceClosed):
            await anext(watch)


async def test_the_place_of_a_removed_source_is_free() -> None:
    first = system("a", scope=(("account", "one"),))
    async with Fleet([first, system("b")]) as fleet:
        await fleet.remove(first)
        fleet.add(system("a"))
        assert (await fleet.wait(job_of("a"))).succeeded


async def test_the_last_source_may_go_and_another_one_come() -> None:
    only = system("only")
    async with Fleet([only]) as fleet:
        await fleet.remove(only)
        for name in (job_of("only"), "job-1"):
            with pytest.raises(UsageError):
                await fleet.get(name)
        fleet.add(system("next"))
        assert (await fleet.get("job-1")).ref == JobRef.parse(job_of("next"))


async def test_removal_closes_a_source_also_where_that_fails() -> None:
    class Stubborn(ScriptedSource):
        async def aclose(self) -> None:
            await super().aclose()
            raise RuntimeError("not now")

    stubborn = Stubborn(endpoint="https://stubborn")
    async with Fleet([stubborn, system("b")]) as fleet:
        with pytest.raises(RuntimeError, match="not now"):
            await fleet.remove(stubborn)
        assert stubborn not in fleet.sources
        with pytest.raises(UsageError, match="not a source of this fleet"):
            await fleet.remove(stubborn)


@pytest.mark.parametrize("what", [None, "ontap://a", 7, ["a"], ScriptedSource(endpoint="https://other")])
async def test_only_a_member_can_be_removed(what: Any) -> None:
    async with Fleet([system("a")]) as fleet:
        with pytest.raises(UsageError, match="not a source of this fleet"):
            await fleet.remove(what)


async def test_a_source_of_a_system_that_is_there_cannot_join() -> None:
    async with Fleet([system("a"), system("b"), Fleet([system("inner")])]) as fleet:
        for name in ("a", "b", "inner"):
            for again in (system(name), Fleet([system(name)])):
                with pytest.raises(UsageError, match="two"):
                    fleet.add(again)
        assert len(fleet.sources) == 3


async def test_nothing_joins_a_fleet_that_was_closed() -> None:
    fleet = Fleet([system("a")])
    await fleet.aclose()
    with pytest.raises(UsageError, match="closed"):
        fleet.add(system("b"))


async def test_a_fleet_cannot_hold_itself() -> None:
    inner = Fleet([system("a")])
    async with Fleet([inner, system("b")]) as outer:
        for member in (inner, outer):
            with pytest.raises(UsageError, match="itself"):
                inner.add(outer) if member is inner else outer.add(outer)


async def test_what_joins_a_fleet_within_a_fleet_is_found_from_outside() -> None:
    inner = Fleet([system("a")])
    async with Fleet([inner, system("b")]) as outer:
        inner.add(system("c"))
        assert (await outer.wait(job_of("c"))).succeeded
        await outer.remove(inner)
        with pytest.raises(WrongSource):
            outer.ref(job_of("c"))


async def test_what_joins_a_fleet_within_a_fleet_has_no_system_of_that_one() -> None:
    inner, innermost = Fleet([system("a")]), Fleet([system("b")])
    async with Fleet([inner, system("c")]) as outer:
        inner.add(innermost)
        for fleet in (inner, innermost):
            for name in "abc":
                with pytest.raises(UsageError, match="two sources of one system"):
                    fleet.add(system(name))
        await outer.remove(inner)
        assert len(outer.sources) == 1
        outer.add(system("a"))
        assert (await outer.get(job_of("a"))).ref == JobRef.parse(job_of("a"))


async def test_a_fleet_does_not_keep_those_that_it_was_a_member_of() -> None:
    inner = Fleet([system("a")])
    outer = weakref.ref(Fleet([inner, system("b")]))
    gc.collect()
    assert outer() is None
    inner.add(system("b"))
    await inner.aclose()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
async def test_of_fifty_systems_that_come_and_go_no_end_is_lost_or_told_twice(seed: int) -> None:
    chance = Random(seed)
    batches = frozenset(Capability)

    def busy(number: int) -> ScriptedSource:
        source = ScriptedSource(endpoint=f"https://host-{number}", capabilities=batches, latency=0.05)
        for id in range(4):
            source.add_job(
                [(JobState.RUNNING, chance.uniform(1, 60)), (JobState.SUCCEEDED, None)], id=str(id)
            )
        return source

    sources = [busy(number) for number in range(50)]
    newcomers = [busy(number) for number in range(50, 60)]
    leaving = chance.sample(sources, 10)
    ended: dict[JobRef, list[Job | JobsError]] = {}
    before = Footprint.now()
    fleet = Fleet(sources)

    async def wait(ref: JobRef) -> None:
        try:
            outcome: Job | JobsError = await fleet.wait(str(ref))
        except JobsError as error:
            outcome = error
        ended.setdefault(ref, []).append(outcome)

    async with anyio.create_task_group() as group:
        for source in sources:
            for id in range(4):
                group.start_soon(wait, source.ref(str(id)))
        for source, newcomer in zip(leaving, newcomers, strict=True):
            await anyio.sleep(chance.uniform(0.1, 4))
            group.start_soon(fleet.remove, source)
            fleet.add(newcomer)
            for id in range(4):
                group.start_soon(wait, newcomer.ref(str(id)))
            await get_all(fleet, [newcomer.ref("0"), newcomer.ref("1")])
    assert {len(outcomes) for outcomes in ended.values()} == {1}
    assert len(ended) == 60 * 4
    for ref, (outcome,) in ended.items():
        gone = any(ref.endpoint == source.endpoint for source in leaving)
        assert isinstance(outcome, SourceClosed) if not isinstance(outcome, Job) else outcome.succeeded
        assert isinstance(outcome, Job) or gone
    assert any(isinstance(outcome, SourceClosed) for (outcome,) in ended.values())
    assert Footprint.now() == before
    await fleet.aclose()


class Slow(ScriptedSource):
    """A system that takes half a minute to close, as where a sign-in hangs."""

    async def aclose(self) -> None:
        await super().aclose()
        with anyio.CancelScope(shield=True):
            await anyio.sleep(30)


async def test_a_fleet_closes_its_sources_at_once_and_not_one_after_another() -> None:
    names = [f"host-{number}" for number in range(20)]
    sources = [Slow(endpoint=f"https://{name}") for name in names]
    ended: list[float] = []
    closed: list[float] = []

    async def wait(source: Slow) -> None:
        with pytest.raises(SourceClosed):
            await source.wait(source.add_job(LIFE))
        ended.append(anyio.current_time())

    async with anyio.create_task_group() as group:
        for source in sources:
            group.start_soon(wait, source)
        await anyio.sleep(1)
        closed.append(anyio.current_time())
        await Fleet([Fleet(sources[:10]), *sources[10:]]).aclose()
        closed.append(anyio.current_time())
    assert ended == pytest.approx([closed[0]] * 20)
    assert closed[1] == pytest.approx(closed[0] + 30)


async def test_a_fleet_whose_closing_is_cancelled_closes_every_source() -> None:
    fleet = Fleet([Slow(endpoint=f"https://host-{number}") for number in range(20)])
    with anyio.move_on_after(5):
        await fleet.aclose()
    for source in fleet.sources:
        assert isinstance(source, Slow)
        assert source.is_closed


async def test_others_get_turns_while_a_fleet_is_closed() -> None:
    fleet = Fleet([system(f"host-{number}") for number in range(50)])
    async with counted() as turns:
        await fleet.aclose()
        assert turns.count >= 50


async def test_a_fleet_of_many_is_short_in_an_error() -> None:
    many = Fleet([system(f"host-{number}") for number in range(1000)])
    assert repr(many).endswith("'https://host-4'>, and 995 more]>")
    with pytest.raises(UsageError, match="995 more") as raised:
        await Fleet([system("other")]).remove(many)
    assert len(str(raised.value)) < 500


# --- Whose job it is


async def test_parts_that_a_ref_leaves_out_are_found_where_one_source_has_them() -> None:
    sources = [
        system(host, scope=(("account", account), ("agent", agent)))
        for host, account, agent in (
            ("h", "red", "1"),
            ("h", "blue", "1"),
            ("h", "blue", "2"),
            ("i", "x", "9"),
        )
    ]
    async with Fleet(sources) as fleet:
        for text, place in (
            ("scripted://h/red/job-1?agent=1", 0),
            ("scripted://h/blue/job-1?agent=2", 2),
            ("scripted://h/red/job-1", 0),
            ("scripted://h/job-1?agent=2", 2),
            ("scripted://i/job-1", 3),
        ):
            assert fleet.of(text) is sources[place]
        assert fleet.of(JobRef("scripted", "", "job-1", (("agent", "9"),))) is sources[3]
        for text in ("scripted://h/blue/job-1", "scripted://h/job-1", "scripted://h/job-1?agent=1"):
            with pytest.raises(UsageError, match="several"):
                fleet.of(text)
        for text in ("scripted://h/green/job-1", "scripted://h/red/job-1?agent=2", "scripted://i/red/job-1"):
            with pytest.raises(WrongSource):
                fleet.of(text)


async def test_a_text_is_parsed_once_for_each_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet, parsed = Fleet([system("a"), system("b")]), list[str]()
    parse = refs.JobRef.parse

    def counted(text: str) -> JobRef:
        parsed.append(text)
        return parse(text)

    monkeypatch.setattr(refs.JobRef, "parse", counted)
    await fleet.wait(job_of("a"))
    assert len(parsed) == 1
    async with as_completed(fleet, [job_of("a"), job_of("b")]) as done:
        assert len([outcome async for outcome in done]) == 2
    assert len(parsed) == 3
    await fleet.aclose()


async def test_only_the_source_of_a_ref_is_asked_about_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    resolve = BaseSource.ref

    def counted(source: BaseSource, job: JobLike) -> JobRef:
        asked.append(source.endpoint)
        return resolve(source, job)

    names = [f"host-{number}" for number in range(50)]
    sources = [system(name) for name in names]
    monkeypatch.setattr(BaseSource, "ref", counted)
    async with Fleet(sources) as fleet:
        assert asked == []
        for name in names:
            await fleet.get(job_of(name))
    assert asked == [f"https://{name}" for name in names]


async def test_to_add_a_source_or_to_route_a_job_costs_the_same_in_a_fleet_of_any_size() -> None:
    def work(of: int) -> tuple[int, int]:
        sources = [OntapJobs(f"https://host-{number}", auth=("user", "password")) for number in range(of + 1)]
        fleet, newcomer = Fleet(sources[:-1]), sources[-1]
        return calls(partial(fleet.add, newcomer)), calls(partial(fleet.route, newcomer.ref("a" * 36)))

    assert work(5) == work(100)


async def test_to_add_a_fleet_or_to_route_a_job_costs_the_same_beside_any_number_of_fleets() -> None:
    def cost(of: int) -> tuple[int, int]:
        fleets = [Fleet([system(f"host-{number}")]) for number in range(of + 1)]
        outer, newcomer = Fleet(fleets[:-1]), fleets[-1]
        return lines(partial(outer.add, newcomer)), lines(partial(outer.route, job_of("host-0")))

    assert cost(5) == cost(100)


# --- Observers


async def test_an_observer_of_a_fleet_sees_the_jobs_of_all_members_once() -> None:
    own: list[Event] = []
    seen: list[Event] = []
    first, second = system("a"), system("b")
    replace_observers([first], (), [own.append])
    replace_observers([second], (), [seen.append])
    async with Fleet([first, Fleet([second])], observer=seen.append) as fleet:
        fleet.add(system("c"))
        for name in "abc":
            await fleet.wait(job_of(name))
    ended = [str(event.ref) for event in seen if event.kind is EventKind.ENDED]
    assert ended == [job_of(name) for name in "abc"]
    assert [str(event.ref) for event in own if event.kind is EventKind.ENDED] == [job_of("a")]


async def test_an_observer_of_a_fleet_is_replaced_in_all_members_which_keep_their_own() -> None:
    own, former, later = list[Event](), list[Event](), list[Event]()
    first, second = system("a"), system("b")
    replace_observers([first], (), [own.append])
    inner = Fleet([second], observer=own.append)
    async with Fleet([first, inner], observer=former.append) as fleet:
        for observer in (later.append, None):
            fleet.observer = observer
            assert fleet.observer == observer
            for name in "ab":
                await fleet.wait(job_of(name))
    assert not former
    assert inner.observer == own.append
    for seen, times in ((own, 2), (later, 1)):
        ended = [str(event.ref) for event in seen if event.kind is EventKind.ENDED]
        assert ended == [job_of(name) for name in "ab"] * times


def ended(events: list[Event]) -> list[str]:
    return [str(each.ref) for each in events if each.kind is EventKind.ENDED]


async def test_the_same_function_may_observe_a_source_and_fleets_around_it() -> None:
    seen, later = list[Event](), list[Event]()
    own, shared = system("a"), system("b")
    replace_observers([own], (), [seen.append])
    inner = Fleet([shared], observer=seen.append)
    other = Fleet([shared], observer=seen.append)
    async with Fleet([own, inner], observer=seen.append) as fleet:
        fleet.observer = later.append
        inner.observer = None
        for name in "ab":
            await fleet.wait(job_of(name))
        for events in (seen, later):
            assert [str(each.ref) for each in events if each.kind is EventKind.ENDED] == list(
                map(job_of, "ab")
            )
        other.observer = None
        await fleet.wait(job_of("b"))
    assert ended(seen) == list(map(job_of, "ab"))


async def test_the_observer_of_a_fleet_within_another_leaves_that_of_the_other() -> None:
    seen, inner_seen = list[Event](), list[Event]()
    inner = Fleet([system("a")])
    async with Fleet([inner], observer=seen.append) as fleet:
        inner.observer = inner_seen.append
        inner.add(system("b"))
        for name in "ab":
            await fleet.wait(job_of(name))
    for events in (seen, inner_seen):
        assert ended(events) == list(map(job_of, "ab"))


async def test_an_observer_that_is_refused_by_one_source_is_that_of_none() -> None:
    seen, later = list[Event](), list[Event]()
    first, second = system("a"), system("b")
    async with Fleet([first, second], observer=seen.append) as fleet, anyio.create_task_group() as group:
        group.start_soon(second.wait, "job-1")
        await anyio.sleep(3)
        with pytest.raises(UsageError, match="has waits already"):
            fleet.observer = later.append
        fleet.observer = seen.append  # which it is already
        await first.wait("job-1")
        assert not later
        await anyio.sleep(30)
        fleet.observer = later.append
        seen.clear()
        await fleet.wait(job_of("a"))
    assert later
    assert not seen


async def test_an_observer_that_fails_keeps_nothing_from_others(caplog: pytest.LogCaptureFixture) -> None:
    def broken(event: Event) -> None:
        raise ValueError(event.kind)

    source, seen = system("a"), list[Event]()
    replace_observers([source], (), [broken])
    async with Fleet([source], observer=seen.append) as fleet:
        assert (await fleet.wait(job_of("a"))).succeeded
    assert seen[-1].kind is EventKind.ENDED
    assert "the observer failed" in caplog.text


async def test_an_observer_cannot_join_while_waits_are_going_on() -> None:
    source, events = system("a"), list[Event]()
    async with source, anyio.create_task_group() as group:
        group.start_soon(source.wait, "job-1")
        await anyio.sleep(3)
        with pytest.raises(UsageError, match="has waits already"):
            Fleet([source], observer=events.append)
        await anyio.sleep(30)
        fleet = Fleet([source], observer=events.append)
        assert (await fleet.wait("job-1")).succeeded
    assert events


@pytest.mark.parametrize("observer", [7, "text", [print]])
def test_what_is_no_observer_is_refused(observer: Any) -> None:
    with pytest.raises(UsageError, match="observer="):
        Fleet([system("a")], observer=observer)
    with pytest.raises(UsageError, match="observer="):
        Fleet([system("a")]).observer = observer


async def test_a_job_keeps_what_was_seen_of_it_on_its_way_to_its_source() -> None:
    async with Fleet([system("a"), system("b")]) as fleet:
        ended = Job(JobRef.parse(job_of("a")), JobState.SUCCEEDED)
        assert await fleet.wait(ended) is ended
