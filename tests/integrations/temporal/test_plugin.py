"""The plug-in's parts by themselves: what is converted, and what an application's own choice keeps."""

from __future__ import annotations

import dataclasses
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from temporalio import workflow
from temporalio.api.failure.v1 import Failure
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from common import Job, JobFailed, JobRef, JobsError, JobState, UsageError, WaitTimeout
from common.integrations.temporal.converter import JobsPayloadConverter, data_converter
from common.integrations.temporal.errors import jobs_error
from common.integrations.temporal.set_messages import MAX_JOBS, SetState, batches, lengthen, shorten
from common.integrations.temporal.systems import Systems
from common.integrations.temporal.workflow import CALL_DIGITS
from ontapjobs.temporal import JobsPlugin, JobsWorkflow

REF = JobRef("ontap", "https://cluster1", "1")
JOB = Job(REF, JobState.FAILED)


@pytest.mark.parametrize(
    ("value", "hint"), [(REF, JobRef), (JOB, Job), ([JOB, JOB], list[Job]), ("text", str), (None, type(None))]
)
def test_jobs_and_refs_are_arguments_and_results(value: Any, hint: Any) -> None:
    converter = JobsPayloadConverter()
    assert converter.from_payloads(converter.to_payloads([value]), [hint]) == [value]


def test_an_error_is_an_argument_too() -> None:
    converter = JobsPayloadConverter()
    [error] = converter.from_payloads(converter.to_payloads([JobFailed(JOB)]), [JobFailed])
    assert isinstance(error, JobFailed)
    assert error.job == JOB


def test_any_error_of_an_applications_own_activity_comes_back_as_it_was() -> None:
    converter = data_converter(None)
    failure = Failure()
    converter.failure_converter.to_failure(WaitTimeout("late", ref=REF), converter.payload_converter, failure)
    found = converter.failure_converter.from_failure(failure, converter.payload_converter)
    assert isinstance(found, ApplicationError)
    assert not found.non_retryable
    error = jobs_error(found)
    assert isinstance(error, WaitTimeout)
    assert error.ref == REF


@pytest.mark.parametrize(
    "details", [(), ("text",), ({"error": "Theirs"},), ({"error": "Theirs", "text": 5},)], ids=repr
)
def test_details_of_others_are_no_error_of_ours(details: tuple[Any, ...]) -> None:
    assert jobs_error(ApplicationError("no", *details, type="Theirs")) is None
    assert jobs_error(ValueError("no")) is None


def test_a_converter_of_the_applications_own_stays() -> None:
    own = DefaultFailureConverterWithEncodedAttributes
    found = data_converter(dataclasses.replace(DataConverter.default, failure_converter_class=own))
    assert found.failure_converter_class is own
    assert found.payload_converter_class is JobsPayloadConverter


def test_workflows_may_import_what_they_need_and_another_runner_stays() -> None:
    config: Any = JobsPlugin().configure_worker({"workflow_runner": SandboxedWorkflowRunner()})
    passed = config["workflow_runner"].restrictions.passthrough_modules
    assert {"common", "ontapjobs", "bluexp_jobs", "cfjobs", "cattrs"} <= passed
    other = UnsandboxedWorkflowRunner()
    config = JobsPlugin().configure_worker({"workflow_runner": other})
    assert config["workflow_runner"] is other


def test_settings_of_systems_are_checked_at_once_and_never_shown() -> None:
    systems = Systems({"ontap://cluster1": {"user": "jobs", "password": "p4ssw0rd"}})
    assert repr(systems) == "<Systems ['ontap://cluster1']>"
    with pytest.raises(UsageError, match="no settings for ontap://cluster2/"):
        systems.source("ontap://cluster2/1")
    with pytest.raises(UsageError):
        JobsPlugin({"cluster1": {}})


@pytest.mark.parametrize(
    ("job", "target", "short"),
    [
        ("ontap://cluster1/1?results=/api/x", "ontap://cluster1/", "1?results=/api/x"),
        ("ontap://cluster1/x://1", "ontap://cluster1/", "ontap://cluster1/x://1"),
        ("bluexp://api/account/1?agent=a", "bluexp://api/account/?agent=a", "1"),
        ("bluexp://api/account/1?agent=b", "bluexp://api/account/?agent=a", "bluexp://api/account/1?agent=b"),
    ],
)
def test_a_set_names_its_jobs_by_what_the_target_does_not_say(job: str, target: str, short: str) -> None:
    assert shorten(job, target) == short
    assert lengthen(short, target) == job


def test_a_full_set_fits_into_one_payload() -> None:
    target = f"bluexp://api.bluexp.netapp.com/account-DpTFcxN3/?agent={'a' * 32}clients"
    job = lengthen(str(uuid.uuid4()), target)
    row = [shorten(job, target), time.time(), f"nightly-backup-{uuid.uuid4()}", "0" * CALL_DIGITS, False]
    state = SetState(target, [row] * MAX_JOBS)
    [payload] = JobsPayloadConverter().to_payloads([state])
    assert payload.ByteSize() < 2 * 2**20


@pytest.mark.anyio
async def test_a_set_takes_no_more_jobs_than_a_payload_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[tuple[int, str]] = []

    async def report(_: JobsWorkflow, rows: list[Any], error: JobsError) -> None:
        reported.append((len(rows), type(error).__name__))

    monkeypatch.setattr(JobsWorkflow, "_report_error", report)
    jobs = JobsWorkflow(SetState("ontap://cluster1/"))
    rows = [[str(number), None, "requester", "call", False] for number in range(MAX_JOBS)]
    await jobs.add(rows[:-1])
    assert reported == []
    await jobs.add(rows[-3:])
    assert reported == [(2, "UsageError")]
    await jobs.add(rows[:5])
    assert reported[1:] == [(5, "UsageError")]


@pytest.mark.anyio
async def test_a_set_takes_back_each_row_once_and_says_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def wait_condition(condition: Callable[[], bool]) -> None:
        assert condition()

    def row(job: str, deadline: float | None = None, requester: str = "one", call: str = "c1") -> list[Any]:
        return [job, deadline, requester, call, False]

    jobs: Any = JobsWorkflow(SetState("ontap://cluster1/"))
    await jobs.add([row("1"), row("1"), row("2", 5.0), row("2", requester="other")])
    jobs.discard([row("1"), row("2"), row("2", 5.0, call="c2"), row("3")])
    monkeypatch.setattr(workflow, "wait_condition", wait_condition)
    monkeypatch.setattr(JobsWorkflow, "_is_long", lambda _: False)
    growth = await jobs.more(4)
    assert (growth.rows, growth.discarded, growth.over) == ([], [1], False)
    growth = await jobs.more(0)
    kept = [[0, *row("1")], [2, *row("2", 5.0)], [3, *row("2", requester="other")]]
    assert (growth.rows, growth.discarded) == (kept, [])
    jobs.discard([row("1"), row("2", 5.0), row("2", requester="other")])
    assert (await jobs.more(4)).over


def test_batches_hold_everything_once() -> None:
    assert list(batches(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(batches([], 2)) == []
