"""A page that is read by the texts of its records: the same records as of a page that is decoded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

import pytest
from hypothesis import given

from common import JobRef, JobState
from common.response.http_response import HttpResponse, http_date
from common.response.large_json import LARGE
from common.sources.driver import DriverHttp
from ontapjobs.driver import OntapDriver
from ontapjobs.records.batch_page import RecordText, read_page
from ontapjobs.wire import raw_page
from tests.examples import at_least
from tests.jsonvalues import mutated

HOST = "https://cluster.example"
IDS = [f"5d0f3f0e-77aa-11ee-9c31-{number:012x}" for number in range(4)]
NEXT = {"next": {"href": "/api/cluster/jobs?start.uuid=9"}}


def record(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "uuid": IDS[number],
        "state": "running",
        "start_time": "2026-02-03T10:00:00+01:00",
        "message": "a } and a ] in \u00fc text, \\",
        "svm": {"name": "svm1", "_links": {}},
        **fields,
    }


def page(*records: Any, indent: int | None = None, **more: Any) -> bytes:
    return json.dumps({"records": records, "num_records": len(records), **more}, indent=indent).encode()


def read(body: bytes, last: Mapping[str, Any]) -> dict[str, Any] | None:
    """What `read_page` made of a page, decoded."""
    found = read_page(body, last)
    return None if found is None else {id: each.take_fields() for id, each in found.records.items()}


def same(body: bytes, last: Mapping[str, Any] | None = None) -> None:
    decoded = raw_page(body)
    assert read(body, last or {}) == decoded.records
    found = read_page(body, last or {})
    assert found is not None
    assert found.following == decoded.following


@pytest.mark.parametrize("indent", [None, 0, 2])
def test_a_page_read_by_its_texts_is_the_page_that_is_decoded(indent: int | None) -> None:
    first = page(*(record(number) for number in range(4)), indent=indent, _links=NEXT)
    same(first)
    known = read_page(first, {})
    assert known is not None
    changed = record(1, state="success", more=[{"a": 1}])
    later = page(record(3), record(0), changed, indent=indent)
    same(later, known.records)


def test_an_unchanged_record_is_the_same_object_and_a_changed_one_is_not() -> None:
    known = read_page(page(record(0), record(1), record(2)), {})
    assert known is not None
    found = read_page(page(record(2), record(1, state="success"), record(0)), known.records)
    assert found is not None
    same_as_before = [found.records[id] is known.records[id] for id in IDS[:3]]
    assert same_as_before == [True, False, True]


def test_a_record_that_begins_as_another_one_did_is_read_anew() -> None:
    known = read_page(page({"uuid": IDS[0], "state": "running"}), {})
    assert known is not None
    later = page({"uuid": IDS[0], "state": "running", "message": "m"})
    assert read(later, known.records) == {IDS[0]: {"uuid": IDS[0], "state": "running", "message": "m"}}


def test_ids_are_compared_without_regard_to_letter_case() -> None:
    found = read_page(page({"uuid": IDS[0].upper(), "state": "running"}), {})
    assert found is not None
    assert list(found.records) == [IDS[0]]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="no object"),
        pytest.param(page(), id="no records"),
        pytest.param(page({"state": "running", "uuid": IDS[0]}), id="another key first"),
        pytest.param(page({"uuid": "short", "state": "running"}), id="another kind of id"),
        pytest.param(page(record(0), {"state": "running"}), id="no id"),
        pytest.param(page(record(0), 7), id="no record"),
        pytest.param(page(record(0), record(0)), id="twice"),
        pytest.param(page(record(0), None), id="null"),
        pytest.param(page(record(0))[:-1], id="cut off"),
        pytest.param(page(record(0))[:-20], id="cut within"),
        pytest.param(page(record(0)) + b"}", id="more behind it"),
        pytest.param(page(record(0)).replace(b"}], ", b"},], "), id="a comma too many"),
        pytest.param(page(record(0), record(1)).replace(b"}, {", b"} {"), id="a comma too few"),
        pytest.param(page(record(0), record(1)).replace(b"}, {", "},\u00a0{".encode()), id="no white space"),
        pytest.param(page(record(0))[:-1] + b', "records": []}', id="records twice"),
        pytest.param(page(record(0, message="m")).replace(b'"m"', b'"\xff"'), id="no UTF-8"),
        pytest.param(page(record(0, message="m")).replace(b'"m"', b'"\n"'), id="a control character"),
        pytest.param(b'{"num_records": 1, ' + page(record(0))[1:], id="another key before"),
        pytest.param(page(record(0, message="m" * LARGE)), id="too large"),
    ],
)
def test_what_is_laid_out_in_another_way_is_left_to_the_decoder(body: bytes) -> None:
    assert read_page(body, {}) is None


@pytest.mark.slow
@at_least(200)
@given(after=mutated({"records": [record(number) for number in range(3)]}))
def test_whatever_changes_in_a_page_both_ways_read_the_same(after: Any) -> None:
    known = read_page(page(*(record(number) for number in range(3))), {})
    assert known is not None
    body = json.dumps(after).encode()
    found = read_page(body, known.records)
    if found is not None:
        assert {id: each.take_fields() for id, each in found.records.items()} == raw_page(body).records


@pytest.mark.anyio
async def test_a_list_is_as_of_the_date_of_its_first_page() -> None:
    driver, refs = OntapDriver(HOST, states={}, app="test"), [JobRef("ontap", HOST, id) for id in IDS[:2]]
    pages = [page(record(0), _links=NEXT), page(record(1))]
    dates = [f"Tue, 03 Feb 2026 09:00:0{second} GMT" for second in (1, 2)]
    answers = [HttpResponse(200, (("date", date),), body) for date, body in zip(dates, pages, strict=True)]

    class Http:
        async def send(self, method: str, path: str, **_: Any) -> HttpResponse:
            assert (method, path.partition("?")[0]) == ("GET", "/api/cluster/jobs")
            return answers.pop(0)

    reading = await driver.read_batch(cast("DriverHttp", Http()), refs, {})
    assert (list(reading.records), reading.date) == (IDS[:2], http_date(dates[0]))


def test_the_job_in_a_text_is_the_job_in_what_it_is_decoded_to() -> None:
    driver, ref = OntapDriver(HOST, states={}, app="test"), JobRef("ontap", HOST, IDS[0])
    for fields in (
        record(0),
        record(0, state="success", end_time="2026-02-03T10:00:09+01:00"),
        record(0, state="failure", error={"message": "no", "code": "4"}),
    ):
        text = RecordText(json.dumps(fields), dict(fields))
        job = driver.decode_batch_record(ref, text)
        plain = driver.decode_batch_record(ref, fields)
        assert job == plain
        assert job.record == plain.record
        assert job.links == plain.links
        assert driver.decode_batch_record(ref, text) == plain  # again, of the text alone
        assert job.state is not JobState.UNKNOWN
