"""Every decoder on what a broken or hostile server could send: a typed error, or a job that says no more."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import bluexp_jobs.wire as bluexp
import cfjobs.wire as cf
import ontapjobs.wire as ontap
from common.auth.oauth2 import Token, read_token
from common.model.errors import DecodeError, JobsError, TransportError
from common.model.job import Job
from common.model.serialize import to_dict
from common.model.states import JobState
from common.polling.throttle import Budget
from common.response import decoding
from common.response.decoding import objects, read_json
from common.response.failures import api_error
from common.response.http_response import HttpResponse
from common.response.writes import StartedJobs
from ontapjobs.writes.started import parse_started
from tests.fuzz.payloads import bodies, check_job, listed, tried
from tests.ontaprecords import FULL as ONTAP
from tests.ontaprecords import UUID
from tests.pickled import pickled

PAGE: dict[str, Any] = {
    "records": [{**ONTAP, "state": "success"}, {"uuid": "6e1a4a1f", "state": "running", "code": "0"}],
    "num_records": 2,
    "_links": {"self": {"href": "/api/cluster/jobs"}, "next": {"href": "/api/cluster/jobs?start.uuid=x"}},
}
CF: dict[str, Any] = {
    "guid": "c3b8e0aa",
    "created_at": "2026-03-01T08:00:00Z",
    "updated_at": "2026-03-01T08:00:30Z",
    "operation": "space.delete",
    "state": "FAILED",
    "errors": [
        {"code": 10008, "title": "CF-Unprocessable", "detail": "in use"},
        {"code": 60030, "title": "CF-X"},
    ],
    "warnings": [{"detail": "first"}, {"detail": "second"}],
    "links": {
        "self": {"href": "https://api.example.org/v3/jobs/c3b8e0aa"},
        "space": {"href": "/v3/spaces/s-1"},
    },
}
BLUEXP: dict[str, Any] = {
    "job": [
        {
            "id": "7a1c40de",
            "working-environment-id": "we-1",
            "type": "backup-working-environment",
            "status": "COMPLETED",
            "error": "",
            "time": 1700000000000,
            "data": {
                "multi-volume-backup": {"volume": [{"id": "v-1", "status": "SUCCESS", "error": ""}]},
                "restore": {
                    "type": "file",
                    "source": {"bucket": "b-1", "volume-id": "v-1"},
                    "target": {"svm": "s", "volume-size": 107374182400, "path": "/restored"},
                    "batch": [
                        {
                            "id": "b-1",
                            "status": "SUCCESS",
                            "error": None,
                            "time": 1700000001000,
                            "file": [
                                {"inode": 96, "path": "/a", "type": "file", "size": 10, "mtime": 1700000002}
                            ],
                        }
                    ],
                },
            },
        }
    ]
}
WORDS = [
    *listed("state status job jobs records error errors id uuid guid"),
    *listed("COMPLETED FAILED success failure c3b8e0aa"),
    *ontap.STATES,
    *cf.STATES,
    *bluexp.STATES,
    UUID,
]

Parse = Callable[..., Job]


def record_of(data: Mapping[str, Any], id: str, key: str) -> Any:
    """The job in decoded JSON as a plain reader finds it."""
    if key not in data:
        return data
    found = data[key] if isinstance(data[key], list) else [data[key]]
    found = [item for item in found if isinstance(item, dict)]
    return found[0] if len(found) == 1 else next((item for item in found if str(item.get("id")) == id), None)


def check_said(job: Job, sent: Any, key: str, states: Mapping[str, JobState]) -> None:
    """The state is the payload's own word, and an end is nothing that it does not say."""
    assert isinstance(sent, dict)
    assert job.native_state == sent.get(key)
    word = job.native_state
    said = states.get(word.lower(), JobState.UNKNOWN) if word is not None else JobState.UNKNOWN
    assert job.state is said or (job.state is JobState.PARTIAL and said is JobState.SUCCEEDED)


@pytest.mark.slow
@given(body=bodies(ONTAP, WORDS), quick=st.booleans())
def test_ontaps_job(body: bytes, quick: bool) -> None:
    with reading(quick):
        found = tried(lambda: ontap.parse_job(body, endpoint="https://h", id="asked"))
        if isinstance(found, Job):
            check_job(found)
            check_said(found, read_json(body), "state", ontap.STATES)
            # Read from decoded data, the long way, it is the same.
            assert ontap.parse_job(read_json(body), endpoint="https://h", id="asked") == found
        else:
            assert isinstance(found, DecodeError)


