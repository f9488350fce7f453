"""Seeded storms: crowds of waits under mixed faults, in virtual time, held to the journal of the server."""

from __future__ import annotations

from collections import Counter
from random import Random

import anyio
import attrs
import pytest

from common import AuthenticationError
from common import Job
from common import JobFailed
from common import JobGone
from common import JobNotFound
from common import JobsError
from common import PollPolicy
from common import WaitTimeout
from common import as_completed
from common import wait_all
from common.events import EventKind
from common.httpsource import HttpSource
from tests.common.scripted import outcome
from tests.common.virtual import Backend
from tests.common.virtual import Footprint
from tests.common.virtual import virtual_time
from tests.contract.systems import System
from tests.contract.systems import name_of
from tests.faults.weather import GRACE
from tests.faults.weather import SEEDS
from tests.faults.weather import SOURCES
from tests.faults.weather import WAITS
from tests.faults.weather import Place
from tests.faults.weather import Record
from tests.faults.weather import brew

pytestmark = pytest.mark.anyio

POLICIES = [
    PollPolicy(initial=1, maximum=5),
    PollPolicy(initial=1, maximum=30),
    PollPolicy(initial=0.3, maximum=20, fraction=0.5),
    PollPolicy(initial=10, maximum=60),
]
END_BY = 5_000.0
"""Seconds, virtual ones, after which every storm is over: faults and jobs have all ended long before."""


@virtual_time
def anyio_backend(request: pytest.FixtureRequest) -> Backend:
    backend: Backend = request.param()
    return backend


@attrs.frozen
class Plan:
    """Waits that begin together, and how: one, or several in one call."""

    how: str
    ids: list[str]
    starts: float
    timeout: float | None
    patience: float | None
    """Seconds after which the task is cancelled."""
    policy: PollPolicy


@attrs.define
class Course:
    """What became of one plan: every outcome that was handed out, in the order of its coming."""

    plan: Plan
    began: float = 0.0
    ended: float = -1.0
    cancelled: bool = False
    outcomes: list[tuple[str, float, Job | Exception]] = attrs.field(
        factory=list[tuple[str, float, Job | Exception]]
    )

    def add(self, ended: Job | Exception, id: str = "") -> None:
        if not id:
            assert isinstance(ended, Job | JobsError)
            assert ended.ref is not None
            id = ended.ref.id
        self.outcomes.append((id, anyio.current_time(), ended))


def plans(random: Random, place: Place, number: int) -> list[Plan]:
    ids = [
        place.job(random.choice([0.0, 2.5, 20.0, 90.0, 400.0]), random.choice(place.ends()))
        for _ in range(max(4, number // 4))
    ]
    endless = [place.job(0.0, None) for _ in range(3)]
    made: list[Plan] = []
    waits = 0
    while waits < number:
        how = random.choice(["wait", "wait", "watch", "wait_all", "as_completed"])
        many = 1 if how in {"wait", "watch"} else min(len(ids), random.choice([2, 5, 20]))
        timeout = random.choice([None, None, 0.0, 0.5, 3.0, 60.0, 900.0, random.random() * 300])
        patience = random.choice([None, None, None, None, 0.0, 2.0, random.random() * 120])
        chosen = random.sample(ids if timeout is None else [*ids, *endless], many)
        starts = random.choice([0.0, 0.0, 0.5, 1.0, 7.0, 60.0, random.random() * 300])
        made.append(Plan(how, chosen, starts, timeout, patience, random.choice(POLICIES)))
        waits += many
    return made


async def follow(source: HttpSource, course: Course) -> None:
    plan = course.plan
    await anyio.sleep(plan.starts)
    course.began = anyio.current_time()
    with anyio.move_on_after(plan.patience) as scope:
        await run(source, course)
    course.cancelled = scope.cancelled_caught
    course.ended = anyio.current_time()


async def run(source: HttpSource, course: Course) -> None:
    plan = course.plan
    timeout, policy = plan.timeout, plan.policy
    match plan.how:
        case "wait":
            course.add(await outcome(source.wait(plan.ids[0], timeout=timeout, policy=policy)), plan.ids[0])
        case "watch":
            course.add(await outcome(last_of(source, plan)), plan.ids[0])
        case "wait_all":
            for ended in await wait_all(source, plan.ids, timeout=timeout, policy=policy, check=False):
                course.add(ended)
        case _:
            async with as_completed(source, plan.ids, timeout=timeout, policy=policy) as done:
                async for ended in done:
                    course.add(ended)


async def last_of(source: HttpSource, plan: Plan) -> Job:
    last: Job | None = None
    async for job in source.watch(plan.ids[0], timeout=plan.timeout, policy=plan.policy):
        assert last is None or job.differs(last)
        last = job
    assert last is not None
    return last


def check(course: Course, record: Record) -> None:
    """Whether each wait of a plan ended once, in time, and on the server's word alone."""
    plan = course.plan
    took = course.ended - course.began
    assert course.ended >= 0, plan
    assert plan.patience is None or took <= plan.patience + GRACE, plan
    assert not plan.timeout or took <= plan.timeout + GRACE, (plan, took)
    handed_out = Counter(id for id, _, _ in course.outcomes)
    assert set(handed_out.values()) <= {1}, plan
    assert course.cancelled or set(handed_out) == set(plan.ids), plan
    for id, at, ended in course.outcomes:
        match ended:
            case Job():
                assert ended.done
                assert ended.ref.id == id
                assert record.shows(id, ended.state, at), (plan, ended)
            case JobFailed():
                assert ended.job is not None
                assert not ended.job.succeeded
                assert record.shows(id, ended.job.state, at), (plan, ended)
            case JobGone() | JobNotFound():
                assert record.lacks(id, at), (plan, ended)
            case WaitTimeout():
                assert plan.timeout is not None
                assert at - course.began >= plan.timeout - GRACE, plan
            case AuthenticationError():
                assert record.refuses(id, at), (plan, ended)
            case _:
                raise AssertionError((plan, ended)) from ended


async def ride(place: Place, source: HttpSource, courses: list[Course]) -> None:
    """Let everybody wait until all is over, and check what is left behind."""
    before = Footprint.now()
    with anyio.fail_after(END_BY):
        async with anyio.create_task_group() as group:
            for course in courses:
                group.start_soon(follow, source, course)
    record = place.record()
    for course in courses:
        check(course, record)
    raised = [id(end) for course in courses for _, _, end in course.outcomes if isinstance(end, Exception)]
    assert len(raised) == len(set(raised))
    assert place.way.flying == 0
    assert place.way.most <= place.concurrency
    assert source.poller.idle
    assert Footprint.now() == before


@pytest.mark.parametrize("system", SOURCES, ids=name_of)
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_each_wait_in_a_storm_ends_once_in_time_and_on_the_servers_word(
    system: System, seed: int
) -> None:
    random = Random(f"{system.name}/{seed}")  # noqa: S311
    place = Place.of(system, seed, concurrency=random.choice([1, 3, 8, 50]))
    brew(random, place, number=random.choice([6, 15, 40]), rough=random.choice([0.1, 0.5, 1.0]))
    slow = random.choice([[0.0], [0.0, 0.3], [0.05, 0.5, 1.0, 3.0], [*[0.1] * 20, 40.0]])
    place.way.latency = lambda: random.choice(slow)
    async with place.source() as source:
        courses = [Course(plan) for plan in plans(random, place, WAITS)]
        await ride(place, source, courses)
    whole = [course for course in courses if not course.cancelled]
    assert place.events[EventKind.ENDED] >= sum(len(course.plan.ids) for course in whole)
