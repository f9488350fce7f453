"""What a task's argument may be: as a DAG gives it, and as a template makes it of XComs."""

from __future__ import annotations

from typing import Any

import pytest

from common import Job, JobRef, JobsError, JobState, UsageError, WaitTimeout, to_dict
from common.integrations.airflow.jobs import is_list, named_jobs

REF = JobRef("ontap", "https://cluster1", "1")
SUCCESS = to_dict(Job(REF, JobState.SUCCEEDED))
LATE = to_dict(WaitTimeout("late", ref=REF))


@pytest.mark.parametrize(
    ("job", "named"),
    [
        ("1", ["1"]),
        (str(REF), [str(REF)]),
        (SUCCESS, [str(REF)]),
        (LATE, [str(REF)]),
        pytest.param(str(SUCCESS), [str(REF)], id="text of an outcome"),
        ("{1", ["{1"]),
    ],
)
def test_one_job_is_named_by_text_or_by_how_a_wait_for_it_ended(job: Any, named: list[str]) -> None:
    assert named_jobs(job) == named
    assert not is_list(job)


@pytest.mark.parametrize(
    ("job", "named"),
    [
        ([], []),
        (["1"], ["1"]),
        (("1", "2"), ["1", "2"]),
        ([["1", "2"], [SUCCESS]], ["1", "2", str(REF)]),
        ("['1', '2']", ["1", "2"]),
        pytest.param(str([SUCCESS, "2"]), [str(REF), "2"], id="text of a list"),
    ],
)
def test_several_jobs_are_named_by_a_list(job: Any, named: list[str]) -> None:
    assert named_jobs(job) == named
    assert is_list(job)


@pytest.mark.parametrize(
    "job", [None, 7, [7], {"a": 1}, to_dict(JobsError("about no job")), "[7]"], ids=lambda job: repr(job)[:9]
)
def test_what_is_no_job_is_a_wrong_call(job: Any) -> None:
    with pytest.raises(UsageError, match="job= "):
        named_jobs(job)
