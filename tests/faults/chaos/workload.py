"""The workload: concurrent calls that wait for jobs, generated from a seed, and what each returned."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any, Literal

import anyio
import attrs

from common import (
    Job,
    JobLike,
    JobsError,
    JobSet,
    PollPolicy,
    as_completed,
    from_dict,
    to_dict,
    wait_all,
)
from common.sources.http import HttpSource
from tests.common.scripted import outcome
from tests.faults.chaos.recording_transport import CALLER
from tests.faults.chaos.system_under_test import SystemUnderTest

POLICIES = [
    PollPolicy(initial=1, maximum=5),
    PollPolicy(initial=1, maximum=30),
    PollPolicy(initial=0.3, maximum=20, fraction=0.5),
    PollPolicy(initial=10, maximum=60),
    PollPolicy(initial=2, maximum=15, outage_limit=45, unknown_limit=20, start_grace=0),
]

Call = Literal[
    "wait",
    "watch",
    "slow_watch",
    "wait_all",
    "first",
    "first_failure",
    "as_completed",
    "as_completed_half",
    "job_set",
]
"""How jobs are waited for.

``slow_watch`` is a watch with pauses between its steps, ``first`` and ``first_failure`` are `wait_all` with
that ``return_when``, and ``as_completed_half`` leaves `as_completed` after half of the outcomes. ``job_set``
is a `JobSet` that grows and shrinks, and another one that goes on from its checkpoint after half of them.
"""
CALLS: Sequence[Call] = (
    *("wait", "wait", "wait", "watch", "slow_watch"),
    *("wait_all", "as_completed", "first", "first_failure", "as_completed_half", "job_set", "job_set"),
)
"""Each is chosen as often as it is listed."""
SINGLE_JOB = frozenset({"wait", "watch", "slow_watch"})
RETURNS_EARLY = frozenset({"first", "first_failure", "as_completed_half"})

Outcome = Job | Exception


@attrs.frozen
class WaitPlan:
    """One call that waits for one or several jobs."""

    call: Call
    jobs: Mapping[str, JobLike]
    """What is passed for each job id: the id itself, or after a restart what the last process had saved."""
    delay: float
    """Seconds from the start of the process to the call."""
    timeout: float | None
    cancel_after: float | None
    """Seconds after which the calling task is cancelled."""
    policy: PollPolicy
    pause: float = 0.0
    """Seconds between two steps of a ``slow_watch``."""


@attrs.define(eq=False)
class WaitRun:
    """The execution of one plan: every outcome that the call returned, in that order."""

    plan: WaitPlan
    started_at: float = -1.0
    ended_at: float = -1.0
    cancelled: bool = False
    pausing: bool = False
    """Whether it is between two steps of a watch, where no wait is active."""
    killed: bool = True
    """Whether its process was stopped before the call returned."""
    outcomes: list[tuple[str, float, Outcome]] = attrs.field(factory=list[tuple[str, float, Outcome]])
    """Job id, time and outcome."""

    @property
    def may_abandon(self) -> bool:
        """Whether some of its waits may have been abandoned."""
        return self.cancelled or self.killed or self.plan.call in RETURNS_EARLY

    def unfinished(self) -> list[str]:
        """Return the ids of the jobs for which no outcome was returned."""
        finished = {id for id, _, _ in self.outcomes}
        return [id for id in self.plan.jobs if id not in finished]

    def __str__(self) -> str:
        outcomes = "".join(f"\n  {at} {id} {_brief(outcome)}" for id, at, outcome in self.outcomes)
        return f"{self.plan}\nstarted at {self.started_at}, ended at {self.ended_at}, outcomes: {outcomes}"

    def record(self, ended: Outcome | None, id: str = "") -> None:
        """Record an outcome that the call returned; None stands for a wait that was left."""
        if ended is None:
            return
        if not id:
            assert isinstance(ended, Job | JobsError)
            assert ended.ref is not None
            id = ended.ref.id
        self.outcomes.append((id, anyio.current_time(), ended))


def _brief(outcome: Outcome) -> str:
    return repr(outcome.state) if isinstance(outcome, Job) else repr(outcome)


def generate_plans(random: Random, sut: SystemUnderTest, waits: int) -> Iterator[WaitPlan]:
    """Start a quarter as many jobs as ``waits``, and yield plans that wait at least so many times."""
    ids = [
        sut.add_job(random.choice([0.0, 2.5, 20.0, 90.0, 400.0]), random.choice(sut.terminal_states()))
        for _ in range(max(4, waits // 4))
    ]
    endless = [sut.add_job(0.0, None) for _ in range(3)]
    planned = 0
    while planned < waits:
        call = random.choice(CALLS)
        count = 1 if call in SINGLE_JOB else min(len(ids), random.choice([2, 3, 5, 20]))
        count = min(count, 3) if call in RETURNS_EARLY else count
        timeout = random.choice([None, None, 0.0, 0.5, 3.0, 60.0, 900.0, random.random() * 300])
        cancel_after = random.choice([None] * 9 + [0.0, 2.0, random.random() * 120])
        chosen = random.sample(ids if timeout is None else [*ids, *endless], count)
        delay = random.choice([0.0, 0.0, 0.5, 1.0, 7.0, 60.0, random.random() * 300])
        pause = random.choice([0.0, 0.7, 5.0, 40.0]) if call == "slow_watch" else 0.0
        jobs = {id: id for id in chosen}
        yield WaitPlan(call, jobs, delay, timeout, cancel_after, random.choice(POLICIES), pause)
        planned += count


def resume_plan(
    random: Random, sut: SystemUnderTest, source: HttpSource, killed: WaitRun, lifetime: float
) -> WaitPlan:
    """Return the plan of the next process: the unfinished jobs, passed as refs in text or as jobs in JSON.

    ``lifetime`` is how many seconds the killed process lived: a call planned for later keeps its time.
    """
    jobs: dict[str, JobLike] = {}
    for id in killed.unfinished():
        last = sut.last_seen.get(id)
        if last is None or random.random() < 0.5:
            jobs[id] = str(source.ref(id))
        else:
            text = json.dumps(to_dict(last))
            jobs[id] = from_dict(json.loads(text))
    return attrs.evolve(killed.plan, jobs=jobs, delay=max(0.0, killed.plan.delay - lifetime))


async def execute_plan(source: HttpSource, run: WaitRun) -> None:
    """Make the call of a plan, and record what it returns."""
    plan = run.plan
    CALLER.set(run)
    try:
        await anyio.sleep(plan.delay)
        run.started_at = anyio.current_time()
        with anyio.move_on_after(plan.cancel_after) as scope:
            await _call(source, run)
        run.cancelled, run.killed = scope.cancelled_caught, False
    finally:
        run.ended_at = anyio.current_time()


async def _call(source: HttpSource, run: WaitRun) -> None:
    plan = run.plan
    options: dict[str, Any] = {"timeout": plan.timeout, "policy": plan.policy}
    jobs = list(plan.jobs.values())
    match plan.call:
        case "wait":
            run.record(await outcome(source.wait(jobs[0], **options)), next(iter(plan.jobs)))
        case "watch" | "slow_watch":
            run.record(await outcome(_watch_to_end(source, run, options)), next(iter(plan.jobs)))
        case "wait_all":
            for ended in await wait_all(source, jobs, check=False, **options):
                run.record(ended)
        case "first" | "first_failure":
            for result in await wait_all(source, jobs, check=False, return_when=plan.call, **options):
                run.record(result)
        case "job_set":
            await _run_set(source, run, options)
        case _:
            async with as_completed(source, jobs, **options) as completed:
                async for ended in completed:
                    run.record(ended)
                    if plan.call == "as_completed_half" and len(run.outcomes) * 2 >= len(jobs):
                        break


async def _run_set(source: HttpSource, run: WaitRun, options: dict[str, Any]) -> None:
    first, *others = run.plan.jobs.values()
    async with JobSet(source, [first], **options) as jobs:
        for job in (first, *others):
            jobs.add(job)
        assert jobs.discard(first)
        jobs.close()
        # Deadlines are kept as times of day, which are not the same in each run of a seed.
        most = len(others) // 2 if run.plan.timeout is None else len(jobs)
        while len(run.outcomes) < most:
            run.record(await anext(jobs))
        checkpoint = json.dumps(jobs.checkpoint())
    async with JobSet(source, checkpoint=json.loads(checkpoint), **options) as jobs:
        jobs.close()
        async for ended in jobs:
            run.record(ended)


async def _watch_to_end(source: HttpSource, run: WaitRun, options: dict[str, Any]) -> Job:
    [job] = run.plan.jobs.values()
    last: Job | None = None
    async for seen in source.watch(job, **options):
        assert last is None or seen.differs(last)
        last = seen
        if run.plan.call == "slow_watch" and not seen.done:
            run.pausing = True
            await anyio.sleep(run.plan.pause)
            run.pausing = False
    assert last is not None
    return last
