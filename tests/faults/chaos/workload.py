"""Who waits in a storm: plans drawn from its seed, and the course that each of them takes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any, Literal

import anyio
import attrs

from common import Job, JobLike, JobsError, PollPolicy, as_completed, from_dict, to_dict, wait_all
from common.sources.http import HttpSource
from tests.common.scripted import outcome
from tests.faults.chaos.recording_transport import WHO
from tests.faults.chaos.system_under_test import Place

POLICIES = [
    PollPolicy(initial=1, maximum=5),
    PollPolicy(initial=1, maximum=30),
    PollPolicy(initial=0.3, maximum=20, fraction=0.5),
    PollPolicy(initial=10, maximum=60),
    PollPolicy(initial=2, maximum=15, outage_limit=45, unknown_limit=20, start_grace=0),
]

How = Literal["wait", "watch", "browse", "all", "first", "first_failure", "completed", "some"]
"""One wait, a watch (``browse``: with pauses between its steps), `wait_all` in its three ways, `as_completed`
to its end or left after some outcomes."""
WAYS: Sequence[How] = (
    *("wait", "wait", "wait", "watch", "browse"),
    *("all", "completed", "first", "first_failure", "some"),
)
ALONE = frozenset({"wait", "watch", "browse"})
LEAVES_EARLY = frozenset({"first", "first_failure", "some"})

Outcome = Job | Exception


@attrs.frozen
class Plan:
    """Waits that begin together, and how: one, or several in one call."""

    how: How
    jobs: Mapping[str, JobLike]
    """What is passed for each id: the id, or after a restart what was written down."""
    starts: float
    timeout: float | None
    patience: float | None
    """Seconds after which the task is cancelled."""
    policy: PollPolicy
    pause: float = 0.0
    """Seconds between two steps of one that browses."""


@attrs.define(eq=False)
class Course:
    """What became of one plan: every outcome that was handed out, in the order of its coming."""

    plan: Plan
    began: float = -1.0
    ended: float = -1.0
    cancelled: bool = False
    pausing: bool = False
    """Whether it is between two steps of a watch, where nobody waits."""
    killed: bool = True
    """Whether its process stopped first."""
    outcomes: list[tuple[str, float, Outcome]] = attrs.field(factory=list[tuple[str, float, Outcome]])

    @property
    def stopped(self) -> bool:
        """Whether waits of it may have been abandoned."""
        return self.cancelled or self.killed or self.plan.how in LEAVES_EARLY

    def left(self) -> list[str]:
        """The jobs whose outcome was not handed out."""
        done = {id for id, _, _ in self.outcomes}
        return [id for id in self.plan.jobs if id not in done]

    def __str__(self) -> str:
        came = "".join(f"\n  {at} {id} {_brief(end)}" for id, at, end in self.outcomes)
        return f"{self.plan}\nbegan {self.began}, ended {self.ended}, came: {came}"

    def add(self, ended: Outcome | None, id: str = "") -> None:
        """Note an outcome that was handed out; None for a wait that was left."""
        if ended is None:
            return
        if not id:
            assert isinstance(ended, Job | JobsError)
            assert ended.ref is not None
            id = ended.ref.id
        self.outcomes.append((id, anyio.current_time(), ended))


def _brief(end: Outcome) -> str:
    return repr(end.state) if isinstance(end, Job) else repr(end)


def plans(random: Random, place: Place, number: int) -> Iterator[Plan]:
    """Plans for at least so many waits, on a quarter as many jobs."""
    ids = [
        place.job(random.choice([0.0, 2.5, 20.0, 90.0, 400.0]), random.choice(place.ends()))
        for _ in range(max(4, number // 4))
    ]
    endless = [place.job(0.0, None) for _ in range(3)]
    waits = 0
    while waits < number:
        how = random.choice(WAYS)
        many = 1 if how in ALONE else min(len(ids), random.choice([2, 3, 5, 20]))
        many = min(many, 3) if how in LEAVES_EARLY else many
        timeout = random.choice([None, None, 0.0, 0.5, 3.0, 60.0, 900.0, random.random() * 300])
        patience = random.choice([None] * 9 + [0.0, 2.0, random.random() * 120])
        chosen = random.sample(ids if timeout is None else [*ids, *endless], many)
        starts = random.choice([0.0, 0.0, 0.5, 1.0, 7.0, 60.0, random.random() * 300])
        pause = random.choice([0.0, 0.7, 5.0, 40.0]) if how == "browse" else 0.0
        jobs = {id: id for id in chosen}
        yield Plan(how, jobs, starts, timeout, patience, random.choice(POLICIES), pause)
        waits += many


def resumed(random: Random, place: Place, source: HttpSource, course: Course, now: float) -> Plan:
    """The plan of the process that comes after the one that was killed: refs as text, or jobs as JSON."""
    jobs: dict[str, JobLike] = {}
    for id in course.left():
        seen = place.seen.get(id)
        if seen is None or random.random() < 0.5:
            jobs[id] = str(source.ref(id))
        else:
            text = json.dumps(to_dict(seen))
            jobs[id] = from_dict(json.loads(text))
    return attrs.evolve(course.plan, jobs=jobs, starts=max(0.0, course.plan.starts - now))


async def follow(source: HttpSource, course: Course) -> None:
    """Take the course of a plan."""
    plan = course.plan
    WHO.set(course)
    try:
        await anyio.sleep(plan.starts)
        course.began = anyio.current_time()
        with anyio.move_on_after(plan.patience) as scope:
            await _run(source, course)
        course.cancelled, course.killed = scope.cancelled_caught, False
    finally:
        course.ended = anyio.current_time()


async def _run(source: HttpSource, course: Course) -> None:
    plan = course.plan
    options: dict[str, Any] = {"timeout": plan.timeout, "policy": plan.policy}
    jobs = list(plan.jobs.values())
    match plan.how:
        case "wait":
            course.add(await outcome(source.wait(jobs[0], **options)), next(iter(plan.jobs)))
        case "watch" | "browse":
            course.add(await outcome(_last_of(source, course, options)), next(iter(plan.jobs)))
        case "all":
            for ended in await wait_all(source, jobs, check=False, **options):
                course.add(ended)
        case "first" | "first_failure":
            for found in await wait_all(source, jobs, check=False, return_when=plan.how, **options):
                course.add(found)
        case _:
            async with as_completed(source, jobs, **options) as done:
                async for ended in done:
                    course.add(ended)
                    if plan.how == "some" and len(course.outcomes) * 2 >= len(jobs):
                        break


async def _last_of(source: HttpSource, course: Course, options: dict[str, Any]) -> Job:
    [job] = course.plan.jobs.values()
    last: Job | None = None
    async for seen in source.watch(job, **options):
        assert last is None or seen.differs(last)
        last = seen
        if course.plan.how == "browse" and not seen.done:
            course.pausing = True
            await anyio.sleep(course.plan.pause)
            course.pausing = False
    assert last is not None
    return last
