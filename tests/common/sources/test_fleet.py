"""A fleet: whose job it is, and what it does for sources that cannot all do the same."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, cast

import attrs
import pytest

from bluexp_jobs import BlueXPJobs
from bluexp_jobs.simulator import BlueXPSimulator
from cfjobs import CFJobs
from cfjobs.simulator import CFSimulator
from common import (
    Action,
    Bearer,
    Capability,
    Fleet,
    Job,
    JobLike,
    JobRef,
    JobSource,
    JobState,
    ServerError,
    Unsupported,
    UsageError,
    WaitTimeout,
    WrongSource,
)
from ontapjobs import OntapJobs
from ontapjobs.simulator import OntapSimulator
from tests.common.scripted import Script, outcomes, unavailable
from tests.common.virtual import Footprint

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

TOKEN = "s3cret-token"
ID = "6f0c3a51-3c1d-4a5e-9d39-0c3c5ad8b2f7"
ONTAP_LIFE = [("running", 10), ("success", None)]
BLUEXP_LIFE = [("IN_PROGRESS", 20), ("COMPLETED", None)]
CF_LIFE = [("PROCESSING", 30), ("COMPLETE", None)]


def ontap(name: str, simulator: OntapSimulator, **options: Any) -> OntapJobs:
    return OntapJobs(name, auth=Bearer(TOKEN), transport=simulator.transport(), **options)


def bluexp(account: str, simulator: BlueXPSimulator) -> BlueXPJobs:
    simulator.account = account
    return BlueXPJobs(account=account, agent="agent-sim", auth=Bearer(TOKEN), transport=simulator.transport())


def cf(name: str, simulator: CFSimulator) -> CFJobs:
    return CFJobs(name, auth=Bearer(TOKEN), transport=simulator.transport())


@attrs.frozen
class World:
    """Two clusters, two accounts and a foundation, each with a job of the same id, and a fleet over them."""

    first: OntapSimulator = attrs.field(factory=OntapSimulator)
    second: OntapSimulator = attrs.field(factory=OntapSimulator)
    red: BlueXPSimulator = attrs.field(factory=BlueXPSimulator)
    blue: BlueXPSimulator = attrs.field(factory=BlueXPSimulator)
    foundation: CFSimulator = attrs.field(factory=CFSimulator)

    def fleet(self) -> Fleet:
        for cluster in (self.first, self.second):
            cluster.add_job(ONTAP_LIFE, id=ID)
        for account in (self.red, self.blue):
            account.add_job(BLUEXP_LIFE, id=ID)
        self.foundation.add_job(CF_LIFE, id=ID)
        return Fleet(
            [
                ontap("first", self.first, aliases=["10.0.0.1"]),
                cf("api.example.org", self.foundation),
                bluexp("account-red", self.red),
                ontap("second", self.second),
                bluexp("account-blue", self.blue),
            ]
        )

    @property
    def asked(self) -> list[int]:
        """How many requests each system got."""
        systems = (self.first, self.second, self.red, self.blue, self.foundation)
        return [len(system.journal) for system in systems]


REFS = [
    f"ontap://first/{ID}",
    f"ontap://second/{ID}",
    f"bluexp://api.bluexp.netapp.com/account-red/{ID}?agent=agent-sim",
    f"bluexp://api.bluexp.netapp.com/account-blue/{ID}?agent=agent-sim",
    f"cf://api.example.org/{ID}",
]


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("form", ["text", "ref", "job"])
async def test_a_ref_goes_to_the_source_that_it_belongs_to(number: int, form: str) -> None:
    world = World()
    ref = JobRef.parse(REFS[number])
    names: dict[str, JobLike] = {"text": REFS[number], "ref": ref, "job": Job(ref, JobState.RUNNING)}
    name = names[form]
    async with world.fleet() as fleet:
        assert fleet.ref(name) == ref
        assert (await fleet.get(name)).ref == ref
        assert [seen.ref async for seen in fleet.watch(name)] == [ref, ref]
        assert (await fleet.wait(name)).succeeded
    assert [asked > 0 for asked in world.asked] == [place == number for place in range(5)]


async def test_an_alias_goes_to_the_source_that_has_it() -> None:
    world = World()
    async with world.fleet() as fleet:
        assert (await fleet.wait(f"ontap://10.0.0.1/{ID}")).ref == JobRef.parse(REFS[0])
    assert world.asked[1:] == [0] * 4


async def test_jobs_of_all_systems_are_waited_for_at_once() -> None:
    async with World().fleet() as fleet:
        ended = await outcomes(*(fleet.wait(ref) for ref in REFS))
    assert [str(each.ref) for each in ended if isinstance(each, Job)] == REFS


async def test_a_job_that_had_ended_costs_no_request_wherever_it_ran() -> None:
    world = World()
    async with world.fleet() as fleet:
        for ref in map(JobRef.parse, REFS):
            assert await fleet.wait(Job(ref, JobState.SUCCEEDED)) == Job(ref, JobState.SUCCEEDED)
    assert world.asked == [0] * 5


@pytest.mark.parametrize(
    "stranger",
    [
        f"ontap://third/{ID}",
        f"ontap+http://first/{ID}",
        f"bluexp://api.bluexp.netapp.com/account-green/{ID}?agent=agent-sim",
        JobRef("jenkins", "https://ci.example.org", ID),
    ],
)
async def test_a_strangers_job_is_refused_before_any_request(stranger: str | JobRef) -> None:
    world = World()
    async with world.fleet() as fleet:
        for ask in (fleet.get, fleet.wait):
            with pytest.raises(WrongSource, match="none of the fleet's 5 sources") as caught:
                await ask(stranger)
            assert caught.value.ref is not None
            assert str(caught.value.ref) == str(stranger)
        with pytest.raises(WrongSource):
            await fleet.act(stranger, Action.CANCEL)
        with pytest.raises(WrongSource):
            fleet.watch(stranger)
    assert world.asked == [0] * 5


@pytest.mark.parametrize("id", [ID, "", "jenkins://ci.example.org/7"])
async def test_a_bare_id_says_nothing_to_a_fleet_of_several(id: str) -> None:
    world = World()
    async with world.fleet() as fleet:
        for ask in (fleet.get, fleet.wait):
            with pytest.raises(UsageError, match="bare id"):
                await ask(id)
    assert world.asked == [0] * 5


async def test_a_bare_id_will_do_in_a_fleet_of_one() -> None:
    simulator = CFSimulator()
    async with Fleet([cf("api.example.org", simulator)]) as fleet:
        assert (await fleet.wait(simulator.add_job(CF_LIFE))).succeeded
        with pytest.raises(WrongSource, match=r"elsewhere\.org"):
            await fleet.get(f"cf://elsewhere.org/{ID}")


async def test_a_ref_without_endpoint_will_do_where_only_one_source_can_be_meant() -> None:
    world = World()
    async with world.fleet() as fleet:
        assert (await fleet.wait(JobRef("cf", "", ID))).ref == JobRef.parse(REFS[4])
        with pytest.raises(UsageError, match="several"):
            await fleet.wait(JobRef("ontap", "", ID))
        with pytest.raises(UsageError, match="several"):
            await fleet.wait(JobRef("bluexp", "https://api.bluexp.netapp.com", ID))
    assert world.asked == [0, 0, 0, 0, world.asked[4]]


@pytest.mark.parametrize("name", [None, 5, b"id", ["id"]])
async def test_what_names_no_job_is_refused(name: Any) -> None:
    async with World().fleet() as fleet:
        with pytest.raises(UsageError):
            await fleet.get(name)


async def test_the_arguments_of_a_wait_reach_its_source() -> None:
    async def probe(ref: JobRef, last: Job | None) -> JobState:
        del ref, last
        return JobState.CANCELLED

    world = World()
    async with world.fleet() as fleet:
        with pytest.raises(WaitTimeout):
            await fleet.wait(REFS[0], timeout=2)
        assert (await fleet.wait(REFS[0], until={JobState.RUNNING})).state is JobState.RUNNING
        world.first.jobs.clear()
        ended = await fleet.wait(REFS[0], resolve_gone=probe, check=False)
        assert (ended.state, ended.resolved) == (JobState.CANCELLED, True)


# --- What only some can do


async def test_a_fleet_can_do_what_one_of_its_sources_can() -> None:
    world = World()
    fleet = world.fleet()
    assert isinstance(fleet, JobSource)
    assert fleet.capabilities == fleet.of(REFS[0]).capabilities
    assert Capability.CANCEL in fleet.capabilities
    assert fleet.of(REFS[4]).capabilities == frozenset()
    await fleet.aclose()


async def test_an_action_works_for_the_jobs_of_those_that_can() -> None:
    world = World()
    async with world.fleet() as fleet:
        await fleet.act(REFS[0], Action.PAUSE)
        assert (await fleet.wait(REFS[0], until={JobState.PAUSED})).state is JobState.PAUSED
        for ref in REFS[2:]:
            with pytest.raises(Unsupported):
                await fleet.act(ref, Action.PAUSE)
            with pytest.raises(Unsupported):
                await fleet.wait(ref, on_cancel="cancel")
    assert world.asked[1:] == [0] * 4


async def test_a_list_goes_over_those_that_can_one_after_another() -> None:
    world = World()
    async with world.fleet() as fleet:
        listed = [str(job.ref) async for job in fleet.list()]
    assert listed == [REFS[0], REFS[2], REFS[1], REFS[3]]
    assert world.asked == [1, 1, 1, 1, 0]


async def test_a_list_asks_a_source_only_when_it_is_its_turn() -> None:
    world = World()
    async with world.fleet() as fleet:
        jobs = fleet.list()
        assert world.asked == [0] * 5
        assert str((await anext(jobs)).ref) == REFS[0]
        assert world.asked == [1, 0, 0, 0, 0]
        assert len([job async for job in jobs]) == 3


async def test_without_one_that_can_list_the_fleet_says_so_at_once() -> None:
    simulator = CFSimulator()
    async with Fleet([cf("a.example.org", simulator), cf("b.example.org", simulator)]) as fleet:
        with pytest.raises(Unsupported):
            fleet.list()
    assert simulator.journal == []


async def test_a_filter_that_one_source_does_not_know_is_refused_before_any_request() -> None:
    world = World()
    async with world.fleet() as fleet:
        with pytest.raises(UsageError, match="state"):
            fleet.list(state="running")
    assert world.asked == [0] * 5


async def test_the_jobs_listed_before_some_trouble_are_not_lost() -> None:
    simulator = OntapSimulator()
    simulator.add_job(ONTAP_LIFE, id=ID)
    down = OntapJobs("second", auth=Bearer(TOKEN), transport=Script(unavailable))
    async with Fleet([ontap("first", simulator), down]) as fleet:
        jobs = fleet.list()
        assert str((await anext(jobs)).ref) == REFS[0]
        with pytest.raises(ServerError):
            await anext(jobs)


async def test_a_list_that_is_left_early_leaves_nothing_behind() -> None:
    async with World().fleet() as fleet:
        before = Footprint.now()
        async with aclosing(cast("AsyncGenerator[Job, None]", fleet.list())) as jobs:
            await anext(jobs)
        assert Footprint.now() == before


# --- Making and closing one


def test_a_fleet_of_nobody_makes_no_sense() -> None:
    with pytest.raises(UsageError, match="at least one"):
        Fleet([])


def test_what_is_no_source_cannot_join() -> None:
    member: Any = object()
    with pytest.raises(UsageError, match="object"):
        Fleet([member])


def test_two_sources_of_one_system_cannot_join() -> None:
    simulator = OntapSimulator()
    with pytest.raises(UsageError, match="two"):
        Fleet([ontap("first", simulator), ontap("https://FIRST:443", simulator)])


def test_two_sources_of_which_one_is_the_others_alias_cannot_join() -> None:
    simulator = OntapSimulator()
    with pytest.raises(UsageError, match="two"):
        Fleet([ontap("first", simulator, aliases=["second"]), ontap("second", simulator)])


async def test_fleets_can_be_members_of_a_fleet() -> None:
    world = World()
    inner = world.fleet()
    extra = CFSimulator()
    async with Fleet([inner, cf("cf.elsewhere.org", extra)]) as fleet:
        assert (await fleet.wait(REFS[3])).succeeded
        assert (await fleet.wait(f"cf://cf.elsewhere.org/{extra.add_job(CF_LIFE)}")).succeeded
        assert len([job async for job in fleet.list()]) == 4


async def test_closing_a_fleet_closes_every_member_also_when_one_fails() -> None:
    world = World()
    fleet = world.fleet()
    closed: list[str] = []

    class Stubborn(CFJobs):
        async def aclose(self) -> None:
            closed.append(self.endpoint)
            raise RuntimeError("not now")

    stubborn = [Stubborn(name, auth=Bearer(TOKEN)) for name in ("a.example.org", "b.example.org")]
    larger = Fleet([stubborn[0], fleet, stubborn[1]])
    with pytest.raises(RuntimeError, match="not now"):
        await larger.aclose()
    assert sorted(closed) == ["https://a.example.org", "https://b.example.org"]
    with pytest.raises(UsageError, match="closed"):
        await fleet.get(REFS[0])


def test_the_repr_of_a_fleet_names_its_members_and_no_secret() -> None:
    text = repr(World().fleet())
    assert "https://first" in text
    assert "account-red" in text
    assert TOKEN not in text
