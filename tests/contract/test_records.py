"""A job's record, typed: what everything that the server sent of it is read from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest

import bluexp_jobs
import cfjobs
import ontapjobs
from common import Job, JobRef, JobState, UsageError, WrongSource, from_dict, to_dict

JOBS: dict[str, tuple[Callable[[Job], Any], type[Any], Job]] = {
    "ontap": (
        ontapjobs.record,
        ontapjobs.JobRecord,
        ontapjobs.parse_job(b'{"uuid": "1", "state": "success", "svm": {"name": "vs1"}, "new": 1}'),
    ),
    "bluexp": (
        bluexp_jobs.record,
        bluexp_jobs.JobRecord,
        bluexp_jobs.parse_job({"job": [{"id": "1", "status": "COMPLETED", "new": 1}]}),
    ),
    "cf": (
        cfjobs.record,
        cfjobs.JobRecord,
        cfjobs.parse_job({"guid": "1", "state": "COMPLETE", "new": 1}),
    ),
}
systems = pytest.mark.parametrize("name", JOBS)


@systems
def test_a_jobs_record_is_the_providers_own_with_everything_that_was_sent(name: str) -> None:
    record, kind, job = JOBS[name]
    assert type(record(job)) is kind
    assert record(job).extra == {"new": 1}


@systems
def test_a_job_of_another_system_is_refused_also_without_a_record(name: str) -> None:
    record, _, _ = JOBS[name]
    for other, (_, _, job) in JOBS.items():
        if other == name:
            continue
        for foreign in (job, attrs.evolve(job, record=None)):
            with pytest.raises(WrongSource, match=f"is not a job of {name}") as caught:
                record(foreign)
            assert (caught.value.ref, caught.value.job) == (job.ref, job)


@systems
def test_a_job_without_a_record_says_how_to_get_one(name: str) -> None:
    record, _, job = JOBS[name]
    stored = from_dict(to_dict(job))
    resolved = Job(JobRef(name, "https://h", "1"), JobState.SUCCEEDED, resolved=True)
    for bare in (stored, resolved):
        with pytest.raises(UsageError, match=r"has no record.*call get\(\) first") as caught:
            record(bare)
        assert caught.value.job is bare
