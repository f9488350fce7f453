"""Spans and metrics, as OpenTelemetry's own SDK exports them."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode

from common import Event, EventKind, Fleet, Job, JobRef, JobSet, JobState, PollPolicy, UsageError
from common.sources.base import replace_observers
from common.telemetry.otel import OpenTelemetryObserver
from tests.common.lab import Lab
from tests.common.scripted import JOB, Script, about, done, error, failed, gone, running, source, unavailable
from tests.common.telemetry.exported import Telemetry

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

WHERE = {"jobsource.provider": "cf", "server.address": "api.example.org"}


def told(span: ReadableSpan) -> list[tuple[str, dict[str, Any]]]:
    return [(event.name, dict(event.attributes or {})) for event in span.events]


async def test_a_wait_is_a_span_with_its_changes_and_troubles(telemetry: Telemetry) -> None:
    async with source(Script(unavailable, running, done), observer=telemetry.observer) as jobs:
        job = await jobs.wait(JOB)
    (span,) = telemetry.spans
    assert span.name == "wait cf"
    assert span.attributes == {
        **WHERE,
        "jobsource.job.id": JOB,
        "jobsource.job.ref": str(job.ref),
        "jobsource.job.state": "succeeded",
        "jobsource.job.native_state": "COMPLETE",
        "jobsource.job.operation": "app.delete",
        "jobsource.outcome": "succeeded",
    }
    assert [name for name, _ in told(span)] == ["jobsource.trouble", "jobsource.changed", "jobsource.changed"]
    assert told(span)[0][1] == {
        "error.type": "ServerError",
        "http.response.status_code": 503,
        "jobsource.attempt": 1,
    }
    assert [each.get("jobsource.job.state") for _, each in told(span)[1:]] == ["running", "succeeded"]
    assert span.status.status_code is StatusCode.UNSET


async def test_a_span_is_a_child_of_the_callers_also_where_another_waits_task_sends_the_requests(
    telemetry: Telemetry,
) -> None:
    tracer = telemetry.tracers.get_tracer("caller")
    parents: dict[str, int] = {}

    async def caller(name: str, jobs: Any) -> None:
        with tracer.start_as_current_span(name) as span:
            parents[name] = span.get_span_context().span_id
            await jobs.wait(JOB)

    async with (
        source(Script(running, done), observer=telemetry.observer) as jobs,
        anyio.create_task_group() as group,
    ):
        group.start_soon(caller, "a", jobs)
        group.start_soon(caller, "b", jobs)
    waits = [span for span in telemetry.spans if span.name == "wait cf"]
    assert {span.parent.span_id for span in waits if span.parent} == set(parents.values())


async def test_a_later_wait_for_the_same_job_links_to_the_earlier(telemetry: Telemetry) -> None:
    lab = Lab()
    replace_observers([lab], (), [telemetry.observer])
    lab.end("a", 5)
    async with anyio.create_task_group() as group:
        group.start_soon(lab.wait, "a")
        await anyio.sleep(2)
        group.start_soon(lab.wait, "a")
    await lab.wait("a")
    first, second, alone = sorted(telemetry.spans, key=lambda span: span.start_time or 0)
    linked = [[link.context.span_id for link in span.links] for span in (first, second, alone)]
    assert first.context is not None
    assert linked == [[], [first.context.span_id], []]


@pytest.mark.parametrize(
    ("answers", "outcome", "status"),
    [
        ([done], ("succeeded",), StatusCode.UNSET),
        ([failed], ("failed",), StatusCode.ERROR),
        ([running], ("error", "WaitTimeout"), StatusCode.ERROR),
        ([error(403, 10003)], ("error", "PermissionDenied", 403), StatusCode.ERROR),
    ],
)
async def test_an_end_is_an_outcome_and_a_status(
    telemetry: Telemetry, answers: list[Any], outcome: tuple[Any, ...], status: StatusCode
) -> None:
    async with source(Script(*answers), observer=telemetry.observer) as jobs, JobSet(jobs) as waits:
        waits.add(JOB, timeout=20)
        waits.close()
        assert len([each async for each in waits]) == 1
    (span,) = telemetry.spans
    assert span.status.status_code is status
    assert list(telemetry.points("jobsource.wait.duration")) == [outcome]
    assert telemetry.points("jobsource.wait.active") == {(): 0}


async def test_a_cancelled_wait_is_no_error(telemetry: Telemetry) -> None:
    async with source(Script(running), observer=telemetry.observer) as jobs:
        with anyio.move_on_after(5):
            await jobs.wait(JOB)
    (span,) = telemetry.spans
    assert span.status.status_code is StatusCode.UNSET
    assert telemetry.points("jobsource.wait.duration") == {("abandoned",): about(5)}


async def test_metrics_count_waits_polls_and_replies_that_throttle(telemetry: Telemetry) -> None:
    limited = error(429, 10013, Retry_After="30")
    script = Script(running, limited, gone, running)
    policy = PollPolicy(initial=1, maximum=1)
    async with source(script, observer=telemetry.observer, policy=policy) as jobs, JobSet(jobs, [JOB, JOB]):
        await anyio.sleep(0.5)
        assert telemetry.points("jobsource.wait.active") == {(): 2}
        await anyio.sleep(33)
    assert telemetry.points("jobsource.throttled") == {(): 1}
    polls = telemetry.points("jobsource.wait.polls")
    assert (polls["RateLimited", 429], polls["JobNotFound",]) == (2, 2)
    assert polls[()] >= 4


def test_the_lag_of_an_end_is_recorded_where_the_server_tells_it(telemetry: Telemetry) -> None:
    ref, now = JobRef("ontap", "https://cluster1:8443", "a"), datetime.now(UTC)
    job = Job(ref, JobState.SUCCEEDED, finished_at=now - timedelta(seconds=4), observed_at=now)
    telemetry.observer(Event(EventKind.ENDED, ref, job, elapsed=60))
    assert telemetry.points("jobsource.wait.lag") == {(8443,): 4}


async def test_the_members_of_a_fleet_are_told_apart_by_their_address(telemetry: Telemetry) -> None:
    lab = Lab()
    lab.end("a", 1)
    async with source(Script(done)) as jobs, Fleet([lab, jobs], observer=telemetry.observer) as fleet:
        await fleet.wait(lab.ref("a"))
        await fleet.wait(jobs.ref(JOB))
    addresses = [dict(span.attributes or {})["server.address"] for span in telemetry.spans]
    assert addresses == ["lab.example", "api.example.org"]


async def test_without_the_sdk_it_does_nothing() -> None:
    async with source(Script(running, failed), observer=OpenTelemetryObserver()) as jobs:
        assert (await jobs.wait(JOB, check=False)).state is JobState.FAILED


def test_without_opentelemetry_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", None)
    with pytest.raises(UsageError, match=r'pip install "jobsource\[otel\]"'):
        OpenTelemetryObserver()