@pytest.mark.slow
@given(body=bodies(PAGE, WORDS), quick=st.booleans())
def test_ontaps_page(body: bytes, quick: bool) -> None:
    with reading(quick):
        page = tried(lambda: ontap.parse_page(body, endpoint="https://h"))
        jobs = tried(lambda: ontap.parse_jobs(body, endpoint="https://h"))
        raw = tried(lambda: ontap.raw_page(body))
        if isinstance(page, DecodeError):
            assert isinstance(jobs, DecodeError)
            assert str(jobs) == str(page)
            return
        assert raw.following == page.next
        if page.failures:
            assert isinstance(jobs, DecodeError)
            assert str(jobs).startswith(str(page.failures[0]))
            members = read_json(body)["records"]
            assert len(page.jobs) + len(page.failures) == (len(members) if isinstance(members, list) else 1)
            return
        assert jobs == page.jobs
        records = objects(read_json(body).get("records"))
        # An id that is no text, such as 0, was never asked for.
        assert set(raw.records) == {str(record["uuid"]).lower() for record in records if record["uuid"]}
        assert len(records) == len(jobs)
        for job, record in zip(jobs, records, strict=True):
            check_job(job)
            check_said(job, record, "state", ontap.STATES)
            assert job.id == str(record["uuid"])


@pytest.mark.slow
@given(body=bodies(CF, WORDS), quick=st.booleans())
def test_cloud_foundrys_job(body: bytes, quick: bool) -> None:
    with reading(quick):
        found = tried(lambda: cf.parse_job(body, endpoint="https://h", id="asked"))
        if isinstance(found, Job):
            check_job(found)
            sent = read_json(body)
            check_said(found, sent, "state", cf.STATES)
            for key, said in (("errors", found.errors), ("warnings", found.record.warnings)):
                there = sent.get(key)
                there = there if isinstance(there, list) else [there]
                assert len(said) == sum(item is not None for item in there)
        else:
            assert isinstance(found, DecodeError)


@pytest.mark.slow
@example(body=json.dumps(BLUEXP).replace("SUCCESS", "FAILED", 1).encode(), quick=True)
@given(body=bodies(BLUEXP, WORDS), quick=st.booleans())
def test_bluexps_job(body: bytes, quick: bool) -> None:
    with reading(quick):
        found = tried(lambda: bluexp.parse_job(body, endpoint="https://h", id="7a1c40de"))
        if isinstance(found, Job):
            check_job(found)
            sent = record_of(read_json(body), "7a1c40de", "job")
            check_said(found, sent, "status", bluexp.STATES)
            assert not (found.succeeded and any(_failed(sent)))
        else:
            assert isinstance(found, DecodeError)
        several = tried(lambda: bluexp.parse_jobs(body, endpoint="https://h"))
        for job in several if isinstance(several, list) else ():
            check_job(job)


def _failed(value: Any, key: str = "") -> list[bool]:
    """Whether each item of a job has failed, on the way down to where items are."""
    below: list[bool] = []
    if isinstance(value, list):
        return [each for item in value for each in _failed(item, key)]
    if isinstance(value, dict):
        if key in ("volume", "batch"):
            below.append(str(value.get("status")).lower() in ("failed", "cancelled", "warning"))
        for name in ("data", "multi-volume-backup", "restore", "volume", "batch"):
            where = {"data": "", "multi-volume-backup": "data", "restore": "data"}.get(name)
            where = (
                where if where is not None else {"volume": "multi-volume-backup", "batch": "restore"}[name]
            )
            if name in value and key == where:
                below += _failed(value[name], name)
    return below


STATUSES = st.sampled_from(
    [200, 201, 202, 204, 304, 400, 401, 403, 404, 409, 414, 420, 422, 429, 500, 503, 599]
)
NAMES = st.sampled_from(
    listed(
        "retry-after date location content-type x-cf-warnings x-cf-routererror x-vcap-request-id "
        "x-response_id x-ratelimit-limit x-ratelimit-remaining x-ratelimit-reset"
    )
)
NUMBERS = st.integers().map(str) | st.sampled_from(
    ["9" * 400, "-" + "9" * 400, "1e400", "NaN", "٣", "9" * 5000]
)
DATES = st.datetimes().map(lambda moment: f"{moment:%a, %d %b %Y %H:%M:%S} GMT")
PLAIN = NUMBERS | DATES | st.text(st.characters(max_codepoint=255), max_size=30)
VALUES = st.one_of(
    PLAIN,
    st.builds("/v3/jobs/{}".format, PLAIN),
    st.builds("https://[{}/v3/jobs/{}".format, PLAIN, PLAIN),
)
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=5).map(tuple)
HUGE = (("x-ratelimit-limit", "9"), ("x-ratelimit-remaining", "1"), ("x-ratelimit-reset", "9" * 400))
ERROR: dict[str, Any] = {
    "error": {"message": "entry doesn't exist", "code": "4", "target": "uuid"},
    "errors": [{"code": 10010, "title": "CF-ResourceNotFound", "detail": "Job not found"}],
    "statusCode": 404,
    "message": "no such job",
    "job": {"uuid": UUID, "_links": {"self": {"href": f"/api/cluster/jobs/{UUID}"}}},
    "jobs": [ONTAP],
    "job-id": "7a1c40de",
}


