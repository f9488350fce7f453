"""The other operations of a run beside its waits: reads, lists, actions and writes that start jobs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from random import Random
from typing import Literal

import anyio
import attrs

from common import Action, Adopted, Capability, Job, JobsError, PollPolicy
from common.simulator import NewJob, Request
from common.sources.http import HttpSource
from tests.faults.chaos.recording_transport import CALLER
from tests.faults.chaos.system_under_test import SystemUnderTest
from tests.faults.chaos.workload import WaitPlan, WaitRun, execute_plan

Kind = Literal["get", "list", "pause", "resume", "start"]


@attrs.define(eq=False)
class Operation:
    """One call that is not a wait, and its result."""

    kind: Kind
    delay: float
    """Seconds from the start of the process to the call."""
    target: str
    """The id of the job; for ``start`` the path of the write."""
    invoked_at: float = -1.0
    completed_at: float = -1.0
    jobs: tuple[Job, ...] = ()
    adopted: Adopted | None = None
    error: JobsError | None = None


@attrs.define
class OperationGenerator:
    """Generates the operations of one run, and answers their writes."""

    sut: SystemUnderTest
    endless: list[str]
    """The ids of the jobs that operations are about: none of them ends."""
    started: dict[str, list[str]] = attrs.field(factory=dict[str, list[str]])
    """The ids of the jobs that the server started, by the path of the write."""
    _numbers: Iterator[int] = attrs.field(factory=itertools.count)

    @classmethod
    def install(cls, random: Random, sut: SystemUnderTest) -> OperationGenerator:
        """Add the jobs, and let each write to this system start a job."""
        generator = cls(sut, [sut.add_job(0.0, None) for _ in range(4)])

        def start_job(request: Request) -> NewJob:
            id = sut.simulator.new_id()
            generator.started.setdefault(request.path, []).append(id)
            return NewJob(
                sut.job_script(random.choice([0.5, 20.0, 90.0]), random.choice(sut.terminal_states())), id=id
            )

        sut.simulator.on_write = start_job
        return generator

    def generate(self, random: Random, count: int, source: HttpSource) -> list[Operation]:
        """Return operations within the first 400 seconds, of the kinds that the system supports."""
        kinds = list[Kind](("get", "start"))
        if Capability.LIST in source.capabilities:
            kinds.append("list")
        if Capability.PAUSE in source.capabilities:
            kinds.extend(("pause", "resume"))
        operations: list[Operation] = []
        for _ in range(count):
            kind = random.choice(kinds)
            target = (
                f"{self._collection(source)}{next(self._numbers)}"
                if kind == "start"
                else random.choice(self.endless)
            )
            operations.append(Operation(kind, random.random() * 400, target))
        return operations

    def _collection(self, source: HttpSource) -> str:
        _, path = self.sut.system.write
        return path.rstrip("0123456789") if source.provider != "cf" else "/v3/apps/"


async def execute_operation(
    source: HttpSource, operation: Operation, method: str, waits: list[WaitRun]
) -> None:
    """Make the call, record its result, and wait for the jobs that it started; these waits join ``waits``."""
    CALLER.set(operation)
    await anyio.sleep(operation.delay)
    operation.invoked_at = anyio.current_time()
    try:
        match operation.kind:
            case "get":
                operation.jobs = (await source.get(operation.target),)
            case "list":
                async for job in source.list():
                    operation.jobs = (*operation.jobs, job)  # what was listed before an error counts too
            case "start":
                operation.adopted = await source.start(method, operation.target)
            case _:
                operation.jobs = (await source.act(operation.target, Action(operation.kind)),)
    except JobsError as error:
        operation.error = error
    operation.completed_at = anyio.current_time()
    for ref in operation.adopted.refs if operation.adopted is not None else ():
        run = WaitRun(WaitPlan("wait", {ref.id: ref}, 0.0, 300.0, None, PollPolicy(maximum=20)))
        waits.append(run)
        await execute_plan(source, run)
