"""The fast path: its jobs equal those of the general path, whenever their fields are read."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest
from hypothesis import example, given

from common.model.errors import JobsError
from common.model.job import Job
from common.model.serialize import from_dict, to_dict
from common.model.states import JobState
from ontapjobs.records import fast_path
from ontapjobs.records.job_record import JobRecord
from ontapjobs.wire import parse_job, parse_jobs
from tests.examples import at_least
from tests.jsonvalues import mutated
from tests.pickled import pickled

HOST = "https://cluster.example"
SVM = {"name": "svm1", "uuid": "aa-11", "_links": {"self": {"href": "/api/svm/svms/aa-11"}}}
PLAIN: dict[str, Any] = {
    "uuid": "5d0f3f0e-77aa-11ee-9c31-005056a1b2c3",
    "description": "POST /api/storage/volumes",
    "state": "success",
    "message": "success",
    "code": 0,
    "start_time": "2026-02-03T10:00:00+01:00",
    "end_time": "2026-02-03T10:00:09+01:00",
    "svm": SVM,
    "node": {"name": "node-a"},
    "_links": {"self": {"href": "/api/cluster/jobs/5d0f3f0e"}},
    "new_in_9_20": {"a": [1, "b"]},
}
RUNNING = {**PLAIN, "state": "running"}
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
STATES = {"odd": JobState.PARTIAL}


def body(*records: Any) -> bytes:
    return json.dumps({"records": records}).encode()


def page(*records: Any) -> list[Job]:
    return parse_jobs(body(*records), endpoint=HOST)


def unread(job: Job) -> bool:
    return isinstance(job._source, dict)


def described(read: Any) -> str:
    """All that came of reading, in words."""
    try:
        jobs: list[Job] = read()
    except JobsError as error:
        return repr((error, vars(error)))
    return repr([(attrs.evolve(job, observed_at=NOON), job.record) for job in jobs])


@pytest.mark.slow
@at_least(300)
@given(mutated(RUNNING))
@example(PLAIN)
@example({**PLAIN, "state": "ODD"})
@example({**PLAIN, "state": "failure"})
@example({**PLAIN, "error": {"message": "retried"}})
@example({**PLAIN, "error": {}})
@example({**PLAIN, "uuid": 5})
@example({**PLAIN, "percent_complete": 40})
@example({**PLAIN, "sub_jobs": [{"uuid": "1", "state": "failure"}]})
@example({**PLAIN, "create_time": "2026-02-03T10:00:00+01:00"})
@example({**PLAIN, "state": ["success"]})
def test_both_ways_give_the_same_job_or_the_same_error(record: Any) -> None:
    if not isinstance(record, dict):
        return
    text = json.dumps(record)
    options: Any = {"endpoint": HOST, "states": STATES}
    at_once = described(lambda: [parse_job(json.loads(text), id="asked", **options)])
    assert described(lambda: [parse_job(text.encode(), id="asked", **options)]) == at_once
    assert described(lambda: [parse_job(json.loads(text), id="asked", own=True, **options)]) == at_once
    records = [PLAIN, record, RUNNING]
    at_once = described(lambda: parse_jobs(json.loads(body(*records)), **options))
    assert described(lambda: parse_jobs(body(*records), **options)) == at_once


def test_the_record_is_read_when_somebody_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Any] = []

    def parse(source: Any) -> JobRecord:
        read.append(source)
        return JobRecord()

    monkeypatch.setattr(fast_path, "parse_record", parse)
    (job,) = page(PLAIN)
    assert (job.state, job.message, job.id, job.errors) == (
        JobState.SUCCEEDED,
        "success",
        PLAIN["uuid"],
        (),
    )
    assert job.links == {"self": "/api/cluster/jobs/5d0f3f0e"}
    assert job.started_at == datetime(2026, 2, 3, 9, tzinfo=UTC)
    assert job.finished_at == datetime(2026, 2, 3, 9, 0, 9, tzinfo=UTC)
    assert not read
    assert job.record is job.record
    assert len(read) == 1


def test_the_end_time_of_a_running_job_is_in_its_record_alone() -> None:
    (job,) = page(RUNNING)
    assert unread(job)
    assert job.record.end_time == datetime(2026, 2, 3, 9, 0, 9, tzinfo=UTC)
    assert (job.finished_at, job.started_at) == (None, datetime(2026, 2, 3, 9, tzinfo=UTC))
    assert job.links == job.record.links


def test_an_unread_job_is_as_good_as_any() -> None:
    expected = parse_job(PLAIN, endpoint=HOST)
    copies = [
        pickled(page(PLAIN)[0]),
        copy.copy(page(PLAIN)[0]),
        copy.deepcopy(page(PLAIN)[0]),
        attrs.evolve(page(PLAIN)[0], observed_at=NOON),
    ]
    for job in copies:
        assert (job, job.record, hash(job)) == (expected, expected.record, hash(expected))
    job = page(PLAIN)[0]
    assert from_dict(to_dict(job)) == job == expected
    assert not job.differs(expected)
    with pytest.raises(AttributeError):
        job.record = None  # type: ignore[misc]


def test_what_the_caller_decoded_is_read_at_once() -> None:
    data = copy.deepcopy({"records": [PLAIN]})
    (job,) = parse_jobs(data, endpoint=HOST)
    data["records"][0]["svm"]["name"] = "renamed"
    data["records"][0]["_links"].clear()
    assert job.record.svm.name == "svm1"
    assert job.links == {"self": "/api/cluster/jobs/5d0f3f0e"}


def test_the_jobs_of_a_page_share_an_svm_and_the_time_of_reading() -> None:
    one, other, third = page(PLAIN, RUNNING, {**PLAIN, "svm": {**SVM, "uuid": "bb-22"}})
    assert one.record.svm is other.record.svm
    assert [job.record.svm.uuid for job in (one, other, third)] == ["aa-11", "aa-11", "bb-22"]
    assert one.observed_at is third.observed_at


@pytest.mark.parametrize("values", [(1, True), (True, 1.0), (0, 0.0), ([1], [True])])
def test_what_is_only_equal_is_not_shared(values: tuple[Any, Any]) -> None:
    jobs = page(*({**PLAIN, "svm": {**SVM, "x": value}} for value in values))
    assert repr([job.record.svm.extra["x"] for job in jobs]) == repr(list(values))
