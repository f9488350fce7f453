"""A source without HTTP: its jobs follow their script, and its waits are those of any other source."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from common import (
    Action,
    ActionRefused,
    AlreadyFinished,
    AuthenticationError,
    Capability,
    ErrorDetail,
    Fleet,
    Job,
    JobFailed,
    JobGone,
    JobNotFound,
    JobSource,
    JobState,
    PermissionDenied,
    PollPolicy,
    ServerError,
    TransportError,
    Unsupported,
    UsageError,
    WaitTimeout,
    as_completed,
    wait_all,
)
from common.testing import Asked, JobScript, ScriptedSource, run
from ontapjobs import OntapJobs, parse_job
from ontapjobs.simulator import OntapSimulator
from tests.common.scripted import about

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

EACH_SECOND = PollPolicy(initial=1, maximum=1, start_grace=0)
BACKUP: JobScript = [
    (JobState.QUEUED, 5),
    ("running", 10, {"message": "copying"}),
    (JobState.SUCCEEDED, None),
]


def scripted(**options: object) -> ScriptedSource:
    return ScriptedSource(policy=EACH_SECOND, **options)  # type: ignore[arg-type]


async def test_it_is_a_source_whose_jobs_follow_their_script() -> None:
    source: JobSource = ScriptedSource({"b1": BACKUP})
    assert isinstance(source, JobSource)
    job = await source.wait("b1", timeout=60)
    assert (job.state, job.message, job.native_state) == (JobState.SUCCEEDED, "copying", "succeeded")
    assert 15 <= anyio.current_time() <= 17


async def test_a_watch_sees_each_change() -> None:
    source = scripted()
    job = source.add_job(BACKUP, id="b1", operation="backup")
    seen = [(each.state, each.operation) async for each in source.watch(job)]
    assert seen == [(state, "backup") for state in (JobState.QUEUED, JobState.RUNNING, JobState.SUCCEEDED)]
    assert source.polls(job) == [about(second) for second in range(16)]


async def test_a_whole_job_may_stand_in_the_script() -> None:
    recorded = parse_job(b'{"uuid": "x", "state": "failure", "error": {"message": "no space", "code": "1"}}')
    source = ScriptedSource()
    job = source.add_job([("running", 2), recorded])
    with pytest.raises(JobFailed, match="no space") as caught:
        await source.wait(job)
    assert caught.value.job.ref == job
    assert (await source.get(source.add_job(recorded))).native_state == "failure"


async def test_fields_change_from_their_step_on() -> None:
    source = scripted()
    error = ErrorDetail("no space")
    job = source.add_job([("running", 2, {"progress": 0.5}), ("failed", None, {"errors": (error,)})])
    assert (await source.get(job)).progress == 0.5
    failed = await source.wait(job, check=False)
    assert (failed.errors, failed.progress) == ((error,), 0.5)


async def test_errors_come_at_the_polls_that_they_are_for() -> None:
    source = scripted()
    trouble: dict[int, Exception | int] = {
        1: TransportError("reset"),
        3: 503,
        4: ServerError("busy", status=503, transient=True),
        5: 429,
    }
    job = source.add_job(BACKUP, errors=trouble)
    assert (await source.wait(job)).succeeded
    with pytest.raises(PermissionDenied):
        await source.wait(source.add_job("running", errors={2: 403}))
    with pytest.raises(AuthenticationError):
        await source.get(source.add_job("running", errors={1: 401}))
    assert (await source.wait(source.add_job(BACKUP, errors={2: 404}))).succeeded


async def test_a_wait_that_is_too_short_ends_at_its_deadline() -> None:
    source = ScriptedSource({"b1": "running"}, latency=5)
    with pytest.raises(WaitTimeout):
        await source.wait("b1", timeout=3)
    assert anyio.current_time() == about(3)


async def test_what_the_server_forgets_is_gone_and_what_it_never_knew_not_found() -> None:
    source = scripted()
    job = source.add_job([("running", 3)])
    with pytest.raises(JobGone):
        await source.wait(job)
    with pytest.raises(JobNotFound):
        await source.wait("never")
    forgotten = source.add_job("succeeded")
    source.forget(forgotten)
    with pytest.raises(JobNotFound):
        await source.get(forgotten)


async def test_actions_do_what_they_say() -> None:
    source = scripted()
    job = source.add_job([("running", 10), "succeeded"])
    assert (await source.act(job, Action.PAUSE)).state is JobState.PAUSED
    await anyio.sleep(100)
    assert (await source.act(job, Action.RESUME)).state is JobState.RUNNING
    assert (await source.act(job, Action.CANCEL)).state is JobState.CANCELLED
    with pytest.raises(AlreadyFinished):
        await source.act(job, Action.CANCEL)
    assert [asked.what for asked in source.journal[:2]] == ["pause", "get"]


async def test_an_action_may_be_refused_or_be_unknown_to_the_server() -> None:
    source = ScriptedSource(capabilities={Capability.CANCEL})
    job = source.add_job("running", refuses={Action.CANCEL: ActionRefused("not now", retryable=True)})
    with pytest.raises(ActionRefused, match="not now"):
        await source.act(job, Action.CANCEL)
    with pytest.raises(Unsupported, match="do not support pause"):
        await source.act(job, Action.PAUSE)
    with pytest.raises(Unsupported):
        source.list()
    with pytest.raises(UsageError, match="unknown action"):
        await source.act(job, "stop")  # type: ignore[arg-type]


async def test_a_cancelled_wait_may_cancel_the_job() -> None:
    source = scripted()
    job = source.add_job("running")
    with anyio.move_on_after(5):
        await source.wait(job, on_cancel="cancel")
    assert (await source.get(job)).state is JobState.CANCELLED


async def test_the_list_can_be_filtered() -> None:
    source = ScriptedSource({"a": "running", "b": "queued", "c": [("running", 1)]})
    assert [job.id async for job in source.list()] == ["a", "b", "c"]
    assert [job.id async for job in source.list(state=JobState.QUEUED)] == ["b"]
    await anyio.sleep(1)
    assert [job.id async for job in source.list(state=["running", "queued"])] == ["a", "b"]
    assert [job.id async for job in source.list(message=None, state="running")] == ["a"]


@pytest.mark.parametrize("batch", [False, True])
async def test_many_jobs_are_waited_for_as_on_a_server_that_can_or_cannot_batch(batch: bool) -> None:
    capabilities = frozenset(Capability) if batch else frozenset[Capability]()
    source = ScriptedSource(capabilities=capabilities, policy=EACH_SECOND)
    jobs = [source.add_job([("running", seconds), "succeeded"]) for seconds in range(1, 6)]
    assert [job.ref for job in await wait_all(source, jobs)] == jobs
    asked = {asked.what for asked in source.journal}
    assert asked == ({"batch", "get"} if batch else {"get"})  # the last one goes alone
    assert len(source.journal) == (6 if batch else 20)


async def test_jobs_end_one_by_one() -> None:
    source = scripted()
    jobs = [source.add_job([("running", seconds), "succeeded"]) for seconds in (3, 1, 2)]
    async with as_completed(source, jobs) as done:
        order = [outcome.ref async for outcome in done]
    assert order == [jobs[1], jobs[2], jobs[0]]


async def test_it_can_take_the_place_of_a_real_source_also_in_a_fleet() -> None:
    cluster = ScriptedSource(provider="ontap", endpoint="https://cluster1.example.com")
    other = ScriptedSource()
    job = cluster.add_job([("running", 2), "succeeded"], id="b1")
    fleet = Fleet([other, cluster])
    assert str(job) == "ontap://cluster1.example.com/b1"
    assert (await fleet.wait("ontap://cluster1.example.com/b1")).succeeded
    assert (await fleet.wait(str(other.add_job("succeeded")))).succeeded
    assert other.provider == "scripted"


async def test_the_journal_says_what_was_asked_and_when() -> None:
    source = ScriptedSource({"a": "running"}, latency=2)
    await source.get("a")
    [_ async for _ in source.list()]
    assert source.journal == [Asked("get", ("a",), 0.0), Asked("list", (), 2.0)]


async def test_a_life_begins_with_the_event_loop() -> None:
    await anyio.sleep(1000)
    source = scripted()
    assert (await source.wait(source.add_job([("running", 10), "succeeded"]), timeout=12)).succeeded


async def test_a_closed_source_is_closed() -> None:
    async with ScriptedSource({"a": "running"}) as source:
        pass
    with pytest.raises(UsageError, match="closed"):
        await source.get("a")


@pytest.mark.parametrize(
    ("script", "options", "message"),
    [
        ([], {}, "at least one step"),
        ([("running", None), "succeeded"], {}, "only the last step"),
        ([("running", -1)], {}, "0 or more"),
        ([("florbing", 1)], {}, "'florbing' is no state of a job: .*queued, running"),
        ("done", {}, "'done' is no state"),
        ([("running", 1, {"colour": "red"})], {}, "no field 'colour'"),
        ("running", {"colour": "red"}, "no field 'colour'"),
        ("running", {"id": "taken"}, "there is a job 'taken' already"),
        (5, {}, "a script is a state, a Job, or a list"),
        (("running", 5), {}, "a script is a state, a Job, or a list"),
        ([()], {}, "a step is"),
        ([("running", 1, {}, 2)], {}, "a step is"),
        ([("running", 1, [])], {}, "a step is"),
        ([("running", "5")], {}, "0 or more"),
        ("running", {"errors": {0: 503}}, "counted from 1, not 0"),
        ("running", {"errors": {"1": 503}}, "counted from 1, not '1'"),
        ("running", {"errors": {1: 200}}, "a status from 400 to 599, not 200"),
        ("running", {"errors": {1: ValueError}}, "an exception or a status"),
        ("running", {"refuses": {"fly": ValueError()}}, "'fly' is not a valid Action"),
    ],
)
def test_a_script_that_makes_no_sense_is_refused(
    script: object, options: dict[str, Any], message: str
) -> None:
    source = ScriptedSource({"taken": "running"})
    with pytest.raises(UsageError, match=message):
        source.add_job(script, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"latency": -1}, "latency= is the seconds"),
        ({"latency": float("nan")}, "latency= is the seconds"),
        ({"capabilities": "list"}, "capabilities= is a set of Capability"),
        ({"capabilities": ["fly"]}, "capabilities= is a set of Capability"),
    ],
)
def test_a_source_that_makes_no_sense_is_refused(options: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ScriptedSource(**options)


def test_a_list_by_what_no_job_has_is_refused() -> None:
    with pytest.raises(UsageError, match="no field 'colour'"):
        ScriptedSource().list(colour="red")
    with pytest.raises(UsageError, match="'florbing' is not a valid JobState"):
        ScriptedSource().list(state="florbing")


@pytest.mark.parametrize("system", [ScriptedSource, OntapSimulator])
def test_two_tests_may_use_one_though_their_loops_share_no_clock(system: Any) -> None:
    used = system()
    job = used.add_job([("running", 50), ("succeeded" if system is ScriptedSource else "success", None)])

    async def main() -> float:
        if isinstance(used, ScriptedSource):
            await used.wait(job)
        else:
            async with OntapJobs("c", auth=("a", "b"), transport=used.transport()) as source:
                await source.wait(job)
        return anyio.current_time()

    assert run(main) == run(main, backend="trio") == run(main) >= 50


def test_outside_an_event_loop_and_in_real_time_it_works_too() -> None:
    source = ScriptedSource({"a": [("running", 0.05), "succeeded"]}, policy=PollPolicy(initial=0.01))

    async def main() -> Job:
        return await source.wait("a")

    assert anyio.run(main).succeeded
