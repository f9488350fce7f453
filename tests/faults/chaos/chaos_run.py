"""One storm: a crowd of waits under mixed faults, drawn from a seed, held to the server's journal."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from functools import partial
from random import Random

import anyio
import attrs

from common.sources.http import HttpSource
from common.telemetry.events import EventKind
from tests.common.virtual import Footprint
from tests.contract.systems import System
from tests.faults.chaos.checker import check_courses
from tests.faults.chaos.fault_schedule import babble, brew, brew_lies, brew_sign_in, brew_writes, forget
from tests.faults.chaos.operations import Desk, Errand, run_errand
from tests.faults.chaos.repeatable_loop import Loop, run
from tests.faults.chaos.system_under_test import LOGINS, Place, Told
from tests.faults.chaos.workload import Course, follow, plans, resumed

END_BY = 6_000.0
"""Seconds, virtual ones, after which every storm is over: faults and jobs have all ended long before."""


@attrs.frozen
class Tally:
    """What a storm was, in figures."""

    name: str
    waits: int
    ends: Counter[str]
    """How waits ended, by state or exception; ``left`` are watches that were left between two steps."""
    requests: int
    sign_ins: int
    errands: int
    restarts: int
    met: Counter[str]
    """The requests that met a fault, by its kind."""
    seconds: float
    trips: tuple[str, ...]
    """Every request, when it left, and what became of it."""

    @property
    def digest(self) -> str:
        """Tells two courses of a storm apart."""
        return hashlib.sha256("\n".join(self.trips).encode()).hexdigest()[:12]

    def __str__(self) -> str:
        ends, met = (
            ", ".join(f"{name} {count}" for name, count in counted.most_common())
            for counted in (self.ends, self.met)
        )
        return (
            f"{self.name}: {self.waits} waits ({ends}), {self.requests} requests, {self.sign_ins} of them "
            f"sign-ins, {self.errands} errands, {self.restarts} restarts, {self.seconds:,.0f} s, "
            f"{self.met.total()} faults met ({met}), journal {self.digest}"
        )


def storm(system: System, seed: int, waits: int, loop: Loop) -> Tally:
    """Run one storm. Raises `AssertionError` where anything ended otherwise than the server said."""
    try:
        return run(partial(_storm, system, seed, waits, loop), loop, seed)
    except BaseException as error:
        error.add_note(
            "again: python -m tests.faults.chaos "
            f"--first {seed} --seeds 1 --waits {waits} --system {system.name} --loop {loop}"
        )
        raise


async def _storm(system: System, seed: int, waits: int, loop: Loop) -> Tally:
    random = Random(f"{system.name}/{seed}")
    place = _place(random, system, seed)
    desk = Desk.of(random, place)
    courses = [Course(plan) for plan in plans(random, place, waits)]
    _brew(random, place, [id for id in place.simulator.jobs if id not in desk.endless])
    slow = random.choice([[0.0], [0.0, 0.3], [0.05, 0.5, 1.0, 3.0], [*[0.1] * 20, 40.0]])
    place.way.latency = lambda: random.choice(slow)
    lives = [*(random.random() * 150 for _ in range(random.choice([0, 0, 0, 1, 3]))), None]
    ridden, ran = list[Course](), list[Errand]()
    with anyio.fail_after(END_BY):
        for lasts in lives:
            async with place.source() as source:
                began = anyio.current_time()
                todo = desk.errands(random, max(1, waits // 20), source)
                await _live(place, source, courses, todo, lasts)
                ridden += courses
                ran += todo
                killed = [course for course in courses if course.killed and course.left()]
                lasted = anyio.current_time() - began
                courses = [Course(resumed(random, place, source, course, lasted)) for course in killed]
    assert not courses, "the last life was never cut"
    evidence = place.evidence()
    check_courses(place, ridden, evidence)
    desk.check(ran, place.way.trips, evidence)
    assert place.way.most <= place.concurrency
    begun = [course for course in ridden if course.began >= 0]
    return Tally(
        name=f"{system.name}/{seed} on {loop} by {place.login}",
        waits=sum(len(course.plan.jobs) for course in begun),
        ends=Counter(map(_end, place.told)) + Counter({"left": sum(course.pausing for course in begun)}),
        requests=len(place.way.trips),
        sign_ins=len(evidence.sign_ins),
        errands=sum(errand.ended >= 0 for errand in ran),
        restarts=len(lives) - 1,
        met=Counter(
            type(fault).__name__
            for injection in place.simulator.faults
            for fault in injection.faults
            for _ in injection.met
        ),
        seconds=anyio.current_time(),
        trips=tuple(map(str, place.way.trips)),
    )


def _place(random: Random, system: System, seed: int) -> Place:
    """Where it happens: how many requests at a time, and who signs in for how long."""
    # A server that pages, and forgets what ended a while ago.
    options = {"page_size": random.choice([3, 40, 10_000])} if system.name == "ontap" else {}
    return Place.of(
        system,
        seed,
        concurrency=random.choice([1, 3, 8, 50]),
        login=random.choice(list(LOGINS[system.name])),
        lifetime=random.choice([20.0, 90.0, 600.0]),
        rotate=random.random() < 0.3,
        **options,
    )


def _brew(random: Random, place: Place, ids: Sequence[str]) -> None:
    """The weather: every storm has trouble on the way to jobs, and most have more."""
    brew(random, place, number=random.choice([6, 15, 40]), rough=random.choice([0.1, 0.5, 1.0]))
    if random.random() < 0.7:
        brew_lies(random, place, number=random.choice([2, 8]), rough=random.choice([0.1, 0.5]))
    if random.random() < 0.7:
        forget(random, place, ids)
    if random.random() < 0.3:
        babble(random, place, ids)
    if random.random() < 0.7:
        rough, refusals = random.choice([0.3, 1.0]), random.choice([0, 0, 0, 1, 2])
        brew_sign_in(random, place, number=random.choice([3, 10]), rough=rough, refusals=refusals)
    brew_writes(random, place, number=random.choice([0, 4, 10]))


async def _live(
    place: Place, source: HttpSource, courses: list[Course], todo: Sequence[Errand], lasts: float | None
) -> None:
    """Let everybody wait until all is over or the process is killed, and check what is left behind."""
    before = Footprint.now()
    method, _ = place.system.write
    with anyio.move_on_after(lasts):
        async with anyio.create_task_group() as group:
            for course in list(courses):
                group.start_soon(follow, source, course)
            for errand in todo:
                group.start_soon(run_errand, source, errand, method, courses)
    assert place.way.flying == 0
    assert source._current_poller().idle
    assert Footprint.now() == before, (Footprint.now(), before)


def _end(told: Told) -> str:
    if told.kind is EventKind.ABANDONED:
        return "abandoned"
    if told.error is not None:
        return type(told.error).__name__
    return told.job.state.name.lower() if told.job is not None else "nothing"
