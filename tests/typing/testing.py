"""What the tests of an application call, and the type that it gives. Never run: mypy and pyright read it."""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import assert_type

import anyio
import trio

from bluexp_jobs.simulator import BlueXPSimulator
from cfjobs.simulator import CFSimulator
from common import Action, Capability, Job, JobRef, JobSource, JobState, PermissionDenied
from common.simulator import Clock, Fault, Injection, Match, NewJob, Request, Response, faults
from common.testing import (
    Asked,
    JobScript,
    ScriptedSource,
    VirtualTimeError,
    VirtualTimeLoop,
    run,
    virtual_clock,
    virtual_time_loop,
)
from common.testing.plugin import VirtualTime, virtual_time
from common.testing.trio_clock import VirtualClock
from ontapjobs import OntapJobs
from ontapjobs.simulator import OntapSimulator


async def main(seconds: float, name: str) -> Job | None:
    await anyio.sleep(seconds)
    return None if name else await ScriptedSource().wait("a")


def loops() -> None:
    assert_type(run(main, 1.0, "a"), Job | None)
    assert_type(run(main, 1.0, "a", backend="trio"), Job | None)
    run(main, "a", 1.0)  # type: ignore[arg-type]
    assert_type(virtual_time_loop(), VirtualTimeLoop)
    assert_type(virtual_time_loop(5.0, patience=0.1).time(), float)
    assert_type(virtual_clock(5), VirtualClock)
    assert_type(VirtualClock().error, VirtualTimeError | None)
    with asyncio.Runner(loop_factory=virtual_time_loop) as runner:
        assert_type(runner.run(main(1, "a")), Job | None)
    assert_type(trio.run(main, 1, "a", clock=virtual_clock()), Job | None)


async def test_with_the_plugin(
    virtual_time: VirtualTime,
    ontap_simulator: OntapSimulator,
    bluexp_simulator: BlueXPSimulator,
    cf_simulator: CFSimulator,
) -> None:
    assert_type(virtual_time(), float)
    for simulator in (ontap_simulator, bluexp_simulator, cf_simulator):
        assert_type(simulator.add_job([("running", 1), ("success", None, {"message": "x"})]), str)
    async with OntapJobs("c", auth=("a", "b"), transport=ontap_simulator.transport()) as jobs:
        assert_type(await jobs.wait("a"), Job)


def fixture() -> object:
    return virtual_time


SCRIPTS: list[JobScript] = [
    "running",
    JobState.RUNNING,
    [("queued", 5), "succeeded"],
    [(JobState.RUNNING, 5.5, {"progress": 0.5}), (JobState.FAILED, None)],
]


async def scripted(job: Job) -> None:
    source = ScriptedSource(
        {"a": "running", "b": [("queued", 5), job]},
        endpoint="https://cluster1",
        capabilities={Capability.LIST},
        latency=0.5,
    )
    as_source: JobSource = source
    assert_type(await as_source.get("a"), Job)
    ref = source.add_job(
        SCRIPTS[0],
        id="c",
        errors={1: 503, 2: PermissionDenied("no", status=403)},
        refuses={Action.PAUSE: PermissionDenied("no", status=403)},
        message="x",
    )
    assert_type(ref, JobRef)
    assert_type(await source.wait(ref, timeout=5), Job)
    assert_type(source.list(state=JobState.RUNNING), AsyncIterator[Job])
    assert_type(source.journal, list[Asked])
    assert_type(source.polls(ref), list[float])
    source.forget(job)
    source.add_job(5)  # type: ignore[arg-type]
    source.add_job("running", errors={1: "503"})  # type: ignore[dict-item]


async def injected() -> None:
    simulator = OntapSimulator(clock=Clock.stepped(), tokens=["t"], seed=1)
    met = simulator.inject(
        "GET /api/*", faults.RetryAfter(5, date=True), faults.Html(504), times=None, after=1
    )
    assert_type(met, Injection)
    assert_type(met.met, list[Request])
    simulator.inject(Match(job="a", nth=2), faults.Status(503, {"X": "y"}, {"a": 1}, acts=True))
    simulator.inject(lambda request: request.method == "PATCH", faults.Reset(acts=True), probability=0.5)
    simulator.inject(None, Quiet())
    simulator.inject(None, faults.Reset)  # type: ignore[arg-type]
    simulator.on_write = lambda request: Response(500) if request.body else NewJob([("running", None)])
    simulator.clock.step(5)
    async with simulator.serve(port=8080) as url:
        assert_type(url, str)
    simulator.verify()
    simulator.reset()


class Quiet(Fault):
    async def apply(self, system: object, ask: faults.Ask, request: Request) -> Response:
        return await ask(request)
