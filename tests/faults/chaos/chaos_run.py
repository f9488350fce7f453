"""One chaos run: a workload under a fault schedule, both generated from a seed, and checked afterwards."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from random import Random

import anyio
import attrs

from common.sources.http import HttpSource
from common.telemetry.events import EventKind
from tests.common.virtual import Footprint
from tests.contract.systems import System
from tests.faults.chaos.checker import check_waits
from tests.faults.chaos.fault_schedule import (
    schedule_job_loss,
    schedule_sign_in_faults,
    schedule_transient_faults,
    schedule_unknown_states,
    schedule_write_faults,
    schedule_wrong_responses,
)
from tests.faults.chaos.operation_checker import check_operations
from tests.faults.chaos.operations import Operation, OperationGenerator, execute_operation
from tests.faults.chaos.repeatable_loop import Loop, run_repeatably
from tests.faults.chaos.system_under_test import AUTH_METHODS, SystemUnderTest, WaitEnd
from tests.faults.chaos.workload import WaitRun, execute_plan, generate_plans, resume_plan

TIME_LIMIT = 6_000.0
"""Virtual seconds after which a run has failed: all faults and jobs end long before."""


@attrs.frozen
class Summary:
    """The figures of one run."""

    name: str
    waits: int
    ends: Counter[str]
    """How waits ended, by state or exception; ``left`` counts watches that were left between two steps."""
    requests: int
    sign_ins: int
    operations: int
    restarts: int
    faults_met: Counter[str]
    """How many requests met a fault, by its kind."""
    seconds: float
    """Virtual ones."""
    exchanges: tuple[str, ...]
    """Every request: when it was sent, and its result."""

    @property
    def digest(self) -> str:
        """A hash of all requests, which is the same if a run is repeated."""
        return hashlib.sha256("\n".join(self.exchanges).encode()).hexdigest()[:12]

    def __str__(self) -> str:
        ends, faults_met = (
            ", ".join(f"{name} {count}" for name, count in counter.most_common())
            for counter in (self.ends, self.faults_met)
        )
        return (
            f"{self.name}: {self.waits} waits ({ends}), {self.requests} requests, {self.sign_ins} of them "
            f"sign-ins, {self.operations} operations, {self.restarts} restarts, {self.seconds:,.0f} s, "
            f"{self.faults_met.total()} faults met ({faults_met}), requests digest {self.digest}"
        )


def run_chaos(system: System, seed: int, waits: int, loop: Loop) -> Summary:
    """Run and check one seed. Raise `AssertionError` for anything that did not end as the server said."""
    try:
        return run_repeatably(partial(_run, system, seed, waits, loop), loop, seed)
    except BaseException as error:
        error.add_note(
            "to reproduce: python -m tests.faults.chaos "
            f"--first {seed} --seeds 1 --waits {waits} --system {system.name} --loop {loop}"
        )
        raise


async def _run(system: System, seed: int, waits: int, loop: Loop) -> Summary:
    random = Random(f"{system.name}/{seed}")
    sut = _create_system(random, system, seed)
    generator = OperationGenerator.install(random, sut)
    runs = [WaitRun(plan) for plan in generate_plans(random, sut, waits)]
    _schedule_faults(random, sut, [id for id in sut.simulator.jobs if id not in generator.endless])
    latencies = random.choice([[0.0], [0.0, 0.3], [0.05, 0.5, 1.0, 3.0], [*[0.1] * 20, 40.0]])
    sut.transport.latency = lambda: random.choice(latencies)
    # The process is killed and started again after each lifetime but the last, which has no end.
    lifetimes = [*(random.random() * 150 for _ in range(random.choice([0, 0, 0, 1, 3]))), None]
    all_runs, all_operations = list[WaitRun](), list[Operation]()
    with anyio.fail_after(TIME_LIMIT):
        for lifetime in lifetimes:
            async with sut.source() as source:
                started_at = anyio.current_time()
                operations = generator.generate(random, max(1, waits // 20), source)
                await _run_process(sut, source, runs, operations, lifetime)
                all_runs += runs
                all_operations += operations
                killed = [run for run in runs if run.killed and run.unfinished()]
                lived = anyio.current_time() - started_at
                runs = [WaitRun(resume_plan(random, sut, source, run, lived)) for run in killed]
    assert not runs, "the last process was not killed, but left waits unfinished"
    history = sut.history()
    check_waits(sut, all_runs, history)
    check_operations(generator, all_operations, sut.transport.exchanges, history)
    # A sign-in goes on without the wait that began it, beside requests with a token that is still valid.
    assert sut.transport.most <= sut.concurrency + 1
    started = [run for run in all_runs if run.started_at >= 0]
    return Summary(
        name=f"{system.name}/{seed} on {loop} by {sut.auth_method}",
        waits=sum(len(run.plan.jobs) for run in started),
        ends=Counter(map(_end_name, _ends(sut))) + Counter({"left": sum(run.pausing for run in started)}),
        requests=len(sut.transport.exchanges),
        sign_ins=len(history.sign_ins),
        operations=sum(operation.completed_at >= 0 for operation in all_operations),
        restarts=len(lifetimes) - 1,
        faults_met=Counter(
            type(fault).__name__
            for injection in sut.simulator.faults
            for fault in injection.faults
            for _ in injection.met
        ),
        seconds=anyio.current_time(),
        exchanges=tuple(map(str, sut.transport.exchanges)),
    )


def _create_system(random: Random, system: System, seed: int) -> SystemUnderTest:
    """Choose the page size (ONTAP alone pages), the limit of concurrent requests, and how to authenticate."""
    options = {"page_size": random.choice([3, 40, 10_000])} if system.name == "ontap" else {}
    return SystemUnderTest.create(
        system,
        seed,
        concurrency=random.choice([1, 3, 8, 50]),
        auth_method=random.choice(list(AUTH_METHODS[system.name])),
        token_lifetime=random.choice([20.0, 90.0, 600.0]),
        rotate=random.random() < 0.3,
        **options,
    )


def _schedule_faults(random: Random, sut: SystemUnderTest, ids: Sequence[str]) -> None:
    """Inject the faults of a run: always transient ones into reads of jobs, mostly others too."""
    schedule_transient_faults(
        random, sut, count=random.choice([6, 15, 40]), max_probability=random.choice([0.1, 0.5, 1.0])
    )
    if random.random() < 0.7:
        schedule_wrong_responses(
            random, sut, count=random.choice([2, 8]), max_probability=random.choice([0.1, 0.5])
        )
    if random.random() < 0.7:
        schedule_job_loss(random, sut, ids)
    if random.random() < 0.3:
        schedule_unknown_states(random, sut, ids)
    if random.random() < 0.7:
        max_probability, rejections = random.choice([0.3, 1.0]), random.choice([0, 0, 0, 1, 2])
        schedule_sign_in_faults(
            random,
            sut,
            count=random.choice([3, 10]),
            max_probability=max_probability,
            rejections=rejections,
        )
    schedule_write_faults(random, sut, count=random.choice([0, 4, 10]))


async def _run_process(
    sut: SystemUnderTest,
    source: HttpSource,
    runs: list[WaitRun],
    operations: Sequence[Operation],
    lifetime: float | None,
) -> None:
    """Run the workload to its end, or for ``lifetime`` seconds, and check that nothing is left behind."""
    before = Footprint.now()
    method, _ = sut.system.write
    with anyio.move_on_after(lifetime):
        async with anyio.create_task_group() as group:
            for run in list(runs):
                group.start_soon(execute_plan, source, run)
            for operation in operations:
                group.start_soon(execute_operation, source, operation, method, runs)
    # A sign-in may outlive the waits that needed it: one that was sent is carried to its end.
    for _ in range(60):
        if sut.transport.in_flight:
            await anyio.sleep(1)
    await anyio.sleep(0.001)  # its task may have been at its last step
    assert sut.transport.in_flight == 0
    assert source._current_poller().idle
    assert Footprint.now() == before, (Footprint.now(), before)


def _ends(sut: SystemUnderTest) -> Iterable[WaitEnd]:
    """Return one end of each wait: the last of a job that a set discarded, or handed on to another set."""
    ends: dict[object, WaitEnd] = {}
    for index, end in enumerate(sut.wait_ends):
        in_a_set = isinstance(end.caller, WaitRun) and end.caller.plan.call == "job_set"
        ends[(end.caller, end.job_id) if in_a_set else index] = end
    return ends.values()


def _end_name(end: WaitEnd) -> str:
    if end.kind is EventKind.ABANDONED:
        return "abandoned"
    if end.error is not None:
        return type(end.error).__name__
    return end.job.state.name.lower() if end.job is not None else "nothing"