@pytest.mark.slow
@given(status=STATUSES, headers=HEADERS, body=bodies(ERROR, WORDS), quick=st.booleans())
def test_a_reply_that_says_no(
    status: int, headers: tuple[tuple[str, str], ...], body: bytes, quick: bool
) -> None:
    reply = HttpResponse(status, headers, body)
    with reading(quick):
        for parse in (ontap.parse_error, cf.parse_error, bluexp.parse_error):
            fault = parse(reply)
            assert not fault.not_found or (fault.from_api and status == 404)
            assert not (fault.never_existed and not fault.not_found)
            error = api_error(reply, fault, request="GET /x")
            assert tried(partial(_raise, error)) is error
            assert len(error.body) <= 500
            assert error.retry_after is None or 0 <= error.retry_after < 1e12


@pytest.mark.slow
@given(status=STATUSES, headers=HEADERS, body=bodies(ERROR, WORDS), quick=st.booleans())
def test_a_reply_to_a_write(
    status: int, headers: tuple[tuple[str, str], ...], body: bytes, quick: bool
) -> None:
    reply = HttpResponse(status, headers, body)
    with reading(quick):
        told: list[StartedJobs | JobsError] = [
            tried(lambda: parse_started(reply, endpoint="https://h")),
            tried(lambda: cf.parse_started(reply)),
            tried(lambda: bluexp.parse_started(reply)),
        ]
        for started in told:
            assert isinstance(started, StartedJobs | JobsError)
            if isinstance(started, StartedJobs):
                assert all(started.ids)
                for job in started.jobs:
                    check_job(job)
                    assert job.id in started.ids
        assert isinstance(told[1], StartedJobs)
        assert not told[1].ids or status == 202


@pytest.mark.slow
@example(headers=HUGE)
@example(headers=(HUGE[2], HUGE[1], ("x-ratelimit-limit", "9" * 400)))
@example(headers=(HUGE[0], HUGE[1], ("x-ratelimit-reset", "-" + "9" * 400)))
@given(
    headers=st.lists(st.tuples(NAMES.filter(lambda name: "limit" in name), NUMBERS), max_size=6).map(tuple)
    | HEADERS
)
def test_a_request_budget(headers: tuple[tuple[str, str], ...]) -> None:
    budget = cf.parse_budget(HttpResponse(200, headers))
    assert budget is None or isinstance(budget, Budget)
    if budget is not None:
        assert budget.limit > 0
        assert budget.remaining >= 0
        assert 0 <= budget.seconds <= cf.MAX_WINDOW
        assert 0 <= budget.interval() <= cf.MAX_WINDOW


@pytest.mark.slow
@given(body=bodies(PAGE, WORDS))
def test_json_is_the_same_with_and_without_msgspec(body: bytes) -> None:
    pytest.importorskip("msgspec")
    said = [_read(body, quick=quick) for quick in (True, False)]
    if said[0] != said[1]:  # they give up on nesting at different depths, and on nothing else
        assert "nested too deep" in said[0] + said[1]


def _read(body: bytes, *, quick: bool) -> str:
    with reading(quick):
        found = tried(lambda: read_json(body))
    try:
        return repr(found)
    except RecursionError:
        return "nested too deep to print"


def _raise(error: Exception) -> None:
    raise error


@pytest.mark.slow
@pytest.mark.parametrize("quick", [True, False], ids=["msgspec", "json"])
@pytest.mark.parametrize(
    "text",
    [
        '{"guid": "g", "state": "COMPLETE", "warnings": [%s]}',
        '{"guid": "g", "state": "FAILED", "errors": [%s]}',
        '{"job": [{"id": "g", "status": "FAILED", "error": %s}]}',
        '{"uuid": "g", "state": "failure", "error": %s}',
        '{"uuid": "g", "state": "running", "svm": %s}',
        '{"access_token": "t", "expires_in": %s}',
    ],
)
def test_nesting_of_any_depth(text: str, quick: bool) -> None:
    # Found: msgspec reads deeper than json writes, and an error is told as the JSON that it came as.
    with reading(quick):
        for depth in (*range(0, 800, 100), *range(870, 990, 2)):
            body = (text % ("[" * depth + "]" * depth)).encode()
            for parse in (ontap.parse_job, cf.parse_job, bluexp.parse_job):
                found = tried(partial(parse, body, endpoint="https://h"))
                assert isinstance(found, Job | DecodeError)
                if isinstance(found, Job):
                    assert to_dict(found)
                    assert pickled(found) == found
            token = tried(partial(read_token, HttpResponse(200, (), body), "signing in"))
            assert isinstance(token, Token | TransportError)


class reading:  # noqa: N801  # reads as a statement
    """JSON is read with msgspec where it is installed, or without."""

    def __init__(self, quick: bool) -> None:
        self._quick = quick
        self._patch = pytest.MonkeyPatch()

    def __enter__(self) -> None:
        if not self._quick:
            self._patch.setattr(decoding, "fast_loads", lambda: None)

    def __exit__(self, *_: object) -> None:
        self._patch.undo()
